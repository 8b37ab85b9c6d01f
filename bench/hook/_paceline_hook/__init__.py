"""The hook: measures any transformers or TRL trainer from inside, with the subject's code unchanged.

It keeps a timeline of phases, counts steps and batches through an injected callback, evaluates the recipe's
held-out rows after the last timed step, and writes all of it to the run's events. It decides nothing, never
raises into the subject, and a process that does not train only leaves its `start` line.
Settings come from the JSON file that the environment variable `_paceline_run` names.
"""

import os

_started = False


def start() -> None:
    """Begin in this process, once; does nothing where no run is being measured."""
    global _started
    settings = os.environ.get("_paceline_run")
    if _started or not settings:
        return
    _started = True
    from _paceline_hook import measure

    measure.begin(settings)
