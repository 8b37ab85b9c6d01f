"""From a plan and its runs to a judgement: every comparison, parity, score and verdict.

Gathers, and hands to the modules that decide; owns no rule and no threshold. Runs may be missing (cancelled
half way) or of any outcome. A plan with looks is judged at the first look that decides everything, on the
replicates up to it and no others. Pure: the same plan and runs give the same judgement, which is what
`paceline verify` rests on. A/A floors come in as an argument; who stores them is not known here.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.compare import Comparison, compare, holm
from bench.metrics import METRICS, Metric
from bench.parity import Parity, before_of, parity
from bench.plan import Arm, Criterion, Plan, Recipe
from bench.run import Run
from bench.sameness import unlike
from bench.sample import Pair, outcomes_text, pairs_of, typical, valid
from bench.score import Scored, score, score_primary
from bench.sequential import Levels, is_settled, levels_of, looks_at_hand
from bench.units import figure
from bench.validity import gathered, is_spoiled
from bench.verdict import ArmVerdict, Evidence, RecipeEvidence, verdict_of

Floors = Mapping[tuple[str, str], float]
"""(recipe, metric) -> A/A floor as an absolute log ratio."""
NO_FLOORS: Floors = {}
OPEN = ("", "auto", "default", "None")
"""Requests that leave the choice open: whatever is used then ignores nothing."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`criteria` are the declared ones; `arms` hold a verdict for every arm but the baseline, in plan order.

    `verdict` is that of the judged arm whose deciding rule has the lowest number. `confidence` is that of
    every interval of a ratio. `look` is the number of replicates after which it was looked, None where all
    that there is was judged: a fixed number of replicates, or a job that ended between two looks.
    `is_decided` says that more replicates would change nothing; `unused` counts those made after the look.
    """

    comparisons: tuple[Comparison, ...]
    parities: tuple[Parity, ...]
    criteria: tuple[Scored, ...]
    claims: tuple[Scored, ...]
    primaries: tuple[Scored, ...]
    arms: Mapping[str, ArmVerdict]
    verdict: ArmVerdict
    confidence: float
    is_decided: bool
    look: int | None = None
    unused: int = 0

    @property
    def is_enough(self) -> bool:
        """Whether a look decided everything, so that the job may end."""
        return self.is_decided and self.look is not None


def judge(
    plan: Plan,
    runs: Sequence[Run],
    *,
    floors: Floors = NO_FLOORS,
    claims: Sequence[Criterion] = (),
    device: str = "",
    metrics: Sequence[Metric] = METRICS,
    unmade: Container[str] = (),
) -> Judgement:
    """`device` is what the runs were made on, in words, for the line of what the verdict does not say;
    `unmade` are arms that could not be made. Runs that were set aside are counted, and nothing else."""
    judging = _Judging(plan, floors, claims, device, metrics, [run for run in runs if run.set_aside])
    runs = [run for run in runs if not run.set_aside]
    for look in looks_at_hand(plan, runs, unmade):
        seen = [run for run in runs if run.replicate <= look]
        judgement = judging.of(seen, look)
        if judgement.is_decided or look == plan.replicates:
            return replace(judgement, look=look, unused=_replicates(runs) - _replicates(seen))
    return judging.of(runs, plan.replicates)


def _replicates(runs: Sequence[Run]) -> int:
    return len({run.replicate for run in runs})


@dataclass(frozen=True, slots=True)
class _Judging:
    """All that is the same at every look."""

    plan: Plan
    floors: Floors
    claims: Sequence[Criterion]
    device: str
    metrics: Sequence[Metric]
    again: Sequence[Run]

    def of(self, runs: Sequence[Run], replicates: int) -> Judgement:
        """On all of `runs`, out of `replicates` that there should be."""
        plan, levels = self.plan, levels_of(self.plan)
        found = {arm.name: self._measured(runs, arm, levels, replicates) for arm in plan.arms[1:]}
        criteria = _adjusted([_score(criterion, found) for criterion in plan.criteria])
        primaries = tuple(_primary(arm, here) for arm, recipes in found.items() for here in recipes)
        caveat = _caveat(plan, runs, plan.arms[0], self.device)
        evidence = {
            arm: Evidence(arm, found.get(arm, ()), _criteria_of(arm, criteria, primaries))
            for arm in dict.fromkeys((*found, *plan.judged_arms()))
        }
        arms = {
            arm: verdict_of(
                here, caveat, [*_warnings(here.recipes, runs), *_made_again(here.recipes, self.again)]
            )
            for arm, here in evidence.items()
        }
        return Judgement(
            comparisons=tuple(
                comparison
                for recipe in plan.recipes
                for recipes in found.values()
                for here in recipes
                if here.recipe is recipe
                for comparison in here.comparisons.values()
            ),
            parities=tuple(here.parity for recipes in found.values() for here in recipes),
            criteria=criteria,
            claims=tuple(_score(claim, found) for claim in self.claims),
            primaries=primaries,
            arms={arm: arms[arm] for arm in found},
            verdict=_of_task(plan, arms, caveat),
            confidence=levels.ratio,
            is_decided=all(is_settled(evidence[arm], arms[arm]) for arm in plan.judged_arms()),
        )

    def _measured(
        self, runs: Sequence[Run], arm: Arm, levels: Levels, replicates: int
    ) -> tuple[RecipeEvidence, ...]:
        plan, baseline = self.plan, self.plan.arms[0]
        gathered = []
        for recipe in plan.recipes:
            if not _takes_part(plan, recipe, arm.name):
                continue
            pairs = pairs_of(runs, recipe.name, baseline.name, arm.name)
            compared = self._compared(recipe, arm.name, pairs, levels.ratio)
            gathered.append(
                RecipeEvidence(
                    recipe=recipe,
                    baseline=baseline.name,
                    replicates=replicates,
                    pairs=pairs,
                    comparisons={comparison.metric: comparison for comparison in compared},
                    parity=parity(
                        recipe,
                        baseline,
                        arm,
                        pairs,
                        plan.loss_band,
                        confidence=levels.equivalence,
                        before=before_of(runs, recipe.name),
                    ),
                )
            )
        return tuple(gathered)

    def _compared(
        self, recipe: Recipe, arm: str, pairs: Sequence[Pair], confidence: float
    ) -> Iterator[Comparison]:
        """Of every metric that either arm has a value of."""
        for metric in self.metrics:
            floor = self.floors.get((recipe.name, metric.name))
            comparison = compare(
                recipe.name,
                metric,
                arm,
                pairs,
                baseline=self.plan.arms[0].name,
                floor=floor,
                confidence=confidence,
            )
            if comparison.baseline_value is not None or comparison.arm_value is not None:
                yield comparison


def _of_task(plan: Plan, arms: Mapping[str, ArmVerdict], caveat: str) -> ArmVerdict:
    """The judged arm whose deciding rule has the lowest number; the first of the plan's among equals."""
    judged = [arms[name] for name in plan.judged_arms()]
    if not judged:
        return verdict_of(Evidence("", (), ()), caveat)
    return min(judged, key=lambda verdict: verdict.rule)


