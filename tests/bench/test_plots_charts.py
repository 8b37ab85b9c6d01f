"""All charts of all awkward plans are drawn, named and explained; files and page parts are sound."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bench.judge import judge
from bench.plots.charts import LONGEST_ALT, Chart, attribution_charts, charts_of
from bench.plots.drawn import inline_svg, png_bytes, svg_bytes
from tests.bench.awkward import CASES, Case, hostile_names, lockstep, made_attribution, no_runs, one_arm
from tests.bench.made_runs import SFT, in_recipe, made_plan

KINDS = ("effects", "windows", "phases", "losses", "memory")
PNG = b"\x89PNG\r\n\x1a\n"


def charts(case: Case) -> tuple[Chart, ...]:
    judgement = judge(case.plan, case.runs, floors=case.floors)
    return charts_of(case.recipe, case.plan, case.runs, judgement)


@pytest.fixture(scope="module", params=sorted(CASES))
def drawn(request) -> tuple[Chart, ...]:
    return charts(CASES[request.param]())


@pytest.fixture(scope="module")
def plain() -> tuple[Chart, ...]:
    return charts(one_arm())


def test_there_is_every_chart_or_a_sentence_why_not(drawn):
    assert [chart.slug for chart in drawn] == [f"sft-{kind}" for kind in KINDS]
    assert all(chart.caption.endswith(".") for chart in drawn)


def test_every_chart_says_in_words_what_it_shows(drawn):
    assert all(0 < len(chart.alt) <= LONGEST_ALT for chart in drawn if chart.figure)


def test_an_svg_of_a_page_is_well_formed_small_and_without_address(drawn):
    for chart in drawn:
        if chart.figure:
            text = inline_svg(chart)
            root = ElementTree.fromstring(text)
            assert root.tag == "svg"
            assert len(text) < 100_000
            assert not re.search(r'(href|src)="(?!#)', text)
            assert "xmlns" not in text


def test_no_element_of_an_svg_runs_or_styles_anything(drawn):
    for chart in drawn:
        if chart.figure:
            tags = {element.tag for element in ElementTree.fromstring(inline_svg(chart)).iter()}
            assert tags <= {"svg", "title", "desc", "g", "path", "use", "text", "defs", "clipPath", "rect"}


def test_ids_are_used_once_on_the_whole_page_and_every_reference_has_one(drawn):
    text = "".join(inline_svg(chart) for chart in drawn if chart.figure)
    ids = re.findall(r'\bid="([^"]*)"', text)
    references = set(re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"|aria-\w+="([^"]*)"', text))
    assert len(ids) == len(set(ids))
    assert {name for found in references for name in found if name} <= set(ids)


def test_a_chart_is_an_image_with_title_and_description(plain):
    for chart in plain:
        root = ElementTree.fromstring(inline_svg(chart))
        assert root.attrib["role"] == "img"
        assert [element.tag for element in root][:2] == ["title", "desc"]
        assert [element.text for element in root][:2] == [f"sft: {chart.title}", chart.alt]


def test_ink_and_paper_are_the_pages_own(plain):
    text = "".join(map(inline_svg, plain))
    assert "#1f2328" not in text
    assert "#fefefe" not in text
    assert "currentColor" in text
    assert "var(--paper)" in text


def test_letters_stay_letters_in_the_pages_font(plain):
    text = inline_svg(plain[0])
    assert ">tokens/s of the job<" in text
    assert "font-family" not in text


def test_nothing_is_left_of_the_date_and_the_program(plain):
    for chart in plain:
        assert b"matplotlib" not in svg_bytes(chart).lower()
        assert b"matplotlib" not in png_bytes(chart).lower()


def test_a_file_stands_alone_on_a_white_card_with_its_title(plain):
    for chart in plain:
        text = svg_bytes(chart).decode()
        root = ElementTree.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in text
        assert "fill: #fefefe" in text
        assert f"sft: {chart.title}" in text
        assert png_bytes(chart).startswith(PNG)


def test_writing_a_file_leaves_the_page_as_it_was(plain):
    before = inline_svg(plain[0])
    svg_bytes(plain[0])
    png_bytes(plain[0])
    assert inline_svg(plain[0]) == before


def test_the_same_data_gives_the_same_bytes():
    one, other = charts(one_arm()), charts(one_arm())
    for first, second in zip(one, other, strict=True):
        assert inline_svg(first) == inline_svg(second)
        assert svg_bytes(first) == svg_bytes(second)
        assert png_bytes(first) == png_bytes(second)


def test_a_chart_without_figure_cannot_be_written():
    [chart, *_] = charts(no_runs())
    for write in (inline_svg, svg_bytes, png_bytes):
        with pytest.raises(ValueError, match="'sft-effects' has no figure: Nothing could be compared"):
            write(chart)


def test_hostile_names_are_text_and_nothing_else():
    for chart in charts(hostile_names()):
        for text in (inline_svg(chart), svg_bytes(chart).decode()):
            assert "<script" not in text
            assert "\x1b" not in text
            assert "\u202e" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in inline_svg(charts(hostile_names())[1])


def test_recipes_that_differ_in_signs_only_have_slugs_of_their_own():
    recipes = tuple(replace(SFT, name=name) for name in ("a.b", "a_b", "++"))
    plan = made_plan(recipes=recipes)
    runs = [run for recipe in recipes for run in in_recipe(lockstep({}).runs, recipe.name)]
    judgement = judge(plan, runs)
    slugs = [charts_of(recipe, plan, runs, judgement)[0].slug for recipe in recipes]
    assert slugs == ["a-b-1-effects", "a-b-2-effects", "recipe-3-effects"]


def test_an_attribution_has_two_charts():
    ladder, taken = attribution_charts(made_plan(), made_attribution())
    assert (ladder.slug, taken.slug) == ("sft-ladder", "sft-without")
    assert ladder.title == "Changes added in turn: tokens/s of the job"
    assert "A NOT MEASURED" in taken.alt
    assert inline_svg(ladder) != inline_svg(taken)
