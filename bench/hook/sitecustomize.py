"""Lets the hook in at interpreter start, then makes way for the sitecustomize that stands behind this one.

Found through PYTHONPATH, so it comes before any other; the next one on sys.path is run as if it were the
only one. Outside a measured run (no `_paceline_run` in the environment) it does nothing of its own.
"""


def _paceline_chain() -> None:
    import importlib.util
    import sys
    from importlib.machinery import PathFinder

    here = __file__.rpartition("/")[0]
    rest = [entry for entry in sys.path if entry.rstrip("/") != here]
    spec = PathFinder.find_spec("sitecustomize", rest)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


try:
    import _paceline_hook

    _paceline_hook.start()
finally:
    _paceline_chain()
