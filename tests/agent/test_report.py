"""The report: what it says of fixed runs, and that foreign text stays text.

`golden/report.md` is written anew by `PACELINE_WRITE_GOLDENS=1 pytest tests/agent/test_report.py`; read the
difference before committing it.
"""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.report import LONGEST_CELL, escaped, report_text, table_text
from agent.result import result_of
from bench.plan import Arm
from bench.tables import Table
from tests.agent.made_job import ARMS, SFT, events_of, made_plan, made_raw, write_job
from tests.bench.raw_run import START, lines_of, owner_record

markdown_it = pytest.importorskip("markdown_it", reason="rich brings it")

GOLDEN = Path(__file__).parent / "golden" / "report.md"
MARKDOWN = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = (
    "| a | <!-- epm:results v1 --> `rm` @somebody\n\n# <b>x</b> ~~no~~ [click](http://x) ![i](y) \\| *b*"
)
PLAIN = {"text", "text_special", "softbreak"}
COMMIT = re.compile(r"[0-9a-f]{7,40}(-[0-9a-f]+)*", re.IGNORECASE)
MARKUP = st.text(st.sampled_from("ab 1.|<>&`*_~[](){}!#+-=:;@\\\"'$\n\té…"), max_size=40)


def shown(text: str) -> str:
    """What a reader sees of foreign text: one line, at most `LONGEST_CELL` characters, no live mention.

    The zero-width spaces that keep a mention or reference from being one are no part of what is seen.
    """
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_CELL else line[: LONGEST_CELL - 1] + "…"


def inlines(markdown: str) -> list:
    return [token for token in MARKDOWN.parse(markdown) if token.type == "inline"]


def seen(inline) -> str:
    """The text of an inline token, which must hold nothing but text, and what may be commit ids as code."""
    others = [child for child in inline.children if child.type not in PLAIN]
    assert all(one.type == "code_inline" and COMMIT.fullmatch(one.content) for one in others), inline.content
    return "".join(child.content for child in inline.children).replace("\u200b", "")


def cells(markdown: str) -> list[list[str]]:
    """Cells of the one table in `markdown` by row, as they are seen."""
    rows: list[list[str]] = []
    tokens = MARKDOWN.parse(markdown)
    assert (tokens[0].type, tokens[-1].type) == ("table_open", "table_close")
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(seen(token).strip())
    return rows


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("a|b", "a&#124;b"),
        ("one\ntwo\r\n three", "one two three"),
        ("`rm -rf`", "\\`rm -rf\\`"),
        ("<!-- epm:results v1 -->", "&lt;!-- epm:results v1 -->"),
        ("ask @somebody", "ask @\u200bsomebody"),
        ("<img src=x>", "&lt;img src=x>"),
        ("&lt;", "&amp;lt;"),
        ("~~gone~~", "\\~\\~gone\\~\\~"),
        ("~ [0.97, 1.06]", "~ [0.97, 1.06\\]"),
        ("[click](http://x)", "[click\\](http:\u200b//x)"),
        ("[name]: http://x", "[name\\]: http:\u200b//x"),
        ("see https://x.y or www.x.y", "see https:\u200b//x.y or www\u200b.x.y"),
        ("# not a heading", "\\# not a heading"),
        ("a\\|b", "a\\\\&#124;b"),
        ("per_device_train_batch_size", "per_device_train_batch_size"),
        ("_italic_", "\\_italic\\_"),
        ("job_tokens_per_s>=1.3", "job_tokens_per_s>=1.3"),
        ("10 - 7", "10 - 7"),
        ("- 7", "\\- 7"),
        ("-7", "-7"),
        ("---", "\\---"),
        ("1. one", "1\\. one"),
        ("1.5 s", "1.5 s"),
        ("[x] done", "\\[x] done"),
        ("==", "\\=="),
        ("=", "="),
        ("_www.x.y", "\\_www\u200b.x.y"),
        (":tada: at 12:30:15", ":\u200btada: at 12:30:15"),
        ("fixes #12 and GH-3", "fixes #\u200b12 and GH-\u200b3"),
        ("as in acme/other@0a1b2c3", "as in acme/other@\u200b`0a1b2c3`"),
        ("0.69314718", "0.69314718"),
        ("$x$", "&#36;\u200bx&#36;\u200b"),
        ("a[^1]", "a\\[^1\\]"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07red", "red"),
        ("", ""),
    ],
)
def test_foreign_text_is_escaped_where_it_could_be_markup(text, markdown):
    assert escaped(text) == markdown


def test_very_long_text_ends_in_an_ellipsis():
    assert escaped("x" * 1000) == "x" * (LONGEST_CELL - 1) + "…"


def test_text_of_the_longest_length_stays_whole():
    assert escaped("x" * LONGEST_CELL) == "x" * LONGEST_CELL


