"""Pages: what is shown, and that foreign Markdown cannot do anything but be shown."""

import re
import time
from html.parser import HTMLParser

import pytest
import requests

from agent.hub.markdown import ATTRIBUTES, TAGS, rendered
from tests.hub.conftest import NAME, SECRET

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](javascript:alert(1))",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&#58;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "<a href='java\nscript:alert(1)'>x</a>",
    "<a href=x onclick=alert(1) style='position:fixed' id=main class=label>x</a>",
    "<svg><script>alert(1)</script></svg>",
    "<svg onload=alert(1)>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<iframe src=http://example.com></iframe>",
    "<form action=http://example.com><input type=submit name=x value=y></form>",
    "<style>body{display:none}</style>",
    "<link rel=stylesheet href=http://example.com>",
    "<meta http-equiv=refresh content='0;url=http://example.com'>",
    "<base href=http://example.com>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<!-- --><script>alert(1)</script><!-- -->",
    "<!--><script>alert(1)</script>-->",
    "</article></main><script>alert(1)</script>",
    "`</code><script>alert(1)</script>`",
    "```\n</code></pre><script>alert(1)</script>\n```",
    '```html onload=alert(1)"><script>\nx\n```',
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    "[x]: javascript:alert(1)\n\n[x]",
    '<http://example.com/"onmouseover=alert(1)>',
    '!["><script>alert(1)</script>](http://example.com/x.png)',
    "{{ 7 * 7 }}{% raw %}",
    "\x00<scr\x00ipt>alert(1)</script>",
]
FOREIGN = {"script", "img", "iframe", "form", "style", "svg", "math", "base", "meta-refresh", "object"}


class Elements(HTMLParser):
    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.found = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markdown_becomes_only_what_is_allowed(text):
    for tag, attributes in Elements(rendered(text)).found:
        assert tag in TAGS
        allowed = ATTRIBUTES.get(tag, set()) | ({"rel"} if tag == "a" else set())
        if tag == "input":
            allowed = {"type", "disabled", "checked"}
            assert (attributes["type"], attributes["disabled"]) == ("checkbox", "")
        assert set(attributes) <= allowed
        assert re.match(r"(https?:|mailto:|[^:]*$)", attributes.get("href") or "")


def test_hostile_issues_are_shown_as_pages_with_nothing_of_their_own(hub, repo):
    for number, text in enumerate((text.replace("\x00", "") for text in HOSTILE), start=1):
        title = text[:200].replace("\n", " ")
        issue = repo.create_issue(title, body=text, labels=[title.replace(",", "")[:50]])
        issue.create_comment(text)
        found = Elements(requests.get(f"{hub.address}/{NAME}/issues/{number}", timeout=10).text)
        tags = [tag for tag, _ in found.found]
        assert not FOREIGN & set(tags)
        assert tags.count("link") == tags.count("main") == tags.count("article") - 1 == 1
        assert not [name for _, attributes in found.found for name in attributes if name.startswith("on")]
        assert title in found.text
    listed = Elements(requests.get(f"{hub.address}/{NAME}/issues?per_page=100", timeout=10).text)
    assert not FOREIGN & {tag for tag, _ in listed.found}
    assert all(text[:200].replace("\n", " ").replace("\x00", "") in listed.text for text in HOSTILE)


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 13_000,
        "<b><i>" * 10_900,
        "<details><summary>x</summary>" * 2_250,
        "> " * 32_000,
        "- " * 32_000,
        "[" * 65_000,
        "![" * 32_000,
        "*a_ " * 16_000,
        "`" * 65_000,
        "``" + "` " * 30_000,
        "<" * 65_000,
        "&#" * 32_000,
        "\\" * 65_000,
        "|a" * 30_000 + "\n" + "|-" * 5_000,
        "[a](<" * 13_000,
        "<!--" * 16_000,
        "x](" * 20_000,
        "**a" * 20_000,
        "- [ ] x\n" * 8_000,
    ],
    ids=lambda text: text[:8],
)
def test_deep_and_endless_markdown_is_rendered_soon(text):
    began = time.monotonic()
    rendered(text)
    assert time.monotonic() - began < 8


