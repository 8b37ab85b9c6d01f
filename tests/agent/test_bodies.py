"""What the agent says, held word by word, and held against hostile text.

`golden/*.md` are written anew by `PACELINE_WRITE_GOLDENS=1 pytest tests/agent/test_bodies.py`; read the
difference as a maintainer would before committing it.
"""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent import bodies
from agent.action import Progress
from agent.ledger import Intent, State
from agent.marker import LIVE, Key, Marker, Place, parse, render
from agent.planning import Planned
from agent.result import result_of
from agent.result_bodies import (
    deviations,
    environment_lines,
    results_payload,
    results_text,
    time_lines,
    verdict_payload,
    verdict_text,
)
from agent.task import AskedChange, Problem, Problems, Task
from bench.plan import Arm
from tests.agent.made_job import ARMS, SFT, events_of, made_plan, made_raw, write, write_job
from tests.agent.test_report import HOSTILE, MARKDOWN, MARKUP
from tests.bench.raw_run import START, lines_of, owner_record

GOLDEN = Path(__file__).parent / "golden"
PLACE, KEY = Place(42, 7), Key("0123abcd", b"k" * 32)

PACKING = Arm("optimized+packing", "b" * 40, {"packing": "bfd"})
PLAN = made_plan(recipes=(replace(SFT, params={"packing": "no"}),), arms=(*ARMS, PACKING))
TASK = Task(
    baseline="main",
    optimized="faster",
    recipes=("sft",),
    criteria=("sft:job_tokens_per_s>=1.1",),
    changes=(
        AskedChange("A", "trainer.py:98", "FlashAttention 2, with a fallback", "+15-20 % SFT"),
        AskedChange("B", "trainer.py:120", "no copy of the labels", "+2 %"),
    ),
    unchanged=("the sampler's order",),
)
PROBLEMS = Problems(
    (
        Problem("Baseline commit", "is no commit: '--x'; give a commit id, a branch or a tag", "656703d", 5),
        Problem("Recipes", "is missing: there is no such heading", "sft, dpo"),
    )
)
INTENT = Intent(1, "pod-1", "GPU-0a1b", "acme-target-7-0123456789ab-a1", "2026-11-20T13:00:00+00:00")
APPROVED_BY = "standing budget of 1 GPU-hour for ada (id 2, write)"
STATE = State("approved", "b" * 16, TASK.digest, PLAN.hash, APPROVED_BY)
ASK = f"the plan may spend 5 GPU-hours, the standing budget covers 1: comment `/approve {PLAN.hash[:12]}`"

PROGRESS = {
    "blocked": Progress(State("blocked", "b" * 16), problems=PROBLEMS),
    "refused": Progress(
        replace(STATE, stage="blocked", plan="", note="Baseline commit: no commit 'x' in acme/target"),
        problems=Problems((Problem("Baseline commit", "no commit 'x' in acme/target", "656703d", 5),)),
    ),
    "waiting": Progress(replace(STATE, stage="waiting", approved_by="", note=ASK), planned=Planned(PLAN)),
    "approved": Progress(STATE, planned=Planned(PLAN)),
    "again": Progress(replace(STATE, closed=2, note="the job was lost: no heartbeat"), planned=Planned(PLAN)),
    "intent": Progress(replace(STATE, stage="intent", intent=INTENT), planned=Planned(PLAN)),
    "running": Progress(replace(STATE, stage="running", intent=INTENT)),
    "stopped": Progress(replace(STATE, stage="stopped", note="the label was taken off", intent=INTENT)),
    "done": Progress(replace(STATE, stage="done", note="this plan has its verdict already")),
}
ENVIRONMENTS = {
    "9f86d081": {
        "python": "3.11.9",
        "packages": ["flash-attn==2.8.3", "numpy==2.3.0", "torch==2.9.0", "trl==0.24.0"],
    }
}
HISTORY = {
    "optimized": {
        "commits": [
            {"id": "c" * 40, "subject": "attention: use FlashAttention 2"},
            {"id": "b" * 40, "subject": "collator: pad to the longest row"},
        ],
        "files": [
            {"path": "trainer.py", "added": 12, "removed": 3},
            {"path": "logo.png", "added": None, "removed": None},
        ],
    }
}
ENDED = {"outcome": "finished", "begin_monotonic_s": 100.0, "end_monotonic_s": 460.0}


