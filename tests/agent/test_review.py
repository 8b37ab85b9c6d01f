"""The reviewer on real repositories, with real git, ruff and bandit.

`golden/reviewer-verdict.md` is written anew by `PACELINE_WRITE_GOLDENS=1 pytest tests/agent/test_review.py`;
read the difference as a maintainer would before committing it.
"""

import json
import os
import re
import time
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import TaskError
from agent.review.findings import Finding
from agent.review.review import Review, Tools, installed_tools, review
from agent.review.text import review_payload, review_text
from agent.task import AskedChange
from tests.agent.reviewed import CHANGES, PROTECTED, RUFF, TOKEN, Repository, issue_36
from tests.agent.test_report import MARKDOWN

GOLDEN = Path(__file__).parent / "golden" / "reviewer-verdict.md"
MARKUP = st.sampled_from("ab 1.|<>&`*_~[](){}!#+-=:;@\\\"'$\n\té…\u202e\x1b")
DANGER = 'import subprocess\n\nsubprocess.run("ls " + NAME, shell=True)\n'


@pytest.fixture(scope="module")
def issue(tmp_path_factory) -> tuple[Repository, str, str]:
    return issue_36(tmp_path_factory.mktemp("issue") / "repository of the issue")


@pytest.fixture(scope="module")
def reviewed(issue) -> Review:
    repository, baseline, optimized = issue
    return review(repository.root, baseline, optimized, CHANGES, PROTECTED)


@pytest.fixture
def repository(tmp_path) -> Repository:
    made = Repository(tmp_path / "repository")
    made.commit("as it was", {"ruff.toml": RUFF, "a.py": "A = 1\n"})
    made.git("tag", "baseline")
    return made


def of(repository: Repository, *, protected=(), changes=(), tools=None) -> Review:
    return review(repository.root, "baseline", "main", changes, protected, tools)


def found(one: Review, rule: str) -> list[tuple[str, str]]:
    return [(finding.where, finding.what) for finding in one.findings if finding.rule == rule]


def test_the_review_of_the_issue_is_the_golden(reviewed):
    lint = replace(reviewed.lint, version="0.0.1")
    swept = replace(reviewed.sweep, tools=("ruff 0.0.1 (rules S)", "bandit 0.0.1"))
    text = review_text(replace(reviewed, evidence=replace(reviewed.evidence, lint=lint, sweep=swept)))
    if os.environ.get("PACELINE_WRITE_GOLDENS"):
        GOLDEN.write_text(text + "\n", encoding="utf-8")
    assert text + "\n" == GOLDEN.read_text(encoding="utf-8")


def test_each_claimed_change_of_the_issue_is_told(reviewed):
    assert {row.change.name: row.status for row in reviewed.adherence} == {
        **dict.fromkeys("ABCDFG", "LANDED"),
        "E": "NOT FOUND",
    }


def test_one_commit_with_two_changes_and_a_fix_are_told(reviewed):
    [(_, several)] = found(reviewed, "several changes")
    assert several.startswith("carries B and C: ")
    [(_, mended)] = found(reviewed, "follow-up")
    assert mended == "mends change D: fix(train): disable Liger on LoRA paths (-2x regression)"


def test_a_protected_value_that_was_touched_is_told_and_an_untouched_one_is_not(reviewed):
    where = "configs/dpo/default.yaml:beta"
    assert found(reviewed, "protected") == [(where, "0.1 at the baseline, 5.0 at the optimized commit")]


def test_a_secret_that_was_taken_out_again_is_told_and_never_shown(reviewed):
    [(where, what)] = found(reviewed, "secret")
    assert where == "scripts/bench harness.py:7"
    assert what.startswith("Hugging Face token, hf_… (43 characters), added in ")
    told = review_text(reviewed) + json.dumps(review_payload(reviewed)) + repr(reviewed.secrets)
    assert TOKEN[:8] not in told
    assert reviewed.outcome == "FAIL"


def test_the_same_range_gives_the_same_review_from_a_bare_clone(issue, reviewed, tmp_path):
    repository, baseline, optimized = issue
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    again = review(tmp_path / "bare.git", baseline, optimized, CHANGES, PROTECTED)
    assert review_text(again) == review_text(reviewed)


