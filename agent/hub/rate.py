"""Counts requests as GitHub does: so many an hour for each person and resource, fewer for nobody.

Kept in memory, so that reading costs no write; a restart forgives. A 304 is given back.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

HOUR_S = 3600
PEOPLE_LIMIT = 5000
NOBODY_LIMIT = 60


@dataclass(frozen=True, slots=True)
class Budget:
    """`reset_at` is in seconds since 1970."""

    limit: int
    used: int
    reset_at: int
    resource: str

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def shape(self) -> dict[str, int]:
        return {
            "limit": self.limit,
            "used": self.used,
            "remaining": self.remaining,
            "reset": self.reset_at,
        }

    @property
    def headers(self) -> dict[str, str]:
        told = {f"X-RateLimit-{name.capitalize()}": str(value) for name, value in self.shape.items()}
        return {**told, "X-RateLimit-Resource": self.resource}


class Rates:
    def __init__(self, people_limit: int = PEOPLE_LIMIT, nobody_limit: int = NOBODY_LIMIT) -> None:
        self._limits = (people_limit, nobody_limit)
        self._used: dict[tuple[str, str], tuple[int, int]] = {}
        self._lock = threading.Lock()

    def spend(self, who: str, resource: str, now_s: int, cost: int = 1) -> Budget:
        """The budget after `cost` more; `who` is empty for nobody, a cost of 0 asks."""
        with self._lock:
            used, reset_at = self._used.get((who, resource), (0, 0))
            if now_s >= reset_at:
                used, reset_at = 0, now_s + HOUR_S
            limit = self._limits[0 if who else 1]
            self._used[who, resource] = (max(0, min(used + cost, limit + 1)), reset_at)
            return Budget(limit, min(used + cost, limit), reset_at, resource)

    def is_spent(self, who: str, resource: str, now_s: int) -> bool:
        return self.spend(who, resource, now_s, 0).remaining == 0