def said(kind: str, text: str) -> str:
    """As it stands on the issue: whatever is said has to fit in a marker that can be read back."""
    body = render(Marker(kind, 1, text, {"schema": 1}), PLACE, KEY)
    assert parse(body, PLACE, [KEY]) == Marker(kind, 1, text, {"schema": 1})
    return body


def reads_as_golden(name: str, text: str) -> bool:
    path = GOLDEN / f"{name}.md"
    if os.environ.get("PACELINE_WRITE_GOLDENS"):
        path.write_text(text + "\n", encoding="utf-8")
    return text + "\n" == path.read_text(encoding="utf-8")


def made_result(folder, plan=PLAN, raws=None, **outside):
    """A result with fixed host, ended, environments and history; `outside` replaces these."""
    write_job(folder, plan, raws, host={"device": "NVIDIA H100 80GB HBM3", "kernel": "6.8.0-31"})
    fixed = {"environments": ENVIRONMENTS, "history": HISTORY, "ended": ENDED, **outside}
    return replace(result_of(folder), **fixed)


def crashed(arm, replicate, text="'text'"):
    error = {"kind": "error", "type": "KeyError", "text": text}
    return made_raw(arm, replicate, events=lines_of([START, error]), owner=owner_record(end=12.0, status=1))


@pytest.fixture
def result(tmp_path):
    name = PACKING.name
    return made_result(tmp_path / "job", raws={(name, 2): crashed(name, 2)})


# Word by word.


@pytest.mark.parametrize("name", PROGRESS)
def test_progress_reads_as_it_did(name):
    text = bodies.progress_text(PROGRESS[name], TASK)
    said("progress", text)
    assert reads_as_golden(f"progress-{name}", text)


def test_results_read_as_they_did(result):
    text = results_text(result, 1.0)
    said("results", text)
    assert reads_as_golden("results", text)


def test_a_verdict_reads_as_it_did(result):
    text = verdict_text(result, TASK)
    said("verdict", text)
    assert reads_as_golden("verdict", text)


def test_a_note_reads_as_it_did():
    why = ("the job was lost: no heartbeat",)
    text = bodies.note_text("No attempt came to a result", why, "Edit the issue's text.")
    assert reads_as_golden("note", text)


# What must be there.


@pytest.mark.parametrize("name", PROGRESS)
def test_each_step_is_either_done_or_not_done(name):
    lines = bodies.progress_text(PROGRESS[name], TASK).splitlines()
    steps = [line[6:] for line in lines if line.startswith(("- [x]", "- [ ]"))]
    assert steps == list(bodies.STEPS)


@pytest.mark.parametrize("name", PROGRESS)
def test_only_work_under_way_has_a_live_line(name):
    is_under_way = name in ("approved", "again", "intent", "running")
    assert (LIVE in bodies.progress_text(PROGRESS[name], TASK)) == is_under_way


def test_a_problem_is_told_with_field_line_and_example():
    text = bodies.progress_text(PROGRESS["blocked"], None)
    assert "1. Baseline commit (line 5): is no commit" in text
    assert "For example: `656703d`" in text


def test_an_arm_that_is_the_baseline_again_is_said_to_be():
    same = replace(PLAN, arms=(ARMS[0], replace(ARMS[1], commit=ARMS[0].commit), PACKING))
    text = bodies.progress_text(Progress(STATE, planned=Planned(same)), None)
    assert text.count("is the baseline again: what differs is noise") == 1
    assert "- optimized is the baseline again" in text


def test_a_task_that_was_refused_is_told_why():
    assert "no commit 'x' in acme/target" in bodies.progress_text(PROGRESS["refused"], TASK)


@pytest.mark.parametrize(
    "heading", ["### sft", "### Environment", "### Commits", "### Time against budget", "### Deviations"]
)
def test_results_have_their_parts(result, heading):
    assert heading in results_text(result, 1.0).splitlines()


def test_results_list_commits_in_order(result):
    text = results_text(result, 1.0)
    assert text.index("FlashAttention 2") < text.index("pad to the longest row")


def test_a_binary_file_has_no_lines(result):
    [row] = [line for line in results_text(result, 1.0).splitlines() if "logo.png" in line]
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["logo.png", "-", "-"]


def test_time_stands_against_the_budget(result):
    spent = time_lines(result, 1.5)[1]
    assert "0.100 GPU-hours" in spent  # 360 s
    assert "budget 1.5" in spent


