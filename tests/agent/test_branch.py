"""What of a job goes to the results branch: its files, their digests, what is left out, where it is found."""

import gzip
import io
import json
import random
import tarfile

import pytest

from agent import branch, branch_files
from agent.branch import ARCHIVE, MANIFEST, Bundle, bundle_of, folder_of, links_of, payload_of, sha256
from agent.branch_files import read_bundle, write_local
from agent.report_files import keep_page
from agent.result import result_of
from agent.tracker import TrackerError
from agent.verify import differences
from tests.agent.made_job import store_result, write_job

PLAN = "0123456789abcdef" * 4
NOISE = random.Random(0).randbytes(5000)


def kept(content):
    return content


def unpacked(bundle):
    with tarfile.open(fileobj=io.BytesIO(bundle.files[ARCHIVE]), mode="r:gz") as archive:
        return {one.name: archive.extractfile(one).read() for one in archive.getmembers()}


def manifest(bundle):
    return json.loads(bundle.files[MANIFEST])


@pytest.fixture
def job(tmp_path):
    folder = store_result(write_job(tmp_path / "job"))
    keep_page(result_of(folder))
    return folder


def test_a_folder_is_named_by_issue_plan_and_attempt():
    assert folder_of(36, PLAN, 2) == "issue-36/0123456789ab-a2"


def test_a_job_gives_its_report_charts_result_plan_archive_and_manifest(job):
    bundle = read_bundle(result_of(job), "issue-1/a", kept)
    named = set(bundle.files)
    assert named >= {"report.html", "report.md", "result.json", "plan.json", ARCHIVE, MANIFEST}
    charts = {name for name in named if name.startswith("charts/")}
    assert {"charts/sft-effects.svg", "charts/sft-effects.png", "charts/sft-losses.svg"} <= charts
    assert named - charts == {"report.html", "report.md", "result.json", "plan.json", ARCHIVE, MANIFEST}
    assert bundle.left_out == {}


def test_what_is_unpacked_can_be_verified(job, tmp_path):
    bundle = read_bundle(result_of(job), "issue-1/a", kept)
    for path, content in unpacked(bundle).items():
        (tmp_path / "again" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "again" / path).write_bytes(content)
    assert differences(tmp_path / "again") == []
    one = next((tmp_path / "again" / "runs").rglob("events.jsonl"))
    one.write_bytes(one.read_bytes().replace(b"2.0", b"2.1", 1))
    assert differences(tmp_path / "again") != []


def test_the_manifest_has_the_digest_of_every_other_file_and_of_what_is_in_the_archive(job):
    bundle = read_bundle(result_of(job), "issue-1/a", kept)
    told = manifest(bundle)
    digests = {name: sha256(content) for name, content in bundle.files.items() if name != MANIFEST}
    assert {name: one["sha256"] for name, one in told["files"].items()} == digests
    inside = unpacked(bundle)
    assert {name: one["sha256"] for name, one in told["archive"].items()} == {
        name: sha256(content) for name, content in inside.items()
    }
    assert told["archive"]["plan.json"]["size_b"] == len(inside["plan.json"])


def test_the_same_job_gives_the_same_bytes(job):
    one, other = (read_bundle(result_of(job), "issue-1/a", kept) for _ in range(2))
    assert one == other
    assert gzip.decompress(one.files[ARCHIVE])[:10].startswith(b"exit.json")


def test_secrets_are_taken_out_of_everything_but_pictures_and_the_manifest_says_where():
    held = {"runs/sft/1/baseline/log": b"token hush\n", "plan.json": b"{}", "report.html": b"<p>hush</p>"}
    charts = {"sft-effects.png": b"\x89PNG hush", "sft-effects.svg": b"<svg>hush</svg>"}
    bundle = bundle_of("issue-1/a", held, charts, lambda content: content.replace(b"hush", b"***"))
    assert unpacked(bundle) == {"plan.json": b"{}", "runs/sft/1/baseline/log": b"token ***\n"}
    assert bundle.files["report.html"] == b"<p>***</p>"
    assert bundle.files["charts/sft-effects.svg"] == b"<svg>***</svg>"
    assert bundle.files["charts/sft-effects.png"] == b"\x89PNG hush"
    told = manifest(bundle)
    assert told["archive"]["runs/sft/1/baseline/log"]["was_sha256"] == sha256(b"token hush\n")
    assert "was_sha256" not in told["archive"]["plan.json"]
    assert told["files"]["report.html"]["was_sha256"] == sha256(b"<p>hush</p>")


