"""Times the outermost imports of modules from outside the worktree, and tells when a watched one is there.

Wraps the import system's own slow path (`_find_and_load`), which runs only for modules that are not loaded
yet: a warm `import x` costs nothing more. CPython 3.10 to 3.14 all come through it, lazy modules too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import _bootstrap
from importlib.machinery import PathFinder
from typing import Any

from _paceline_hook.timeline import Timeline


class Imports:
    def __init__(self, timeline: Timeline, worktree: str, watched: dict[str, Callable[[Any], None]]) -> None:
        self._timeline = timeline
        self._worktree = worktree.rstrip("/") + "/"
        self._watched = dict(watched)
        self._inside: dict[str, bool] = {}

    def install(self) -> None:
        original = vars(_bootstrap)["_find_and_load"]
        timeline, watched = self._timeline, self._watched

        def _find_and_load(name: str, import_: Any) -> Any:
            timed = timeline.is_before_training and not self.is_inside(name) and timeline.enter_import()
            try:
                return original(name, import_)
            finally:
                if timed:
                    timeline.leave_import()
                if name in watched and name in sys.modules:
                    watched.pop(name)(sys.modules[name])

        vars(_bootstrap)["_find_and_load"] = _find_and_load

    def is_inside(self, name: str) -> bool:
        """Whether the top package of a module lies in the worktree, or in the folder of the script."""
        top = name.partition(".")[0]
        if top not in self._inside:
            self._inside[top] = self._is_in_worktree(top)
        return self._inside[top]

    def _is_in_worktree(self, top: str) -> bool:
        if top in sys.builtin_module_names or top in sys.stdlib_module_names:
            return False
        try:
            spec = PathFinder.find_spec(top)
        except (ImportError, ValueError, AttributeError):
            return False
        if spec is None:
            return False
        places = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
        return any(os.path.realpath(place).startswith(self._worktree) for place in places)
