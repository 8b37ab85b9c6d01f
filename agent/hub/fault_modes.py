"""The ways in which GitHub is known to fail, each as a fault with the words and headers that GitHub uses.

What is lost after the work was done, what is refused before, and a list that has not caught up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from agent.hub.faults import Fault

Lost = Literal["commit then 502", "commit then hang", "commit then reset"]
Refused = Literal[
    "secondary limit",
    "secondary limit with a time",
    "primary limit",
    "401",
    "404",
    "410",
    "422 too long",
    "locked",
]
Mode = Lost | Refused | Literal["stale list"]
LOST: tuple[Lost, ...] = get_args(Lost)
REFUSED: tuple[Refused, ...] = get_args(Refused)

HANG_S = 120.0
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
SPENT = {
    "X-RateLimit-Limit": "5000",
    "X-RateLimit-Remaining": "0",
    "X-RateLimit-Used": "5000",
    "X-RateLimit-Reset": "4102444800",  # the year 2100
    "X-RateLimit-Resource": "core",
}
WORDS: Mapping[str, tuple[int, str, Mapping[str, str]]] = {
    "secondary limit": (403, SECONDARY, {}),
    "secondary limit with a time": (429, SECONDARY, {"Retry-After": "120"}),
    "primary limit": (403, "API rate limit exceeded for user ID 1.", SPENT),
    "401": (401, "Bad credentials", {}),
    "404": (404, "Not Found", {}),
    "410": (410, "This issue was deleted", {}),
    "422 too long": (422, "Validation Failed: body is too long (maximum is 65536 characters)", {}),
    "locked": (403, "Unable to create comment because issue is locked.", {}),
}


def fault_of(mode: Mode, method: str, path: str, times: int = 1) -> Fault:
    match mode:
        case "commit then 502":
            return Fault(method, path, "answer", "after", 502, times=times)
        case "commit then hang":
            return Fault(method, path, "hang", "after", delay_s=HANG_S, times=times)
        case "commit then reset":
            return Fault(method, path, "reset", "after", times=times)
        case "stale list":
            return Fault(method, path, "stale", "before", times=times)
        case _:
            status, message, headers = WORDS[mode]
            return Fault(method, path, "answer", "before", status, 0.0, times, message, headers)
