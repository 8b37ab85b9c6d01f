"""What full fine-tuning learned: no adapter can be switched off, so one extra run looks before training."""

import math
from pathlib import Path

import pytest

from agent.target import write_target
from tests.e2e.conftest import Paceline, commit

pytestmark = pytest.mark.train
pytest.importorskip("trl", reason="needs the train extra")


@pytest.fixture(scope="module")
def benched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    repo = folder / "target"
    write_target(repo)
    script = (repo / "train_sft.py").read_text()
    without_adapter = "".join(line for line in script.splitlines(keepends=True) if "peft_config" not in line)
    assert without_adapter != script
    full = commit(repo, {"train_sft.py": without_adapter.replace("learning_rate=5e-3", "learning_rate=1e-3")})
    command = Paceline(folder / "work", folder / "machine")
    text = Path(repo, "paceline.toml").read_text().replace("rows    = 64", "rows    = 16")
    Path(repo, "paceline.toml").write_text(text)
    done = command.bench(repo, "sft", rev=full)
    assert done.status == 0, done.err
    return done


def test_the_extra_run_tells_the_loss_of_the_model_that_training_began_with(benched):
    before = benched.run("sft", arm="before", replicate=0)
    assert before["outcome"] == "ok"
    assert before["steps"] is None
    # A random model knows nothing of 259 tokens: about ln 259 nat, give or take its weights.
    assert before["eval"]["loss"] == pytest.approx(math.log(259), rel=0.1)
    assert benched.run("sft")["eval"]["loss"] < before["eval"]["loss"]


def test_what_was_learned_is_known_and_no_run_of_an_arm_ended_early(benched):
    [equivalence] = benched.document["equivalence"]
    assert equivalence["learned"] > 0.1
    assert [run["steps"] for run in benched.document["runs"] if run["replicate"]] == [8, 8]