def test_earlier_attempts_count_against_the_budget_too(result):
    assert "0.100 GPU-hours of slot time from start to end, budget 1.5" in time_lines(result, 1.5)[1]
    assert "end, at most 0.250 in earlier attempts, budget 1.5" in time_lines(result, 1.5, 0.25)[1]
    assert results_payload(result, 1.5, 0.25)["earlier_h"] == 0.25


def test_results_and_verdict_name_their_job(result):
    assert results_payload(result, 1.0)["job"] == verdict_payload(result)["job"] == "job"


def test_a_run_that_crashed_is_a_deviation(result):
    [line] = deviations(result)
    assert line.startswith("sft replicate 2, optimized+packing: crashed")


def test_runs_that_were_not_made_are_a_deviation(result):
    short = replace(result, runs=result.runs[:-2])
    assert deviations(short)[-1] == "2 of 9 planned runs were not made"


def test_a_run_that_was_set_aside_fills_no_gap_and_is_said_to_be_made_again(result):
    first, *others = result.runs
    aside = replace(first, outcome="tainted", reason="heavy load: 50 %", set_aside=1)
    told = deviations(replace(result, runs=(aside, first, *others[:-1])))
    assert told[0] == "sft replicate 1, baseline: tainted: heavy load: 50 %; made again"
    assert told[-1] == "1 of 9 planned runs were not made"


def test_an_arm_with_parameters_has_no_history_of_its_own(result):
    history = {**HISTORY, PACKING.name: HISTORY["optimized"]}
    text = results_text(replace(result, history=history), 1.0)
    assert text.count("FlashAttention 2") == 1


def test_the_promises_of_the_issue_are_never_scored_by_a_run_of_all_together(result):
    rows = [line for line in verdict_text(result, TASK).splitlines() if line.startswith("| change")]
    assert len(rows) == 2
    assert all("NOT MEASURED" in row for row in rows)


def test_a_verdict_without_its_task_promises_nothing(result):
    assert "Promised" not in verdict_text(result, None)


def test_the_payload_of_a_verdict_is_the_judgement(result):
    payload = verdict_payload(result)
    assert (payload["plan"], payload["outcome"]) == (PLAN.hash, result.judgement.verdict.outcome)
    assert json.loads(json.dumps(payload)) == payload


@pytest.mark.parametrize("kind", ["results", "verdict", *PROGRESS])
def test_no_blank_line_is_doubled(result, kind):
    text = {
        "results": lambda: results_text(result, 1.0),
        "verdict": lambda: verdict_text(result, TASK),
    }.get(kind, lambda: bodies.progress_text(PROGRESS[kind], TASK))()
    assert not [n for n, pair in enumerate(pairwise(text.split("\n"))) if pair == ("", "")]


def test_a_hard_end_is_utc_in_whole_seconds():
    now = datetime(2026, 11, 20, 12, 0, 0, 5000, tzinfo=UTC)
    assert bodies.hard_end(now, 3600.0) == "2026-11-20T13:00:00+00:00"


def test_an_example_of_several_lines_is_shown_as_it_is_typed():
    problem = Problem("Kind", "no heading of the issue form was found", "### Kind\n\ninfra")
    found = Problems((problem, PROBLEMS.found[0]))
    text = bodies.progress_text(Progress(State("blocked", "b"), problems=found), None)
    [fence] = [token for token in MARKDOWN.parse(text) if token.type == "fence"]
    assert fence.content == "### Kind\n\ninfra\n"
    assert "ordered_list_open" in kinds_of(text)
    assert "heading_open" in kinds_of(text)
    assert len([token for token in MARKDOWN.parse(text) if token.type == "ordered_list_open"]) == 1


def test_every_detail_of_a_reason_is_told_whole(tmp_path):
    """Joined to one line they would be cut at the length of a cell."""
    text = verdict_text(made_many(tmp_path / "job", 6, 2, 3), None)
    told = [line for line in text.splitlines() if line.startswith("  - recipe-")]
    assert len(told) == 6
    assert not any(line.endswith("…") for line in told)


# Foreign text.

FOREIGN = st.text(max_size=60) | MARKUP
HOSTILE_TASK = replace(
    TASK,
    changes=(AskedChange("A", HOSTILE, HOSTILE, HOSTILE),),
    context=HOSTILE,
    unchanged=(HOSTILE,),
)


def kinds_of(text: str) -> set[str]:
    """What Markdown sees in a text: blocks and what is inside them."""
    tokens = MARKDOWN.parse(text)
    return {token.type for token in tokens} | {
        child.type for token in tokens if token.type == "inline" for child in token.children
    }


