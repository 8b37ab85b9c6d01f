"""The injection corpus: what foreign text must not become, in every slot of every comment.

`corpus/*.json` holds names and texts. Each is put into the slots of a comment through the functions that make
it, signed, and rendered twice: as GitHub's Markdown goes (markdown-it-py's preset, with boxes, alerts and
single tildes) and by the hub's own renderer. What comes out has the tags, attributes and comments of the same
comment with a harmless word there, and nothing else but code spans around what may be commit ids.

The rule for what a tracker reads into plain text, which no renderer here does: outside of code no visible
text has an `@`, `GH-`, `://`, `www.`, `:name:` or `$`, nor a `#` before a digit, whose next character is what
would make it one: a zero-width space stands between. (A name has a letter, or is `+1`, `-1`
or three or four digits; two are the minutes of a time.) No 7 to
40 hexadecimal digits stand by themselves, unless they are the decimals of a number. Nothing is hidden.
"""

import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from agent import bodies
from agent.action import Progress
from agent.foreign import escaped
from agent.hub.markdown import rendered
from agent.ledger import Intent, State
from agent.marker import LIVE, Key, Marker, Place, parse, render, with_live_line
from agent.planning import Planned
from agent.result import result_of
from agent.result_bodies import results_text, verdict_text
from agent.task import AskedChange, Problem, Problems, Task
from bench.judge import judge
from bench.plan import Arm
from bench.run import Choice
from pods.choose import Choice as ChosenPod
from pods.choose import Ranked
from tests.agent.made_job import ARMS, SFT, made_plan, write_job

CORPUS = Path(__file__).parent / "corpus"
PLACE, KEY = Place(42, 7), Key("0123abcd", b"k" * 32)
WORD = "word"
VOID = {"br", "hr", "img", "input"}
COMMIT = re.compile(r"(/approve )?[0-9a-f]{7,40}(-[0-9a-f]+)*", re.IGNORECASE)
READ_INTO = re.compile(
    r"@(?!\u200b)|#\d|GH-\d|://|www\.|:([+-]1|\d{3,4}|[\w+-]*[a-z_][\w+-]*):|\$(?!\u200b)"
    r"|(?<!\w)(?!(?<=\d\.)\d+(?!\w))[0-9a-f]{7,40}(?!\w)",
    re.IGNORECASE,
)
GITHUB = MarkdownIt("gfm-like2", {"linkify": False})  # the text rule sees to bare addresses


def long(text: str) -> str:
    """`LONG:x*3` stands for xxx: the corpus is to be read."""
    found = re.fullmatch(r"LONG:(.+)\*(\d+)", text, re.DOTALL)
    return found[1] * int(found[2]) if found else text


CASES = {
    f"{path.stem}: {name}": long(text)
    for path in sorted(CORPUS.glob("*.json"))
    for name, text in json.loads(path.read_text(encoding="utf-8"))
}


