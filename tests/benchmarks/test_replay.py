"""Every corpus of raw runs under benchmarks/results/ is read back and judged; so is one that is made here.

A later version may judge the same runs better, so nothing that was printed then is compared, but for the
figures in a `summary.json`: these are plain ratios, and must come out again.
"""

import json
import math
import shutil
from pathlib import Path

import pytest
from gpu_ab import SUMMARY, summary_of, write_summary
from gpu_jobs import Budget
from gpu_parts import PARTS
from gpu_table import table

from bench.judge import judge
from bench.plan import Plan
from bench.record import read_runs
from bench.worker.files import sha256_of, write_json
from tests.benchmarks import BENCHMARKS
from tests.benchmarks.test_gpu_table import summary, write_corpus

RESULTS = BENCHMARKS / "results"
MADE = "made here"
JOBS = sorted(path.parent.relative_to(RESULTS) for path in RESULTS.rglob("plan.json"))
CORPORA = sorted(path.parent.relative_to(RESULTS) for path in RESULTS.rglob(SUMMARY))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    jobs = write_corpus(folder)
    write_json(folder / SUMMARY, summary({}, jobs=jobs))
    write_json(folder / SUMMARY, summary_of(folder))
    return folder


@pytest.fixture(params=[MADE, *map(str, JOBS)])
def job(request, made):
    return made / "1-sft-lockstep" if request.param == MADE else RESULTS / request.param


@pytest.fixture(params=[MADE, *map(str, CORPORA)])
def corpus(request, made):
    return made if request.param == MADE else RESULTS / request.param


def read(job: Path):
    plan = Plan.from_dict(json.loads((job / "plan.json").read_text()))
    return plan, read_runs(job / "runs", plan)


def left_out(job: Path) -> set[str]:
    """Logs that were too long to be kept, by their path in the job folder."""
    path = job.parent / SUMMARY
    jobs = json.loads(path.read_text())["jobs"] if path.exists() else []
    return {name for one in jobs if one["folder"] == job.name for name in one.get("left_out", ())}


def test_a_kept_job_has_runs_and_each_of_their_files_is_the_one_that_was_measured(job):
    _, runs = read(job)
    assert runs
    for run in runs:
        for name, digest in run.files.items():
            place = f"runs/{run.recipe}/{run.replicate}/{run.arm}/{name}"
            if place not in left_out(job):
                assert sha256_of(job / place) == digest, place


def test_a_kept_job_is_judged(job):
    plan, runs = read(job)
    judgement = judge(plan, runs)
    assert judgement.verdict.outcome in ("PASS", "CONCERNS", "FAIL", "CANNOT TELL")
    assert list(judgement.arms) == [arm.name for arm in plan.arms[1:]]
    if any(run.outcome == "ok" for run in runs):
        ratios = [one.ratio for one in judgement.comparisons if one.ratio is not None]
        assert ratios
        assert all(0 < ratio < math.inf for ratio in ratios)


def test_the_figures_of_a_summary_come_out_of_its_runs_again(corpus):
    assert not_reproduced(corpus) == []


def test_a_figure_that_somebody_typed_does_not_come_out(made, tmp_path):
    copy = shutil.copytree(made, tmp_path / "copy")
    stored = json.loads((copy / SUMMARY).read_text())
    stored["parts"]["sft/abba/kept"]["metrics"]["tokens_per_s"]["ratio"] += 0.01
    write_json(copy / SUMMARY, stored)
    assert not_reproduced(copy) == [".sft/abba/kept.metrics.tokens_per_s.ratio"]


def test_where_nothing_could_be_measured_the_summary_says_so_of_every_part(tmp_path):
    nothing = {**summary({}), "jobs": [], "not_run": {part.key: "no time was left" for part in PARTS}}
    write_summary(nothing, tmp_path, Budget(1.0))
    text = table(summary_of(tmp_path))
    assert text.count("no time was left") == len(PARTS)
    assert text.count("| 0 | not run | not run | not run | - |") == len(PARTS)
    assert set(json.loads((tmp_path / SUMMARY).read_text())["versions"]) == {"python"}


def not_reproduced(corpus: Path) -> list[str]:
    """Where a number of the parts, or of the agreement, is not what the raw runs give."""
    stored, computed = json.loads((corpus / SUMMARY).read_text()), summary_of(corpus)
    said, given = ({**numbers(one["parts"]), **numbers(one["agreement"])} for one in (stored, computed))
    return [name for name in {**said, **given} if said.get(name) != pytest.approx(given.get(name), rel=1e-9)]


def numbers(data, place="") -> dict[str, float]:
    """Every number in plain data by its place."""
    if isinstance(data, dict):
        return {k: v for name in data for k, v in numbers(data[name], f"{place}.{name}").items()}
    if isinstance(data, list):
        return {k: v for n, one in enumerate(data) for k, v in numbers(one, f"{place}[{n}]").items()}
    return {place: data} if isinstance(data, int | float) else {}
