"""How far a result is from being decided: more replicates needed, smallest effect that would show.

Both come from the spread seen, so both are estimates of estimates; they are said with "about", bounded, and
decide nothing. Effects, distances and spreads are log ratios. Planning before a run, from stored noise,
comes here later.
"""

from __future__ import annotations

import math

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


def detectable(spread: float, n: int, threshold: float, confidence: float = CONFIDENCE) -> float:
    """The smallest log ratio that `n` >= 2 such replicates would have proven with power `POWER`.

    threshold + (t(1 - alpha/2) + t(power)) * spread / sqrt(n), the usual approximation of the noncentral t
    (Cohen, 1988); `threshold` is max(practical floor, A/A floor).
    """
    return threshold + half_width(spread, n, confidence) + _t(POWER, n) * spread / math.sqrt(n)


def more_text(more: int | None) -> str:
    if more is None:
        return f"more than {MOST_REPLICATES} more replicates would be needed"
    return f"about {more} more replicate{'' if more == 1 else 's'} would decide"


def _t(quantile: float, n: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, quantile))
