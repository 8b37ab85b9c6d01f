"""Foreign Markdown as HTML that is safe to show: GitHub's tables, task lists, strike-through, `<details>`.

markdown-it-py renders, nh3 keeps only what is named here. HTML comments, where markers live, vanish as on
GitHub. Pictures become links to them: no page of ours asks another server for anything.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

LIMIT = 65_536
DONE = "<input type=checkbox disabled checked>"
BOXES = {"[ ] ": "<input type=checkbox disabled>", "[x] ": DONE, "[X] ": DONE}
TAGS = frozenset(
    re.findall(
        r"\w+",
        """
    a b blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i input ins kbd li ol p pre q s
    samp span strong sub summary sup table tbody td tfoot th thead tr ul var
""",
    )
)
ATTRIBUTES = {"a": {"href", "title"}, "details": {"open"}, "ol": {"start"}, "th": {"align"}, "td": {"align"}}


@lru_cache(maxsize=64)
def rendered(text: str) -> str:
    """HTML without scripts, styles, forms, frames, ids or pictures. Never raises."""
    return nh3.clean(
        _markdown().render(text[:LIMIT]),
        tags=set(TAGS),
        attributes=ATTRIBUTES,
        tag_attribute_values={"input": {"checked": {"", "checked"}}},
        set_tag_attribute_values={"input": {"type": "checkbox", "disabled": ""}},
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer",
        strip_comments=True,
    )


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    markdown.core.ruler.after("inline", "tasks", _tasks)
    markdown.add_render_rule("image", _picture_as_link)
    for name in ("th_open", "td_open"):
        markdown.add_render_rule(name, _aligned)
    return markdown


def _tasks(state: StateCore) -> None:
    """`[ ]` and `[x]` at the start of a list item become boxes. (The usual plugin is quadratic.)"""
    before = ("list_item_open", "paragraph_open")
    for first, second, token in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        if (first.type, second.type) != before or not token.children or token.content[:4] not in BOXES:
            continue
        text = token.children[0]
        if text.type == "text" and text.content.startswith(token.content[:4]):
            text.content = text.content[3:]
            token.children.insert(0, Token("html_inline", "", 0, content=BOXES[token.content[:4]]))


def _picture_as_link(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    token = tokens[index]
    told = renderer.renderInlineAsText(token.children or [], options, env) or "picture"
    link = Token("link_open", "a", 1, attrs={"href": token.attrs.get("src", "")})
    return f"{renderer.renderToken([link], 0, options, env)}{_escaped(told)}</a>"


def _aligned(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    """A column's alignment as an attribute: a style would need a looser security policy."""
    token = tokens[index]
    style = str(token.attrs.pop("style", ""))
    if style.startswith("text-align:"):
        token.attrs["align"] = style.removeprefix("text-align:")
    return renderer.renderToken(tokens, index, options, env)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