@pytest.mark.parametrize(
    "path",
    [
        "job.json",
        "runs/error.json",
        "runs/environments.json",
        "runs/sft/engine.json",
        "runs/sft/1/baseline/events.jsonl",
        "runs/sft/12/optimized+packing/gpu-apps.csv",
        "runs/sft/0/before/exit.json",
    ],
)
def test_what_a_result_is_computed_from_goes_along(path):
    assert branch.is_wanted(path)


@pytest.mark.parametrize(
    "path",
    [
        "worker.pyz",
        "inputs/eval.jsonl",
        "started/supervisor/1",
        "log",
        "hook/sitecustomize.py",
        "worker.json",
        "runs/sft/1/baseline/out/model.safetensors",
        "runs/sft/1/baseline/.env",
        "runs/../secret.json",
        "/etc/plan.json",
    ],
)
def test_nothing_else_does(path):
    assert not branch.is_wanted(path)


def test_a_link_in_a_job_folder_leads_nowhere(job, tmp_path):
    (tmp_path / "secret").write_text("secret")
    log = next((job / "runs").rglob("log"), job / "runs" / "sft" / "1" / "baseline" / "log")
    log.unlink(missing_ok=True)
    log.symlink_to(tmp_path / "secret")
    (tmp_path / "elsewhere" / "1" / "baseline").mkdir(parents=True)
    (tmp_path / "elsewhere" / "1" / "baseline" / "log").write_text("secret")
    (job / "runs" / "other").symlink_to(tmp_path / "elsewhere")
    bundle = read_bundle(result_of(job), "issue-1/a", kept)
    assert b"secret" not in b"".join(unpacked(bundle).values())


# What is too large.


def test_an_archive_that_is_too_large_is_made_without_logs_and_says_so(monkeypatch):
    monkeypatch.setattr(branch, "FILE_LIMIT_B", 3000)
    held = {
        "plan.json": b"{}",
        "runs/sft/1/baseline/log": bytes(range(256)) * 8,
        "runs/sft/1/baseline/gpu.csv": b"1",
    }
    import random

    held["runs/sft/1/baseline/log"] = random.Random(0).randbytes(5000)
    bundle = bundle_of("issue-1/a", held, {}, kept)
    assert set(unpacked(bundle)) == {"plan.json"}
    told = {path: "the archive would be too large" for path in held if path != "plan.json"}
    assert bundle.left_out == manifest(bundle)["left_out"] == told


def test_an_archive_that_is_too_large_anyhow_is_left_out_and_the_report_stays(monkeypatch):
    monkeypatch.setattr(branch, "FILE_LIMIT_B", 3000)
    held = {"report.md": b"# fine", "runs/sft/1/baseline/events.jsonl": NOISE}
    bundle = bundle_of("issue-1/a", held, {}, kept)
    assert set(bundle.files) == {"report.md", MANIFEST}
    assert list(bundle.left_out) == [ARCHIVE]
    assert "at most 3000 are written" in bundle.left_out[ARCHIVE]


def test_one_chart_that_is_too_large_takes_no_other_along(monkeypatch):
    monkeypatch.setattr(branch, "FILE_LIMIT_B", 500)
    bundle = bundle_of("issue-1/a", {}, {"a.png": bytes(501), "b.png": bytes(500)}, kept)
    assert set(bundle.left_out) == {"charts/a.png"}
    assert "charts/b.png" in bundle.files


def test_a_folder_is_full_at_its_total_and_at_its_number_of_files(monkeypatch):
    monkeypatch.setattr(branch, "TOTAL_LIMIT_B", 1000)
    bundle = bundle_of("issue-1/a", {}, {"a.png": bytes(600), "b.png": bytes(600), "c.png": bytes(100)}, kept)
    assert set(bundle.left_out) == {"charts/b.png"}
    monkeypatch.undo()
    many = bundle_of("issue-1/a", {}, {f"{n}.png": b"" for n in range(200)}, kept)
    assert len(many.files) == branch.FILES_LIMIT
    branch.check_files(many.folder, many.files)


def test_a_file_that_is_too_large_to_be_packed_is_named(job, monkeypatch):
    monkeypatch.setattr(branch_files, "READ_LIMIT_B", 10)
    bundle = read_bundle(result_of(job), "issue-1/a", kept)
    assert "too large to be packed" in bundle.left_out["plan.json"]


# Where it goes.


