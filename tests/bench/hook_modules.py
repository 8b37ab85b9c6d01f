"""The hook as a subject sees it: `_paceline_hook`, found in `bench/hook`, which is on nobody else's path."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

HOOK = Path(__file__).parents[2] / "bench" / "hook"


def hook_module(name: str) -> ModuleType:
    """`_paceline_hook.NAME`; nothing of it starts without `_paceline_run` in the environment."""
    sys.path.insert(0, str(HOOK))
    try:
        return importlib.import_module(f"_paceline_hook.{name}")
    finally:
        sys.path.remove(str(HOOK))
