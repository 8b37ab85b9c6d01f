"""Foreign text made harmless: what issues, commits, logs and machines say, on its way to Markdown.

`escaped` for a part of a line, `in_cell` for a table, `in_code` for a code span, `fenced` for many lines, and
`in_html` for what stands behind an HTML comment. None lets markup, a link, a mention, a reference, a tag, a
marker or a hidden character out, nor anything that looks like a token. What trackers read into plain text is
broken by a zero-width space, a commit id by a code span, so that it can be copied. Pure.
"""

from __future__ import annotations

import re

from pods.supervisor.redact import redacted

LONGEST_CELL = 300
LONGEST_FENCE = 4_000
GAP = "\u200b"
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\|$)|[ -/]+[0-~])", re.DOTALL)
"""Of a terminal: colours, cursor, titles."""
_HEX = r"(?<!\w)(?!(?<=\d\.)\d+(?!\w))(?:/approve )?[0-9a-fA-F]{7,40}(?:-[0-9a-fA-F]+)*(?!\w)"
"""A commit id, as far as a tracker can tell, with the command that it belongs to; no decimals of a number."""
_NAME = r"(?:[+-]1|\d{3,4}|[\w+-]*[a-z_][\w+-]*)"
"""Of a picture; two digits between colons are the minutes of a time of day."""
_READ_INTO = rf"@|#(?=\d)|GH-(?=\d)|:(?=//)|www(?=\.)|:(?={_NAME}:)"
"""Mentions, references, addresses, pictures by name: all need what stands behind these."""
_MARKUP = (
    r"[\\`*|]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<=\S)~|~(?=\S)|\](?=[(:\[])|\[(?=\^)|(?<![^\W_])_|_(?![^\W_])"
)
"""Characters that could be markup where they stand: an underscore inside a name could not."""
_SPECIAL = re.compile(rf"(?P<hex>{_HEX})|(?P<read>{_READ_INTO})|(?P<math>\$)|{_MARKUP}", re.IGNORECASE)
_AT_START = re.compile(
    r"\A(?=[#>]|[-+](?:[ +-]|\Z)|==+\Z|\[[ xX]\])"  # heading, quotation, list or rule, underline, box
    r"|\A\d{1,9}(?=[.)](?:\s|\Z))"
)
"""Behind this a backslash keeps what follows from being the beginning of a block."""
_AT_END = re.compile(r"(?<!\\)\]\Z|(?<=\s)~\Z")
_NAME_AT_END = re.compile(rf":(?={_NAME}\Z)", re.IGNORECASE)
"""What words of ours could make more of: `[a]` before `: b` is a definition, `:a` before `:` a name."""
_SPECIAL_IN_HTML = re.compile(rf"(?P<hex>{_HEX})|(?P<read>{_READ_INTO})|[<>&\"$]", re.IGNORECASE)
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;", '"': "&quot;", "$": f"&#36;{GAP}"}
_RUN = re.compile(r"`+")


def escaped(text: str) -> str:
    """For a line of Markdown or a part of it: nothing in it is markup, a mention, a comment or a new line."""
    inside = _AT_START.sub(lambda found: f"{found[0]}\\", in_cell(text), count=1)
    inside = _AT_END.sub(lambda found: f"\\{found[0]}", inside, count=1)
    return _NAME_AT_END.sub(f":{GAP}", inside, count=1)


def in_cell(text: str) -> str:
    """For a cell of a table, where no line can begin anything."""
    return _SPECIAL.sub(_harmless, cut(one_line(text)))


def in_code(text: str) -> str:
    """For a code span: one line, no backtick, not empty."""
    return _no_comment(cut(one_line(text)).replace("`", "'")) or "-"


def fenced(text: str) -> str:
    """Lines as they are, the last `LONGEST_FENCE` characters, in a fence longer than any run of backticks."""
    lines = redacted(_without_sequences(text)).replace("\t", "    ").splitlines()
    whole = "\n".join(map(plain, lines))
    shown = _no_comment(whole if len(whole) <= LONGEST_FENCE else f"…{whole[1 - LONGEST_FENCE :]}")
    fence = "`" * max(3, *(len(run) + 1 for run in _RUN.findall(shown)), 3)
    return f"{fence}text\n{shown}\n{fence}"


def in_html(text: str) -> str:
    """For one line inside an HTML block, where Markdown's own escapes do not work."""
    inside = _SPECIAL_IN_HTML.sub(_harmless_in_html, cut(one_line(text)))
    return _NAME_AT_END.sub(f":{GAP}", inside, count=1)


def one_line(text: str) -> str:
    """Without secrets, sequences and line breaks; what else hides something or turns it round is U+FFFD."""
    return plain(" ".join(redacted(_without_sequences(str(text))).split()))


def plain(text: str) -> str:
    """For one line of a terminal: nothing in it moves the cursor. A lone surrogate could not be written."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _without_sequences(text: str) -> str:
    return _SEQUENCE.sub("", text)


def cut(line: str) -> str:
    """Before anything is escaped, so that no entity is cut."""
    return line if len(line) <= LONGEST_CELL else f"{line[: LONGEST_CELL - 1]}…"


def _no_comment(text: str) -> str:
    """In code a comment is only shown; but who looks for a marker's lines does not look for code."""
    return text.replace("<!--", f"<{GAP}!--")


def _harmless(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "hex":
            return f"`{found[0]}`"
        case "read":
            return found[0] + GAP
        case _:
            return _ENTITIES.get(found[0], f"\\{found[0]}")


def _harmless_in_html(found: re.Match[str]) -> str:
    if found.lastgroup is None:
        return _ENTITIES[found[0]]
    if found.lastgroup == "read":
        return found[0] + GAP
    return re.sub(r"\w{6}(?=\w)", rf"\g<0>{GAP}", found[0])  # no seven digits beside each other