def test_a_range_with_nothing_to_say_passes(repository):
    repository.commit("perf: faster (A)", {"a.py": "A = 2\n"})
    one = of(repository, changes=[AskedChange("A", "a.py:1", "it", "")], protected=["ruff.toml:select"])
    assert (one.outcome, one.findings, len(one.reasons)) == ("PASS", (), 1)
    assert one.reasons[0].text.endswith(
        "1 claimed change landed, 1 protected value untouched, no secret, no major finding, 0 minor ones"
    )


def test_nothing_that_was_claimed_fails(repository):
    repository.commit("docs", {"README.md": "x\n"})
    assert of(repository, changes=[AskedChange("A", "a.py:1", "it", "")]).reasons[0].rule == 2


def test_all_changes_in_one_commit_are_a_squash(repository):
    repository.commit("perf: changes A and B", {"a.py": "A = 2\n"})
    changes = [AskedChange(name, "a.py", "it", "") for name in "AB"]
    assert [what for _, what in found(of(repository, changes=changes), "squashed")] == [
        "carries A and B: perf: changes A and B"
    ]


def test_only_new_lint_is_a_finding_and_older_is_counted(repository):
    repository.commit("old", {"old.py": "import os\nX = 1\n"})
    repository.git("tag", "--force", "baseline")
    repository.commit("new", {"old.py": "import os\nX = 2\n", "new.py": "import sys\n"})
    one = of(repository)
    assert [lint.code for lint in one.lint.fresh] == ["F401"]
    assert found(one, "lint") == [("new.py:1", "F401 `sys` imported but unused")]
    assert one.lint.older == 2  # F401 and I001 of old.py


def test_lint_follows_a_file_that_was_renamed(repository):
    text = "import os\n\nX = [\n" + "".join(f"    {n},\n" for n in range(30)) + "]\n"
    repository.commit("old", {"old.py": text})
    repository.git("tag", "--force", "baseline")
    repository.git("mv", "old.py", "new.py")
    repository.commit("renamed", {})
    one = of(repository)
    assert (one.lint.fresh, one.lint.older) == ((), 1)


def test_each_end_is_linted_with_its_own_configuration(repository):
    repository.commit("rules go", {"ruff.toml": '[lint]\nselect = ["E"]\n', "a.py": "import os\n"})
    assert of(repository).lint.fresh == ()


def test_a_configuration_that_cannot_be_read_is_said_and_the_defaults_are_used(repository):
    repository.commit("broken", {"ruff.toml": "[lint\n", "a.py": "import os\n"})
    one = of(repository)
    assert [lint.code for lint in one.lint.fresh] == ["F401"]
    [note] = one.lint.notes
    assert note.startswith("optimized: with ruff's defaults instead of the repository's configuration")


@pytest.mark.parametrize("extended", ["/etc/ruff.toml", "../../x.toml", "~/x.toml", "$HOME/x.toml"])
def test_a_configuration_outside_the_repository_is_never_read(repository, extended):
    repository.commit(
        "out", {"pkg/pyproject.toml": f'[tool.ruff]\nextend = "{extended}"\n', "pkg/a.py": "A = 1\n"}
    )
    [note] = of(repository).lint.notes
    assert note.endswith(f"pkg/pyproject.toml extends {extended}, which is outside the repository")


def test_a_configuration_that_is_a_symbolic_link_is_not_followed(repository):
    repository.git("rm", "--quiet", "ruff.toml")
    (repository.root / "ruff.toml").symlink_to("/etc/ruff.toml")
    repository.commit("link", {"a.py": "A = 2\n"})
    [note] = of(repository).lint.notes
    assert note.endswith("ruff.toml is a symbolic link")


def test_a_configuration_inside_the_repository_is_extended(repository):
    files = {
        "pkg/ruff.toml": 'extend = "../base.toml"\n',
        "base.toml": '[lint]\nselect = ["E"]\n',
        "pkg/a.py": "import os\n",
    }
    repository.commit("in", files)
    one = of(repository)
    assert (one.lint.notes, one.lint.fresh) == ((), ())


