"""What a review finds, by rules that are data, and the verdict: the first rule that holds, all are listed.

Pure. `RULES` says of each kind of finding how heavy it is; `VERDICTS` is the table of the verdict. A finding
never decides by itself: it is heavy because its rule is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.review.adherence import Adherence
from agent.review.history import Commit, History
from agent.review.lint import SYNTAX, Ends
from agent.review.readings import Reading
from agent.review.secrets import Secret
from agent.review.security import Sweep
from agent.review.values import Held

Severity = Literal["Major", "Minor"]
Outcome = Literal["PASS", "CONCERNS", "FAIL"]


@dataclass(frozen=True, slots=True)
class FindingRule:
    severity: Severity
    name: str
    says: str


RULES: tuple[FindingRule, ...] = (
    FindingRule("Major", "secret", "a secret of a known shape is in the history"),
    FindingRule("Major", "possible secret", "random text is given to a secret's name"),
    FindingRule("Major", "not on the baseline", "the optimized commit does not stand on the baseline"),
    FindingRule("Major", "not found", "a claimed change is not in the range"),
    FindingRule("Major", "protected", "a protected value was changed, or is gone"),
    FindingRule("Major", "squashed", "one commit carries all the changes that landed"),
    FindingRule("Major", "syntax", "a touched file does not parse"),
    FindingRule("Major", "security", "bandit rates an added line HIGH"),
    FindingRule("Minor", "possible danger", "bandit rates an added line LOW or MEDIUM, or only ruff sees it"),
    FindingRule("Minor", "silenced", "a comment of the author silences a security rule"),
    FindingRule("Minor", "cannot tell", "whether a claimed change landed is open"),
    FindingRule("Minor", "named file untouched", "a change landed without touching a file that it names"),
    FindingRule("Minor", "several changes", "one commit carries more than one claimed change"),
    FindingRule("Minor", "several commits", "one claimed change is in more than one commit"),
    FindingRule("Minor", "follow-up", "a later fix changes what a claimed change wrote"),
    FindingRule("Minor", "unclaimed", "a commit carries no claimed change"),
    FindingRule("Minor", "merge", "the range holds a merge"),
    FindingRule("Minor", "protected not read", "a protected value could not be read, or is nowhere"),
    FindingRule("Minor", "lint", "ruff check says more than at the baseline"),
    FindingRule("Minor", "format", "ruff format would change a file that it would not have changed before"),
    FindingRule("Minor", "not looked into", "a file whose text is not looked at"),
)
BY_NAME: Mapping[str, FindingRule] = {rule.name: rule for rule in RULES}


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` is `file:line`, a commit, or a protected value; `what` says it in one line."""

    rule: str
    where: str
    what: str

    @property
    def severity(self) -> Severity:
        return BY_NAME[self.rule].severity


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was read of a range."""

    history: History
    readings: tuple[Reading, ...]
    adherence: tuple[Adherence, ...]
    held: tuple[Held, ...]
    lint: Ends
    sweep: Sweep
    secrets: tuple[Secret, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    rule: int
    outcome: Outcome
    name: str
    details: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.name}: {'; '.join(self.details)}"


def findings_of(evidence: Evidence) -> tuple[Finding, ...]:
    """All findings, in the order of the rules, and of a rule in the order of the history or of the files."""
    makers = (_of_secrets, _of_range, _of_changes, _of_commits, _of_held, _of_sweep, _of_lint, _of_files)
    found = [finding for make in makers for finding in make(evidence)]
    order = {rule.name: place for place, rule in enumerate(RULES)}
    return tuple(sorted(found, key=lambda one: order[one.rule]))


def short(commit: Commit) -> str:
    return commit.id[:7]


def _of_secrets(evidence: Evidence) -> Iterator[Finding]:
    for secret in evidence.secrets:
        rule = "secret" if secret.is_shape else "possible secret"
        added = secret.commit[:7] or "a commit that was not looked at alone"
        what = f"{secret.kind}, {secret.mask}, added in {added}"
        yield Finding(rule, f"{secret.path}:{secret.line}", what)


def _of_range(evidence: Evidence) -> Iterator[Finding]:
    history = evidence.history
    if history.behind:
        missing = _counted(history.behind, "commit")
        what = f"it lacks {missing} of the baseline, which the diff of the two takes back"
        yield Finding("not on the baseline", history.optimized[:7], what)


def _of_changes(evidence: Evidence) -> Iterator[Finding]:
    for row in evidence.adherence:
        change = f"change {row.change.name}"
        where = row.change.place or change
        if row.status == "NOT FOUND":
            yield Finding("not found", where, f"{change}: {row.how}")
        if row.status == "CANNOT TELL":
            yield Finding("cannot tell", where, f"{change}: {row.how}")
        for place in row.untouched:
            yield Finding("named file untouched", place, f"{change} is in {_ids(row.commits)}")
        if len(row.commits) > 1:
            yield Finding("several commits", _ids(row.commits), f"{change}")
        for fix in row.follow_ups:
            yield Finding("follow-up", short(fix), f"mends {change}: {fix.subject}")


def _of_commits(evidence: Evidence) -> Iterator[Finding]:
    landed = [row for row in evidence.adherence if row.status == "LANDED"]
    carriers = {commit.id for row in landed for commit in row.commits}
    for reading in evidence.readings:
        commit, carried = reading.commit, reading.named or reading.by_lines
        if commit.is_merge:
            yield Finding("merge", short(commit), commit.subject)
        elif len(carried) > 1:
            is_squashed = len(carriers) == 1 and commit.id in carriers and len(landed) > 1
            rule = "squashed" if is_squashed else "several changes"
            yield Finding(rule, short(commit), f"carries {' and '.join(carried)}: {commit.subject}")
        elif evidence.adherence and not reading.belongs_to:
            yield Finding("unclaimed", short(commit), commit.subject)


def _of_held(evidence: Evidence) -> Iterator[Finding]:
    for held in evidence.held:
        told = f"{held.before.text} at the baseline, {held.after.text} at the optimized commit"
        if held.state in ("touched", "gone", "new"):
            yield Finding("protected", held.name, told)
        elif held.state in ("not read", "not found"):
            yield Finding("protected not read", held.name, told)


def _of_sweep(evidence: Evidence) -> Iterator[Finding]:
    for danger in evidence.sweep.found:
        rule = "security" if danger.severity == "HIGH" else "possible danger"
        silenced = ", silenced by a comment" if danger.is_silenced else ""
        if danger.is_silenced and rule != "security":
            rule = "silenced"
        what = f"{'/'.join(danger.codes)} {danger.message}{silenced}"
        yield Finding(rule, f"{danger.path}:{danger.line}", what)


def _of_lint(evidence: Evidence) -> Iterator[Finding]:
    for lint in evidence.lint.fresh:
        rule = "syntax" if lint.code == SYNTAX else "lint"
        yield Finding(rule, f"{lint.path}:{lint.line}", f"{lint.code} {lint.message}")
    for path in evidence.lint.unformatted:
        yield Finding("format", path, "ruff format would change it")


def _of_files(evidence: Evidence) -> Iterator[Finding]:
    for file in evidence.history.files:
        if file.note:
            yield Finding("not looked into", file.path, file.note)


def _ids(commits: Sequence[Commit]) -> str:
    return ", ".join(short(commit) for commit in commits)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


@dataclass(frozen=True, slots=True)
class VerdictRule:
    """`holds` returns what makes the rule hold, or nothing."""

    number: int
    outcome: Outcome
    name: str
    holds: Callable[[Evidence, Sequence[Finding]], tuple[str, ...]]


def verdict_of(evidence: Evidence, findings: Sequence[Finding]) -> tuple[Reason, ...]:
    """All rules that hold, the deciding one first; never empty."""
    reasons = [
        Reason(rule.number, rule.outcome, rule.name, details)
        for rule in VERDICTS
        if (details := rule.holds(evidence, findings))
    ]
    return tuple(reasons) or (Reason(PASSED[0], "PASS", PASSED[1], (_checked(evidence, findings),)),)


def _secrets(_: Evidence, findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(f"{one.where} ({one.what.partition(',')[0]})" for one in findings if one.rule == "secret")


def _nothing_landed(evidence: Evidence, _: Sequence[Finding]) -> tuple[str, ...]:
    states = {row.status for row in evidence.adherence}
    return (f"{_counted(len(evidence.adherence), 'claimed change')}",) if states == {"NOT FOUND"} else ()


def _major(_: Evidence, findings: Sequence[Finding]) -> tuple[str, ...]:
    names = [one.rule for one in findings if one.severity == "Major"]
    return tuple(f"{BY_NAME[name].says} ({names.count(name)})" for name in dict.fromkeys(names))


def _open(evidence: Evidence, _: Sequence[Finding]) -> tuple[str, ...]:
    unclear = [f"change {row.change.name}" for row in evidence.adherence if row.status == "CANNOT TELL"]
    unread = [held.name for held in evidence.held if held.state in ("not read", "not found")]
    lists = (("whether it landed", unclear), ("protected and not read", unread))
    return (*evidence.doubts, *(f"{what}: {', '.join(names)}" for what, names in lists if names))


def _checked(evidence: Evidence, findings: Sequence[Finding]) -> str:
    landed = (
        f"{_counted(len(evidence.adherence), 'claimed change')} landed"
        if evidence.adherence
        else "no change is claimed"
    )
    held = f", {_counted(len(evidence.held), 'protected value')} untouched" if evidence.held else ""
    return f"{landed}{held}, no secret, no major finding, {_counted(len(findings), 'minor one')}"


PASSED = (5, "nothing speaks against it")
VERDICTS: tuple[VerdictRule, ...] = (
    VerdictRule(1, "FAIL", "a secret is in the history", _secrets),
    VerdictRule(2, "FAIL", "nothing that was claimed landed", _nothing_landed),
    VerdictRule(3, "CONCERNS", "major findings", _major),
    VerdictRule(4, "CONCERNS", "not everything could be told", _open),
)
"""Where none of them holds it is a PASS, by the rule of `PASSED`."""