def _takes_part(plan: Plan, recipe: Recipe, arm: str) -> bool:
    """Judged only against a baseline that takes part as well."""
    names = [one.name for one in plan.arms_of(recipe)]
    return arm in names and plan.arms[0].name in names


def _score(criterion: Criterion, found: Mapping[str, Sequence[RecipeEvidence]]) -> Scored:
    here = next((one for one in found.get(criterion.arm, ()) if one.name == criterion.recipe), None)
    if here is None:
        return score(criterion, None, f"{criterion.arm} takes no part in {criterion.recipe}")
    return score(criterion, here.comparisons.get(criterion.metric), _why_not(here))


def _primary(arm: str, here: RecipeEvidence) -> Scored:
    return score_primary(here.name, here.primary, arm, here.comparisons.get(here.primary), _why_not(here))


def _why_not(here: RecipeEvidence) -> str:
    return "" if valid(here.pairs) else f"no valid pair ({outcomes_text(here.pairs)})"


def _criteria_of(arm: str, criteria: Sequence[Scored], primaries: Sequence[Scored]) -> tuple[Scored, ...]:
    """The arm's declared criteria; the primaries beside them where no benchmark can decide one of those."""
    own = tuple(scored for scored in criteria if scored.arm == arm)
    if any(scored.is_decidable for scored in own):
        return own
    return (*own, *(scored for scored in primaries if scored.arm == arm))


def _adjusted(criteria: Sequence[Scored]) -> tuple[Scored, ...]:
    adjusted = holm([scored.p for scored in criteria])
    return tuple(replace(scored, p_holm=p) for scored, p in zip(criteria, adjusted, strict=True))


def _warnings(recipes: Sequence[RecipeEvidence], runs: Sequence[Run]) -> list[str]:
    """What weakens an arm without deciding anything: once each."""
    found = []
    for here in recipes:
        arms = (here.parity.arm, here.baseline)
        ours = [run for run in runs if run.recipe == here.name and run.arm in arms]
        found += [f"{here.name}: {text}" for text in here.parity.warnings]
        found += [f"{here.name}: {text}" for text in gathered(ours)]
        found += [f"{here.name}: {run.arm}: {text}" for run in ours for text in _ignored(run)]
        found += [f"{here.name}: {text}" for text in unlike(here.recipe, here.pairs)]
        dropped = sum(run.outcome == "tainted" for run in ours)
        if dropped:
            found.append(f"{here.name}: {dropped} of {len(ours)} runs tainted and dropped")
    return list(dict.fromkeys(found))


def _made_again(recipes: Sequence[RecipeEvidence], again: Sequence[Run]) -> Iterator[str]:
    for here in recipes:
        arms = (here.parity.arm, here.baseline)
        ours = [run for run in again if run.recipe == here.name and run.arm in arms]
        if ours:
            why = next((run.reason for run in ours if is_spoiled(run)), ours[0].reason)
            yield f"{here.name}: {len(ours)} run{'s' * (len(ours) > 1)} set aside and made again: {why}"


def _ignored(run: Run) -> Iterator[str]:
    """Choices that were asked for and not kept."""
    for choice in run.choices:
        if choice.requested not in (*OPEN, choice.used):
            why = f" ({choice.why})" if choice.why else ""
            yield f"{choice.name} {choice.requested} was asked for, {choice.used} was used{why}"


def _caveat(plan: Plan, runs: Sequence[Run], baseline: Arm, device: str) -> str:
    """The one line of what a verdict does not say."""
    told = []
    for recipe in plan.recipes:
        ours = [run for run in runs if run.recipe == recipe.name and run.arm == baseline.name]
        rows = typical([run.rows for run in ours if run.outcome == "ok" and run.rows])
        lengths = typical([run.tokens / run.rows for run in ours if run.tokens and run.rows])
        if rows is None:
            told.append(f"{recipe.name}: rows unknown")
            continue
        length = "" if lengths is None else f" of {figure(lengths)} tokens on average"
        told.append(f"{recipe.name}: {rows:,.0f} rows{length}")
    return (
        f"Not said: anything of other rows or lengths ({'; '.join(told)}), of other devices"
        f" ({device or 'this machine only'}), or of more than one process per GPU."
    )
