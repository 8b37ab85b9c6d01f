"""`paceline bisect`: which commit made a metric worse; a probe is small jobs, the good commit against one.

What to ask next and when enough was seen is decided in `bench/bisect.py`; this measures it and shows it as
it goes. The recipe is read once, so that all probes run the same. A round of a probe is an ordinary job
whose folder `paceline verify` recomputes; the replicates of a probe's rounds are looked at together.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bench.bisect import (
    Judged,
    Probe,
    Search,
    after,
    begin,
    confidence_of,
    effects_of,
    judged_of,
    limit_of,
    looks_up_to,
    next_probe,
)
from bench.compare import Comparison, compare
from bench.metrics import Metric, UnknownMetric
from bench.metrics import metric as metric_named
from bench.plan import BASELINE, Arm, Engine, Plan, digest_of
from bench.sample import SPENT, Pair, pairs_of, valid, value
from bench.tables import ratio_text
from pods.shell import PodError

from agent.bench_command import measured_here
from agent.errors import TaskError
from agent.floors import known_here, share_text
from agent.planning import MOST_REPLICATES, OPTIMIZED, Planned, Request, plan_for
from agent.report import plain
from agent.repository import LoggedCommit, Repository, open_repository

SCHEMA = 1
INTERRUPTED = 130
FEWEST_REPLICATES = 2  # one has no interval
GOES_ON = ("ok", "no trainer", *SPENT)
"""Outcomes that say nothing against a commit; what was spent from outside gives no pair."""
DEFAULT_LOSS = 0.05
"""How much worse is worse, where nothing is said."""


class Interrupted(Exception):
    """Somebody ended the search; what was judged until then stays."""


@dataclass(frozen=True, slots=True)
class Bisection:
    """What somebody asked for. `threshold` is a ratio to the good commit, `replicates` the cap of a probe."""

    recipe: str
    good: str
    bad: str
    metric: str | None = None
    threshold: float | None = None
    replicates: int = 20
    engine: Engine = "lockstep"


@dataclass(frozen=True, slots=True)
class Asked:
    """The same, with everything found: `line[0]` is the good commit, the last of it the bad one."""

    line: tuple[LoggedCommit, ...]
    planned: Planned
    repository: Repository
    metric: Metric
    threshold: float
    looks: tuple[int, ...]

    @property
    def recipe(self) -> str:
        return self.planned.plan.recipes[0].name


@dataclass(frozen=True, slots=True)
class Judgement:
    """One commit judged, with what it was judged from; `why` is the reason of one that was skipped."""

    commit: LoggedCommit
    judged: Judged
    comparison: Comparison | None
    jobs: tuple[str, ...]
    why: str = ""

    @property
    def text(self) -> str:
        seen = f"{ratio_text(self.comparison)}, n = {self.comparison.n}" if self.comparison else self.why
        return f"{told(self.commit)}: {self.judged} ({seen})"


@dataclass
class _Progress:
    """The replicates of one probe, round after round."""

    pairs: list[Pair] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)


def bisect_here(bisection: Bisection, repo: Path, *, as_json: bool) -> int:
    """Search and print; the exit status. Raises TaskError and PodError."""
    asked = asked_of(bisection, open_repository(repo))
    out = sys.stderr if as_json else sys.stdout
    print(_beginning(asked), file=out, flush=True)
    if doubt := _doubt(asked, _floor(asked, bisection.engine)):
        print(f"warning: {doubt}\n", file=sys.stderr, flush=True)
    search, judgements, status = begin(len(asked.line) - 1), [], 0
    try:
        while (probe := next_probe(search)) is not None:
            judgement = _judged(asked, probe)
            judgements.append(judgement)
            search = after(search, probe, judgement.judged)
            print(f"{len(judgements)}. {judgement.text}", file=out, flush=True)
    except Interrupted:
        status = INTERRUPTED
    if as_json:
        print(json.dumps(document_of(asked, search, judgements), indent=1))
    else:
        print(f"\n{answer_text(asked, search)}")
    return status


def asked_of(bisection: Bisection, repository: Repository) -> Asked:
    """Raises TaskError."""
    if not FEWEST_REPLICATES <= bisection.replicates <= MOST_REPLICATES:
        raise TaskError(
            f"--replicates {bisection.replicates}: from {FEWEST_REPLICATES} to {MOST_REPLICATES} a commit"
        )
    good, bad = repository.commit_of(bisection.good), repository.commit_of(bisection.bad)
    line = (LoggedCommit(good, bisection.good), *repository.line(good, bad))
    task = digest_of({"bisect": asdict(bisection), "line": [commit.id for commit in line]})
    request = Request((bisection.recipe,), good, bad, replicates=1, engine=bisection.engine, task=task)
    planned = plan_for(request, repository)
    try:
        metric = metric_named(bisection.metric or planned.plan.recipes[0].primary)
        default = 1 - DEFAULT_LOSS if metric.better == "higher" else 1 + DEFAULT_LOSS
        threshold = default if bisection.threshold is None else bisection.threshold
        limit_of(metric, threshold)
    except UnknownMetric as error:
        raise TaskError(f"--metric: {error}") from None
    except ValueError as error:
        raise TaskError(f"--threshold: {error}") from None
    return Asked(line, planned, repository, metric, threshold, looks_up_to(bisection.replicates))


def _judged(asked: Asked, probe: Probe) -> Judgement:
    """Round after round, until the commit is judged or the cap reached. Raises PodError, Interrupted."""
    commit, progress = asked.line[probe.place], _Progress()
    limit, looks = limit_of(asked.metric, asked.threshold), len(asked.looks)
    judged: Judged = "undecided"
    for look in asked.looks:
        why = _round(asked, commit, progress, look)
        if why:
            return Judgement(commit, "skipped", None, tuple(progress.jobs), why)
        effects = effects_of(asked.metric, progress.pairs)
        judged = judged_of(effects, limit, error=probe.error, looks=looks)
        if judged != "undecided":
            break
    confidence = confidence_of(probe.error, looks)
    found = compare(asked.recipe, asked.metric, OPTIMIZED, progress.pairs, confidence=confidence)
    return Judgement(commit, judged, found, tuple(progress.jobs))


def _round(asked: Asked, commit: LoggedCommit, progress: _Progress, look: int) -> str:
    """Measure up to `look` replicates; why the commit cannot be measured, empty where it can."""
    done = len(progress.pairs)
    planned = replace(asked.planned, plan=round_of(asked.planned.plan, commit.id, done, look - done))
    status, result = measured_here(planned, asked.repository)
    progress.jobs.append(str(result.folder))
    if status == INTERRUPTED:
        raise Interrupted
    if result.error:
        return result.error
    pairs = pairs_of(result.runs, asked.recipe, BASELINE, OPTIMIZED)
    progress.pairs += [replace(pair, replicate=done + pair.replicate) for pair in pairs]
    if len(progress.pairs) < look:
        raise PodError(f"the job {result.folder} ended before all its runs: see its log")
    return _broken(asked, pairs)


def round_of(plan: Plan, commit: str, done: int, more: int) -> Plan:
    """The plan of `more` further replicates of the good commit and `commit`, with seeds of their own."""
    arms = (plan.arms[0], Arm(OPTIMIZED, commit))
    return replace(plan, arms=arms, replicates=more, base_seed=plan.base_seed + done)


def _broken(asked: Asked, pairs: Sequence[Pair]) -> str:
    """Why the commit cannot be measured, empty where it can. Raises where the good one cannot."""
    good, metric = asked.line[0].id[:12], asked.metric.name
    failed = [
        run for pair in pairs for run in (pair.baseline, pair.arm) if run and run.outcome not in GOES_ON
    ]
    if failed:
        why = f"{failed[0].outcome}: {failed[0].reason}".removesuffix(": ")
        if failed[0].arm == BASELINE:
            raise PodError(f"the good commit {good} cannot be measured: {why}")
        return why
    both = valid(pairs)
    if both and all(value(asked.metric, one) is None for one, _ in both):
        raise TaskError(f"no run of the good commit {good} has a {metric}: name another --metric")
    if both and all(value(asked.metric, other) is None for _, other in both):
        return f"no run has a {metric}"
    return ""


def told(commit: LoggedCommit) -> str:
    return f"{commit.id[:12]} {plain(commit.subject)}".rstrip()


def _beginning(asked: Asked) -> str:
    good, *others = asked.line
    number = "1 commit" if len(others) == 1 else f"{len(others)} commits"
    return (
        f"{number} behind {good.id[:12]} up to {others[-1].id[:12]}; worse is {_worse(asked)} in"
        f" {asked.recipe}; at most {asked.looks[-1]} replicates a commit\n"
    )


def _floor(asked: Asked, engine: Engine) -> float | None:
    """The A/A floor of the metric on this machine, an absolute log ratio; None where none is stored."""
    plan = asked.planned.plan
    noise = known_here(plan).of(plan.recipes[0], engine)
    return noise.floor(asked.metric.name) if noise else None


def _doubt(asked: Asked, floor: float | None) -> str:
    """Why a commit that is said to be worse may be none, empty where nothing is against it."""
    if floor is None or -limit_of(asked.metric, asked.threshold) > floor:
        return ""
    return (
        f"a threshold of {asked.threshold:g} lies within the A/A floor of this machine, {share_text(floor)}:"
        " equal commits may be found to be worse"
    )


def _worse(asked: Asked) -> str:
    relation = "below" if asked.metric.better == "higher" else "above"
    return f"{asked.metric.name} {relation} {asked.threshold:g} of the good commit's"


def answer_text(asked: Asked, search: Search) -> str:
    return "\n".join(_answer(asked, search))


def _answer(asked: Asked, search: Search) -> Iterator[str]:
    low, high = asked.line[search.low], asked.line[search.high]
    is_worse = "is worse" if search.is_bad_worse else "was not judged"
    match search.answer:
        case "found":
            yield f"first worse commit: {told(high)}"
        case "nothing":
            yield f"{told(high)} is not worse: there is nothing to find"
        case "unknown":
            yield f"not known: {told(high)} could not be judged, so neither could the commits before it"
        case "between" | "open":
            yield f"one of these is the first worse commit; it lies behind {told(low)}:"
            for place in range(search.low + 1, search.high + 1):
                why = "could not be judged" if place in search.passed else "was not asked"
                yield f"- {told(asked.line[place])} ({is_worse if place == search.high else why})"


def document_of(asked: Asked, search: Search, judgements: Sequence[Judgement]) -> dict[str, object]:
    """The document that `--json` prints; see docs/attribution.md for every field."""
    is_range = search.answer in ("between", "open")
    return {
        "schema": SCHEMA,
        "repo": asked.planned.plan.repo,
        "recipe": asked.recipe,
        "metric": asked.metric.name,
        "threshold": asked.threshold,
        "good": asked.line[0].id,
        "bad": asked.line[-1].id,
        "commits": len(asked.line) - 1,
        "answer": search.answer,
        "found": asked.line[search.high].id if search.answer == "found" else None,
        "between": [asked.line[search.low].id, asked.line[search.high].id] if is_range else None,
        "probes": [
            {
                "commit": one.commit.id,
                "subject": one.commit.subject,
                "judged": one.judged,
                "why": one.why,
                "comparison": asdict(one.comparison) if one.comparison else None,
                "jobs": list(one.jobs),
            }
            for one in judgements
        ],
    }
