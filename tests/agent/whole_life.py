"""A tracker and a pod in memory with agents over them that measure, as far as an agent can tell."""

from __future__ import annotations

from datetime import timedelta

from agent.gather import Desk
from agent.loop import Loop
from agent.marker import Marker, Place, parse
from agent.operator import Operator
from agent.yard import Yard
from pods.fleet import Fleet
from pods.inventory import Inventory, Pod
from tests.agent.test_loop import BODY, CONFIG, KEY, Clock
from tests.fakes.pod import FakePod
from tests.fakes.tracker import ME, FakeTracker

RECIPE = CONFIG.replace("sleep", "sft")
CHEAP = BODY.format(recipes="sft", hours=0.5) + "\n### Replicates\n\n3\n"
DEAR = CHEAP.replace("0.5", "5")


class Client:
    """The tracker as one agent's connection has it: what it listed last is its own."""

    def __init__(self, tracker: FakeTracker) -> None:
        self._tracker, self._listed = tracker, {}

    def __getattr__(self, name):
        return getattr(self._tracker, name)

    def tagged(self, label):
        self._tracker._listed = self._listed
        return self._tracker.tagged(label)


class Town:
    """Agents are known by name; each holds nothing that a restart would not take from it."""

    def __init__(self, folder, **operator) -> None:
        self.clock = Clock()
        self.tracker = FakeTracker(self.clock)
        self.tracker.set_role("ada", "write")
        self.tracker.add_commit("recipes", paceline__toml=RECIPE)
        self.folder = folder
        self.operator = Operator("acme/target", "https://tracker.invalid", "token", **operator)
        self.pod = FakePod(folder / "jobs", self.clock)
        self.said: list[str] = []

    def agent(self, name: str = "here", client: Client | None = None) -> Loop:
        """A new process: it knows only what stands on the issues and lies on the pod."""
        inventory = Inventory(
            (Pod("pod-1", engine="local", workspace=self.folder, machine=self.folder / "machine"),),
            self.folder / "pins",
        )
        yard = Yard(Fleet(inventory, {"pod-1": self.pod}), self.folder)
        desk = Desk(
            client or Client(self.tracker), self.operator, (KEY,), yard, self.tracker.person(ME), 42, name
        )
        return Loop(desk, self.clock, self.said.append)

    def read(self, number: int) -> list[Marker]:
        """What stands on an issue in the agent's name, oldest first."""
        comments = [one for on, one in self.tracker._comments.values() if on == number]
        found = [parse(one.body, Place(42, number), [KEY]) for one in comments if one.author.login == ME]
        return [one for one in found if isinstance(one, Marker)]

    def kinds(self, number: int) -> list[str]:
        return [f"{one.kind} v{one.version}" for one in self.read(number)]

    def passes(self, **of_time: float) -> None:
        self.clock.now += timedelta(**of_time)
