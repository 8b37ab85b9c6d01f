"""The first-parent line between two commits of a real repository, as the log tells it."""

import pytest

from agent.errors import TaskError
from agent.repository import Repository
from tests.e2e.conftest import git, make_repository


@pytest.fixture
def repository(tmp_path) -> Repository:
    return Repository(make_repository(tmp_path / "target", {"a": "0"}), is_bare=False)


def commit(repository: Repository, *message: str) -> str:
    paragraphs = [part for text in message for part in ("--message", text)]
    git(repository.root, "commit", "--quiet", "--allow-empty", *paragraphs)
    return git(repository.root, "rev-parse", "HEAD")


def told(repository: Repository, base: str, tip: str) -> str:
    with pytest.raises(TaskError) as caught:
        repository.line(base, tip)
    return str(caught.value)


def test_the_line_is_oldest_first_without_its_beginning(repository):
    base, one, two = (commit(repository, text) for text in ("base", "one", "two"))
    assert [(c.id, c.subject) for c in repository.line(base, two)] == [(one, "one"), (two, "two")]


def test_a_trailer_is_told_and_a_line_elsewhere_in_the_message_is_none(repository):
    base = commit(repository, "base")
    commit(repository, "one", "Why.", "Change: D\nSigned-off-by: X <x@localhost>")
    commit(repository, "two", "Change: E", "More text, so that the line above is no trailer.")
    assert [c.change for c in repository.line(base, commit(repository, "three"))] == ["D", "", ""]


@pytest.mark.parametrize("subject", ["a\tb", "ä → ß", "%H %x00 %n", "x" * 500, '"quoted" \\ \x1b[31m'])
def test_a_subject_is_told_as_it_is(repository, subject):
    base = commit(repository, "base")
    assert [c.subject for c in repository.line(base, commit(repository, subject))] == [subject]


def test_settings_of_the_user_do_not_get_into_the_log(repository, tmp_path, monkeypatch):
    base, tip = commit(repository, "base"), commit(repository, "ä")
    (tmp_path / ".gitconfig").write_text(
        "[log]\n\tshowSignature = true\n\tdecorate = full\n[i18n]\n\tlogOutputEncoding = latin1\n"
        "[color]\n\tui = always\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert [(c.id, c.subject) for c in repository.line(base, tip)] == [(tip, "ä")]


def test_signatures_are_not_checked(repository, tmp_path, monkeypatch):
    """Whose setting asks for it would get the words of their gpg into the log."""
    base = commit(repository, "base")
    unsigned = git(repository.root, "cat-file", "commit", commit(repository, "tip"))
    head, _, message = unsigned.partition("\n\n")
    signed = f"{head}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n -----END PGP SIGNATURE-----\n\n{message}\n"
    (tmp_path / "signed").write_text(signed)
    tip = git(repository.root, "hash-object", "-t", "commit", "-w", str(tmp_path / "signed"))
    gpg = tmp_path / "gpg"
    gpg.write_text("#!/bin/sh\necho 'gpg: who knows' >&2\n")
    gpg.chmod(0o755)
    (tmp_path / ".gitconfig").write_text(f"[log]\n\tshowSignature = true\n[gpg]\n\tprogram = {gpg}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert [(c.id, c.subject) for c in repository.line(base, tip)] == [(tip, "tip")]


def test_a_merge_is_one_commit_of_the_line(repository):
    base = commit(repository, "base")
    git(repository.root, "checkout", "--quiet", "-b", "side")
    commit(repository, "on the side")
    git(repository.root, "checkout", "--quiet", "main")
    commit(repository, "on main")
    git(repository.root, "merge", "--quiet", "--no-ff", "--message", "merge", "side")
    line = repository.line(base, git(repository.root, "rev-parse", "main"))
    assert [c.subject for c in line] == ["on main", "merge"]


def test_a_beginning_beside_the_line_is_refused(repository):
    base = commit(repository, "base")
    git(repository.root, "checkout", "--quiet", "-b", "side")
    side = commit(repository, "on the side")
    git(repository.root, "checkout", "--quiet", "main")
    git(repository.root, "merge", "--quiet", "--no-ff", "--message", "merge", "side")
    tip = git(repository.root, "rev-parse", "main")
    assert told(repository, side, tip).startswith(f"commit {side[:12]} is not before {tip[:12]} on its")
    assert [c.subject for c in repository.line(base, tip)] == ["merge"]


def test_the_other_way_round_and_the_same_commit_are_refused(repository):
    base, tip = commit(repository, "base"), commit(repository, "tip")
    assert "is not before" in told(repository, tip, base)
    assert "is not before" in told(repository, tip, tip)


def test_a_line_of_a_bare_repository_is_the_same(repository, tmp_path):
    base, tip = commit(repository, "base"), commit(repository, "tip")
    git(repository.root, "clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    assert Repository(tmp_path / "bare.git", is_bare=True).line(base, tip) == repository.line(base, tip)
