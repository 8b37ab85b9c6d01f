"""Issue 36, word for word, lived through: people comment, the real agent asks, plans, measures and judges.

Its repository is `issue36.py`'s, whose changes do what is planted in them. `golden/issue-36.md` holds the
whole conversation, with fixed words where runs and machines differ: PACELINE_WRITE_GOLDENS=1 writes it anew;
read the difference as a maintainer would before committing it.
"""

import json
import os
import re
from difflib import unified_diff
from pathlib import Path

import pytest

from bench.metrics import metric
from tests.e2e.issue36 import CRITERIA, EXPECTED, JOB, job_ratio, make_target
from tests.e2e.test_main_job import MARKER, Life, running
from tests.e2e.told import told

ISSUE = Path(__file__).parent.parent / "agent" / "cases" / "issue-36.md"
GOLDEN = Path(__file__).parent / "golden" / "issue-36.md"
QUESTION = "which two commits should be compared"
INTERVAL = re.compile(r"[\d.]+ \[([\d.]+), ([\d.]+)\], n = 3")


class Issue36Life(Life):
    """A life on the target of issue 36."""

    def make_target(self):
        self.target = make_target(self.folder / "repo")
        return self.target.repo

    def file_issue36(self):
        title, _, body = ISSUE.read_text().partition("\n\n")
        asked = {"title": title.removeprefix("Title: "), "body": body, "labels": ["bench"]}
        return self.ask("/issues", asked)["number"]

    def says(self, number, text, who="ada"):
        return self.ask(f"/issues/{number}/comments", {"body": text}, who=who)["id"]

    def reactions(self, comment):
        return [one["content"] for one in self.ask(f"/issues/comments/{comment}/reactions")]

    @property
    def commits(self):
        """As people name them."""
        return f"baseline={self.target.baseline[:7]} optimized={self.target.tip[:7]}"

    def until_asked(self, number):
        self.until(lambda: self.markers(number) == ["progress v1"])

    def until_folded(self, number):
        """The last of what a verdict brings about."""
        progress = [one for one in self.comments(number) if "epm:progress" in one["body"]]
        self.until(lambda: self.is_folded(number, {one["id"] for one in progress}))

    def is_folded(self, number, ids):
        return all(one.get("minimized") for one in self.comments(number) if one["id"] in ids)


@pytest.fixture(scope="module")
def lives(tmp_path_factory):
    """Makes lives and ends them."""
    made = []

    def life(name):
        folder = tmp_path_factory.mktemp(name) / "a life's place"
        folder.mkdir()
        made.append(Issue36Life(folder))
        return made[-1]

    yield life
    for one in made:
        one.close()


class Conversation:
    """The first life, as it stands on the issue at its end."""

    def __init__(self, life):
        self.life = life
        self.number = number = life.file_issue36()
        life.start_agent()
        life.until_asked(number)
        self.bystander = life.says(number, f"/set {life.commits}", who="eve")
        life.until(lambda: life.reactions(self.bystander))
        self.misspelt = life.says(number, f"/sett {life.commits}")
        life.until(lambda: "note v1" in life.markers(number))
        self.answer = life.says(number, f"The two ends of the branch:\n\n/set {life.commits} replicates=3")
        life.until(lambda: "results v1" in life.markers(number), limit_s=300)
        life.until_verdict(number)
        life.until_folded(number)
        self.comments = life.comments(number)

    def text(self, marker):
        """Of `progress v1`."""
        kind, _, version = marker.partition(" v")
        head = f"<!-- epm:{kind} v{version} -->"
        [body] = [one["body"] for one in self.comments if one["body"].startswith(head)]
        return body

    def rows(self, marker, title):
        """Of the first table behind these words: a mapping from header to cell a row."""
        behind = self.text(marker).partition(title)[2]
        lines = re.search(r"(?:^\|.*\|\n)+", behind, re.MULTILINE)[0].splitlines()
        split = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
        return [dict(zip(split[0], row, strict=True)) for row in split[2:]]


@pytest.fixture(scope="module")
def conversation(lives):
    return Conversation(lives("whole"))


def test_the_conversation_goes_its_way_in_order_and_nothing_is_said_twice(conversation):
    assert conversation.life.markers(conversation.number) == [
        "progress v1",
        *("note v1", "note v2"),  # to ada: did you mean; and what was set
        *("progress v2", "progress v3", "progress v4"),
        *("results v1", "reviewer-verdict v1", "verdict v1", "note v3"),
    ]
    stages = conversation.life.stages(conversation.number)
    assert [one for one in stages if one.startswith("Status")] == [
        "Status: waiting for an answer",
        "Status: approved, next in line",
        "Status: starting",
        "Status: measuring",
    ]


