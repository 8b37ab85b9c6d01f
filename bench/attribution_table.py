"""The table of an attribution, as rows of text; figures come from `attribute.py`, nothing is typed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from bench.attribute import Attribution, NotMeasured, Residual
from bench.compare import Comparison
from bench.tables import Table, ratio_text

HEADER = ("change", "commits", "added in turn", "taken from the whole", "n", "trains the same", "")
DEPENDS = "depends on the others"


def attribution_table(attribution: Attribution) -> Table:
    """A row a change, then all together, then their interactions."""
    rows = [
        (
            one.change,
            _commits_text(one.commits),
            _cell(one.ladder),
            _cell(one.without),
            _n_text(one.ladder, one.without),
            str(one.trains),
            DEPENDS if one.depends else "",
        )
        for one in attribution.contributions
    ]
    total, residual, last = attribution.total, attribution.residual, attribution.contributions[-1]
    rows.append(("all together", "", _cell(total), "", _n_text(total), str(last.trains), ""))
    rows.append(("interactions", "", "", _cell(residual), _n_text(residual), "", ""))
    return Table("changes", HEADER, tuple(rows))


def _cell(found: Comparison | Residual | NotMeasured) -> str:
    match found:
        case NotMeasured():
            return f"NOT MEASURED: {found.why}"
        case Residual():
            return found.text
        case Comparison():
            return ratio_text(found)
        case _:
            assert_never(found)


def _n_text(*found: Comparison | Residual | NotMeasured) -> str:
    """The number of replicates behind the figures of a row, once where they are the same."""
    counts = [0 if isinstance(one, NotMeasured) else one.n for one in found]
    return " / ".join(str(count) for count in dict.fromkeys(counts))


def _commits_text(commits: Sequence[str]) -> str:
    first, last = commits[0][:12], commits[-1][:12]
    return first if len(commits) == 1 else f"{first} to {last} ({len(commits)})"
