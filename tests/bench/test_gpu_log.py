"""The GPU's sampler against programs that answer as `nvidia-smi` does: new, old and dead ones."""

import os
import time
from pathlib import Path

import pytest

from bench.gpu_trace import read_gpu_trace
from bench.worker.gpu_log import COLUMNS, GpuLog, known_columns

# Knows the columns in $KNOWN (all where it is empty); one process computes on it where $APP is set.
PROGRAM = r"""#!/bin/bash
for argument in "$@"; do
  case "$argument" in
    --query-gpu=*) columns="${argument#*=}" ;;
    --query-compute-apps=*) [ -n "$APP" ] && echo "$APP"; exit 0 ;;
    -lms) loop=yes ;;
  esac
done
IFS=, read -ra names <<< "$columns"
for name in "${names[@]}"; do
  case ",$KNOWN," in
    ,,|*",$name,"*) ;;
    *) echo "Field \"$name\" is not a valid field to query."; exit 2 ;;
  esac
done
echo "${columns//,/, }" | sed 's/utilization.gpu/& [%]/; s/memory.used/& [MiB]/'
while :; do
  line=""
  for name in "${names[@]}"; do
    value=0
    case "$name" in utilization.gpu) value=40 ;; memory.used) value=100 ;; uuid) value=GPU-7 ;; esac
    line="$line, $value"
  done
  echo "${line:2}"
  [ -n "$loop" ] || exit 0
  sleep 0.05
done
"""
OLD = ",".join(name for name in COLUMNS if not name.startswith(("clocks_event", "ecc")))


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Puts the program on PATH; called with what it is to do."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def install(known="", app="", program=PROGRAM):
        (folder / "nvidia-smi").write_text(program)
        (folder / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("KNOWN", known)
        monkeypatch.setenv("APP", app)

    return install


def folders(tmp_path, *names) -> list[Path]:
    made = [tmp_path / name for name in names]
    for folder in made:
        folder.mkdir()
    return made


def test_a_driver_that_knows_everything_is_asked_for_everything(driver):
    driver()
    assert known_columns("GPU-7") == COLUMNS


def test_an_older_driver_is_asked_by_the_older_name_and_not_for_what_it_does_not_know(driver):
    driver(known=f"{OLD},clocks_throttle_reasons.active")
    columns = known_columns("GPU-7")
    assert columns[-1] == "clocks_throttle_reasons.active"
    assert "ecc.errors.uncorrected.volatile.total" not in columns
    driver(known=OLD)
    assert known_columns("GPU-7") == tuple(OLD.split(","))


@pytest.mark.parametrize(
    "program", ["#!/bin/sh\nexit 9\n", "#!/bin/sh\necho 'No devices were found'; exit 6\n"]
)
def test_a_driver_that_does_not_answer_leaves_no_trace(tmp_path, driver, program):
    driver(program=program)
    log, [folder] = GpuLog("GPU-7"), folders(tmp_path, "run")
    log.begin(folder)
    log.end(folder)
    assert list(folder.iterdir()) == []


def test_without_the_program_there_is_no_trace(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    log, [folder] = GpuLog("GPU-7"), folders(tmp_path, "run")
    log.begin(folder)
    log.end(folder)
    assert list(folder.iterdir()) == []


def test_a_trace_begins_before_the_run_and_carries_the_workers_clock(tmp_path, driver):
    driver()
    log, [folder] = GpuLog("GPU-7"), folders(tmp_path, "run")
    began = time.monotonic()
    log.begin(folder)
    header, first, *_ = (folder / "gpu.csv").read_text().splitlines()
    assert header.startswith("monotonic [s], timestamp, uuid, ")
    assert began <= float(first.partition(",")[0]) <= time.monotonic()
    log.end(folder)
    trace = read_gpu_trace((folder / "gpu.csv").read_bytes())
    assert (trace.uuid, trace.utilisation_mean_pct, trace.peak_memory_b) == ("GPU-7", 40.0, 100 << 20)


def test_runs_of_a_round_share_one_sampler_and_each_has_its_own_trace(tmp_path, driver):
    driver()
    log, (one, other) = GpuLog("GPU-7"), folders(tmp_path, "one", "other")
    log.begin(one)
    log.begin(other)
    log.end(one)
    size_b = (one / "gpu.csv").stat().st_size
    time.sleep(0.3)
    log.end(other)
    assert (one / "gpu.csv").stat().st_size == size_b
    assert (other / "gpu.csv").read_text().startswith("monotonic [s], ")
    log.begin(one)  # a later round begins anew
    log.end(one)
    assert (one / "gpu.csv").read_text().count("monotonic") == 1


def test_processes_of_others_are_looked_for_before_and_after_a_round(tmp_path, driver):
    driver(app="4242, 900, /usr/bin/other")
    log, (one, other) = GpuLog("GPU-7"), folders(tmp_path, "one", "other")
    log.begin(one)
    log.begin(other)
    log.end(one)
    log.end(other)
    begin = [
        "when, pid, used_gpu_memory [MiB], process_name",
        "begin, -, -, -",
        "begin, 4242, 900, /usr/bin/other",
    ]
    assert (one / "gpu-apps.csv").read_text().splitlines() == begin
    assert (other / "gpu-apps.csv").read_text().splitlines() == [
        *begin,
        "end, -, -, -",
        "end, 4242, 900, /usr/bin/other",
    ]