def test_it_asks_one_question_about_the_two_commits(conversation):
    text = conversation.text("progress v1")
    [question] = re.findall(r"^\d+\. .*$", text, re.MULTILINE)
    assert QUESTION in question
    assert re.search(r"For example: `/set baseline=[0-9a-f]{7} optimized=[0-9a-f]{7}`$", question)


def test_a_bystander_is_seen_and_neither_obeyed_nor_answered(conversation):
    assert conversation.life.reactions(conversation.bystander) == ["confused"]
    assert not any("To eve:" in one["body"] for one in conversation.comments)
    following = [one["user"]["login"] for one in conversation.comments if one["id"] > conversation.bystander]
    assert following[0] == "ada"


def test_a_misspelt_command_is_asked_about(conversation):
    assert "was not understood: did you mean /set?" in conversation.text("note v1")
    assert conversation.life.reactions(conversation.misspelt) == ["confused"]


def test_an_answer_is_confirmed_and_planned_within_the_standing_budget(conversation):
    life = conversation.life
    assert life.reactions(conversation.answer) == ["+1"]
    assert "- replicates = `3`" in conversation.text("note v2")
    text = conversation.text("progress v2")
    plan = json.loads((life.jobs()[0] / "job.json").read_text())["plan"]
    for said in (
        "is approved (standing budget of 1 GPU-hour for ada",
        f"- baseline: `{life.target.baseline[:12]}`",
        f"- optimized: `{life.target.tip[:12]}`",
        "- recipes: sft, dpo",
        "- criterion: `sft:job_tokens_per_s>=1.3` (optimized)",
        "- criterion: `dpo:job_tokens_per_s>=1.2` (optimized)",
        "held-out loss within ±5 % of the baseline's",
        "- must not change: `configs/training/default.yaml:epochs`",
        "- must not change: `configs/dpo/default.yaml:beta`",
        "sft: examples = 200; sft: epochs = 1; sft: gpus = 1; sft: batch = 4",
        "- 3 replicates, 12 runs",
        f"- plan `{plan[:12]}`",
    ):
        assert said in text


@pytest.mark.parametrize("promise", CRITERIA, ids=lambda one: one.recipe)
def test_each_criterion_has_its_score_and_the_planted_effect_lies_in_its_interval(conversation, promise):
    planted = {"sft": 1.0, "dpo": job_ratio("dpo", is_precomputed=True)}[promise.recipe]
    asked = f"{promise.recipe}:{promise.metric}>={promise.target}"
    rows = conversation.rows("verdict v1", "### Criteria")
    [(score, measured)] = [(row["score"], row["measured"]) for row in rows if row["criterion"] == asked]
    assert score == promise.score
    low, high = map(float, INTERVAL.search(measured).groups())
    room = 1 + metric(JOB).practical_floor
    assert low / room <= planted <= high * room
    rows = conversation.rows("note v3", "## Closing note")
    assert [(row["observed"], row["status"]) for row in rows if row["asked"] == asked] == [(measured, score)]


def test_each_claim_of_a_change_has_its_row_and_why_it_is_not_measured(conversation):
    rows = conversation.rows("verdict v1", "### Promised and stated in the issue")
    claims = [row for row in rows if row["what"] != "stated"]
    assert [row["what"] for row in claims] == sorted(row["what"] for row in claims)
    assert {row["what"] for row in claims} == {f"change {name}" for name in "ABCDEFG"}
    assert {row["score"] for row in claims} == {"NOT MEASURED"}
    why = {(row["what"], row["in the author's words"]): row["why"] for row in claims}
    together = "this run measures all changes together"
    for change in "ADE":
        assert why[f"change {change}", EXPECTED[change].promises[0].text] == together
    assert "does not say" in why["change D", "60% mem"]


def test_each_stated_criterion_has_its_row(conversation):
    rows = conversation.rows("verdict v1", "### Promised and stated in the issue")
    stated = [(row["in the author's words"], row["score"]) for row in rows if row["what"] == "stated"]
    assert stated == [
        ("All 7 code changes applied", "MET"),
        ("No crashes on either smoke test", "MET"),
        ("ruff check . && ruff format . clean", "MET"),
        ("Uploads work (WandB for eval logs, no new HF Hub uploads needed for smoke tests)", "NOT MEASURED"),
    ]


