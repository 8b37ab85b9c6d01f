"""Subjects that go wrong: each is an outcome with its reason, nothing hangs, no process is left."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import commit, contents, git, make_repository, subject


def config(*kinds, limit_s=60, extra=""):
    recipes = [
        f"[recipe.{kind}]\nlimit_s = {limit_s}\n"
        f"run = ['{{python}}', 'misbehave.py', '{kind}', '{{out}}']\n{extra}"
        for kind in kinds
    ]
    return "\n".join(recipes)


def repository(tmp_path, *kinds, **options):
    files = {"misbehave.py": subject("misbehave.py"), "paceline.toml": config(*kinds, **options)}
    return make_repository(tmp_path / "repo", files)


def outcome(benched, recipe):
    run = benched.run(recipe)
    return run["outcome"], run["reason"]


def test_each_way_to_end_badly_has_its_outcome(tmp_path, paceline):
    kinds = ["crash", "killed", "out_of_memory", "never_trains", "gigabyte", "forks_away", "tampers"]
    benched = paceline.bench(repository(tmp_path, *kinds), *kinds)
    assert benched.status == 0, benched.err
    assert outcome(benched, "crash") == (
        "crashed",
        """KeyError: "no such column: 'text'" (exit status 1)""",
    )
    assert outcome(benched, "killed") == ("crashed", "killed by signal 9")
    assert outcome(benched, "out_of_memory")[0] == "out of memory"
    assert outcome(benched, "never_trains")[0] == "no trainer"
    assert outcome(benched, "gigabyte")[0] == "no trainer"
    assert outcome(benched, "forks_away")[0] == "no trainer"
    assert "1 processes outlived the main one and were ended" in benched.run("forks_away")["warnings"]
    assert outcome(benched, "tampers")[0] == "tainted"
    assert "was not written by the hook" in outcome(benched, "tampers")[1]
    log = benched.folder / "runs" / "gigabyte" / "1" / "baseline" / "log"
    assert log.stat().st_size < 32 << 20
    assert paceline("verify", benched.folder).out == "identical\n"


def test_a_hang_ends_at_its_limit_even_where_term_is_ignored(tmp_path, paceline):
    kinds = ["hangs", "stubborn"]
    benched = paceline.bench(repository(tmp_path, *kinds, limit_s=1), *kinds)
    assert outcome(benched, "hangs") == ("timed out", "ended at its limit before the first step")
    assert outcome(benched, "stubborn") == ("timed out", "ended at its limit before the first step")


def test_command_that_does_not_exist_is_an_outcome(tmp_path, paceline):
    text = "[recipe.sft]\nrun = ['pyhton', 'train.py']\n"
    benched = paceline.bench(make_repository(tmp_path / "repo", {"paceline.toml": text}), "sft")
    assert outcome(benched, "sft")[0] == "crashed"
    assert "did not start: pyhton: No such file or directory" in outcome(benched, "sft")[1]


def test_an_isolated_interpreter_does_not_load_the_hook(tmp_path, paceline):
    text = "[recipe.sft]\nrun = ['{python}', '-I', '-c', 'pass']\n"
    benched = paceline.bench(make_repository(tmp_path / "repo", {"paceline.toml": text}), "sft")
    assert outcome(benched, "sft")[0] == "hook not loaded"


def test_no_run_sees_what_another_one_left_in_its_tree(tmp_path, paceline):
    benched = paceline.bench(
        repository(tmp_path, "writes_into_its_tree"), "writes_into_its_tree", replicates=2
    )
    assert [run["outcome"] for run in benched.document["runs"]] == ["no trainer"] * 4


def test_a_subject_that_wrecks_its_run_harms_neither_the_next_nor_the_user(tmp_path, paceline):
    repo = repository(tmp_path, "wrecks")
    paceline.workplace = repo  # the usual place: .paceline lies in the user's own tree
    (repo / "misbehave.py").write_text("# half-done work\n")
    before = contents(repo)
    benched = paceline.bench(repo, "wrecks", replicates=2)
    assert [run["outcome"] for run in benched.document["runs"]] == ["no trainer"] * 4
    assert {name: data for name, data in contents(repo).items() if not name.startswith(".paceline")} == before


def test_the_users_tree_stays_byte_identical_dirty_as_it_is(tmp_path, paceline):
    repo = repository(tmp_path, "never_trains")
    (repo / "misbehave.py").write_text("# half-done work\n")
    (repo / "untracked").write_text("mine\n")
    before, status = contents(repo), git(repo, "status", "--porcelain")
    benched = paceline.bench(repo, "never_trains")
    assert outcome(benched, "never_trains")[0] == "no trainer"  # the commit's file ran, not the dirty one
    assert contents(repo) == before
    assert git(repo, "status", "--porcelain") == status


def test_hostile_folder_names_and_values_reach_the_subject_as_they_are(tmp_path, paceline):
    hostile = 'it\'s "a"\n$(touch owned); echo'
    files = {
        "misbehave.py": subject("misbehave.py"),
        "paceline.toml": config("echoes", extra="[recipe.echoes.params]\n").replace(
            "'{out}'", "'{out}', '{text}'"
        )
        + "text = 'plain'\n",
    }
    repo = make_repository(tmp_path / hostile / "repo", files)
    paceline.workplace = tmp_path / hostile
    benched = paceline.bench(repo, "echoes", "--arm", "other=main,text=a b/c:d")
    assert outcome(benched, "echoes")[0] == "no trainer"
    log = (benched.folder / "runs" / "echoes" / "1" / "other" / "log").read_text()
    assert "'a b/c:d'" in log
    assert not list(tmp_path.rglob("owned"))


def test_a_full_disk_fails_the_run_and_not_the_job(tmp_path, paceline):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small tmpfs: {mounted.stderr.decode().strip()}")
    try:
        paceline.workplace = disk
        benched = paceline.bench(
            repository(tmp_path, "fills_the_disk", "never_trains"), "fills_the_disk", "never_trains"
        )
        assert outcome(benched, "fills_the_disk")[0] == "crashed"
        assert "No space left on device" in outcome(benched, "fills_the_disk")[1]
        assert outcome(benched, "never_trains")[0] == "no trainer"
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def started(paceline, repo, *recipes):
    both = ("--baseline", "main", "--optimized", "main")
    return paceline.start("bench", *recipes, "--repo", repo, *both, "--replicates", 1, "--json")


def test_ctrl_c_ends_everything_and_keeps_what_was_measured(tmp_path, paceline):
    process = started(paceline, repository(tmp_path, "never_trains", "stubborn"), "never_trains", "stubborn")
    wait_for(lambda: stage(paceline) == "stubborn")
    process.send_signal(signal.SIGINT)
    benched = paceline.ended(process)
    assert benched.status == 130
    assert "ending the job; what was measured stays" in benched.err
    assert outcome(benched, "never_trains")[0] == "no trainer"
    assert outcome(benched, "stubborn")[0] == "cancelled"
    assert benched.document["ended"] == "cancelled"
    assert paceline("verify", benched.folder).out == "identical\n"


def test_a_second_ctrl_c_does_not_disturb_the_ending(tmp_path, paceline):
    process = started(paceline, repository(tmp_path, "stubborn"), "stubborn")
    wait_for(lambda: stage(paceline) == "stubborn")
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    benched = paceline.ended(process)
    assert (benched.status, benched.document["ended"]) == (130, "cancelled")


def test_a_job_folder_that_somebody_deletes_ends_the_waiting(tmp_path, paceline):
    process = started(paceline, repository(tmp_path, "hangs", limit_s=5), "hangs")
    wait_for(lambda: stage(paceline) == "hangs")
    [folder] = (paceline.workplace / ".paceline" / "jobs").iterdir()
    shutil.rmtree(folder, ignore_errors=True)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 3
    assert "is gone: somebody deleted it" in err
    wait_for(lambda: not paceline.processes(), limit_s=120)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ("", "eval.jsonl holds no row"),
        ('{"text": "a"}\n{"text"\n', "eval.jsonl, line 2 is not JSON"),
        ('{"text": "a"}\n\n[1]\n', "eval.jsonl, line 3 is no JSON object"),
        ('{"txt": "a"}\n', "eval.jsonl, line 1 has txt; a row has messages; text;"),
    ],
)
def test_held_out_rows_are_checked_before_anything_is_measured(tmp_path, paceline, rows, line):
    text = "[recipe.sft]\nrun = ['{python}', '-c', 'pass']\neval = 'eval.jsonl'\n"
    repo = make_repository(tmp_path / "repo", {"paceline.toml": text, "eval.jsonl": rows})
    benched = paceline.bench(repo, "sft")
    assert (benched.status, len(benched.err.splitlines())) == (2, 1)
    assert line in benched.err


def test_a_second_bench_is_refused_in_one_line_while_the_first_goes_on(tmp_path, paceline):
    repo = repository(tmp_path, "hangs", limit_s=6)
    first = started(paceline, repo, "hangs")
    wait_for(lambda: stage(paceline) == "hangs")
    second = paceline.bench(repo, "hangs")
    assert second.status == 3
    assert len(second.err.splitlines()) == 1
    assert "slot cpu of this machine is held by" in second.err
    assert paceline.ended(first).run("hangs")["outcome"] == "timed out"
    assert len(list((paceline.workplace / ".paceline" / "jobs").iterdir())) == 1


def test_a_killed_command_line_leaves_a_job_that_ends_by_itself(tmp_path, paceline):
    process = started(paceline, repository(tmp_path, "hangs", limit_s=2), "hangs")
    wait_for(lambda: stage(paceline) == "hangs")
    process.kill()
    process.communicate()
    [folder] = (paceline.workplace / ".paceline" / "jobs").iterdir()
    wait_for((folder / "exit.json").exists)
    assert json.loads((folder / "exit.json").read_text())["outcome"] == "finished"
    assert "was never summed up" in paceline("verify", folder).err
    reported = paceline("report", folder, "--json")
    assert paceline("verify", folder).out == "identical\n"
    assert [run["outcome"] for run in reported.document["runs"]] == ["timed out", "timed out"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["sfd"], "unknown recipe 'sfd' (did you mean 'sft'?)"),
        (["sft", "--arm", "x=main,rowz=3"], "no recipe has a parameter 'rowz' (did you mean 'rows'?)"),
        (["sft", "--arm", "x=main,rows=many"], "rows='many': its default is 2, so it takes a whole number"),
        (["sft", "--arm", "x=main,rows=3,rows=4"], "'rows=4' is not one key=value"),
        (["sft", "--arm", "baseline=main"], "there is an arm 'baseline' already"),
        (["sft", "--arm", "a b=main"], "an arm's name is letters, digits"),
        (["sft", "--optimized", "mian"], "no commit 'mian' in"),
        (["sft", "--optimized", "--hard"], "is not a revision"),
        (["sft", "--optimized", "f" * 40], "no commit 'ffff"),
        (["sft", "--replicates", "0"], "--replicates 0: from 1 to 100"),
        (["sft", "--require", "sft:tokens_per_sec>=1.2"], "did you mean 'tokens_per_s'?"),
        (["sft", "--require", "sft:steps"], "cannot read criterion"),
        (["sft", "--require", "sft/none:end_to_end_s<=0.9"], "no arm 'none' to judge"),
    ],
)
def test_what_cannot_be_done_as_asked_is_one_line(tmp_path, paceline, arguments, line):
    text = "[recipe.sft]\nrun = ['{python}', 'x.py', '{rows}']\n[recipe.sft.params]\nrows = 2\n"
    repo = make_repository(tmp_path / "repo", {"paceline.toml": text})
    defaults = {"--baseline": "main", "--optimized": "main"}
    given = [part for name, value in defaults.items() if name not in arguments for part in (name, value)]
    benched = paceline("bench", *arguments, "--repo", repo, *given)
    assert benched.status == 2
    assert line in benched.err
    assert len(benched.err.splitlines()) == 1
    assert not (paceline.workplace / ".paceline").exists()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[recipe.sft]\nrum = ['x']\n", "unknown key 'recipe.sft.rum' (did you mean 'run'?)"),
        ("[recipe.sft]\nrun = []\n", "recipe.sft.run: "),
        (
            "[recipe.sft]\nrun = ['{rowz}']\n[recipe.sft.params]\nrows = 1\n",
            "run uses {rowz} (did you mean 'rows'?)",
        ),
        ("[recipe.sft]\nrun = ['x']\n[recipe.sft.params]\nseed = 1\n", "parameter 'seed' is reserved"),
        ("[recipe.sft]\nrun = ['x']\nprimary = 'speed'\n", "primary 'speed' is no metric"),
        ("[recipe.sft]\nrun = ['x']\nenv = 'conda'\n", "recipe.sft.env: "),
        ("[recipe.sft\n", "paceline.toml is not TOML"),
        ("[recipe.sft]\nrun = ['x']\neval = '../secrets'\n", "does not lie inside the repository"),
        ("[recipe.sft]\nrun = ['x']\neval = 'gone.jsonl'\n", "cannot read"),
    ],
)
def test_trouble_in_the_recipes_names_table_and_key(tmp_path, paceline, text, line):
    repo = make_repository(tmp_path / "repo", {"paceline.toml": text})
    benched = paceline.bench(repo, "sft")
    assert benched.status == 2
    assert line in benched.err
    assert len(benched.err.splitlines()) == 1


def test_a_folder_without_repository_or_recipes_says_so(tmp_path, paceline):
    benched = paceline.bench(tmp_path, "sft")
    assert (benched.status, "is not a git repository" in benched.err) == (2, True)
    benched = paceline.bench(tmp_path / "nowhere", "sft")
    assert (benched.status, "is not a folder" in benched.err) == (2, True)
    benched = paceline.bench(make_repository(tmp_path / "repo", {"README": "x"}), "sft")
    assert (benched.status, "no paceline.toml" in benched.err) == (2, True)


def test_a_commit_that_no_branch_reaches_is_measured_all_the_same(tmp_path, paceline):
    repo = repository(tmp_path, "never_trains")
    orphan = commit(repo, {"more": "x"})
    git(repo, "reset", "--quiet", "--hard", "HEAD~1")
    benched = paceline.bench(repo, "never_trains", "--optimized", orphan)
    assert benched.run("never_trains", "optimized")["outcome"] == "no trainer"


def stage(paceline) -> str:
    """The recipe that runs now, once its run has begun."""
    for path in (paceline.workplace / ".paceline").glob("jobs/*/progress.json"):
        progress = json.loads(path.read_text())
        if progress.get("stage") == "run" and list(path.parent.glob("runs/*/*/*/events/*.jsonl")):
            return progress["recipe"]
    return ""


def wait_for(is_so, limit_s=60):
    until = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)


def test_verify_of_something_else_says_what_it_is_not(tmp_path, paceline):
    told = paceline("verify", tmp_path)
    assert (told.status, "is not a job folder" in told.err) == (2, True)
    assert Path(tmp_path).exists()


def test_a_package_that_a_recipe_needs_and_nobody_has_is_one_line(tmp_path, paceline):
    text = "[recipe.sft]\nrun = ['{python}', '-c', 'pass']\n[recipe.sft.need]\n"
    text += "packages = ['json', 'flash_attn_9']\n"
    benched = paceline.bench(make_repository(tmp_path / "repo", {"paceline.toml": text}), "sft")
    assert benched.status == 3
    assert "paceline: needed but not importable: flash_attn_9; try " in benched.err
