"""What a search asks for, what its rounds measure, and what it answers; searching itself is tests/e2e's."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from agent.bisect_command import Bisection, Judgement, _doubt, answer_text, asked_of, document_of, round_of
from agent.errors import TaskError
from agent.repository import LoggedCommit, Repository
from bench.bisect import Search
from bench.compare import compare
from bench.metrics import metric
from tests.bench.made_runs import effects_of
from tests.e2e.conftest import git, make_repository

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "attribution.md"
CONFIG = """
[recipe.r]
run = ["{python}", "-c", "pass"]
[recipe.wall]
run = ["{python}", "-c", "pass"]
primary = "end_to_end_s"
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Repository:
    """v0, then the commits one to four."""
    repo = make_repository(tmp_path_factory.mktemp("bisect") / "target", {"paceline.toml": CONFIG})
    git(repo, "tag", "v0")
    for subject in ("one", "two *bold* @me", "three", "four"):
        git(repo, "commit", "--quiet", "--allow-empty", "--message", subject)
    return Repository(repo, is_bare=False)


def asked(repository, recipe="r", **changes):
    return asked_of(replace(Bisection(recipe, "v0", "main"), **changes), repository)


def told(repository, **changes) -> str:
    with pytest.raises(TaskError) as caught:
        asked(repository, **changes)
    return str(caught.value)


def ids(repository) -> list[str]:
    return [git(repository.root, "rev-parse", f"main~{back}")[:12] for back in (4, 3, 2, 1, 0)]


def test_the_line_begins_at_the_good_commit(repository):
    line = asked(repository).line
    assert [commit.id[:12] for commit in line] == ids(repository)
    assert [commit.subject for commit in line][1:] == ["one", "two *bold* @me", "three", "four"]


@pytest.mark.parametrize(("floor", "is_doubted"), [(None, False), (0.05, False), (0.0513, True), (0.2, True)])
def test_a_threshold_within_the_noise_of_the_machine_is_doubted(repository, floor, is_doubted):
    doubt = _doubt(asked(repository), floor)  # 0.95 is 0.05129 of a log ratio away
    assert bool(doubt) == is_doubted
    assert not is_doubted or "0.95 lies within the A/A floor" in doubt


@pytest.mark.parametrize(
    ("recipe", "metric", "threshold"), [("r", "job_tokens_per_s", 0.95), ("wall", "end_to_end_s", 1.05)]
)
def test_where_nothing_is_said_it_is_the_primary_metric_and_5_percent(repository, recipe, metric, threshold):
    found = asked(repository, recipe)
    assert (found.metric.name, found.threshold) == (metric, pytest.approx(threshold))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"metric": "job_token_per_s"}, "--metric: no metric 'job_token_per_s' (did you mean"),
        ({"metric": "steps"}, "--threshold: steps has no better direction"),
        ({"threshold": 1.2}, "--threshold: 1.2 is not worse: higher job_tokens_per_s is better"),
        ({"replicates": 1}, "--replicates 1: from 2 to 100 a commit"),
        ({"replicates": 101}, "--replicates 101: from 2 to 100 a commit"),
        ({"good": "main", "bad": "v0"}, "is not before"),
        ({"bad": "mian"}, "no commit 'mian'"),
        ({"recipe": "s"}, "unknown recipe 's'"),
    ],
)
def test_what_cannot_be_searched_is_refused(repository, changes, line):
    assert line in told(repository, **changes)


def test_rounds_of_a_probe_have_seeds_of_their_own(repository):
    plan = asked(repository).planned.plan
    first, second = round_of(plan, "c" * 40, 0, 3), round_of(plan, "c" * 40, 3, 2)
    assert [(one.base_seed, one.replicates) for one in (first, second)] == [(1000, 3), (1003, 2)]
    assert [arm.commit for arm in first.arms] == [plan.arms[0].commit, "c" * 40]
    assert len({first.hash, second.hash, round_of(plan, "d" * 40, 0, 3).hash}) == 3


def test_another_search_is_another_plan(repository):
    assert asked(repository).planned.plan.hash != asked(repository, threshold=0.9).planned.plan.hash


def test_what_was_found_is_told_with_its_subject_as_text(repository):
    search = Search(last=4, low=1, high=2, is_bad_worse=True)
    assert answer_text(asked(repository), search) == (
        f"first worse commit: {ids(repository)[2]} two *bold* @me"
    )


def test_a_range_lists_what_may_be_it_and_why_it_is_not_known(repository):
    search = Search(last=4, low=0, high=3, is_bad_worse=True, passed=frozenset({1}), undecided=3)
    zero, one, two, three, _ = ids(repository)
    assert answer_text(asked(repository), search).splitlines() == [
        f"one of these is the first worse commit; it lies behind {zero} v0:",
        f"- {one} one (could not be judged)",
        f"- {two} two *bold* @me (was not asked)",
        f"- {three} three (is worse)",
    ]


def test_a_bad_commit_that_could_not_be_judged_leaves_nothing_known(repository):
    search = Search(last=4, low=0, high=4, passed=frozenset({4}))
    assert answer_text(asked(repository), search) == (
        f"not known: {ids(repository)[4]} four could not be judged, so neither could the commits before it"
    )


def probe(commit: LoggedCommit) -> Judgement:
    found = compare("r", metric("job_tokens_per_s"), "optimized", effects_of(-0.1, -0.11, -0.09))
    return Judgement(commit, "worse", found, ("/jobs/a",))


def test_the_document_is_json_with_the_fields_that_are_documented(repository):
    search = Search(last=4, low=1, high=2, is_bad_worse=True)
    whole = asked(repository)
    skipped = Judgement(whole.line[1], "skipped", None, ("/jobs/b",), "crashed: no")
    document = json.loads(json.dumps(document_of(whole, search, [probe(whole.line[4]), skipped])))
    assert (document["answer"], document["found"][:12]) == ("found", ids(repository)[2])
    assert document["between"] is None
    assert document["probes"][0]["comparison"]["ratio"] == pytest.approx(math.exp(-0.1))
    assert document["probes"][1]["why"] == "crashed: no"
    text = DOCUMENT.read_text()
    assert {name for name in {*document, *document["probes"][0]} if f"`{name}`" not in text} == set()


def test_a_probe_is_a_line_with_its_interval(repository):
    line = probe(asked(repository).line[4]).text
    assert line.startswith(f"{ids(repository)[4]} four: worse (0.905 [")
    assert line.endswith("], n = 3)")
