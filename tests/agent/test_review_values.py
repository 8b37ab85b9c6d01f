"""Protected values, read from bytes: the same value in another spelling is untouched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.review.values import Held, value_of

FORMATS = {
    "a.yaml": b"dpo:\n  beta: 0.1  # as in the paper\n  lr: 1.0e-5\n",
    "a.toml": b"[dpo]\nbeta = 0.1\n",
    "a.json": b'{"dpo": {"beta": 0.1}}',
}


@pytest.mark.parametrize(("path", "data"), FORMATS.items())
@pytest.mark.parametrize("key", ["dpo.beta", "beta"])
def test_a_key_is_found_by_its_full_name_or_its_end(path, data, key):
    assert value_of(path, key, data).found == (("dpo.beta", "0.1"),)


def test_ini_values_are_text():
    assert value_of("a.cfg", "dpo.Beta", b"[dpo]\nBeta = 0.1\n").text == '"0.1"'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("BETA = 0.1\n", "0.1"),
        ("BETA: float = 0.1  # why\n", "0.1"),
        ("x = DPOConfig(lr=1, BETA=0.1, epochs=2)\n", "0.1"),
        ('x = {"BETA": 0.1}\n', "0.1"),
        ("    BETA=[1, 2],\n", "[1, 2]"),
        ('BETA = "a # b"\n', '"a # b"'),
    ],
)
def test_python_is_read_by_line(text, value):
    read = value_of("a.py", "Config.BETA", text.encode())
    assert (read.text, read.how) == (value, "by line")


@pytest.mark.parametrize(
    "text", ["BETA = (\n  0.1\n)\n", 'BETA = """\n0.1"""\n', "BETA = \\\n 0.1\n", "BETA: |\n 0.1\n"]
)
def test_a_value_over_several_lines_is_not_read_by_line(text):
    assert "several lines" in value_of("a.py", "BETA", text.encode()).why


def test_a_comparison_is_no_value():
    assert value_of("a.py", "BETA", b"if BETA == 0.1:\n    pass\n").text == "no such key"


def test_yaml_that_cannot_be_parsed_is_read_by_line_and_says_so():
    read = value_of("a.yaml", "beta", b"beta: 0.1\nother: !python/object:os.system x\n")
    assert (read.text, read.how) == ("0.1", "by line, since it is no YAML that can be parsed")


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 50_000,
        b"a: &a [x, x]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (c + 1, c + 1, c, c) for c in range(97, 121)),
        b"beta: 2026-99-99\n",
        b"\x00\x01",
        b"? [a, b]\n: {[c]: d}\n",
    ],
)
def test_hostile_yaml_ends_in_a_reading(data):
    assert isinstance(value_of("a.yaml", "beta", data).text, str)


def test_a_file_that_is_missing_huge_or_no_text_is_said():
    assert value_of("a.yaml", "beta", None).text == "no such file"
    assert value_of("a.yaml", "beta", b"x" * (1 << 18)).text == "longer than 128 KiB"
    assert value_of("a.yaml", "beta", b"\xff\xfe").text == "not UTF-8"


def test_of_several_places_all_are_held():
    read = value_of("a.yaml", "beta", b"a: {beta: 1}\nb: {beta: 2}\n")
    assert read.text == "b.beta = 2, a.beta = 1" or read.text == "a.beta = 1, b.beta = 2"
    assert value_of("a.yaml", "a.beta", b"a: {beta: 1}\nb: {beta: 2}\n").text == "1"


def test_an_item_of_a_list_is_a_place():
    assert value_of("a.json", "stages[1].lr", b'{"stages": [{"lr": 1}, {"lr": 2}]}').text == "2"


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        (b"beta: 0.1\n", b"# moved\nbeta:   0.10\n", "untouched"),
        (b"beta: 0.1\n", b"beta: 5.0\n", "touched"),
        (b"beta: 1\n", b"beta: true\n", "touched"),
        (b"beta: 0.1\n", b"alpha: 0.1\n", "gone"),
        (b"beta: 0.1\n", None, "gone"),
        (None, b"beta: 0.1\n", "new"),
        (None, None, "not found"),
        (b"beta: 0.1\n", b"\xff", "not read"),
        (b"beta: 0.1\n", b"x: {beta: 0.1}\n", "touched"),
    ],
)
def test_what_became_of_a_value(before, after, state):
    held = Held("a.yaml:beta", value_of("a.yaml", "beta", before), value_of("a.yaml", "beta", after))
    assert held.state == state


@given(st.sampled_from(["a.yaml", "a.toml", "a.json", "a.ini", "a.py"]), st.binary(max_size=200))
def test_any_bytes_have_a_reading(path, data):
    assert isinstance(value_of(path, "beta", data).text, str)
