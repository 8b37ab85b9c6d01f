"""Pages of lists, unchanged answers, and what a request costs."""

import json
import re

import pytest
from github import RateLimitExceededException

from agent.hub.paging import Page, links, page_of
from agent.hub.rate import HOUR_S, Rates
from agent.hub.serve import Hub
from tests.hub.conftest import NAME

LINK = re.compile(r'<([^>]+)>; rel="(\w+)"')
ISSUES = f"/repos/{NAME}/issues?labels=bench&state=open"


def ask(tracker, url, etag=None):
    headers = {"If-None-Match": etag} if etag else None
    status, told, body = tracker.requester.requestJson("GET", url, headers=headers)
    return status, told, body


def test_a_304_has_no_body_the_same_etag_and_no_price(connect):
    tracker = connect("write")
    _, first, _ = ask(tracker, ISSUES)
    for _ in range(3):
        status, told, body = ask(tracker, ISSUES, first["etag"])
        assert (status, body, told["etag"]) == (304, "", first["etag"])
        assert told["x-ratelimit-remaining"] == first["x-ratelimit-remaining"]


def test_nobody_pays_for_a_304(connect):
    tracker = connect(None)
    _, first, _ = ask(tracker, ISSUES)
    status, told, _ = ask(tracker, ISSUES, first["etag"])
    assert status == 304
    assert int(told["x-ratelimit-remaining"]) == int(first["x-ratelimit-remaining"]) - 1


def test_any_change_of_a_listed_issue_changes_the_etag(connect, repo):
    tracker = connect("write")
    issue = repo.create_issue("one", labels=["bench"])
    seen = {ask(tracker, ISSUES)[1]["etag"]}
    for change in (
        lambda: issue.edit(body="x"),
        lambda: issue.create_comment("x"),
        lambda: issue.create_reaction("+1"),
        lambda: issue.add_to_labels("gpu"),
        lambda: issue.edit(state="closed"),
    ):
        change()
        seen.add(ask(tracker, ISSUES)[1]["etag"])
    assert len(seen) == 6


def test_a_change_elsewhere_leaves_the_etag(connect, repo):
    tracker = connect("write")
    _, first, _ = ask(tracker, ISSUES)
    repo.create_issue("without the label").create_comment("x")
    assert ask(tracker, ISSUES, first["etag"])[0] == 304


def test_several_etags_and_strong_ones_are_understood(connect):
    tracker = connect("write")
    _, first, _ = ask(tracker, ISSUES)
    assert ask(tracker, ISSUES, f'"other", {first["etag"]}')[0] == 304
    assert ask(tracker, ISSUES, first["etag"].removeprefix("W/"))[0] == 304
    assert ask(tracker, ISSUES, '"other"')[0] == 200


def test_the_link_header_leads_through_every_page(connect, repo):
    made = [repo.create_issue(f"{n}", labels=["bench"]).number for n in range(5)]
    tracker = connect("write")
    found, url = [], f"{ISSUES}&per_page=2&direction=asc"
    pages = 0
    while url:
        status, headers, body = ask(tracker, url)
        assert status == 200
        data = json.loads(body)
        found += [one["number"] for one in data]
        pages += 1
        told = {name: address for address, name in LINK.findall(headers.get("link", ""))}
        url = told.get("next", "")
    assert (found, pages) == (made, 3)


def test_one_page_has_no_link():
    assert links("http://h/x", {}, Page(1, 30), 30) == {}


def test_links_keep_the_query_and_quote_it():
    told = links("http://h/x", {"labels": "a b,c&d", "page": "2"}, Page(2, 1), 3)["Link"]
    assert told.split(", ") == [
        '<http://h/x?labels=a+b%2Cc%26d&page=1>; rel="prev"',
        '<http://h/x?labels=a+b%2Cc%26d&page=3>; rel="next"',
        '<http://h/x?labels=a+b%2Cc%26d&page=3>; rel="last"',
        '<http://h/x?labels=a+b%2Cc%26d&page=1>; rel="first"',
    ]


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ({}, Page(1, 30)),
        ({"per_page": "1000"}, Page(1, 100)),
        ({"per_page": "0", "page": "0"}, Page(1, 30)),
        ({"per_page": "-1", "page": "x"}, Page(1, 30)),
        ({"page": "9" * 30}, Page(1, 30)),
        ({"per_page": "٣", "page": "2"}, Page(2, 30)),
    ],
)
def test_pages_out_of_range_are_brought_into_it(query, page):
    assert page_of(query) == page


def test_a_page_past_the_end_is_empty(connect):
    assert ask(connect("write"), f"{ISSUES}&page=7")[2] == "[]"


def test_the_hour_is_counted_for_each_person_and_forgiven():
    rates = Rates(people_limit=2)
    assert rates.spend("1", "core", 0).remaining == 1
    assert not rates.is_spent("1", "core", 0)
    rates.spend("1", "core", 1)
    assert rates.is_spent("1", "core", 2)
    assert not rates.is_spent("2", "core", 2)
    assert not rates.is_spent("1", "graphql", 2)
    assert not rates.is_spent("1", "core", HOUR_S)


def test_who_has_spent_everything_is_told_so(tmp_path, repository, connect):
    from github import Auth, Github

    from tests.hub.conftest import UNHURRIED

    with Hub(tmp_path / "limited.db", rate_limit=2) as limited:
        limited.admin.repository(NAME, repository.path)
        auth = Auth.Token(limited.admin.token("ada"))
        with Github(base_url=limited.base_url, auth=auth, **UNHURRIED) as tracker:
            tracker.get_repo(NAME)
            tracker.get_repo(NAME)
            with pytest.raises(RateLimitExceededException) as told:
                tracker.get_repo(NAME)
            assert told.value.status == 403
            assert told.value.headers["x-ratelimit-remaining"] == "0"
            assert tracker.get_rate_limit().rate.remaining == 0, "asking costs nothing"