def test_it_trains_the_same_and_memory_that_nobody_asked_about_is_flagged(conversation):
    text = conversation.text("verdict v1")
    assert text.splitlines()[1] == "## Verdict: CONCERNS"
    assert "worse where nobody asked: dpo: peak_memory_b" in text
    rows = conversation.rows("verdict v1", "### Does it still train the same thing?")
    assert [(row["recipe"], row["trains the same"]) for row in rows] == [
        ("sft", "equivalent"),
        ("dpo", "equivalent"),
    ]


def test_values_that_are_protected_are_told_untouched(conversation):
    names = ["configs/training/default.yaml:epochs", "configs/dpo/default.yaml:beta"]
    rows = conversation.rows("reviewer-verdict v1", "### What must not change")
    assert [(row["value"], row["state"]) for row in rows] == [(name, "untouched") for name in names]
    for name in names:
        assert f"- `{name}`: untouched" in conversation.text("note v3")


def test_the_closing_note_lists_what_is_left_to_do_once(conversation):
    text = conversation.text("note v3")
    left = re.findall(r"^- \[ \] (.*)$", text, re.MULTILINE)
    begins = ["`sft:job_tokens_per_s", "`dpo:job_tokens_per_s", "CONCERNS: worse where nobody asked: dpo:"]
    begins += ["H: β: 0.1 → 5.0", "I: epochs: 1 → 2", "Tier 2 ", "Tier 3 "]
    assert len(left) == len(begins)
    assert all(one.startswith(begin) for one, begin in zip(left, begins, strict=True))


def test_its_figures_come_from_the_stored_runs(conversation):
    life = conversation.life
    assert life.command("verify", life.command.workplace / ".paceline").out == "identical\n"


def test_the_conversation_is_as_the_golden_has_it(conversation):
    def by_agent(comment):
        return conversation.life.reactions(comment)

    text = told(conversation.comments, by_agent)
    if os.environ.get("PACELINE_WRITE_GOLDENS"):
        GOLDEN.write_text(text)
    golden = GOLDEN.read_text().splitlines()
    assert list(unified_diff(golden, text.splitlines(), "golden", "told", lineterm="", n=1)) == []


# A second life.


def test_an_edit_that_changes_the_task_ends_the_job_and_asks_anew(lives):
    """Within the standing budget the new plan is approved anew; beyond it, it waits."""
    life = lives("edited")
    number = life.file_issue36()
    life.start_agent()
    life.until_asked(number)
    life.says(number, f"/set {life.commits} replicates=3")
    life.until(running(life, number))
    body = life.ask(f"/issues/{number}")["body"]
    edited = body.replace("+20% on DPO", "+10% on DPO")
    life.ask(f"/issues/{number}", {"body": edited}, method="PATCH")
    life.until(lambda: life.stages(number).count("Status: measuring") == 2)
    assert life.stages(number) == [
        "Status: waiting for an answer",
        *("Status: approved, next in line", "Status: starting", "Status: measuring"),
        "Status: stopped",
        *("Status: approved, next in line", "Status: starting", "Status: measuring"),
    ]
    bodies = [one["body"] for one in life.comments(number)]
    plans = [re.search(r"- plan `(\w+)`", one)[1] for one in bodies if "## Status: approved" in one]
    assert len(set(plans)) == 2
    assert "Last: the task was edited" in next(one for one in bodies if "## Status: stopped" in one)
    assert "- criterion: `dpo:job_tokens_per_s>=1.1` (optimized)" in bodies[-3]
    first = next(job for job in life.jobs() if plans[0] in job.name)
    assert json.loads((first / "exit.json").read_text())["outcome"] == "cancelled"

    life.ask(f"/issues/{number}", {"body": f"{edited}\n\nGPU-hour budget: 5\n"}, method="PATCH")
    life.until(lambda: life.stages(number)[-1] == "Status: waiting for approval")
    waiting = life.comments(number)[-1]["body"]
    assert "the plan may spend 5 GPU-hours, the standing budget covers 1" in waiting
    outcomes = [json.loads((job / "exit.json").read_text())["outcome"] for job in life.jobs()]
    assert outcomes == ["cancelled", "cancelled"]
    markers = life.markers(number)
    assert len(set(markers)) == len(markers)
    assert all(MARKER.match(one["body"]) for one in life.comments(number) if one["user"]["login"] == "bot")
