"""What is said of a review: the text and payload of a `reviewer-verdict` marker.

Pure. Words come from templates/comments; every foreign text is cut, freed of secrets and escaped. Where the
text would be too long, rows go first that matter least, and what went is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench.tables import Table

from agent.bodies import rendered
from agent.review.adherence import Adherence
from agent.review.findings import Finding
from agent.review.lint import SYNTAX
from agent.review.readings import Reading
from agent.review.review import Review
from agent.review.secrets import masked

TEXT_LIMIT = 40_000
"""Of the text: payload, frame and what a tracker adds stay below the body's 60,000 characters."""
MOST, FEW, FEWEST = 200, 10, 3
WIDE, NARROW, NARROWEST = 300, 100, 40
CUTS = ("minor findings", "commits", "protected values", "claimed changes", "major findings")
"""What is cut first where the text is too long: a reader loses least."""
MOST_DETAILS = 5
MOST_CHANGES, MOST_IDS = 60, 5


def review_text(review: Review) -> str:
    """The text of the marker, cut as little as its length allows."""
    texts = (_text(review, limits, width) for limits, width in _limits())
    return next((text for text in texts if len(text) <= TEXT_LIMIT), "")


def _limits() -> Iterator[tuple[Mapping[str, int], int]]:
    """Most rows of each kind and characters of each cell, from all to the least."""
    for count in range(len(CUTS) + 1):
        yield {kind: FEW if kind in CUTS[:count] else MOST for kind in CUTS}, WIDE
    yield dict.fromkeys(CUTS, FEW), NARROW
    yield dict.fromkeys(CUTS, FEWEST), NARROWEST


def _text(review: Review, limits: Mapping[str, int], width: int) -> str:
    history = review.history

    def told(text: str) -> str:
        clean = masked(text, review.secrets)
        return clean if len(clean) <= width else f"{clean[: width - 1]}…"

    major, minor = (
        [one for one in review.findings if one.severity == severity] for severity in ("Major", "Minor")
    )
    rows: dict[str, list[Any]] = {
        "minor findings": minor,
        "commits": list(enumerate(review.readings, start=1)),
        "protected values": list(review.held),
        "claimed changes": list(review.adherence),
        "major findings": major,
    }
    cuts = [
        f"{len(found) - limits[kind]} of {len(found)} {kind}"
        for kind, found in rows.items()
        if len(found) > limits[kind]
    ]
    kept = {kind: found[: limits[kind]] for kind, found in rows.items()}
    return rendered(
        "comments/reviewer-verdict.md.j2",
        review=review,
        reasons=[
            {
                "outcome": reason.outcome,
                "rule": reason.rule,
                "name": reason.name,
                "text": "; ".join(_few([told(detail) for detail in reason.details])),
            }
            for reason in review.reasons
        ],
        range=_range(review),
        size=f"+{history.added} / -{history.removed} lines in {_counted(len(history.files), 'file')}",
        lint=told(_lint(review)),
        lint_notes=[told(note) for note in review.lint.notes],
        security=told(_security(review)),
        security_notes=_security_notes(review),
        secrets=_secrets(review),
        doubts=_few([told(doubt) for doubt in review.evidence.doubts]),
        commits=_commits(kept["commits"], told),
        adherence=_adherence(kept["claimed changes"], told),
        held=Table(
            "review",
            ("value", "baseline", "optimized", "state", "read as"),
            tuple(
                tuple(map(told, (h.name, h.before.text, h.after.text, h.state, h.after.how or h.before.how)))
                for h in kept["protected values"]
            ),
        ),
        major=[_finding(one, told) for one in kept["major findings"]],
        minor=[_finding(one, told) for one in kept["minor findings"]],
        cuts=cuts,
    )


def _few(details: Sequence[str]) -> list[str]:
    more = len(details) - MOST_DETAILS
    return [*details[:MOST_DETAILS], *([f"and {more} more"] if more > 0 else [])]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _range(review: Review) -> str:
    history, readings = review.history, review.readings
    if not readings:
        return f"no commit on the baseline `{history.baseline[:12]}`"
    first = readings[0].commit.id[:7]
    last = readings[-1].commit.id[:7]
    count = _counted(history.total, "commit")
    return f"`{first}` to `{last}`, {count} on the baseline `{history.baseline[:12]}`"