@pytest.mark.parametrize(
    ("name", "default", "text"),
    [
        ("other", "main", "is not the results branch"),
        ("main", "main", "is not the results branch"),
        ("Paceline-Results", "main", "is not the results branch"),
        ("paceline-results", "paceline-results", "is the default branch"),
        ("paceline-results", "Paceline-Results", "is the default branch"),
    ],
)
def test_no_branch_but_the_configured_one_is_written(name, default, text):
    with pytest.raises(TrackerError, match=text):
        branch.check(name, branch.BRANCH, default)


def test_a_branch_that_git_would_not_have_is_refused():
    with pytest.raises(TrackerError, match="cannot be a branch"):
        branch.check("a..b", "a..b", "main")
    branch.check(branch.BRANCH, branch.BRANCH, "main")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "a/../b",
        ".git/config",
        "a/.GIT/x",
        "a b",
        "a\nb",
        "ü",
        "a\\b",
        "x" * 101,
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path):
    with pytest.raises(TrackerError, match="cannot be a path"):
        branch.check_files(path, {"a": b""})
    with pytest.raises(TrackerError, match="cannot be a path"):
        branch.check_files("a", {path: b""})


def test_nothing_and_too_much_are_refused(monkeypatch):
    with pytest.raises(TrackerError, match="0 files"):
        branch.check_files("a", {})
    with pytest.raises(TrackerError, match="101 files"):
        branch.check_files("a", {f"{n}": b"" for n in range(101)})
    monkeypatch.setattr(branch, "FILE_LIMIT_B", 2)
    with pytest.raises(TrackerError, match="b: 3 bytes, at most 2 are written"):
        branch.check_files("a", {"b": b"abc"})
    monkeypatch.setattr(branch, "TOTAL_LIMIT_B", 3)
    with pytest.raises(TrackerError, match="a: 4 bytes, at most 3 are written"):
        branch.check_files("a", {"b": b"ab", "c": b"ab"})


def test_links_stay_true_because_they_name_the_commit():
    bundle = Bundle("issue-1/a", {"report.html": b"", "charts/sft+x.svg": b""})
    assert [(one.name, one.address) for one in links_of("https://h/acme/target", "c" * 40, bundle)] == [
        ("", f"https://h/acme/target/tree/{'c' * 40}/issue-1/a"),
        ("report.html", f"https://h/acme/target/blob/{'c' * 40}/issue-1/a/report.html"),
        ("charts/sft+x.svg", f"https://h/acme/target/blob/{'c' * 40}/issue-1/a/charts/sft%2Bx.svg"),
    ]


def test_the_markers_payload_names_the_commit_and_the_manifests_digest():
    bundle = bundle_of("issue-1/a", {"report.html": b"<p>"}, {f"{n}.png": b"" for n in range(90)}, kept)
    told = payload_of(bundle, "paceline-results", "c" * 40)
    assert told == {
        "branch": "paceline-results",
        "commit": "c" * 40,
        "folder": "issue-1/a",
        "sha256": {name: sha256(bundle.files[name]) for name in (MANIFEST, ARCHIVE, "report.html")},
        "left_out": 0,
    }
    assert len(json.dumps(told)) < 600


# A local folder instead.


def files_below(path):
    return {one.relative_to(path).as_posix(): one.read_bytes() for one in path.rglob("*") if one.is_file()}


def test_a_local_folder_holds_these_files_and_no_others(tmp_path):
    files = {"report.md": b"one", "charts/a.svg": b"<svg/>"}
    made = write_local(tmp_path / "results", "issue-1/a", files)
    assert (made, files_below(made)) == (tmp_path / "results" / "issue-1" / "a", files)
    write_local(tmp_path / "results", "issue-1/a", {"report.md": b"two"})
    write_local(tmp_path / "results", "issue-1/b", {"report.md": b"three"})
    assert files_below(tmp_path) == {
        "results/issue-1/a/report.md": b"two",
        "results/issue-1/b/report.md": b"three",
    }


def test_what_is_there_already_is_not_written_again(tmp_path):
    made = write_local(tmp_path, "issue-1/a", {"report.md": b"one"})
    before = made.stat().st_ino, (made / "report.md").stat().st_mtime_ns
    write_local(tmp_path, "issue-1/a", {"report.md": b"one"})
    assert (made.stat().st_ino, (made / "report.md").stat().st_mtime_ns) == before


def test_a_local_folder_cannot_be_led_elsewhere(tmp_path):
    with pytest.raises(TrackerError, match="cannot be a path"):
        write_local(tmp_path, "../x", {"a": b""})
    with pytest.raises(TrackerError, match="cannot be a path"):
        write_local(tmp_path, "x", {"../a": b""})
