"""The check itself: it must see what does not conform, or a green suite says nothing."""

import json

import pytest

from tests.hub.conformance import description, problems_of, template_of

LIMITS = {f"x-ratelimit-{name}": "1" for name in ("limit", "remaining", "used", "reset")}
HEADERS = {**LIMITS, "content-type": "application/json; charset=utf-8", "etag": 'W/"1"'}
LABEL = {
    "id": 1,
    "node_id": "x",
    "url": "http://127.0.0.1/x",
    "name": "bench",
    "color": "ededed",
    "default": False,
    "description": None,
}
LABELS = "/api/v3/repos/a/b/labels"


def seen(body, path=LABELS + "/bench", status=200, method="get", **headers):
    held = b"" if body is None else json.dumps(body).encode()
    return problems_of(method, path, status, {**HEADERS, **headers}, held)


def test_a_true_label_conforms():
    assert seen(LABEL) == []


@pytest.mark.parametrize(
    "change",
    [{"id": "1"}, {"color": None}, {"url": "no address"}, {"invented": 1}],
    ids=["type", "null", "format", "unknown name"],
)
def test_a_wrong_label_is_seen(change):
    assert len(seen({**LABEL, **change})) == 1


def test_a_missing_field_is_seen():
    assert len(seen({name: value for name, value in LABEL.items() if name != "color"})) == 1


def test_a_wrong_one_deep_in_a_list_is_seen():
    assert seen([LABEL, {**LABEL, "default": "no"}], LABELS) != []


def test_a_redirect_without_its_location_is_seen():
    error = {"message": "Moved Permanently", "url": "http://127.0.0.1/elsewhere"}
    assert seen(error, "/api/v3/repos/a/b/issues/1", 301) == ["the redirect's body and location differ"]


def test_a_status_that_the_description_lacks_is_seen():
    assert seen(LABEL, status=418) == ["GitHub's description knows no status 418 here"]


def test_an_operation_that_the_description_lacks_is_seen():
    assert seen(LABEL, "/api/v3/repos/a/b/nothing") == ["GitHub's description has no such operation"]
    assert seen(LABEL, method="put") == ["GitHub's description has no such operation"]


def test_missing_and_malformed_headers_are_seen():
    assert seen(LABEL, etag="") == ["no etag"]
    assert seen(LABEL, **{"x-ratelimit-used": "many"}) == ["no x-ratelimit-used"]
    assert seen(LABEL, **{"content-type": "text/html"}) == ["content-type text/html"]
    assert seen([LABEL], LABELS, link='<elsewhere>; rel="next"') != []


def test_a_body_where_there_should_be_none_is_seen():
    assert seen(LABEL, method="delete", status=204) == ["there is a body where there should be none"]
    assert seen(None, method="delete", status=204) == []


def test_the_more_literal_path_wins():
    assert template_of("/repos/a/b/issues/comments", "get") == "/repos/{owner}/{repo}/issues/comments"
    assert template_of("/repositories/7/issues/1", "get") == "/repos/{owner}/{repo}/issues/{issue_number}"
    assert template_of("/repos/a/b/git/ref/heads/x/y", "get") == "/repos/{owner}/{repo}/git/ref/{ref}"


def test_the_slice_says_where_it_is_from_and_under_which_licence():
    source = description()["source"]
    assert source["package"].startswith("@octokit/openapi@")
    assert source["license"] == "MIT"
    assert "MIT License Copyright" in source["license_text"]
