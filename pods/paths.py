"""The names in a job folder, for the agent's side.

The names themselves live in `pods/supervisor/paths.py`, because the zipapp on the pod carries them too and
may import nothing but itself. There is one list of them.
"""

from pods.supervisor.paths import JobPaths, MachinePaths, job_name

__all__ = ["JobPaths", "MachinePaths", "job_name"]
