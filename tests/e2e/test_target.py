"""The target, measured for real: what it promises, and that no digit can be changed unseen."""

import importlib.util
import json
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from agent.target import write_target
from tests.e2e.conftest import Paceline

pytestmark = pytest.mark.train
pytest.importorskip("trl", reason="needs the train extra")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("target")


@pytest.fixture(scope="module")
def command(folder):
    return Paceline(folder / "work", folder / "machine")


@pytest.fixture(scope="module")
def benched(folder, command):
    write_target(folder / "target")
    benched = command(
        *("bench", "sft", "dpo", "--repo", folder / "target", "--baseline", "baseline"),
        *("--optimized", "optimized", "--arm", "packing=optimized,packing=true"),
        *("--replicates", 1, "--require", "sft:job_tokens_per_s>=1.3", "--json"),
    )
    assert benched.status == 0, benched.err
    return benched


def test_the_document_has_one_run_for_each_arm_that_takes_part(benched):
    runs = {(run["recipe"], run["arm"]): run["outcome"] for run in benched.document["runs"]}
    names = [
        ("sft", "baseline"),
        ("sft", "optimized"),
        ("sft", "packing"),
        ("dpo", "baseline"),
        ("dpo", "optimized"),
    ]
    assert runs == dict.fromkeys(names, "ok")


def test_one_run_per_arm_can_never_be_a_win(benched):
    assert benched.document["verdict"]["outcome"] == "CANNOT TELL"
    assert not any(comparison["proven"] for comparison in benched.document["comparisons"])
    [criterion] = benched.document["criteria"]
    assert criterion["score"] == "CANNOT TELL"


def test_tokens_equal_an_independent_count_from_the_tokenised_rows(folder, benched):
    tokens, rows = counted(folder / "target", "sft.jsonl", 64)
    for arm in ("baseline", "optimized", "packing"):
        run = benched.run("sft", arm)
        assert (run["tokens"], run["rows"]) == (2 * tokens, 2 * rows)  # two epochs
    assert benched.run("sft", "packing")["steps"] < benched.run("sft", "baseline")["steps"] / 2


def counted(target, name, count):
    """(tokens, rows) of a file of chat rows, by the target's own tokenizer and nothing of ours."""
    from transformers import AutoTokenizer

    spec = importlib.util.spec_from_file_location("make_model", target / "make_model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with tempfile.TemporaryDirectory() as base:
        module.write(Path(base))
        tokenizer = AutoTokenizer.from_pretrained(base)
    rows = [json.loads(line) for line in (target / "data" / name).read_text().splitlines()][:count]
    texts = [tokenizer.apply_chat_template(row["messages"], tokenize=False) for row in rows]
    return sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts), len(rows)


def test_padding_free_computes_no_position_twice_and_loses_nothing(benched):
    baseline, optimized = benched.run("sft"), benched.run("sft", "optimized")
    assert optimized["padded_tokens"] == optimized["tokens"] < baseline["padded_tokens"]
    assert optimized["first_loss"] == pytest.approx(baseline["first_loss"], abs=1e-4)
    assert optimized["eval"]["loss"] == pytest.approx(baseline["eval"]["loss"], abs=1e-4)


def test_the_baseline_learns_at_least_half_a_nat(benched):
    evaluation = benched.run("sft")["eval"]
    assert evaluation["before"] - evaluation["loss"] >= 0.5


def test_the_reference_pass_shows_where_it_was_moved(benched):
    assert benched.run("dpo")["phases_s"].get("reference", 0.0) == 0.0
    assert benched.run("dpo", "optimized")["phases_s"]["reference"] > 0.0
    assert benched.run("dpo", "optimized")["first_loss"] == pytest.approx(0.693147, abs=1e-3)


def test_phases_sum_to_the_outer_wall_time_within_1_percent(benched):
    for run in benched.document["runs"]:
        assert sum(run["phases_s"].values()) == pytest.approx(run["wall_s"], rel=0.01)


@pytest.fixture
def copy(benched, tmp_path):
    return shutil.copytree(benched.folder, tmp_path / "copy")


def test_a_copied_folder_is_identical_too(command, copy):
    told = command("verify", copy)
    assert (told.status, told.out) == (0, "identical\n")


def other_digit(match):
    return match[0][:-1] + ("1" if match[0][-1] != "1" else "2")


def change(path, pattern):
    text = path.read_text()
    changed = re.sub(pattern, other_digit, text, count=1)
    assert changed != text
    path.write_text(changed)


def test_one_digit_of_an_event_is_found_with_its_line(command, copy):
    change(copy / "runs/sft/1/optimized/events.jsonl", r'"loss": \d')
    told = command("verify", copy)
    assert told.status == 1
    assert "runs/sft/1/optimized/events.jsonl: not the file that was measured: line " in told.out


def test_one_digit_of_the_stored_comparisons_is_found_with_its_place(command, copy):
    change(copy / "result.json", r'"ratio": \d')
    told = command("verify", copy)
    assert told.status == 1
    assert re.fullmatch(r"result\.json: comparisons\[0\]\.ratio is \S+, the runs give \S+\n", told.out)


def test_one_digit_of_the_report_is_found_with_its_line(command, copy):
    change(copy / "report.md", r"tok/s \| +\d|tok/s of the job\D+\d|\d(?= tok/s)")
    told = command("verify", copy)
    assert told.status == 1
    assert told.out.startswith("report.md: line ")


def test_a_changed_plan_is_refused(command, copy):
    change(copy / "plan.json", r'"replicates": \d')
    told = command("verify", copy)
    assert (told.status, "was changed" in told.err) == (2, True)


def test_the_report_reads_verdict_first(command, benched):
    lines = command("report", benched.folder).out.splitlines()
    assert lines[0] == "# target: CANNOT TELL (arm optimized)"
    assert lines[2].startswith("- CANNOT TELL (rule 2): too few valid pairs")
