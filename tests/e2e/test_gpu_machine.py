"""A machine whose `nvidia-smi` answers as an H200's did (2026-11-20), while training is on the CPU.

What a GPU really does is in benchmarks/results/; here is the way through slot, settings, sampler and result.
"""

import json

import pytest

from tests.e2e.conftest import make_repository, subject

UUID = "GPU-ff45a234-8b41-a771-b8af-84d36dccd111"
HEADER = (
    "timestamp, uuid, driver_version, pstate, utilization.gpu [%], memory.used [MiB], power.draw [W],"
    " power.limit [W], clocks.current.sm [MHz], clocks.current.memory [MHz], temperature.gpu,"
    " ecc.errors.uncorrected.volatile.total, clocks_event_reasons.active"
)
LINE = (
    f"2026/11/20 17:25:33.075, {UUID}, 580.159.04, P0, 12, 621, 98.59, 700.00, 1980, 3201, 38, 0,"
    " 0x0000000000000000"
)
NVIDIA_SMI = f"""#!/bin/sh
case "$*" in
*query-compute-apps*)
  if rm "$(dirname "$0")/others" 2>/dev/null; then echo "1234, 512, somebody/python"; fi
  exit 0 ;;
*--query-gpu=uuid,name*) echo "{UUID}, NVIDIA H200, 143771, 0, 0"; exit 0 ;;
esac
echo "{HEADER}"
while :; do
  echo "{LINE}"
  case "$*" in *-lms*) sleep 0.01 ;; *) exit 0 ;; esac
done
"""
CONFIG = """
[recipe.plain]
run = ["{python}", "plain_trainer.py", "--out", "{out}"]
"""


@pytest.fixture
def gpu(paceline, tmp_path, monkeypatch):
    """The repository to measure."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "nvidia-smi").write_text(NVIDIA_SMI)
    (programs / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path / "mps"))
    files = {"plain_trainer.py": subject("plain_trainer.py"), "paceline.toml": CONFIG}
    return make_repository(tmp_path / "repo", files)


@pytest.mark.train
def test_what_the_driver_says_stands_in_the_result(gpu, paceline):
    benched = paceline.bench(gpu, "plain")
    assert benched.status == 0, benched.err
    assert benched.document["host"]["device"] == "NVIDIA H200"
    run = benched.run("plain")
    assert (run["outcome"], run["engine"]) == ("ok", "lockstep")
    seen = run["gpu"]
    assert (seen["uuid"], seen["driver"], seen["sm_mhz"]) == (UUID, "580.159.04", 1980)
    assert seen["utilisation_mean_pct"] == 12
    settings = json.loads((benched.folder / "worker.json").read_text())
    assert (settings["gpu"], settings["window_s"]) == (UUID, 2.0)
    assert paceline("verify", benched.folder).out == "identical\n"


@pytest.mark.train
def test_behind_the_multi_process_service_arms_are_never_beside_each_other(gpu, paceline, tmp_path):
    (tmp_path / "mps").mkdir()
    (tmp_path / "mps" / "control").touch()
    benched = paceline.bench(gpu, "plain")
    assert [run["engine"] for run in benched.document["runs"]] == ["abba", "abba"]
    assert "plain: not in lockstep: the Multi-Process Service runs" in paceline("report", benched.folder).out
    assert paceline("verify", benched.folder).out == "identical\n"


@pytest.mark.train
@pytest.mark.parametrize(
    ("engine", "tries"),
    [
        ("lockstep", [("baseline", 1), ("baseline", 0), ("optimized", 1), ("optimized", 0)]),
        ("abba", [("baseline", 1), ("baseline", 0), ("optimized", 0)]),
    ],
)
def test_what_others_on_the_gpu_spoiled_is_made_again(gpu, paceline, tmp_path, engine, tries):
    """Somebody is on the GPU when it is looked for the first time, and gone when it is looked again."""
    (tmp_path / "programs" / "others").touch()
    benched = paceline.bench(gpu, "plain", "--engine", engine)
    runs = benched.document["runs"]
    assert [(run["arm"], run["set_aside"]) for run in runs] == tries
    assert {run["outcome"] for run in runs if run["set_aside"]} == {"tainted"}
    assert {run["outcome"] for run in runs if not run["set_aside"]} == {"ok"}
    assert "others on the GPU: 1234 somebody/python" in runs[0]["reason"]
    assert "made again" in paceline("report", benched.folder).out
    assert paceline("verify", benched.folder).out == "identical\n"
