"""What goes into the subject's process, as files to be copied beside it; never imported by us.

`sitecustomize.py` and the package `_paceline_hook` are put on the subject's PYTHONPATH (or reached through
a `.pth` line in environments that we build). Standard library only until the subject itself imports torch.
"""
