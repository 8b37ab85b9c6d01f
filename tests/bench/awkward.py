"""Plans and runs that charts must cope with: few, many, long, broken, huge. All by rule, none by chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bench.attribute import Attribution, Contribution, NotMeasured, Residual
from bench.compare import Comparison, compare
from bench.metrics import BY_NAME
from bench.plan import Arm, Criterion, Plan, Recipe
from bench.run import Eval, PhaseMemory, Run, Window
from tests.bench.made_runs import PHASES_S, SFT, effects_of, lost, made_plan, made_run

MIB = 1 << 20
LONG = (
    "optimized",
    "optimized+packing-with-flattening-xyz",
    "without-A-the-fused-optimizer-kernels",
    "without-B-the-fused-cross-entropy-x",
    "without-C-activation-checkpointing-y",
    "lr-0.0002-warmup-0.03-cosine-and-more",
    "Optimized.with_CAPITALS_and_underline",
)


@dataclass(frozen=True)
class Case:
    plan: Plan
    runs: tuple[Run, ...]
    floors: dict[tuple[str, str], float] = field(default_factory=dict)
    recipe: Recipe = SFT


def wobble(*numbers: float) -> float:
    """Between -1 and 1, another for other numbers, the same for the same."""
    mixed = math.sin(sum((place + 1.37) * 12.9898 * number for place, number in enumerate(numbers, start=1)))
    return 2 * ((43758.5453 * mixed) % 1) - 1


def made_windows(seconds: float, count: int, place: int, arms: int, replicate: int, steps: int = 5):
    """The windows of the arm that is `place`th of `arms`, taking turns, `seconds` a window before noise."""
    found, at = [Window(0, 100.0 + place, 100.0 + place + seconds / steps, 1, 50)], 100.0 + arms
    for number in range(1, count):
        own = seconds * (1 + 0.03 * wobble(number, replicate, place) + 0.02 * math.sin(number / 15))
        begin = at + place * seconds
        found.append(Window(number, begin, begin + own, steps, 50 * steps))
        at += arms * seconds
    return tuple(found)


def measured(arm: str, place: int, arms: int, replicate: int, factor: float, count: int = 24) -> Run:
    """A lockstep run of an arm that is `factor` times as fast, with losses, memory of device and host."""
    slow = 1 + 0.03 * wobble(replicate, place)
    seconds = {phase: PHASES_S[phase] * slow / factor for phase in ("prep", "first", "train")}
    phases_s = {**PHASES_S, **seconds}
    steps = 5 * (count - 1) + 1
    memory = {
        phase: PhaseMemory(
            allocated_b=int(MIB * (300 + 150 * number / (1 + place / 4) + 5 * wobble(replicate))),
            reserved_b=int(MIB * (400 + 180 * number / (1 + place / 4))),
            rss_b=int(MIB * (900 + 60 * number + 20 * place)),
        )
        for number, phase in enumerate(("import", "load", "prep", "first", "train", "eval", "save"))
    }
    return made_run(
        arm,
        replicate,
        phases_s=phases_s,
        wall_s=sum(phases_s.values()),
        engine="lockstep",
        steps=steps,
        step_s=(0.5, *(0.1 * slow / factor for _ in range(steps - 1))),
        windows=made_windows(0.5 * slow / factor, count, place, arms, replicate),
        losses=tuple(
            1.5 + 4 / (1 + step / 20) + 0.15 * wobble(step, replicate) + 0.02 * place * math.sqrt(step)
            for step in range(steps)
        ),
        memory=memory,
    )


def lockstep(
    factors: dict[str, float], replicates: int = 3, count: int = 24, criteria: Sequence[Criterion] = ()
) -> Case:
    """The baseline and an arm for each of `factors`, its speed against the baseline."""
    names = ["baseline", *factors]
    arms = tuple(Arm(name, f"{number:040x}") for number, name in enumerate(names))
    plan = made_plan(*criteria, arms=arms, replicates=replicates)
    runs = tuple(
        measured(name, place, len(names), replicate, {"baseline": 1.0, **factors}[name], count)
        for replicate in range(1, replicates + 1)
        for place, name in enumerate(names)
    )
    return Case(plan, runs)


def one_arm() -> Case:
    criteria = (
        Criterion("sft:job_tokens_per_s>=1.3", "sft", "job_tokens_per_s", ">=", 1.3, "optimized"),
        Criterion("sft:peak_memory_b<=1.1", "sft", "peak_memory_b", "<=", 1.1, "optimized"),
    )
    case = lockstep({"optimized": 1.35}, criteria=criteria)
    return replace(case, floors={("sft", "job_tokens_per_s"): 0.03, ("sft", "tokens_per_s"): 0.021})


def seven_long_arms() -> Case:
    factors = (1.3, 1.0, 1.02, 0.85, 1.6, 0.5, 1.12)
    return lockstep(dict(zip(LONG, factors, strict=True)), replicates=5, criteria=_asked(1.3))


def one_replicate() -> Case:
    return lockstep({"optimized": 1.3}, replicates=1, criteria=_asked(1.3))


def abba_without_any_interval() -> Case:
    case = one_replicate()
    runs = tuple(replace(run, engine="abba", windows=()) for run in case.runs)
    return replace(case, runs=runs)


def crashed_arm() -> Case:
    case = lockstep({"optimized": 1.3, "broken": 1.0}, criteria=_asked(1.2))
    runs = tuple(lost(run) if run.arm == "broken" else run for run in case.runs)
    return replace(case, runs=runs)


def all_crashed() -> Case:
    case = lockstep({"optimized": 1.3})
    return replace(case, runs=tuple(lost(run, "out of memory", "CUDA out of memory") for run in case.runs))


def huge_ratios() -> Case:
    return lockstep({"slow": 0.05, "same": 1.0, "fast": 20.0}, criteria=_asked(4.0, "fast"))


def wide_open() -> Case:
    """One arm whose replicates contradict each other, beside one that is clear."""
    case = lockstep({"optimized": 1.3, "noisy": 1.0}, criteria=_asked(1.2, "noisy"))
    speed = {1: 0.2, 2: 1.0, 3: 5.0}

    def changed(run: Run) -> Run:
        if run.arm != "noisy":
            return run
        return replace(run, phases_s={**run.phases_s, "train": 8.0 / speed[run.replicate]})

    return replace(case, runs=tuple(changed(run) for run in case.runs))


def nan_losses() -> Case:
    case = lockstep({"optimized": 1.3, "diverged": 1.1})

    def changed(run: Run) -> Run:
        if run.arm == "optimized" and run.replicate == 2:
            return replace(run, losses=(*run.losses[:30], math.nan, *run.losses[31:]))
        if run.arm == "diverged":
            grown = (*(loss + 0.0006 * n * n for n, loss in enumerate(run.losses[:70])), math.inf, math.nan)
            return replace(run, outcome="NaN", reason="loss is nan at step 72", losses=grown)
        return run

    return replace(case, runs=tuple(changed(run) for run in case.runs))


def all_nan() -> Case:
    case = lockstep({"optimized": 1.3})
    runs = tuple(replace(run, losses=(math.nan,) * 5, eval=Eval(math.nan, 8, 800, 4.0)) for run in case.runs)
    return replace(case, runs=runs)


def zero_phases() -> Case:
    case = lockstep({"optimized": 1.3})
    phases_s = {**dict.fromkeys(PHASES_S, 0.0), "train": 2.0}
    return replace(case, runs=tuple(replace(run, phases_s=phases_s) for run in case.runs))


def no_time_at_all() -> Case:
    case = lockstep({"optimized": 1.3})
    phases_s = dict.fromkeys(PHASES_S, 0.0)
    return replace(case, runs=tuple(replace(run, phases_s=phases_s, wall_s=0.0) for run in case.runs))


def nine_phases() -> Case:
    """Many short phases beside one long one, and a reference pass in one arm."""
    case = lockstep({"optimized": 1.1, "precomputed": 1.4})

    def changed(run: Run) -> Run:
        reference = 19.3 if run.arm == "precomputed" else 0.0
        shorter = {"load": 0.03, "prep": 0.47, "first": 0.13, "eval": 0.79, "save": 0.08, "other": 1.57}
        train = 46.7 - (29.0 if reference else 0.0)
        return replace(run, phases_s={**run.phases_s, **shorter, "reference": reference, "train": train})

    return replace(case, runs=tuple(changed(run) for run in case.runs))


def many_windows() -> Case:
    case = lockstep({"optimized": 1.3, "optimized+packing": 1.9}, replicates=12, count=2000)

    def paused(run: Run) -> Run:
        """A neighbour took the machine for one window."""
        if run.arm == "optimized" and run.replicate == 3:
            windows = list(run.windows)
            windows[900] = replace(windows[900], end=windows[900].end + 300.0)
            return replace(run, windows=tuple(windows))
        return run

    return replace(case, runs=tuple(paused(run) for run in case.runs))


def unequal_steps() -> Case:
    """An arm that packs: half as many steps, windows of other lengths after the second."""
    case = lockstep({"optimized": 1.3, "packed": 1.0})

    def changed(run: Run) -> Run:
        if run.arm != "packed":
            return run
        windows = tuple(replace(w, steps=w.steps if w.number < 3 else w.steps - 1) for w in run.windows)
        return replace(run, steps=58, losses=run.losses[:58], windows=windows)

    return replace(case, runs=tuple(changed(run) for run in case.runs))


def host_only() -> Case:
    """A CPU: no allocator to ask."""
    case = lockstep({"optimized": 1.3})
    runs = tuple(
        replace(
            run,
            gpu=None,
            memory={phase: PhaseMemory(rss_b=peak.rss_b) for phase, peak in run.memory.items()},
        )
        for run in case.runs
    )
    return replace(case, runs=runs)


def hostile_names() -> Case:
    return lockstep({"<script>alert(1)</script>": 1.2, "$x^2$ & \"'": 1.1, "]]>\x1b[2J\u202e\nb 日本": 0.9})


def no_runs() -> Case:
    return Case(made_plan(), ())


def only_a_baseline() -> Case:
    case = lockstep({})
    return replace(case, runs=case.runs[:1])


def _asked(target: float, arm: str = "optimized") -> tuple[Criterion, ...]:
    return (Criterion(f"sft:job_tokens_per_s>={target:g}", "sft", "job_tokens_per_s", ">=", target, arm),)


def compared_job(*effects: float) -> Comparison:
    """Of tokens/s of the job, with these log ratios."""
    return compare("sft", BY_NAME["job_tokens_per_s"], "optimized", effects_of(*effects))


def made_attribution() -> Attribution:
    """One change that makes half of the whole, and whose revert did not come out clean."""
    ladder, total = compared_job(0.1, 0.11, 0.09), compared_job(0.2, 0.21, 0.19)
    one = Contribution("A", ("a" * 40,), ladder, NotMeasured("does not revert cleanly"), "equivalent", False)
    residual = Residual(1.02, 0.99, 1.05, 0.95, 3, None, False)
    return Attribution("sft", "job_tokens_per_s", (one,), total, residual)


CASES: dict[str, Callable[[], Case]] = {
    made.__name__: made
    for made in (
        one_arm,
        seven_long_arms,
        one_replicate,
        abba_without_any_interval,
        crashed_arm,
        all_crashed,
        huge_ratios,
        wide_open,
        nan_losses,
        all_nan,
        zero_phases,
        no_time_at_all,
        nine_phases,
        many_windows,
        unequal_steps,
        host_only,
        hostile_names,
        no_runs,
        only_a_baseline,
    )
}
