"""Charts of a judgement: from a plan, its runs and what was judged to figures, and from figures to files."""
