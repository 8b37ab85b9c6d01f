"""Works a plan off on the machine that measures: mirrors, worktrees, environments, runs.

Runs as `worker.pyz` with the standard library only (Python 3.10). Imports `bench.plan` and nothing else of
ours; who owns the processes that it starts is a command that it is given (`owner` in its settings).
"""