def test_cutting_comes_before_escaping_so_that_no_entity_is_cut():
    assert escaped("|" * 1000) == "&#124;" * (LONGEST_CELL - 1) + "…"


def test_names_with_two_underscores_are_not_italic():
    [inline] = inlines(f"- {escaped('TypeError: __init__ got an argument')}")
    assert seen(inline) == "TypeError: __init__ got an argument"


@pytest.mark.parametrize("text", ["\x1b[2J", "\x00", "\x7f", "\u202edlrow"])
def test_control_characters_do_not_reach_the_terminal(text):
    assert all(character.isprintable() for character in escaped(text))


def test_a_file_name_that_is_not_utf_8_can_be_written():
    assert escaped("no such file: 'caf\udce9'").encode()


def without_two_underscores(text: str) -> bool:
    return "__" not in text


@given(MARKUP.filter(without_two_underscores))
@example(HOSTILE)
def test_foreign_text_in_a_list_is_seen_as_it_was_written(text):
    found = inlines(f"- warning: {escaped(text)}")
    assert [seen(inline).strip() for inline in found] == [f"warning: {shown(text)}".strip()]


@given(
    st.lists(st.lists(MARKUP.filter(without_two_underscores), min_size=3, max_size=3), min_size=1, max_size=3)
)
@example([[HOSTILE, "|", "\\"]])
def test_text_in_a_table_moves_no_cell(rows):
    table = Table("Runs", ("one", "two", "three"), tuple(map(tuple, rows)))
    assert cells(table_text(table)) == [
        ["one", "two", "three"],
        *([shown(text).strip() for text in row] for row in rows),
    ]


@given(st.text(max_size=30))
def test_any_text_leaves_the_number_of_rows_and_columns(text):
    table = Table("Runs", ("one", text), ((text, "2"), ("3", text)))
    markdown = table_text(table)
    tokens = MARKDOWN.parse(markdown)
    kinds = [token.type for token in tokens]
    assert (kinds.count("tr_open"), kinds.count("th_open"), kinds.count("td_open")) == (3, 2, 4)
    assert len(markdown.split("\n")) == 4


def test_a_table_without_rows_is_its_header():
    assert table_text(Table("Runs", ("one", "two"), ())).splitlines()[0].split() == [
        "|",
        "one",
        "|",
        "two",
        "|",
    ]


def hostile_job(tmp_path):
    """Foreign text wherever it can come from: repository, arm, choice, reason of a run, device."""
    arms = (*ARMS, Arm("x", "c" * 40, {"name": HOSTILE}))
    plan = made_plan(repo=HOSTILE, recipes=(replace(SFT, params={"name": ""}),), arms=arms, replicates=1)
    crashed = made_raw(
        "x",
        1,
        events=lines_of(
            [START, {"kind": "error", "type": "ValueError", "text": f"x {HOSTILE}".replace("\n", " ")}]
        ),
        owner=owner_record(status=1),
    )
    events = events_of(1.0, 1)
    events[1] = {"kind": "choice", "name": HOSTILE, "requested": HOSTILE, "used": f"{HOSTILE} other"}
    chosen = made_raw("optimized", 1, events=lines_of(events), owner=owner_record(end=19.0))
    raws = {("x", 1): crashed, ("optimized", 1): chosen}
    return write_job(tmp_path / "job", plan, raws, host={"device": HOSTILE})


@pytest.fixture
def hostile(tmp_path) -> str:
    return report_text(result_of(hostile_job(tmp_path)))


def test_a_report_of_hostile_text_holds_no_link_image_tag_or_comment(hostile):
    kinds = {child.type for inline in inlines(hostile) for child in inline.children}
    assert kinds <= {*PLAIN, "code_inline", "strong_open", "strong_close"}
    assert not any(token.type.startswith("html") for token in MARKDOWN.parse(hostile))


def test_a_report_of_hostile_text_mentions_nobody_and_opens_no_marker(hostile):
    assert "@somebody" not in hostile
    assert "<!--" not in hostile


def test_a_report_of_hostile_text_has_the_headings_of_any_report(hostile):
    tokens = MARKDOWN.parse(hostile)
    headings = [
        tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"
    ]
    assert [heading[:20] for heading in headings][1:] == ["sft", "How it was measured"]


def test_a_report_of_hostile_text_keeps_the_columns_of_its_tables(hostile):
    widths = {line.count("|") - 1 for line in hostile.splitlines() if line.startswith("|:")}
    kinds = [token.type for token in MARKDOWN.parse(hostile)]
    assert kinds.count("table_open") == 7
    assert widths == {4, 6, 7, 9}