class Skeleton(HTMLParser):
    """Tags with their attributes, comments, and the text outside of code."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: Counter[str] = Counter()
        self.text = ""
        self._code: list[str] | None = None
        self._code_tag = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        told = f"<{tag} {sorted(attrs)}>"
        if tag in ("code", "pre") and self._code is None:
            self._code, self._code_tag = [], tag
            return
        self.parts[told] += 1

    def handle_endtag(self, tag):
        if self._code is not None and tag == self._code_tag:
            is_commit = COMMIT.fullmatch("".join(self._code)) is not None
            self.parts["<a commit>" if is_commit else f"<{tag}>"] += 1
            self._code = None
            self.text += "\0"  # nothing before it goes on behind it

    def handle_data(self, data):
        if self._code is None:
            self.text += data
        else:
            self._code.append(data)

    def handle_comment(self, data):
        self.parts[f"<!--{data.split('epm:data')[0]}-->"] += 1

    def unknown_decl(self, data):
        self.parts[f"<![{data}"] += 1

    handle_decl = handle_pi = unknown_decl


def skeletons(kind: str, text: str) -> tuple[Skeleton, Skeleton]:
    """Of the comment as it stands on the issue, as both renderers have it."""
    body = render(Marker(kind, 1, text, {"schema": 1}), PLACE, KEY)
    if kind == "progress" and LIVE in body:
        assert isinstance(parse(body, PLACE, [KEY]), Marker)
    else:
        assert parse(body, PLACE, [KEY]) == Marker(kind, 1, text, {"schema": 1})
    return Skeleton(GITHUB.render(body)), Skeleton(rendered(body))


def made_small(folder):
    """Two arms, one replicate: short, with every section."""
    write_job(folder, made_plan(replicates=1), host={"device": WORD})
    return result_of(folder)


PLAN = made_plan(
    recipes=(replace(SFT, params={"packing": "no"}),), arms=(*ARMS, Arm("c", "b" * 40, {"packing": "x"}))
)
TASK = Task(baseline="main", optimized="faster", recipes=("sft",))


class Slots:
    """One text for each slot of a comment: `of` names the only slot that is foreign, "" stands for all."""

    def __init__(self, foreign: str, only: str) -> None:
        self.foreign, self.only, self.seen = foreign, only, []

    def __call__(self, name: str) -> str:
        self.seen.append(name)
        return self.foreign if self.only in ("", name) else WORD


def progress(slot: Slots, _result) -> str:
    plan = replace(PLAN, arms=(*PLAN.arms[:2], replace(PLAN.arms[2], params={"packing": slot("value")})))
    task = replace(TASK, unchanged=(slot("unchanged"),), protected=(slot("protected"),))
    intent = Intent(1, slot("pod"), slot("slot"), slot("job"), "2026-11-20T13:00:00+00:00")
    state = State("intent", "b" * 16, "t", plan.hash, slot("approver"), intent, note=slot("note"))
    ranked = tuple(Ranked(slot("ranked pod"), None, slot("ranked reason")) for _ in range(2))
    action = Progress(state, planned=Planned(plan), choice=ChosenPod(ranked))
    text = bodies.progress_text(action, task, (slot("forecast"),))
    return with_live_line(text, slot("live line"))


def approved(slot: Slots, _result) -> str:
    return bodies.progress_text(Progress(State("approved", "b", "t", "p" * 64, slot("approver"))), None)


def blocked(slot: Slots, _result) -> str:
    problems = Problems(
        (
            Problem(slot("field"), slot("what"), "an example", 3),
            Problem("Context", "is missing", slot("example").replace("\n", " "), 4),
            Problem("Context", "is missing", f"{slot('many lines')}\nb", 4),
        )
    )
    return bodies.progress_text(Progress(State("blocked", "b"), problems=problems), None)


def waiting(slot: Slots, _result) -> str:
    return bodies.progress_text(Progress(State("waiting", "b", note=slot("blocker"))), None)


def failure(slot: Slots, _result) -> str:
    intent = Intent(1, slot("pod"), slot("slot"), slot("job"), "2026-11-20T13:00:00+00:00")
    return bodies.failure_text("code", slot("why"), ((intent, slot("ended")),), slot("log"))


def answer(slot: Slots, _result) -> str:
    return bodies.answer_text(slot("login"), ("a line of ours",))


def note(slot: Slots, _result) -> str:
    return bodies.note_text(
        "Parked: a marker of this account does not hold", (slot("line"), slot("other line")), "Do."
    )


def results(slot: Slots, result) -> str:
    first, second, *_ = result.runs
    runs = (
        replace(first, choices=(Choice(slot("choice"), "", WORD),)),
        replace(second, choices=(Choice(slot("choice"), "", slot("chosen") + " other"),)),
        replace(second, outcome="crashed", reason=slot("reason")),
    )
    bent = replace(
        result,
        plan=replace(result.plan, repo=slot("repository")),
        runs=runs,
        host={
            "device": slot("device"),
            "pod": slot("pod"),
            "kernel": slot("kernel"),
            "added": [slot("installed")],
        },
        environments={slot("digest"): {"python": slot("python"), "packages": [f"torch=={slot('package')}"]}},
        history={
            "optimized": {
                "commits": [{"id": slot("commit"), "subject": slot("subject")}],
                "files": [{"path": slot("path"), "added": 1, "removed": 2}],
            }
        },
        unfit={"sft": slot("unfit")},
        not_measured={"c": slot("not measured")},
        error=slot("error"),
        ended={"outcome": slot("ended")},
    )
    return results_text(bent, 1.0)


def named(slot: Slots, result) -> str:
    """Names that configuration keeps short and plain: whoever loosens it finds them escaped."""
    arms = (result.plan.arms[0], replace(result.plan.arms[1], name=slot("arm")[:40]))
    plan = replace(result.plan, arms=arms, recipes=(replace(SFT, name=slot("recipe")[:40]),), criteria=())
    runs = [
        replace(run, recipe=plan.recipes[0].name, arm=arms[run.arm == "optimized"].name)
        for run in result.runs
    ]
    bent = replace(result, plan=plan, runs=tuple(runs), judgement=judge(plan, runs))
    return f"{results_text(bent, 1.0)}\n\n{verdict_text(bent, None)}"


def verdict(slot: Slots, result) -> str:
    failed = [
        run if run.arm == "baseline" else replace(run, outcome="crashed", reason=slot("reason"))
        for run in result.runs
    ]
    runs = [replace(run, warnings=(slot("warning"),)) for run in failed]
    bent = replace(result, judgement=judge(result.plan, runs, device=slot("device")))
    change = AskedChange(slot("name"), slot("place"), slot("change"), slot("expected"))
    return verdict_text(bent, replace(TASK, changes=(change,)))


COMMENTS = {
    "progress": (progress, "progress"),
    "approved": (approved, "progress"),
    "blocked": (blocked, "progress"),
    "waiting": (waiting, "progress"),
    "note": (note, "note"),
    "failure": (failure, "failure"),
    "answer": (answer, "note"),
    "results": (results, "results"),
    "named": (named, "results"),
    "verdict": (verdict, "verdict"),
}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return made_small(tmp_path_factory.mktemp("job") / "job")


@pytest.fixture(scope="module")
def harmless(result):
    return {name: skeletons(kind, make(Slots(WORD, ""), result)) for name, (make, kind) in COMMENTS.items()}


def slots_of(name, result) -> list[str]:
    slots = Slots(WORD, "")
    COMMENTS[name][0](slots, result)
    return list(dict.fromkeys(slots.seen))


def wrong_with(name, foreign, only, result, harmless) -> str:
    make, kind = COMMENTS[name]
    for shown, allowed in zip(
        skeletons(kind, make(Slots(foreign, only), result)), harmless[name], strict=True
    ):
        more, less = shown.parts - allowed.parts, allowed.parts - shown.parts
        commits = more.pop("<a commit>", 0)
        less["<code>"] -= min(
            less["<code>"], commits
        )  # a name that is a commit id, where names stand in code
        if more or (+less and escaped(foreign)):
            return f"more {dict(more)}, less {dict(+less)}"
        if found := READ_INTO.search(shown.text):
            around = shown.text[max(found.start() - 30, 0) : found.end() + 30]
            return f"a tracker reads {found[0]!r} in {around!r}"
        hidden = [char for char in shown.text if not char.isprintable() and char not in "\n\0\u200b"]
        if hidden:
            return f"hidden {hidden!r}"
    return ""


EVERY = {"named": 4, "results": 2}
"""Of the cases, in comments that take long to make; a slot alone gets others."""


@pytest.mark.parametrize("name", COMMENTS)
@pytest.mark.parametrize("family", sorted({case.partition(":")[0] for case in CASES}))
def test_no_case_of_the_corpus_comes_out_of_a_comment_that_is_full_of_it(name, family, result, harmless):
    cases = {case: text for case, text in CASES.items() if case.startswith(f"{family}:")}
    if name in EVERY:  # the longest; names that are none never come that far
        cases = dict(list(cases.items())[:: EVERY[name]])
    wrong = {case: wrong_with(name, text, "", result, harmless) for case, text in cases.items()}
    assert {case: why for case, why in wrong.items() if why} == {}


EACH = 48
"""Each slot alone is given every 48th case, the next slot the next ones: all slots have had all of them."""


@pytest.mark.parametrize("name", COMMENTS)
def test_no_case_of_the_corpus_comes_out_of_any_slot_alone(name, result, harmless):
    before = sum(len(slots_of(other, result)) for other in list(COMMENTS)[: list(COMMENTS).index(name)])
    wrong = {}
    for number, slot in enumerate(slots_of(name, result), before):
        for case in list(CASES)[number % EACH :: EACH]:
            wrong[slot, case] = wrong_with(name, CASES[case], slot, result, harmless)
    assert {where: why for where, why in wrong.items() if why} == {}


def test_the_corpus_has_at_least_two_hundred_cases():
    assert len(CASES) >= 200


def test_no_two_cases_are_the_same():
    assert len(set(CASES.values())) == len(CASES)


@pytest.mark.parametrize(
    ("markdown", "made"),
    [
        ("<b>x</b>", "<b []>"),
        ("[a](b)", "<a [('href', 'b')]>"),
        ("- [x] a", "<input"),
        ("<!-- a -->", "<!-- a -->"),
        ("~a~", "<s []>"),
    ],
)
def test_the_skeleton_sees_what_must_not_come_out(markdown, made):
    assert [part for part in Skeleton(GITHUB.render(markdown)).parts if part.startswith(made)]


@pytest.mark.parametrize(
    "text", ["@ada", "a #12", "GH-12", "x://y", "www.x", ":tada:", "$x", "0a1b2c3", ":+1:", "acme/x@0a1b2c3d"]
)
def test_the_rule_sees_what_a_tracker_reads(text):
    assert READ_INTO.search(text)


@pytest.mark.parametrize(
    "text", ["12:30:15", "0.69314718", "2026-11-20T13:00:00+00:00", "# a", "trainer.py:98"]
)
def test_the_rule_leaves_what_no_tracker_reads(text):
    assert not READ_INTO.search(text)
