"""What the check of the demo lets pass: a loaded machine, and nothing that was lost or repeated."""

import json

import pytest

from scripts.check_demo import troubles

ARMS = {"sft": ("baseline", "optimized", "packing"), "dpo": ("baseline", "optimized")}
STATES = {
    ("sft", "optimized"): "equivalent",
    ("sft", "packing"): "not equivalent",
    ("dpo", "optimized"): "equivalent",
}


def run(recipe, arm, replicate, **changes) -> dict:
    reference_s = 0.5 if (recipe, arm) == ("dpo", "optimized") else 0.0
    return {
        "recipe": recipe,
        "arm": arm,
        "replicate": replicate,
        "set_aside": 0,
        "outcome": "ok",
        "reason": "",
        "wall_s": 3.0 + reference_s,
        "phases_s": {"train": 3.0, "reference": reference_s},
        "eval": {"before": 2.0, "loss": 1.0},
        **changes,
    }


class Demo:
    """What a demo leaves: its document, and a record of each process."""

    def __init__(self, folder) -> None:
        self.folder, self.pids = folder, 100
        self.runs = [run(recipe, arm, n) for n in (1, 2, 3) for recipe, arms in ARMS.items() for arm in arms]
        for one in self.runs:
            self.record(f"{one['recipe']}/{one['replicate']}/{one['arm']}")

    def record(self, place: str) -> None:
        self.pids += 1
        path = self.folder / "jobs" / "a1" / "runs" / place / "exit.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"owner": {"pid": self.pids}}))

    def troubles(self) -> list[str]:
        states = [{"recipe": recipe, "arm": arm, "state": state} for (recipe, arm), state in STATES.items()]
        return troubles({"runs": self.runs, "equivalence": states}, self.folder)


@pytest.fixture
def demo(tmp_path):
    return Demo(tmp_path)


def test_a_demo_as_it_should_be_has_no_trouble(demo):
    assert demo.troubles() == []


def test_a_round_that_was_made_again_on_a_loaded_machine_is_no_trouble(demo):
    for arm in ARMS["dpo"]:
        spoiled = {"outcome": "tainted", "reason": "heavy load", "phases_s": {}, "eval": None}
        demo.runs.append(run("dpo", arm, 2, set_aside=1, **spoiled))
        demo.record(f"dpo/2/{arm}~1")
    assert demo.troubles() == []


def test_a_run_that_was_made_twice_and_not_set_aside_is_told(demo):
    demo.record("dpo/2/baseline~1")
    assert demo.troubles() == ["16 records of 16 processes; 15 runs were asked for, and 0 were set aside"]


def test_a_run_that_was_set_aside_and_not_made_again_is_told(demo):
    demo.runs[0]["set_aside"] = 1
    assert "14 runs, 15 were asked for" in demo.troubles()


def test_a_run_that_counts_and_did_not_end_well_is_told(demo):
    demo.runs[0]["outcome"] = "crashed"
    assert demo.troubles() == ["sft 1 baseline: crashed: "]