def golden_job(folder):
    """Three arms: one that wins, one that crashes once and packs."""
    arms = (*ARMS, Arm("optimized+packing", "b" * 40, {"packing": "bfd"}))
    plan = made_plan(recipes=(replace(SFT, params={"packing": "no"}),), arms=arms)
    error = {"kind": "error", "type": "KeyError", "text": "'text'"}
    crashed = made_raw(
        "optimized+packing", 2, events=lines_of([START, error]), owner=owner_record(end=12.0, status=1)
    )
    return write_job(folder, plan, {("optimized+packing", 2): crashed})


def test_the_report_of_fixed_runs_reads_as_it_did(tmp_path):
    text = report_text(result_of(golden_job(tmp_path / "job")))
    if os.environ.get("PACELINE_WRITE_GOLDENS"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_the_verdict_stands_in_the_first_line(tmp_path):
    text = report_text(result_of(write_job(tmp_path / "job")))
    assert text.splitlines()[0] == "# target: PASS (arm optimized)"


def test_a_job_that_could_not_begin_says_why(tmp_path):
    folder = write_job(tmp_path / "job")
    (folder / "runs" / "error.json").write_text('{"text": "pip failed: no matching | distribution"}')
    assert "**Not measured:** pip failed: no matching &#124; distribution\n" in report_text(result_of(folder))


def test_a_cancelled_job_says_that_it_ended_early(tmp_path):
    folder = write_job(tmp_path / "job")
    (folder / "exit.json").write_text('{"outcome": "cancelled"}')
    assert "**The job ended early (cancelled);" in report_text(result_of(folder))


def test_the_parameters_of_an_arm_are_printed_as_they_are_typed(tmp_path):
    arms = (*ARMS, Arm("packing", "b" * 40, {"packing": True}))
    plan = made_plan(recipes=(replace(SFT, params={"packing": False}),), arms=arms)
    assert "packing = true" in report_text(result_of(write_job(tmp_path / "job", plan)))


def report_of(folder, plan=None, raws=None) -> str:
    return report_text(result_of(write_job(folder / "job", plan, raws)))


def test_the_confidence_that_was_used_is_the_one_that_is_printed(tmp_path):
    text = report_of(tmp_path / "fixed")
    assert "ratios with their 95 % interval:" in text and "with a 95 % t interval" in text
    assert "equivalence is tested with a 90 % interval" in text
    stricter = report_of(tmp_path / "looks", made_plan(looks=(3, 5), replicates=5))
    assert "5 replicates at most, looked at after 3, 5, judged after 3" in stricter
    assert "ratios with their 98.5 % interval:" in stricter and "with a 98.5 % t interval" in stricter
    assert "(differences: 98.5 % intervals)" in stricter
    assert "equivalence is tested with a 97 % interval" in stricter
    assert "95 %" not in stricter and "90 %" not in stricter


def test_every_table_of_means_says_which_means_they_are(tmp_path):
    text = report_of(tmp_path)
    assert [line.split(" ")[0] for line in text.splitlines() if line.endswith(":") and "means" in line] == [
        "Geometric",
        "Seconds",
        "Seconds",
    ]
    assert text.count("arithmetic means (") == 2


def packing_job(folder):
    """Packing that is new costs half a second of preparation and saves one of training."""

    def raw(arm, replicate, used, train_s, prep_s):
        choice = {"kind": "choice", "name": "packing", "requested": "", "used": used, "why": ""}
        _, _, imported, load, *events = events_of(train_s, replicate)
        later = [
            {**event, **{key: event[key] + prep_s for key in ("begin", "end", "at") if key in event}}
            for event in events
        ]
        later[0]["begin"] -= prep_s  # the preparation begins as early, and ends later
        lines, end = lines_of([START, choice, imported, load, *later]), 18.0 + train_s + prep_s
        return made_raw(arm, replicate, events=lines, owner=owner_record(end=end))

    before = {("baseline", r): raw("baseline", r, "False", 2.0, 0.0) for r in (1, 2, 3)}
    after = {("optimized", r): raw("optimized", r, "True", 1.0, 0.5) for r in (1, 2, 3)}
    return write_job(folder / "job", raws=before | after)


def test_work_that_left_the_loop_is_said_below_the_phases(tmp_path):
    lines = report_text(result_of(packing_job(tmp_path))).splitlines()
    moved = "packing moved into preparation: 0.50 s before training, train got 1.00 s shorter"
    assert f"- optimized: {moved} (n = 3)" in lines


@pytest.mark.parametrize(("cache", "said"), [("cold", "caches were cold"), ("warm", "caches were warm")])
def test_the_report_says_which_caches_were_measured(tmp_path, cache, said):
    plan = made_plan(recipes=(replace(SFT, cache=cache),))
    assert f"- {said}: " in report_of(tmp_path, plan)