def test_github_markdown_is_rendered():
    html = rendered(
        "| a | b |\n|--:|---|\n| 1 | **2** |\n\n- [ ] open\n- [x] done\n\n~~old~~\n\n"
        "<details><summary>more</summary>\n\n`code`\n\n</details>\n\n![chart](https://example.com/c.png)"
    )
    assert '<th align="right">a</th>' in html
    assert "<strong>2</strong>" in html
    assert html.count("<input") == 2 and html.count("checked=") == 1
    assert "<s>old</s>" in html
    assert "<details><summary>more</summary>" in html and "<code>code</code>" in html
    assert '<a href="https://example.com/c.png" rel="nofollow noopener noreferrer">chart</a>' in html


def test_markers_are_invisible(hub, repo):
    marker = "<!-- epm:results v1 -->\n## Verdict\n\n<!-- epm:data AAAA k:sig -->\n<!-- /epm:results -->"
    repo.create_issue("one", body="x").create_comment(marker)
    page = requests.get(f"{hub.address}/{NAME}/issues/1", timeout=10).text
    assert "<h2>Verdict</h2>" in page
    assert "epm:" not in page


def test_a_minimised_comment_is_folded(hub, repo):
    repo.create_issue("one").create_comment("old news").minimize()
    page = requests.get(f"{hub.address}/{NAME}/issues/1", timeout=10).text
    assert "<details><summary" in page and "minimised as outdated" in page


def test_the_policy_allows_our_style_sheet_and_nothing_else(hub, repo):
    repo.create_issue("one")
    for path in ("/", f"/{NAME}/issues", f"/{NAME}/issues/1", "/nothing/here", "/static/style.css"):
        headers = requests.get(hub.address + path, timeout=10).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "style-src 'self'" in policy
        assert "script" not in policy and "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    page = requests.get(f"{hub.address}/{NAME}/issues/1", timeout=10).text
    assert "style=" not in page and "<style" not in page
    assert (
        requests.get(f"{hub.address}/static/style.css", timeout=10)
        .headers["content-type"]
        .startswith("text/css")
    )


def test_the_api_may_not_be_taken_for_a_page(hub):
    headers = requests.get(f"{hub.base_url}/users/acme", timeout=10).headers
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"


def test_pages_show_what_is_public_only(hub, repo, connect):
    secret = connect("admin").get_repo(SECRET).create_issue("a secret title")
    home = requests.get(hub.address, timeout=10).text
    assert NAME in home and SECRET not in home
    for path in (SECRET, f"{SECRET}/issues", f"{SECRET}/issues/{secret.number}"):
        page = requests.get(f"{hub.address}/{path}", timeout=10)
        assert page.status_code == 404
        assert "secret title" not in page.text


def test_an_issue_that_moved_or_is_gone_has_no_page_of_its_own(hub, repo, repository):
    hub.admin.repository("acme/other", repository.path)
    for title in ("moved", "gone"):
        repo.create_issue(title)
    hub.admin.transfer_issue(NAME, 1, "acme/other")
    hub.admin.delete_issue(NAME, 2)
    moved = requests.get(f"{hub.address}/{NAME}/issues/1", timeout=10, allow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (301, "/acme/other/issues/1")
    assert requests.get(f"{hub.address}/{NAME}/issues/2", timeout=10).status_code == 404


def test_the_list_has_states_and_pages(hub, repo):
    for n in range(3):
        repo.create_issue(f"open {n}")
    repo.create_issue("shut").edit(state="closed")
    page = requests.get(f"{hub.address}/{NAME}/issues?per_page=2", timeout=10).text
    assert "open 2" in page and "open 0" not in page and "page 1 of 2" in page and "shut" not in page
    assert "shut" in requests.get(f"{hub.address}/{NAME}/issues?state=closed", timeout=10).text
    assert requests.get(f"{hub.address}/{NAME}/issues?state=<script>&page=x", timeout=10).status_code == 200


@pytest.mark.parametrize("name", ["../pages.py", "..%2Fpages.py", "base.html.j2", "%2e%2e/base.html.j2", "x"])
def test_only_named_files_are_served(hub, name):
    assert requests.get(f"{hub.address}/static/{name}", timeout=10).status_code == 404
