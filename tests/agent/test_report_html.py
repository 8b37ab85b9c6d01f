"""The page: the words, tables and charts of a report in one file that needs nothing and runs nothing."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import TaskError
from agent.report import report_text
from agent.report_files import keep_page, write_drawn
from agent.report_html import figure_columns, report_charts, report_page
from agent.result import Result, result_of
from bench import tables
from bench.judge import judge
from bench.plots.charts import attribution_charts
from bench.tables import Table
from tests.agent.made_job import made_plan, store_result, write_job
from tests.agent.page_reader import Page
from tests.agent.test_report import HOSTILE, MARKDOWN, golden_job, hostile_job, packing_job
from tests.bench.awkward import CASES, made_attribution

LARGEST_B = 1_500_000


def page_of(result: Result) -> str:
    return report_page(result, report_charts(result))


def result_of_case(name: str) -> Result:
    case = CASES[name]()
    judgement = judge(case.plan, case.runs, floors=case.floors, device="made")
    host = {"device": "made", "cores": 2}
    environments = {"abc": {"python": "3.11.7", "packages": ["torch==2.13.0"]}}
    ended = {"outcome": "finished"}
    return Result(Path("job"), case.plan, case.runs, judgement, host, ended, "", environments, {})


@pytest.fixture(scope="module")
def golden(tmp_path_factory) -> Result:
    return result_of(golden_job(tmp_path_factory.mktemp("golden") / "job"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> str:
    return page_of(result_of(hostile_job(tmp_path_factory.mktemp("hostile"))))


@pytest.fixture(scope="module", params=sorted(CASES))
def awkward(request) -> str:
    return page_of(result_of_case(request.param))


def sentences(markdown: str) -> list[str]:
    """Paragraphs, list items, headings and cells as they are read, without signs that belong to Markdown."""
    found = []
    for token in MARKDOWN.parse(markdown):
        if token.type == "inline":
            seen = "".join("\n" if child.type == "softbreak" else child.content for child in token.children)
            found.append(" ".join(seen.replace("\u200b", "").split()).removesuffix(":"))
    return [sentence for sentence in found if sentence]


def looks_job(folder: Path) -> Path:
    return write_job(folder / "job", made_plan(looks=(3, 5), replicates=5))


def failed_job(folder: Path) -> Path:
    job = write_job(folder / "job")
    (job / "runs" / "error.json").write_text('{"text": "pip failed: no <matching> distribution"}')
    return job


def cancelled_job(folder: Path) -> Path:
    job = write_job(folder / "job", made_plan(replicates=1))
    (job / "exit.json").write_text('{"outcome": "cancelled"}')
    return job


@pytest.mark.parametrize("write", [looks_job, failed_job, cancelled_job, packing_job, hostile_job])
def test_every_sentence_of_the_markdown_report_stands_on_the_page(write, tmp_path):
    result = result_of(write(tmp_path))
    text = Page(page_of(result)).text
    assert [one for one in sentences(report_text(result)) if one not in text] == []


@pytest.mark.parametrize("name", ["one_arm", "seven_long_arms", "crashed_arm", "one_replicate"])
def test_the_page_of_lockstep_runs_says_what_the_markdown_report_says(name):
    result = result_of_case(name)
    text = Page(page_of(result)).text
    assert [one for one in sentences(report_text(result)) if one not in text] == []


def test_the_verdict_stands_in_the_title_and_in_the_heading(golden):
    page = Page(page_of(golden))
    assert page.text.splitlines()[0].startswith("target: ")
    assert f"target: {golden.judgement.verdict.outcome} (arm optimized)" in page.text


def test_tables_are_tables_cell_by_cell(golden):
    page = Page(page_of(golden))
    [recipe] = golden.plan.recipes
    wanted = [
        tables.criteria_table(golden.judgement),
        tables.parity_table(golden.judgement),
        tables.metric_table(recipe, golden.plan, golden.judgement),
        tables.run_table(recipe, golden.runs),
    ]
    found = [(tuple(one.header), tuple(map(tuple, one.rows))) for one in page.tables]
    for table in wanted:
        assert (table.header, table.rows) in found


def test_figures_stand_on_the_right_and_words_on_the_left(golden):
    [metrics] = [one for one in Page(page_of(golden)).tables if "optimized / baseline" in one.header]
    assert metrics.figure_columns == [False, True, True, True, True, True]
    [runs] = [one for one in Page(page_of(golden)).tables if "outcome" in one.header]
    assert runs.figure_columns == [False, False, False, *[True] * 6]


@pytest.mark.parametrize(
    "cell",
    [
        "1,352 tok/s",
        "1.93 [1.78, 2.09]",
        "~ [0.97, 1.06]",
        "~ (n = 1)",
        "~ wide open",
        "=",
        "-",
        "",
        "nan nat",
    ],
)
def test_a_figure_is_told_from_words(cell):
    assert figure_columns(Table("t", ("", "x"), (("a", "1"), ("b", cell)))) == (False, True)


@pytest.mark.parametrize(
    "cell", ["ok", "optimized", "1.93 [1.78, 2.09], n = 3, asked >= 1.3; more would decide"]
)
def test_words_are_told_from_a_figure(cell):
    assert figure_columns(Table("t", ("", "x"), (("a", "1"), ("b", cell)))) == (False, False)


def test_a_table_without_rows_or_figures_has_no_column_of_figures():
    assert figure_columns(Table("t", ("", "x"), ())) == (False, False)
    assert figure_columns(Table("t", ("", "x"), (("a", ""),))) == (False, False)


def test_every_chart_stands_in_a_figure_with_its_words(golden):
    result = result_of_case("one_arm")
    page = Page(page_of(result))
    images = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(images) == len([tag for tag, _ in page.elements if tag == "figure"]) == 5
    assert {image["role"] for image in images} == {"img"}
    for chart in report_charts(result):
        assert chart.title in page.text
        assert chart.caption in page.text
        assert chart.alt in page.text


def test_a_chart_that_cannot_be_drawn_is_a_sentence(golden):
    text = Page(page_of(golden)).text
    assert "There is no chart of windows: the runs were made one whole process after the other" in text


def test_further_charts_stand_with_their_recipe():
    result = result_of_case("one_arm")
    more = attribution_charts(result.plan, made_attribution())
    page = report_page(result, (*report_charts(result), *more))
    assert "Changes added in turn: tokens/s of the job" in Page(page).text
    assert page.count("<svg") == 7


def test_a_page_of_awkward_runs_is_whole_and_small(awkward):
    assert len(awkward.encode()) < LARGEST_B
    page = Page(awkward)  # reads it to its end, every element closed
    assert {"Environment", "How to verify"} <= set(page.text.splitlines())


def test_nothing_on_a_page_runs_loads_or_leads_elsewhere(awkward):
    page = Page(awkward)
    assert not page.tags() & {
        "script",
        "iframe",
        "object",
        "embed",
        "link",
        "img",
        "form",
        "base",
        "a",
        "image",
    }
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "#").startswith("#")
        assert not {"src", "srcset", "action", "data", "xlink:href"} & set(attributes)
    styles = " ".join([page.style, *(attributes.get("style", "") for _, attributes in page.elements)])
    assert "@import" not in styles
    assert set(re.findall(r"url\((.)", styles)) <= {"#"}
    [policy] = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_no_id_is_used_twice_on_a_page(awkward):
    ids = [attributes["id"] for _, attributes in Page(awkward).elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_hostile_text_is_text_on_the_page(hostile):
    page = Page(hostile)
    assert not page.tags() & {"script", "b", "img", "a"}
    assert " ".join(HOSTILE.split()) in page.text
    assert "<!-- epm" not in hostile


@pytest.mark.parametrize("character", ["\x1b", "\u202e", "\x00"])
def test_no_character_that_hides_or_turns_text_reaches_the_page(character):
    result = result_of_case("one_arm")
    page = page_of(replace(result, host={"device": f"a{character}b"}))
    assert character not in page
    assert "a\ufffdb" in page


def test_text_without_end_is_cut():
    result = replace(result_of_case("no_runs"), error="x" * 100_000)
    assert "x" * 301 not in page_of(result)


def test_the_same_folder_gives_the_same_bytes_wherever_it_lies(tmp_path):
    one = page_of(result_of(write_job(tmp_path / "one")))
    other = page_of(result_of(write_job(tmp_path / "elsewhere" / "other")))
    assert one == other


def test_the_page_is_light_and_dark_and_made_for_phones(golden):
    page = Page(page_of(golden))
    assert "color-scheme: light dark" in page.style
    assert {"--paper", "--blue", "--on-blue"} <= set(re.findall(r"(--[\w-]+): light-dark", page.style))
    metas = [attributes for tag, attributes in page.elements if tag == "meta"]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in metas
    boxes = [attributes for tag, attributes in page.elements if attributes.get("class") == "scroll"]
    assert len(boxes) == len(page.tables)


def test_the_page_names_the_environment_and_how_to_check_it():
    text = Page(page_of(result_of_case("one_arm"))).text
    assert "environment abc: Python 3.11.7, 1 packages" in text
    assert "torch==2.13.0" in text
    assert "paceline verify FOLDER" in text


def test_charts_are_written_as_svg_and_png(tmp_path):
    written = write_drawn(result_of_case("one_arm"), tmp_path / "page.html", tmp_path / "charts" / "here")
    kinds = ("effects", "losses", "memory", "phases", "windows")
    assert written[0].name == "page.html"
    assert sorted(path.name for path in (tmp_path / "charts" / "here").iterdir()) == [
        f"sft-{kind}.{end}" for kind in kinds for end in ("png", "svg")
    ]


def test_what_cannot_be_written_is_said(tmp_path):
    with pytest.raises(TaskError, match=r"cannot write .*page\.html: No such file or directory"):
        write_drawn(result_of_case("no_runs"), tmp_path / "missing" / "page.html", None)


def test_without_matplotlib_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(TaskError, match="charts need matplotlib, which is not installed here: pip install"):
        write_drawn(result_of_case("one_arm"), tmp_path / "page.html", None)


def test_a_folder_without_rights_costs_no_result(tmp_path, capsys):
    keep_page(replace(result_of_case("no_runs"), folder=tmp_path / "gone"))
    assert "paceline: no report.html for gone: cannot write" in capsys.readouterr().err


def test_the_page_lies_beside_the_report_of_a_job(tmp_path):
    folder = store_result(write_job(tmp_path / "job"))
    keep_page(result_of(folder))
    assert (folder / "report.html").read_text() == page_of(result_of(folder))
