"""The hub and the slice of GitHub's description hold the same operations, no more and no fewer."""

import re

import pytest

from agent.hub import api_repository
from agent.hub.app import REPOSITORY_ROUTES
from tests.hub.conformance import description, template_of

OURS = [(route.method.lower(), "/repos/{owner}/{repo}" + route.path) for route in REPOSITORY_ROUTES]
OURS += [(route.method.lower(), route.path) for route in api_repository.ROUTES]
OURS += [("get", "/rate_limit")]


def filled(path: str) -> str:
    return re.sub(r"\{\w+(:\w+)?\}", "1", path)


@pytest.mark.parametrize(("method", "path"), OURS)
def test_github_describes_every_operation_of_ours(method, path):
    assert template_of(filled(path), method) is not None


def test_every_operation_of_the_slice_is_ours():
    served = {(method, template_of(filled(path), method)) for method, path in OURS}
    cut = {(method, path) for path, methods in description()["paths"].items() for method in methods}
    assert cut - served == set()
