"""Names of jobs and of the files in their folders."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pods.paths import JobPaths, job_name

HASH = "0123456789abcdef" * 4


def test_a_name_holds_repository_issue_hash_and_attempt() -> None:
    assert job_name("octo/tuner", 17, HASH, 2) == "octo-tuner-17-0123456789ab-a2"


@given(st.text(), st.text())
def test_a_name_is_one_safe_file_name(repo: str, issue: str) -> None:
    name = job_name(repo, issue, HASH, 1)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert name[0] not in ".-"
    assert len(name) < 200


@pytest.mark.parametrize(("plan_hash", "attempt"), [("0123", 1), ("../../../etcx", 1), (HASH, 0)])
def test_a_name_is_not_made_of_nonsense(plan_hash: str, attempt: int) -> None:
    with pytest.raises(ValueError, match=r"hash|attempt"):
        job_name("repo", 1, plan_hash, attempt)


def test_paths_of_another_machine_are_names_only() -> None:
    paths = JobPaths(PurePosixPath("/work/jobs/j"))
    assert paths.exit == PurePosixPath("/work/jobs/j/exit.json")
    assert paths.claim.parent == paths.started
