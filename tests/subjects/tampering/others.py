"""Who else is measured on this machine."""

import pathlib


def processes_of_the_baseline():
    tree = pathlib.Path.cwd().parent / "baseline"
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cwd").resolve() == tree:
                yield int(folder.name)
        except OSError:
            continue
