"""Who holds which slot of a pod, and what is in quarantine there: all that stands in its machine-wide folder.

No driver is asked, so that a lease on a GPU that is gone, or of a driver that errs, is told like any other.
Gives back only what nothing holds any more; `take` and `release` of a job of ours are in `job.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pods import answers
from pods.archive import supervisor_archive
from pods.inventory import Pod
from pods.shell import Shell


@dataclass(frozen=True, slots=True)
class Lease:
    """`job` is its holder's folder, "" where the record cannot be read; `age_s` is None where the machine was
    restarted since. `held_because` None: may be reclaimed."""

    slot: str
    job: str
    age_s: float | None
    held_because: str | None
    token: str = ""


@dataclass(frozen=True, slots=True)
class Leases:
    """`quarantine` is slot: why."""

    leases: tuple[Lease, ...]
    quarantine: Mapping[str, str]

    def of(self, slot: str) -> Lease | None:
        return next((lease for lease in self.leases if lease.slot == slot), None)


def leases_on(shell: Shell, pod: Pod) -> Leases:
    """Raises PodError."""
    answer = _asked(shell, pod, "show")
    return Leases(tuple(map(_lease, answer["leases"])), answer["quarantine"])


def give_back(shell: Shell, pod: Pod, lease: Lease) -> str | None:
    """None, or why there is nothing to give back any more. Raises PodError."""
    answer = _asked(shell, pod, "release", "--slot", lease.slot, "--token", lease.token)
    return None if answer["released"] else str(answer["why"])


def lift(shell: Shell, pod: Pod, slot: str) -> bool:
    """Whether it was in quarantine. Raises PodError."""
    return bool(_asked(shell, pod, "lift", "--slot", slot)["lifted"])


def _lease(said: Mapping[str, Any]) -> Lease:
    holder = said["holder"] or {}
    job, token = str(holder.get("job") or ""), str(holder.get("token") or "")
    return Lease(said["slot"], job, said["age_s"], said["held_because"], token)


def _asked(shell: Shell, pod: Pod, action: str, *more: str) -> Mapping[str, Any]:
    argv = ["lease", action, "--machine", str(pod.machine), *more]
    return answers.bring(shell, supervisor_archive(), argv)