def is_harmless(text: str, own_html: int = 0) -> bool:
    """Nothing foreign is a tag, link, image, mention or marker; `own_html` blocks are the template's."""
    tokens = MARKDOWN.parse(text)
    html = [token for token in tokens if token.type == "html_block"]
    return (
        "@somebody" not in text
        and len(html) == own_html
        and all(token.info == "mermaid" for token in tokens if token.type == "fence")
        and not kinds_of(text) & {"html_inline", "link_open", "image", "s_open", "code_block"}
    )


@pytest.fixture
def hostile_result(tmp_path):
    """Foreign text wherever a subject or a commit can put it: a reason, a choice, a subject line, a path."""
    events = events_of(1.0, 1)
    events[1] = {"kind": "choice", "name": HOSTILE, "requested": HOSTILE, "used": f"{HOSTILE} other"}
    chosen = made_raw("optimized", 1, events=lines_of(events), owner=owner_record(end=19.0))
    history = {
        "optimized": {
            "commits": [{"id": "c" * 40, "subject": HOSTILE}],
            "files": [{"path": HOSTILE, "added": 1, "removed": 2}],
        }
    }
    raws = {("optimized", 1): chosen, (PACKING.name, 2): crashed(PACKING.name, 2, HOSTILE.replace("\n", " "))}
    return made_result(tmp_path / "job", raws=raws, history=history)


def test_hostile_text_in_results_is_text(hostile_result):
    text = results_text(hostile_result, 1.0)
    said("results", text)
    assert is_harmless(text, own_html=2)  # <details> and </details>


def test_hostile_text_in_a_verdict_is_text(hostile_result):
    text = verdict_text(hostile_result, HOSTILE_TASK)
    said("verdict", text)
    assert is_harmless(text)


def test_hostile_changes_move_no_cell(hostile_result):
    text = verdict_text(hostile_result, HOSTILE_TASK)
    section = text.split("### Promised and stated in the issue")[1]
    [row] = [line for line in section.splitlines() if line.startswith("| change A")]
    assert row.count("|") == 5


def test_the_context_of_an_issue_is_never_repeated(hostile_result):
    task = replace(TASK, context="a secret word: xyzzy")
    assert "xyzzy" not in verdict_text(hostile_result, task)


def test_hostile_notes_in_progress_are_text():
    action = Progress(replace(STATE, stage="blocked", note=HOSTILE))
    text = bodies.progress_text(action, HOSTILE_TASK)
    said("progress", text)
    assert is_harmless(text)


def test_hostile_problems_in_progress_are_text():
    problem = Problem("Context", HOSTILE, HOSTILE.replace("<!--", "<"), 3)
    text = bodies.progress_text(Progress(State("blocked", "b"), problems=Problems((problem,))), None)
    said("progress", text)
    assert not kinds_of(text) & {"html_block", "html_inline", "link_open", "image", "table_open"}


@given(FOREIGN, FOREIGN, FOREIGN)
@example(HOSTILE, "<!-- epm:data x -->", "<!-- /epm:results -->")
@settings(max_examples=60)
def test_no_text_of_an_issue_makes_progress_a_marker_of_its_own(note, what, field):
    for action in (
        Progress(replace(STATE, stage="blocked", note=note)),
        Progress(State("blocked", "b"), problems=Problems((Problem(field, what, "x", 1),))),
    ):
        text = bodies.progress_text(action, TASK)
        said("progress", text)
        assert not kinds_of(text) & {"html_block", "html_inline", "link_open", "image"}


@given(FOREIGN, FOREIGN, FOREIGN)
@example(HOSTILE, "<!-- epm:data x -->", "<!-- /epm:results -->")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_text_of_task_commit_or_log_makes_a_comment_a_marker_of_its_own(result, first, second, third):
    history = {
        "optimized": {
            "commits": [{"id": "c" * 40, "subject": first}],
            "files": [{"path": second, "added": 1, "removed": 0}],
        }
    }
    runs = [replace(run, outcome="crashed", reason=third) for run in result.runs]
    bent = replace(result, history=history, runs=tuple(runs))
    task = replace(TASK, changes=(AskedChange("A", first, second, third),))
    texts = {
        "results": results_text(bent, 1.0),
        "verdict": verdict_text(bent, task),
    }
    for kind, text in texts.items():
        said(kind, text)
        assert not kinds_of(text) & {"html_inline", "link_open", "image"}
        assert not [n for n, char in enumerate(text) if char == "@" and text[n + 1] != "\u200b"]


