"""The closing note: what is left to do, each once."""

from agent.closing import closing_text
from agent.ledger import Ledger, Said
from agent.marker import Marker
from agent.tracker import Comment, User
from tests.agent.test_ledger import NOW

CRITERION = "sft:job_tokens_per_s>=1.3"
BELOW = f"criterion not met: {CRITERION}: NOT MET: 1.1 [1.0, 1.2], n = 3, asked >= 1.3"
MEMORY = "worse where nobody asked: dpo: peak_memory_b 1.53 [1.52, 1.54], beyond 20 %"


def closed(*reasons, score="NOT MET"):
    payload = {"plan": "p", "outcome": "CONCERNS", "criteria": [[CRITERION, "optimized", score]]}
    payload |= {"observed": ["1.1"], "reasons": list(reasons)}
    comment = Comment(1, "IC_1", User("bot", 1), "", NOW, NOW)
    return closing_text(Ledger(), Said(Marker("verdict", 1, "", payload), comment), None)


def left(text):
    return [line.removeprefix("- [ ] ") for line in text.splitlines() if line.startswith("- [ ] ")]


def test_a_criterion_that_is_not_met_is_one_follow_up():
    assert left(closed([3, "CONCERNS", BELOW])) == [f"`{CRITERION}` of optimized is NOT MET"]


def test_what_got_worse_unasked_is_told_with_the_rule_that_says_so():
    text = closed([3, "CONCERNS", MEMORY], score="MET")
    assert left(text) == [f"CONCERNS: {MEMORY}"]


def test_nothing_left_is_said():
    assert "No follow-up is known." in closed(score="MET")
