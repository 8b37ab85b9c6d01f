"""One job: what of it is kept, and how it is ended where the seconds are over."""

import signal
import subprocess
import sys
import time

import pytest
from gpu_jobs import END_S, LONGEST_LOG_B, ROOT, Budget, ended, environment_of_runs, kept

from agent.verify import differences
from tests.agent.made_job import made_raw, store_result, write_job

OBEDIENT = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def jobs(tmp_path):
    return tmp_path / "work" / "jobs"


def started(program):
    """A process that has printed its first line."""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_what_is_kept_of_a_job_verifies_as_identical(jobs, tmp_path):
    logged = {("optimized", 1): made_raw("optimized", 1, log="step 1\n")}
    job = store_result(write_job(jobs / "subject-local-0123-a1", raws=logged))
    (job / "worker.pyz").write_bytes(b"zip")
    (job / "hook").mkdir()
    assert kept(jobs, tmp_path / "out" / "1-sft-abba") == []
    assert differences(tmp_path / "out" / "1-sft-abba") == []
    assert {path.name for path in (tmp_path / "out" / "1-sft-abba").iterdir()} == {
        *("plan.json", "job.json", "host.json", "exit.json", "result.json", "report.md", "runs")
    }
    assert list(jobs.iterdir()) == []


def test_a_log_over_64_kib_is_left_out_and_named_and_verify_says_so(jobs, tmp_path):
    long = {("optimized", 1): made_raw("optimized", 1, log="x" * (LONGEST_LOG_B + 1))}
    store_result(write_job(jobs / "subject-local-0123-a1", raws=long))
    target = tmp_path / "1-sft-abba"
    assert kept(jobs, target) == ["runs/sft/1/optimized/log"]
    assert differences(target) == ["runs/sft/1/optimized/log: missing"]


def test_a_log_of_64_kib_is_kept(jobs, tmp_path):
    long = {("optimized", 1): made_raw("optimized", 1, log="x" * LONGEST_LOG_B)}
    store_result(write_job(jobs / "subject-local-0123-a1", raws=long))
    assert kept(jobs, tmp_path / "1-sft-abba") == []


def test_nothing_is_kept_of_a_job_that_was_never_summed_up(jobs, tmp_path):
    write_job(jobs / "subject-local-0123-a1")
    assert kept(jobs, tmp_path / "1-sft-abba") == []
    assert not (tmp_path / "1-sft-abba").exists()


def test_a_job_that_ends_in_time_has_its_own_status():
    budget = Budget(END_S + 30)
    with started("import sys; print(); sys.exit(3)") as process:
        assert ended(process, budget) == 3
    assert not budget.is_cut


def test_a_job_that_outlasts_the_budget_is_interrupted_and_nothing_is_left():
    budget = Budget(END_S + 0.2)
    began = time.monotonic()
    with started(OBEDIENT) as process:
        assert ended(process, budget) == 130
    assert time.monotonic() - began < 20
    assert (budget.is_cut, budget.is_interrupted, budget.left_s) == (True, False, 0.0)


def test_who_interrupts_the_benchmark_ends_its_job_and_leaves_no_time_for_another():
    budget = Budget(END_S + 60)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with started(OBEDIENT) as process:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            assert ended(process, budget) == 130
    finally:
        signal.signal(signal.SIGALRM, before)
    assert (budget.is_interrupted, budget.left_s) == (True, 0.0)


def test_the_root_is_where_paceline_is():
    assert (ROOT / "agent" / "cli.py").is_file()


def test_runs_find_paceline_and_what_was_on_the_path_and_ask_no_network(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/tmp/site")
    environment = environment_of_runs()
    assert environment["PYTHONPATH"].split(":") == [str(ROOT), "/tmp/site"]
    assert environment["HF_HUB_OFFLINE"] == "1"