def test_settings_of_the_machine_do_not_reach_ruff(repository, tmp_path, monkeypatch):
    (tmp_path / "ruff").mkdir()
    (tmp_path / "ruff" / "ruff.toml").write_text('[lint]\nselect = ["ALL"]\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "ruff"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "ruff"))
    repository.git("rm", "--quiet", "ruff.toml")
    repository.commit("no settings", {"a.py": "def f(x):\n    return x\n"})
    assert of(repository).lint.fresh == ()


def test_modules_of_the_repository_are_known_to_import_sorting(repository):
    repository.commit("package", {"own/__init__.py": "", "own/b.py": "B = 1\n"})
    repository.git("tag", "--force", "baseline")
    text = "import os\n\nimport own.b\n\nprint(os, own.b)\n"
    repository.commit("use it", {"a.py": text})
    assert of(repository).lint.fresh == ()


def test_python_that_does_not_parse_is_major(repository):
    repository.commit("broken", {"a.py": "def f(:\n"})
    one = of(repository)
    assert found(one, "syntax")[0][0] == "a.py:1"
    assert one.outcome == "CONCERNS"
    assert one.sweep.unread == ("a.py",)


def test_the_sweep_tells_added_lines_only(repository):
    repository.commit("old danger", {"b.py": f'NAME = "x"\n{DANGER}'})
    repository.git("tag", "--force", "baseline")
    repository.commit("new", {"b.py": f'NAME = "y"\n{DANGER}'})
    assert of(repository).sweep.found == ()


def test_what_both_tools_see_is_told_once_and_high_is_major(repository):
    repository.commit("danger", {"b.py": f'NAME = "x"\n{DANGER}'})
    one = of(repository)
    assert [where for where, _ in found(one, "security")] == ["b.py:4"]
    assert one.outcome == "CONCERNS"


def test_a_comment_clears_nothing(repository):
    text = "import pickle\n\nprint(pickle.loads(b''))  # noqa: S301  # nosec\n"
    repository.commit("silent", {"b.py": text})
    [(where, what)] = found(of(repository), "silenced")
    assert where == "b.py:3"
    assert what.startswith("S301/B301 ")
    assert what.endswith(", silenced by a comment")


def test_a_password_in_a_linters_message_is_not_passed_on(repository):
    repository.commit("password", {"b.py": 'password = "hunter2"\n'})
    one = of(repository)
    assert [where for where, _ in found(one, "possible danger")] == ["b.py:1"]
    assert "hunter2" not in review_text(one)


def test_tools_that_are_missing_are_said_and_nobody_passes(repository):
    repository.commit("x", {"a.py": "A = 2\n"})
    one = of(repository, tools=Tools(("no-such-ruff",), None))
    assert one.reasons[0].details == (
        "ruff's S rules: NOT RUN, ruff is not installed: pip install ruff",
        "bandit: NOT RUN, bandit is not installed: pip install bandit",
        "lint: NOT RUN, ruff is not installed: pip install ruff",
    )
    assert one.outcome == "CONCERNS"


def test_a_linter_that_talks_nonsense_is_said(repository, tmp_path):
    repository.commit("x", {"a.py": "A = 2\n"})
    (tmp_path / "liar").write_text("#!/bin/sh\necho nonsense\n")
    (tmp_path / "liar").chmod(0o755)
    liar = (str(tmp_path / "liar"),)
    assert "printed no JSON that is known here" in of(repository, tools=Tools(liar, liar)).lint.why


LISTS = ("bullet_list", "ordered_list", "list_item")
HOSTILE_NAMES = (
    "a b.py",
    "quo'te\".py",
    "new\nline.py",
    "-rf.py",
    "--config=x.py",
    "`tick`|pipe|.py",
    "<!-- epm:results v1 -->.py",
    "ünïcode → ß.py",
    "[link](www.x.y).py",
    "@somebody #1.py",
    "tab\there.py",
    "bell\a.py",
    "back\\slash.py",
    "a/-b/c.py",
)


def allowed(text: str) -> bool:
    """Whether a review holds no markup but its own."""
    kinds = {child.type for token in MARKDOWN.parse(text) for child in token.children or ()}
    blocks = {token.type.removesuffix("_open").removesuffix("_close") for token in MARKDOWN.parse(text)}
    return kinds <= {"text", "text_special", "softbreak", "strong_open", "strong_close", "code_inline"} and (
        blocks <= {"heading", "paragraph", "inline", "table", "thead", "tbody", "tr", "th", "td", *LISTS}
    )


def test_hostile_names_are_linted_and_stay_text(repository):
    repository.commit("names", dict.fromkeys(HOSTILE_NAMES, "import os\n"))
    one = of(repository)
    assert {lint.path for lint in one.lint.fresh} == set(HOSTILE_NAMES)
    text = review_text(one)
    assert allowed(text)
    assert "@somebody" not in text
    assert "<!--" not in text


def test_a_name_that_is_no_utf_8_is_said(repository):
    name = os.fsencode(str(repository.root)) + b"/\xff.py"
    Path(os.fsdecode(name)).write_text("import os\n")
    repository.commit("bytes", {})
    one = of(repository)
    assert [why for _, why in one.skipped] == ["its name is no UTF-8"]
    assert "1 touched Python files were not linted" in one.evidence.doubts
    review_text(one).encode()


@pytest.mark.parametrize(
    "message",
    ["| a | b", "<b>x</b> `rm` @x #1\n\n# y", "x" * 100_000, "\x1b[31mred\u202e", "", "%H -->"],
)
def test_hostile_messages_stay_one_cell(repository, message):
    repository.git("commit", "--quiet", "--allow-empty", "--allow-empty-message", "--message", message)
    text = review_text(of(repository))
    tables = [line for line in text.split("\n") if line.startswith("| 1 ")]
    assert len(tables) == 1
    assert len(MARKDOWN.parse(tables[0])) == 3
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_files_whose_text_is_not_looked_at_are_said(repository, tmp_path):
    other = Repository(tmp_path / "other")
    other.commit("x", {"x": "x"})
    repository.git("submodule", "--quiet", "add", str(other.root), "sub")
    (repository.root / "link.py").symlink_to("/etc/passwd")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    files = {"weights.bin": b"\0" * 99, "huge.txt": "x\n" * 700_000, "model.safetensors": pointer}
    repository.commit("files", files)
    one = of(repository)
    assert dict(found(one, "not looked into")) == {
        "huge.txt": "binary or longer than 1 MiB",
        "link.py": "a symbolic link",
        "model.safetensors": "a pointer to a file in LFS, which is not looked at",
        "sub": "a submodule, whose own commits are not looked at",
        "weights.bin": "binary or longer than 1 MiB",
    }
    assert one.lint.files == 0


def test_an_attribute_hides_no_line(repository):
    repository.commit("hidden", {".gitattributes": "*.py -diff\n", "b.py": f'KEY = "{TOKEN}"\n'})
    assert [where for where, _ in found(of(repository), "secret")] == ["b.py:1"]


def test_a_secret_that_only_a_merge_holds_is_found(repository):
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side", {"b.py": "B = 1\n"})
    repository.git("checkout", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-ff", "--no-commit", "side")
    repository.commit("merged", {"c.py": f'KEY = "{TOKEN}"\n'})
    [(where, what)] = found(of(repository), "secret")
    assert where == "c.py:1"
    assert what.endswith("added in a commit that was not looked at alone")


def test_a_merge_is_a_finding_and_nothing_is_called_missing(repository):
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side", {"b.py": "B = 1\n"})
    repository.git("checkout", "--quiet", "main")
    repository.commit("main", {"c.py": "C = 1\n"})
    repository.git("merge", "--quiet", "--no-ff", "--message", "merged", "side")
    one = of(repository, changes=[AskedChange("A", "a.py:1", "it", "")])
    assert [what for _, what in found(one, "merge")] == ["merged"]
    assert one.adherence[0].status == "CANNOT TELL"
    assert {reading.commit.subject for reading in one.readings} == {"side", "main", "merged"}


def test_an_optimized_commit_beside_the_baseline_is_major(repository):
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side", {"b.py": "B = 1\n"})
    repository.git("tag", "--force", "baseline")
    repository.git("checkout", "--quiet", "main")
    repository.commit("main", {"c.py": "C = 1\n"})
    [(_, what)] = found(of(repository), "not on the baseline")
    assert what == "it lacks 1 commit of the baseline, which the diff of the two takes back"


def test_the_same_commit_at_both_ends_is_an_empty_review(repository):
    one = of(repository)
    assert (one.history.total, one.history.files, one.outcome) == (0, (), "PASS")
    assert "no commit on the baseline" in review_text(one)


def test_a_protected_file_that_vanished_is_said(repository):
    repository.commit("yaml", {"c.yaml": "beta: 1\n"})
    repository.git("tag", "--force", "baseline")
    repository.git("rm", "--quiet", "c.yaml")
    repository.commit("gone", {})
    [(where, what)] = found(of(repository, protected=["c.yaml:beta"]), "protected")
    assert (where, what) == ("c.yaml:beta", "1 at the baseline, no such file at the optimized commit")


def test_a_protected_value_that_is_nowhere_keeps_from_passing(repository):
    repository.commit("x", {"a.py": "A = 2\n"})
    one = of(repository, protected=["ruff.toml:selekt"])
    assert one.reasons[0].details == ("protected and not read: ruff.toml:selekt",)
    assert one.outcome == "CONCERNS"


def test_nothing_is_called_missing_where_a_diff_was_too_long(repository, monkeypatch):
    repository.commit("perf: x (B)", {"a.py": "A = 2\n" * 2_000})
    monkeypatch.setattr("agent.review.history.DIFF_LIMIT_B", 2_000)
    one = of(repository, changes=[AskedChange(name, "a.py:1", "it", "") for name in "AB"])
    assert [row.status for row in one.adherence] == ["CANNOT TELL", "LANDED"]


def test_nothing_of_the_repository_is_run_or_written(repository, tmp_path):
    marker = tmp_path / "ran"
    evil = f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n"
    modules = (
        "yaml.py",
        "json.py",
        "bandit.py",
        "stevedore.py",
        "sitecustomize.py",
        "conftest.py",
        "ruff.py",
    )
    repository.commit("evil", dict.fromkeys(modules, evil))
    hooks = repository.root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (hooks / name).chmod(0o755)
    repository.git("config", "core.fsmonitor", f"touch {marker}")
    repository.git("config", "diff.external", f"touch {marker}")
    before = sorted((path, path.stat().st_mtime_ns) for path in repository.root.rglob("*"))
    one = of(repository)
    ruff, bandit = one.sweep.tools
    assert re.fullmatch(r"ruff \d[\d.]+ \(rules S\)", ruff)
    assert re.fullmatch(r"bandit \d[\d.]+", bandit)
    assert not marker.exists()
    assert sorted((path, path.stat().st_mtime_ns) for path in repository.root.rglob("*")) == before


def test_a_commit_that_is_not_there_is_a_task_error(repository, tmp_path):
    with pytest.raises(TaskError, match="no commit 'nowhere'"):
        review(repository.root, "nowhere", "main", (), ())
    with pytest.raises(TaskError, match="is not a folder"):
        review(tmp_path / "nowhere", "baseline", "main", (), ())


def test_a_large_review_is_cut_and_says_what_went(repository):
    noise = {f"pkg/{'<&|' * 20}{n}.py": "import os, sys\n" * 5 for n in range(60)}
    for name, text in noise.items():
        repository.commit(f"{'|`<' * 80} of {len(name)}", {name: text})
    changes = [AskedChange(f"X{n}", f"{n}.py:1", "|" * 290, "") for n in range(80)]
    one = of(repository, changes=changes, protected=[f"{'|' * 80}{n}.yaml:beta" for n in range(80)])
    text = review_text(one)
    assert 2_000 < len(text) < 40_000
    assert "Left out here for length:" in text
    assert text.startswith("## Review: CONCERNS\n")


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(MARKUP, max_size=400), st.integers(1, 2_000))
def test_any_text_in_any_number_stays_text_and_short(reviewed, text, count):
    one, row = reviewed.readings[0], reviewed.adherence[0]
    change = AskedChange("A", text, text, text)
    evidence = replace(
        reviewed.evidence,
        readings=(replace(one, commit=replace(one.commit, subject=text)),) * count,
        adherence=(replace(row, change=change, how=text),) * count,
        doubts=(text,) * count,
    )
    findings = tuple(Finding(rule, text, text) for rule in ("secret", "lint")) * count
    told = review_text(replace(reviewed, evidence=evidence, findings=findings))
    assert 0 < len(told) < 40_000
    assert allowed(told)


def test_the_payload_stays_small_whatever_was_read(repository):
    changes = [AskedChange(f"{n:039}{n % 10}", "a.py", os.urandom(200).hex(), "") for n in range(300)]
    payload = json.dumps(
        review_payload(of(repository, changes=changes, protected=[f"{n}.yaml:b" for n in range(99)]))
    )
    assert len(zlib.compress(payload.encode(), 9)) < 16 << 10


def test_twenty_commits_of_thirty_files_take_a_few_seconds(repository):
    body = "".join(f"def f{n}(x):\n    return x + {n}\n\n\n" for n in range(100)).rstrip() + "\n"
    for n in range(20):
        repository.commit(
            f"perf: step {n}", {f"pkg{k}/m.py": body.replace("x +", f"{n} + x +") for k in range(30)}
        )
    begin = time.monotonic()
    assert of(repository, tools=installed_tools()).history.total == 20
    assert time.monotonic() - begin < 10
