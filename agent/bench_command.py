"""`paceline bench`: a plan, a job folder, the job on this machine, its result.

The job runs under a detached supervisor; this process only looks on. Ctrl-C (and TERM, and a closed terminal)
cancels the job and keeps what was measured.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.worker.files import write_whole
from pods import job
from pods.paths import JobPaths, job_name
from pods.shell import NoSuchFile, PodError, Shell
from pods.shell_local import LocalShell

from agent.dispatch import Place, files_of, spec_of
from agent.early import Early
from agent.errors import TaskError
from agent.floors import known_noise
from agent.follow import follow
from agent.forecast import noise_files
from agent.here import MACHINE, Here, look_around
from agent.needs import unmet
from agent.planning import Planned, Request, plan_for
from agent.report import report_text
from agent.report_files import keep_page
from agent.repository import Repository, open_repository
from agent.result import HOST, REPORT, RESULT, Result, json_text, result_of

WORKPLACE = ".paceline"
OBSERVE_EVERY_S = 10.0
PROGRESS_LIMIT_B = 64 << 10
MOST_ATTEMPTS = 10_000


def bench_here(request: Request, repo: Path, *, as_json: bool) -> int:
    """Measure and print; the exit status. Raises TaskError and PodError."""
    repository = open_repository(repo)
    status, result = measured_here(plan_for(request, repository), repository)
    print(json_text(result) if as_json else report_text(result), end="")
    print(f"\npaceline: {result.folder}", file=sys.stderr)
    if status == 0 and result.error:
        raise PodError(result.error)
    return status


def measured_here(planned: Planned, repository: Repository) -> tuple[int, Result]:
    """Exit status and result of a plan's job on this machine. Raises TaskError and PodError."""
    workplace = workplace_in(Path.cwd())
    shell = LocalShell()
    here = _looked_around(shell, planned, workplace)
    spec = _prepared(shell, planned, repository, workplace, here)
    _take(shell, spec)
    with _stopped_by_signals():
        return _measured(shell, spec)


def _measured(shell: Shell, spec: job.JobSpec) -> tuple[int, Result]:
    """Exit status and result of the job, followed to its end or ended by the first signal."""
    status = 0
    try:
        _launch(shell, spec)
        follow(lambda: _progress(shell, spec), _Ended(shell, spec))
    except KeyboardInterrupt:
        print("paceline: ending the job; what was measured stays", file=sys.stderr)
        status = 130
        left = job.cancel(shell, spec.paths).left
        if left:
            raise PodError(f"processes {left} of {spec.name} would not end") from None
    return status, stored(Path(spec.paths.root))


def workplace_in(folder: Path) -> Path:
    """`.paceline/` in `folder`. Raises TaskError where it cannot be used."""
    return workplace_at(folder / WORKPLACE)


