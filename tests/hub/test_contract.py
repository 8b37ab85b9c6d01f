"""The contract suite against the embedded tracker."""

import pytest

from tests.hub.conftest import NAME, SECRET
from tests.hub.contract import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_embedded_tracker_keeps_the_contract(check, connect):
    check(connect("write"), NAME)


@pytest.mark.parametrize("check", CHECKS[:4], ids=lambda check: check.__name__)
def test_a_private_repository_keeps_the_contract(check, connect):
    check(connect("admin"), SECRET)