def made_many(folder, recipes, arms, replicates):
    """Many recipes and arms; what each run took differs, so that tables and payload are as long as real."""
    many = tuple(replace(SFT, name=f"recipe-{n}", params={"packing": "no"}) for n in range(recipes))
    others = tuple(Arm(f"optimized+{n}", "b" * 40, {"packing": f"v{n}"}) for n in range(arms - 2))
    plan = made_plan(recipes=many, arms=(*ARMS, *others), replicates=replicates, criteria=())
    write_job(folder, replace(plan, recipes=()))
    write(folder / "plan.json", plan.to_dict())
    write(folder / "job.json", {"schema": 1, "plan": plan.hash})
    for n, (replicate, recipe, taking_part) in enumerate(plan.rounds()):
        for m, arm in enumerate(taking_part):
            train_s = 1.0 + (7 * n + 13 * m) % 97 / 97
            raw = made_raw(
                arm.name,
                replicate,
                record={"recipe": recipe.name, "wall_s": 8.5 + train_s},
                events=lines_of(events_of(train_s, replicate)),
                owner=owner_record(end=18.0 + train_s),
            )
            raw.write(folder / "runs" / recipe.name / str(replicate) / arm.name)
    return result_of(folder)


def test_results_of_three_recipes_with_four_arms_and_twelve_replicates_fit(tmp_path):
    result = made_many(tmp_path / "job", 3, 4, 12)
    payload = results_payload(result, 1.0)
    assert len(render(Marker("results", 1, results_text(result, 1.0), payload), PLACE, KEY)) < 60_000


def test_the_text_of_results_stays_short_for_many_recipes_arms_and_replicates(tmp_path):
    result = made_many(tmp_path / "job", 6, 8, 12)
    assert len(results_text(result, 1.0)) < 60_000 - (16 << 10)


def test_the_payload_of_results_stays_short_for_many_recipes_arms_and_replicates(tmp_path):
    result = made_many(tmp_path / "job", 6, 8, 12)
    render(Marker("results", 1, "text", results_payload(result, 1.0)), PLACE, KEY)


def test_results_with_as_many_files_and_commits_as_are_listed_fit(result):
    """200 of each are listed (`MOST_LISTED`)."""
    files = [{"path": f"src/{'x' * 200 if n == 0 else n}.py", "added": 1, "removed": 1} for n in range(200)]
    commits = [{"id": "c" * 40, "subject": "a subject of seventy-two characters".ljust(72, "x")}] * 200
    bent = replace(result, history={"optimized": {"commits": commits, "files": files}})
    said("results", results_text(bent, 1.0))


def test_a_verdict_fits_with_as_many_changes_as_a_form_can_hold(result):
    long = AskedChange("A0", "x" * 300, "y" * 300, "z" * 300)
    changes = (long, *(AskedChange(f"A{n}", "trainer.py:1", "a change", "+1 %") for n in range(1, 98)))
    said("verdict", verdict_text(result, replace(TASK, changes=changes)))


def test_a_parameter_value_in_progress_mentions_nobody():
    plan = replace(PLAN, arms=(*ARMS, replace(PACKING, params={"packing": "@somebody"})))
    text = bodies.progress_text(Progress(STATE, planned=Planned(plan)), TASK)
    assert "@somebody" not in text.replace("`@somebody`", "")


def test_the_name_of_a_device_in_results_is_text(result):
    text = results_text(replace(result, host={"device": HOSTILE}), 1.0)
    assert is_harmless(text, own_html=2)


def test_an_environment_without_a_package_that_matters_is_told_without_one(result):
    bare = replace(result, environments={"9f": {"python": "3.11.9", "packages": ["numpy==2.3.0"]}})
    assert "``" not in environment_lines(bare)[1]


def test_progress_tells_why_an_attempt_has_ended_without_result():
    assert "no heartbeat" in bodies.progress_text(PROGRESS["again"], TASK)


@pytest.mark.parametrize("subject", ["fixes #12", "as in acme/other#3", "GH-12"])
def test_the_subject_of_a_commit_refers_to_no_issue(result, subject):
    history = {"optimized": {"commits": [{"id": "c" * 40, "subject": subject}], "files": []}}
    assert subject not in results_text(replace(result, history=history), 1.0)


def test_results_of_a_job_that_could_not_measure_say_why(result):
    text = results_text(replace(result, runs=(), error="pip failed: no matching distribution"), 1.0)
    assert "pip failed: no matching distribution" in text