def workplace_at(workplace: Path) -> Path:
    """A folder for jobs, unseen by git. Raises TaskError where it cannot be used."""
    workplace = workplace.resolve()
    if ":" in str(workplace):
        raise TaskError(f"{workplace} has a colon in its name, which PYTHONPATH cannot hold: work elsewhere")
    try:
        workplace.mkdir(parents=True, exist_ok=True)
        (workplace / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise TaskError(f"cannot write to {workplace}: {error.strerror}") from None
    return workplace


def _looked_around(shell: Shell, planned: Planned, workplace: Path) -> Here:
    """This machine. Raises PodError where it is unknown or lacks what a recipe needs."""
    here = look_around(shell)
    free_b = shutil.disk_usage(workplace).free
    for recipe in planned.plan.recipes:
        lacking = unmet(recipe.need, here.gpus, here.facts, free_b)
        if lacking:
            raise PodError(f"recipe {recipe.name!r} needs {lacking}")
    return here


def _prepared(
    shell: Shell, planned: Planned, repository: Repository, workplace: Path, here: Here
) -> job.JobSpec:
    """The job folder of the first attempt that is not there yet."""
    plan = planned.plan
    known = known_noise(shell, MACHINE, here.slot, here.host, plan, datetime.now(UTC))
    for warning in known.warnings:
        print(f"paceline: {warning}", file=sys.stderr)
    for attempt in range(1, MOST_ATTEMPTS):
        name = job_name(plan.repo, "local", plan.hash, attempt)
        paths = JobPaths(workplace / "jobs" / name)
        if paths.root.exists():
            continue
        place = Place(paths, here.slot, MACHINE, workplace, sys.executable)
        spec = spec_of(plan, name, place)
        files = files_of(plan, str(repository.root), planned.eval_rows, place)
        files[HOST] = (json.dumps(here.host, indent=1, sort_keys=True) + "\n").encode()
        files |= noise_files(known.noise, plan)
        if isinstance(job.prepare(shell, spec, files), job.Prepared):
            return spec
    raise PodError(f"{workplace}/jobs is full of attempts at plan {plan.hash[:12]}")


def _take(shell: Shell, spec: job.JobSpec) -> None:
    taken = job.take(shell, spec.paths, MACHINE, spec.slot)
    if isinstance(taken, job.Held):
        shutil.rmtree(spec.paths.root)  # prepared a moment ago, never launched
        raise PodError(
            f"slot {spec.slot} of this machine is held by {taken.job or 'somebody'} ({taken.why});"
            " two measurements at once would disturb each other: wait for its end, or cancel it"
        )


def _launch(shell: Shell, spec: job.JobSpec) -> None:
    launched = job.launch(shell, spec.paths)
    if isinstance(launched, job.NotLaunched):
        raise PodError(f"the job did not start: {launched.why}")


def _progress(shell: Shell, spec: job.JobSpec) -> str | None:
    try:
        return shell.get(spec.paths.progress, PROGRESS_LIMIT_B).decode()
    except (NoSuchFile, UnicodeDecodeError):
        return None


class _Ended:
    """Whether the job has ended: its exit record, looked for often; whether it lives at all, seldom.

    Tells it on the way when it is enough.
    """

    def __init__(self, shell: Shell, spec: job.JobSpec) -> None:
        self._shell = shell
        self._spec = spec
        self._early = Early()
        self._observe_at = time.monotonic() + OBSERVE_EVERY_S

    def __call__(self) -> bool:
        try:
            self._shell.get(self._spec.paths.exit, PROGRESS_LIMIT_B)
        except NoSuchFile:
            if self._early.is_due(JobPaths(Path(self._spec.paths.root))):
                self._shell.put(self._spec.paths.enough, b"")
            return self._is_lost()
        self._check_whole()
        return True

    def _check_whole(self) -> None:
        """What was deleted under a job that lives is put back in part: no result can be read from that."""
        try:
            self._shell.get(self._spec.paths.job, PROGRESS_LIMIT_B)
        except NoSuchFile:
            raise PodError(f"the job folder {self._spec.paths.root} is gone: somebody deleted it") from None

    def _is_lost(self) -> bool:
        if time.monotonic() < self._observe_at:
            return False
        self._observe_at = time.monotonic() + OBSERVE_EVERY_S
        observed = job.observe(self._shell, self._spec.paths)
        if isinstance(observed, job.Absent):
            raise PodError(f"the job folder {self._spec.paths.root} is gone: somebody deleted it")
        return isinstance(observed, job.Lost)


def completed(folder: Path) -> Result:
    """The result of a job; a job that ended while nobody looked gets its `result.json` and report now."""
    result = result_of(folder)
    if result.ended is not None and not (folder / RESULT).exists():
        with contextlib.suppress(OSError):
            return stored(folder)
    return result


def stored(folder: Path) -> Result:
    """The result of a job that has ended, written into its folder beside the runs."""
    result = result_of(folder)
    write_whole(folder / RESULT, json_text(result))
    write_whole(folder / REPORT, report_text(result))
    keep_page(result)
    return result


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """The first of INT, TERM and HUP stops the measurement; a second one does not disturb the ending."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