def _lint(review: Review) -> str:
    lint = review.lint
    if lint.why:
        return f"NOT RUN: {lint.why}"
    if not lint.files:
        return f"no Python file is touched (ruff {lint.version})"
    broken = sum(one.code == SYNTAX for one in lint.fresh)
    counts = (
        (len(lint.fresh) - broken, "new finding", "of ruff check"),
        (broken, "error", "of syntax"),
        (len(lint.unformatted), "file", "that ruff format would newly change"),
    )
    told = [f"{_counted(number, noun)} {what}" for number, noun, what in counts if number]
    older = f"{_counted(lint.older, 'finding')} and {_counted(lint.older_unformatted, 'file')} to format"
    files = f"{_counted(lint.files, 'touched Python file')}, ruff {lint.version}"
    state = ", ".join(told) or "PASS, nothing new"
    return f"{state}; there before: {older} ({files})"


def _security(review: Review) -> str:
    swept = review.sweep
    if not swept.tools:
        return "NOT RUN"
    tools = " and ".join(swept.tools)
    found = f"{_counted(len(swept.found), 'finding')}" if swept.found else "CLEAN"
    how = f"{tools}; asserts left out, silencing comments overruled"
    return f"{found} on the lines that the diff adds ({how})"


def _security_notes(review: Review) -> list[str]:
    return [masked(note, review.secrets) for note in review.sweep.not_run]


def _secrets(review: Review) -> str:
    if not review.secrets:
        return "none in the lines that the commits add"
    advice = "take them out of use, deleting the lines is not enough"
    return f"{len(review.secrets)} in the lines that the commits add: {advice}"


def _commits(rows: Sequence[tuple[int, Reading]], told: Callable[[str], str]) -> Table:
    return Table(
        "review",
        ("#", "commit", "subject", "change", "lines", "files"),
        tuple(
            (
                str(number),
                reading.commit.id[:7],
                told(reading.commit.subject),
                told(_role(reading)),
                f"+{sum(file.added for file in reading.commit.files)}"
                f" / -{sum(file.removed for file in reading.commit.files)}",
                str(len(reading.commit.files)),
            )
            for number, reading in rows
        ),
    )


def _role(reading: Reading) -> str:
    back = ", taken back later" if reading.is_reverted else ""
    if reading.commit.is_merge:
        return "merge"
    if reading.named:
        return f"{', '.join(reading.named)}{back}"
    if reading.by_lines:
        return f"{', '.join(reading.by_lines)} (by its lines){back}"
    if reading.mends:
        return f"follow-up to {', '.join(reading.mends)}{back}"
    return ("takes a commit back" if reading.commit.reverts else "-") + back


def _adherence(rows: Sequence[Adherence], told: Callable[[str], str]) -> Table:
    return Table(
        "review",
        ("#", "place", "change", "status", "commits", "files", "how it was told"),
        tuple(
            (
                told(row.change.name),
                told(row.change.place) or "-",
                told(row.change.change),
                row.status,
                _commits_of(row),
                told(", ".join(_few(row.files))) or "-",
                told(row.how),
            )
            for row in rows
        ),
    )


def _commits_of(row: Adherence) -> str:
    ids = _few([commit.id[:7] for commit in row.commits])
    fixes = _few([commit.id[:7] for commit in row.follow_ups])
    told = [", ".join(ids)] if ids else []
    told += [f"follow-up {', '.join(fixes)}"] if fixes else []
    return "; ".join(told) or "-"


def _finding(finding: Finding, told: Callable[[str], str]) -> dict[str, str]:
    return {"rule": finding.rule, "where": told(finding.where), "what": told(finding.what)}


def review_payload(review: Review) -> dict[str, Any]:
    """Ends, outcome and the state of each change; the findings are in the text. Bounded whatever was read."""
    history = review.history
    counts: dict[str, int] = {}
    for finding in review.findings:
        counts[finding.rule] = counts.get(finding.rule, 0) + 1
    return {
        "schema": 1,
        "baseline": history.baseline,
        "optimized": history.optimized,
        "outcome": review.outcome,
        "rule": review.reasons[0].rule,
        "commits": history.total,
        "added": history.added,
        "removed": history.removed,
        "files": len(history.files),
        "ruff": review.lint.version,
        "tools": list(review.sweep.tools),
        "findings": counts,
        "changes": [
            [row.change.name[:40], row.status, [commit.id[:12] for commit in row.commits[:MOST_IDS]]]
            for row in review.adherence[:MOST_CHANGES]
        ],
        "protected": dict(_states(review)),
        "held": [[held.name[:200], held.state] for held in review.held[:MOST_CHANGES]],
    }


def _states(review: Review) -> Iterator[tuple[str, int]]:
    states = [held.state for held in review.held]
    for state in dict.fromkeys(states):
        yield state, states.count(state)
