"""How many replicates an effect needs, and how small an effect would show, before a run and after it.

Before a run the spread is that of stored A/A replicates, after it that of the run itself. Either is an
estimate, so what follows is said with "about", is bounded, and decides nothing. Effects, distances, spreads
and thresholds are log ratios. An effect is proven where the whole t interval lies beyond the threshold; the
chance of that is a noncentral t (Cohen, Statistical power analysis for the behavioral sciences, 1988).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

CONFIDENCE = 0.95
POWER = 0.9
MOST_REPLICATES = 100
FEWEST_REPLICATES = 3


def more_replicates(
    distance: float, spread: float | None, n: int, confidence: float = CONFIDENCE
) -> int | None:
    """How many more replicates would bring an end of the interval over `distance` from the mean.

    Holds the mean and the spread as they were seen. None for more than `MOST_REPLICATES`, or where no number
    would do (`distance` not above 0). Without a spread (one replicate): what the fewest need.
    """
    missing = max(1, FEWEST_REPLICATES - n)
    if spread is None:
        return missing
    if not distance > 0:
        return None
    enough = (
        more
        for more in range(missing, MOST_REPLICATES + 1)
        if half_width(spread, n + more, confidence) <= distance
    )
    return next(enough, None)


def half_width(spread: float, n: int, confidence: float = CONFIDENCE) -> float:
    """Of the t interval of a mean of `n` >= 2 effects with standard deviation `spread`."""
    return _t((1 + confidence) / 2, n) * spread / math.sqrt(n)


def power_of(effect: float, spread: float, n: int, threshold: float, confidence: float = CONFIDENCE) -> float:
    """The chance that `n` >= 2 replicates prove an `effect` > 0, in 0..1."""
    if spread == 0:
        return float(effect > threshold)
    from scipy.special import nctdtr

    shift = (effect - threshold) * math.sqrt(n) / spread
    return 1 - float(nctdtr(n - 1, shift, _t((1 + confidence) / 2, n)))


def detectable(
    spread: float, n: int, threshold: float, confidence: float = CONFIDENCE, power: float = POWER
) -> float:
    """The smallest effect that `n` >= 2 replicates prove with a chance of `power` (0..1, both excluded)."""
    from scipy.special import nctdtrinc

    shift = float(nctdtrinc(n - 1, 1 - power, _t((1 + confidence) / 2, n)))
    return threshold + shift * spread / math.sqrt(n)


def replicates_for(
    effect: float, spread: float, threshold: float, power: float = POWER, confidence: float = CONFIDENCE
) -> int | None:
    """The fewest replicates, fixed beforehand, that prove `effect` with a chance of `power`.

    None for more than `MOST_REPLICATES`, or where no number would do (an effect within the threshold).
    """
    counts = range(FEWEST_REPLICATES, MOST_REPLICATES + 1)
    return first_of(counts, effect, spread, threshold, power, confidence)


def first_of(
    counts: Sequence[int],
    effect: float,
    spread: float,
    threshold: float,
    power: float = POWER,
    confidence: float = CONFIDENCE,
) -> int | None:
    """The first of rising counts of replicates that proves `effect` with a chance of `power`; None: none.

    For looks at growing data with the `confidence` of one look this is late rather than early: a look before
    it may have proven the effect already.
    """
    enough = (n for n in counts if power_of(effect, spread, n, threshold, confidence) >= power)
    return next(enough, None)


def mean_replicates(
    looks: Sequence[int], effect: float, spread: float, threshold: float, confidence: float
) -> float:
    """At most so many replicates are made on average where each of the rising `looks` may be the last.

    By a look everything is decided at least as often as that look alone would prove the effect; the rest
    goes on to the next.
    """
    mean, before, going_on = 0.0, 0, 1.0
    for look in looks:
        mean += (look - before) * going_on
        before, going_on = look, 1 - power_of(effect, spread, look, threshold, confidence)
    return mean


def more_text(more: int | None) -> str:
    if more is None:
        return f"more than {MOST_REPLICATES} more replicates would be needed"
    return f"about {more} more replicate{'' if more == 1 else 's'} would decide"


def _t(quantile: float, n: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, quantile))
