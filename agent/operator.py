"""The operator's file: which tracker and account, where to work, who may spend how much. Trusted.

TOML, unknown keys refused with a near miss. The token itself is never in it: it comes from the environment
variable that it names, and is taken out of the environment of everything that is measured.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from bench.metrics import near_miss
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.errors import TaskError
from agent.tracker import Role, User

CONFIG_NAME = "paceline-agent.toml"
GITHUB = "https://api.github.com"
LABEL = ("bench", "1d76db", "To be measured by Paceline")
"""Name, six hex digits of colour, description of the label that the agent makes sure of; its name may be
another one."""


_Hours = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Tracker(_Table):
    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]
    url: str = GITHUB
    token_env: str = "GITHUB_TOKEN"  # noqa: S105 - the variable's name


class _Agent(_Table):
    label: str = LABEL[0]
    workspace: str = ".paceline"
    pods: str | None = None
    key: str | None = None
    poll_s: Annotated[float, Field(ge=0.2, le=3600)] = 30.0
    stale_s: Annotated[float, Field(ge=1)] = 1800.0


class _Trust(_Table):
    branches: list[str] = []
    roles: list[Role] = ["admin", "maintain", "write"]
    ids: list[Annotated[int, Field(ge=1)]] = []
    gpu_hours: _Hours = 1.0
    gpu_hours_of: dict[Annotated[str, Field(pattern=r"^[0-9]+$")], _Hours] = {}
    second_person: bool = False


class _Results(_Table):
    branch: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,100}$")] | None = None
    folder: str | None = None


class _File(_Table):
    tracker: _Tracker
    agent: _Agent = _Agent()
    results: _Results = _Results()
    trust: _Trust = _Trust()


@dataclass(frozen=True, slots=True)
class Operator:
    """`pods` is the inventory, None for this machine alone. `branches` that commits must be reachable from
    (empty: the default branch and all tags); `roles` and `ids` (numeric, of accounts) whose tasks the
    standing budget covers, up to `gpu_hours` a task, or `gpu_hours_of` that account; `second_person`: nobody
    approves their own request. `results_branch` and `results_folder`: where raw runs and charts are
    written before results are posted. `stale_s`: a job that writes nothing for so long is told of."""

    repository: str
    url: str
    token: str = field(repr=False)
    token_env: str = "GITHUB_TOKEN"  # noqa: S105 - the variable's name
    label: str = LABEL[0]
    workspace: Path = Path(".paceline")
    pods: Path | None = None
    key: Path | None = None
    poll_s: float = 30.0
    stale_s: float = 1800.0
    branches: tuple[str, ...] = ()
    roles: tuple[str, ...] = ("admin", "maintain", "write")
    gpu_hours: float = 1.0
    ids: tuple[int, ...] = ()
    gpu_hours_of: Mapping[int, float] = field(default_factory=dict)
    second_person: bool = False
    results_branch: str | None = None
    results_folder: Path | None = None

    def budget_of(self, user: User) -> float:
        """The standing budget of one task of somebody, in GPU-hours."""
        return self.gpu_hours_of.get(user.id, self.gpu_hours)


def read_operator(path: Path, environment: Mapping[str, str] = os.environ) -> Operator:
    """Raises TaskError naming file and key."""
    try:
        parsed = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except UnicodeDecodeError:
        raise TaskError(f"{path} is not UTF-8") from None
    except OSError as error:
        raise TaskError(f"cannot read {path}: {error.strerror}; docs/agent.md says what it holds") from None
    except tomllib.TOMLDecodeError as error:
        raise TaskError(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        raise TaskError(f"{path}: {_told(error)}") from None
    name = parsed.tracker.token_env
    token = environment.get(name, "")
    if not token:
        raise TaskError(f"{path}: the environment variable {name} holds no token; see docs/github.md")
    beside, results = path.parent, parsed.results
    return Operator(
        repository=parsed.tracker.repository,
        url=parsed.tracker.url,
        token=token,
        token_env=name,
        label=parsed.agent.label,
        workspace=path.parent / parsed.agent.workspace,
        pods=path.parent / Path(parsed.agent.pods).expanduser() if parsed.agent.pods else None,
        key=Path(parsed.agent.key).expanduser() if parsed.agent.key else None,
        poll_s=parsed.agent.poll_s,
        stale_s=parsed.agent.stale_s,
        branches=tuple(parsed.trust.branches),
        roles=tuple(parsed.trust.roles),
        gpu_hours=parsed.trust.gpu_hours,
        ids=tuple(parsed.trust.ids),
        gpu_hours_of={int(key): hours for key, hours in parsed.trust.gpu_hours_of.items()},
        second_person=parsed.trust.second_person,
        results_branch=results.branch,
        results_folder=beside / Path(results.folder).expanduser() if results.folder else None,
    )


def _told(error: ValidationError) -> str:
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        tables: dict[str, type[BaseModel]] = {
            "tracker": _Tracker,
            "agent": _Agent,
            "trust": _Trust,
            "results": _Results,
        }
        known = tables[path[0]].model_fields if len(path) > 1 and path[0] in tables else tables
        return f"unknown key {'.'.join(path)!r}{near_miss(path[-1], list(known))}"
    return f"{'.'.join(path)}: {first['msg'][:1].lower()}{first['msg'][1:]}"
