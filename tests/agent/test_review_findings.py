"""The tables of the review: what its document says is what they say."""

from pathlib import Path

from agent.review.findings import PASSED, RULES, VERDICTS

PAGE = Path(__file__).parent.parent.parent / "docs" / "review.md"


def between(name: str) -> list[str]:
    return PAGE.read_text().split(f"<!-- {name} -->\n")[1].split(f"<!-- /{name} -->")[0].splitlines()[2:]


def test_the_documents_table_of_findings_is_the_codes():
    assert between("findings") == [f"| {rule.severity} | {rule.name} | {rule.says} |" for rule in RULES]


def test_the_documents_table_of_verdicts_is_the_codes():
    rows = [f"| {rule.number} | {rule.outcome} | {rule.name} |" for rule in VERDICTS]
    assert between("verdicts") == [*rows, f"| {PASSED[0]} | PASS | {PASSED[1]} |"]


def test_rules_have_names_of_their_own_and_major_ones_come_first():
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert [rule.severity for rule in RULES] == sorted(rule.severity for rule in RULES)


def test_the_worse_verdict_comes_first():
    assert [rule.outcome for rule in VERDICTS] == ["FAIL", "FAIL", "CONCERNS", "CONCERNS"]
