"""What doctor says of a token: its scopes where the tracker tells them, else what cannot be read."""

from datetime import UTC, datetime

import pytest

from agent.doctor import token_told
from agent.errors import TaskError
from agent.hub.serve import Hub
from agent.tracker_github import GithubTracker
from tests.fakes.tracker import FakeTracker
from tests.hub.conftest import Git

NAME = "acme/target"


class Tracker(FakeTracker):
    """With a token of these scopes."""

    def __init__(self, scopes) -> None:
        super().__init__(lambda: datetime(2026, 11, 20, 12, tzinfo=UTC))
        self._scopes = scopes

    def scopes(self):
        return self._scopes


@pytest.mark.parametrize("scopes", [{"repo"}, {"public_repo", "gist"}])
def test_a_classic_token_that_may_comment_is_well(scopes):
    assert token_told(Tracker(scopes)) == f"classic, of scopes: {', '.join(sorted(scopes))}"


@pytest.mark.parametrize(("scopes", "told"), [(set(), "none"), ({"read:org", "gist"}, "gist, read:org")])
def test_a_classic_token_that_may_only_read_is_told_what_it_lacks(scopes, told):
    with pytest.raises(TaskError) as error:
        token_told(Tracker(scopes))
    assert str(error.value).startswith(f"classic, of scopes: {told}; give it repo, or public_repo")


def test_of_a_fine_grained_token_it_is_said_that_nobody_can_read_what_it_may_do():
    told = token_told(Tracker(None))
    assert "cannot be read; it needs Issues: read and write, Contents: read" in told


@pytest.mark.parametrize("scopes", ["repo", "public_repo, gist", ""])
def test_scopes_are_read_from_what_the_tracker_sends(tmp_path, scopes):
    (tmp_path / "target").mkdir()
    Git(tmp_path / "target")("init", "--quiet")
    with Hub(tmp_path / "hub.db") as hub:
        hub.admin.repository(NAME, tmp_path / "target", is_private=True)
        token = hub.admin.token("bot", scopes=scopes)  # has no role: the repository is hidden from it
        tracker = GithubTracker(hub.base_url, token, NAME)
        assert tracker.scopes() == set(scopes.replace(",", "").split())
        tracker.close()
