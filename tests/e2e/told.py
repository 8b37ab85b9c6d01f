"""A conversation on an issue as one text that is the same on every machine and in every run.

What is measured, and what names a run or a machine, becomes a fixed word; words, tables and scores stay. What
only a busy machine has said (warnings, runs that were made again) is left out, and so is what is folded in
the results: which phases and runs differ there by chance is no part of how the conversation reads.
"""

import re

NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
_RULES = tuple(
    (re.compile(pattern, re.MULTILINE), word)
    for pattern, word in (
        (r"^<!-- epm:data .* -->$", "<!-- epm:data PAYLOAD -->"),
        (r"^(<!-- epm:live -->) .*$", r"\1 LIVE"),
        (r"\b\d{4}-\d\d-\d\dT[\d:]{8}\+00:00", "TIME"),
        (r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b", "HASH"),
        (r"\bpod `[^`]*`", "pod `POD`"),
        (r"^- device: .* of pod `POD`, kernel `.*`$", "- device: DEVICE of pod `POD`, kernel `KERNEL`"),
        (r"^(- environment `HASH`: Python) .*$", r"\1 `N`, PACKAGES"),
        (r"(of other devices) \(.*?\),", r"\1 (DEVICE),"),
        (r"\b(ruff|bandit) \d[\d.]*", r"\1 N"),
        (rf"(?:~|{NUMBER}) \[{NUMBER}, {NUMBER}\]", "N [N, N]"),
        (rf"{NUMBER} runs, .* in the measured processes", "N runs, TIME in the measured processes"),
        (rf"{NUMBER} GPU-hours of slot time", "N GPU-hours of slot time"),
        (r"^<details>(?s:.*?)^</details>$", "FOLDED"),
        (r"^### Warnings\n\n(?:- .*\n)+\n", ""),
        (r"^- .*made again$\n", ""),
        (r"(?<=^### Deviations$)\n+(?=^<!--)", "\n\n- none\n\n"),
        (r"^\| *\d+ *\| *\w+ *\| *tainted.*\n", ""),
        (r"\[(?:N|[-+\d., e])+\]$", "[N]"),  # a line of a chart
        (r'^( +[xy]-axis "\w+") .*$', r"\1 N --> N"),
    )
)
_ROW = re.compile(r"^\|.*\|$")
_RULER = re.compile(r"^(:?)-+(:?)$")


def told(comments, reactions_of):
    """`comments` as the tracker lists them; `reactions_of` tells what the agent put under one, by its id."""
    return "\n".join(_told(one, reactions_of(one["id"])) for one in comments)


def _told(comment, reactions):
    seen = [f"reaction: {one}" for one in reactions]
    seen += ["folded"] if comment.get("minimized") else []
    head = ", ".join([comment["user"]["login"], *seen])
    return f"=== {head} ===\n\n{normalised(comment['body']).strip()}\n"


def normalised(body):
    for pattern, word in _RULES:
        body = pattern.sub(word, body)
    before, results, after = _split(body)
    results = "\n".join(_without_numbers(line) for line in results.split("\n"))
    return "\n".join(map(_even, (before + results + after).split("\n")))


def _split(body):
    """What stands before, in and behind the tables of a results marker."""
    start = body.find("\n## Benchmark results")
    end = body.find("\n### Charts") if start >= 0 else -1
    return (body[:start], body[start:end], body[end:]) if end >= 0 else (body, "", "")


def _without_numbers(line):
    if line.startswith("#"):
        return line
    return re.sub(rf"(?<![\w.]){NUMBER}(?![\w%])", "N", line)


def _even(line):
    """A row of a table with a blank beside each cell, however wide its column is."""
    if not _ROW.match(line):
        return line
    cells = [_RULER.sub(r"\1---\2", cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    return f"| {' | '.join(cells)} |"
