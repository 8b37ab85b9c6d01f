"""What takes secrets out of a stream: found in every form and at every cut, and nothing else is touched.

The tokens here are made up, and written in two halves so that no scanner takes them for real ones.
"""

from __future__ import annotations

import base64
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pods.supervisor import redact, shapes
from pods.supervisor.redact import MARK, PEM_LIMIT_B, Redactor, redacted, secrets_of

MIB = 1 << 20
SECRET = "correct horse/battery+staple"
NINE = "aB3" * 13
HEX = "0123456789abcdef0123456789abcdef01234567"
KEY = "PRIV" + "ATE KEY-----"
TOKENS = {
    "a personal token": "gh" + "p_" + NINE,
    "an OAuth token": "gh" + "o_" + NINE,
    "a token of a user of an app": "gh" + "u_" + NINE,
    "a token of an app": "gh" + "s_" + NINE,
    "a refresh token": "gh" + "r_" + NINE,
    "a fine-grained token": "github" + "_pat_" + "11ABC_" + NINE,
    "an AWS key": "AK" + "IA" + "ABCDEFGHIJKLMNOP",
    "an AWS key for a while": "AS" + "IA" + "ABCDEFGHIJKLMNOP",
    "a Hugging Face token": "h" + "f_" + NINE,
    "an OpenAI key": "s" + "k-" + NINE,
    "a key of an OpenAI project": "s" + "k-" + "proj-" + NINE,
    "an Anthropic key": "s" + "k-" + "ant-api03-" + NINE,
    "a Slack token": "xo" + "xb-" + "1234567890-" + NINE,
    "a Google key": "AI" + "za" + "-" * 35,
    "a JSON web token": "ey" + "JhbGciOiJIUzI1NiJ9." + "ey" + "JzdWIiOiJhZGEifQ." + NINE,
    "a private key": "-----BEGIN RSA PRIV"
    + f"ATE KEY-----\n{NINE}\n{NINE}\n-----END RSA PRIV"
    + "ATE KEY-----",
    "an OpenSSH key": "-----BEGIN OPENSSH PRIV"
    + f"ATE KEY-----\n{NINE}\n-----END OPENSSH PRIV"
    + "ATE KEY-----",
}
NAMED = {
    f"WANDB_API_KEY={HEX}": "WANDB[redacted]",
    f"wandb login {HEX}": "wandb[redacted]",
    f'wandb.login(key="{HEX}")': 'wandb[redacted]")',
    f"machine api.wandb.ai\n  login user\n  password {HEX}\n": "machine api.wandb[redacted]\n",
    "Authorization: Basic YWRhOmxvdmVsYWNl\nHost: x": "Authorization: [redacted]\nHost: x",
    '{"authorization": "token of mine", "a": 1}': '{"authorization": "[redacted]", "a": 1}',
    "Authorization%3A%20Basic%20YWRhOg&a=1": "Authorization%3[redacted]&a=1",
    "curl -H 'bearer abcdefghij0123456789'": "curl -H 'bearer [redacted]'",
    "fetch https://ada:lovelace@git.example/x": "fetch https://[redacted]@git.example/x",
    "postgres://:p@ss:w@rd@db/x": "postgres://[redacted]@db/x",
}


def in_pieces(text: bytes, sizes: list[int], secrets: tuple[str, ...] = ()) -> bytes:
    redactor, out, at = Redactor(secrets), b"", 0
    for size in sizes:
        out += redactor.feed(text[at : at + size])
        at += size
    return out + redactor.feed(text[at:]) + redactor.end()


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_is_found_between_other_words(name: str) -> None:
    assert redacted(f'key = "{TOKENS[name]}", loss 0.5') == 'key = "[redacted]", loss 0.5'


@pytest.mark.parametrize("text", NAMED)
def test_what_a_name_in_front_gives_away_is_found(text: str) -> None:
    assert redacted(text) == NAMED[text]


@pytest.mark.parametrize("name", [name for name in TOKENS if "JSON" not in name])
@pytest.mark.parametrize("before", ["", "a", "ab"])
def test_a_token_in_base64_is_found_in_each_alignment(name: str, before: str) -> None:
    encoded = base64.b64encode(f"{before}{TOKENS[name]} and more".encode()).decode()
    clean = redacted(f"data: {encoded};")
    head = base64.b64encode(before.encode()).decode().rstrip("=")
    assert clean.endswith("[redacted];") and len(clean) <= len(f"data: {head}x[redacted];")


@pytest.mark.parametrize(
    "text",
    [
        "step 3, loss 1.234, 1,352 tok/s, https://example.org:8080/a@b",
        f"commit {HEX}",
        "task-learning-rate-schedule-of-warmup-steps",
        "the bearer of bad news",
        "a wandb run of 3 hours was offline",
        "-----BEGIN CERTIFICATE-----",
        "shelf_life, ghp_short, AKIA, eyJ.eyJ, hf_",
        "/data/checkpoints/model-00001-of-00002/consolidated.safetensors" * 3,
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote_plus(SECRET),
        quote(SECRET, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    ],
)
def test_a_known_value_is_found_as_it_is_and_in_an_address(form: str) -> None:
    assert redacted(f"a={form}&b=1", [SECRET]) == "a=[redacted]&b=1"


@pytest.mark.parametrize("before", [b"", b"1", b"12"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@given(secret=st.binary(min_size=12, max_size=30))
@settings(max_examples=30, deadline=None)
def test_a_known_value_is_found_in_base64(encode, before: bytes, secret: bytes) -> None:  # type: ignore[no-untyped-def]
    text = "s" + secret.hex()
    found = redacted(f"<{encode(before + text.encode() + b'!!').decode()}>", [text])
    assert found.endswith("[redacted]>") and len(found) <= 15


def test_a_value_in_json_is_found_where_it_had_to_be_escaped() -> None:
    assert redacted('{"a": "say \\"hello\\" to me"}', ['say "hello" to me']) == '{"a": "[redacted]"}'


def test_of_two_values_the_longer_one_is_taken_out_whole() -> None:
    assert redacted("hunter2hunter2!", ["hunter2h", "hunter2hunter2"]) == "[redacted]!"


def test_a_value_of_many_lines_is_found_line_by_line() -> None:
    secret = "first line of it\nsecond line of it"
    assert redacted("| first line of it\n| second line of it", [secret]) == "| [redacted]\n| [redacted]"


def test_a_very_long_value_is_found_whole() -> None:
    secret = "".join(chr(ord("a") + number * 7 % 26) + str(number) for number in range(1000))
    assert set(redacted(f"<{secret}>", [secret]).replace("[redacted]", "")) == {"<", ">"}


def test_the_line_of_a_value_that_is_too_short_is_a_word_like_others() -> None:
    assert redacted("true and false", ["true", "false"]) == "true and false"


def test_a_key_without_an_end_takes_no_more_than_its_limit_with_it() -> None:
    begin = f"-----BEGIN {KEY}"
    clean = redacted(begin + "x" * PEM_LIMIT_B + "and so on")
    assert clean == "[redacted]and so on"


PARTS = [
    *TOKENS.values(),
    *NAMED,
    SECRET,
    *(base64.b64encode(before + SECRET.encode()).decode() for before in (b"", b"1", b"12")),
    *("gh", "p_", "-----BEGIN ", KEY, "://", "@", ":", "wandb", "eyJ", ".", "sk", "-"),
    *("\\n", "Bearer", " ", "\n", "loss 0.5", "%20", "é", "correct horse/"),
]


@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join), st.lists(st.integers(1, 40), max_size=30))
@example("x".join(TOKENS.values()), [1] * 400)
@settings(max_examples=300, deadline=None)
def test_the_cuts_of_a_stream_change_nothing(text: str, sizes: list[int]) -> None:
    data = text.encode()
    assert in_pieces(data, sizes, (SECRET,)) == in_pieces(data, [], (SECRET,))


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_is_found_across_each_border(name: str) -> None:
    data = f"a {TOKENS[name]} b".encode()
    assert {in_pieces(data, [cut]) for cut in range(len(data))} == {b"a [redacted] b"}


@given(st.lists(st.sampled_from(PARTS), max_size=6).map(" ".join))
@settings(deadline=None)
def test_what_was_taken_out_leaves_nothing_more_to_take_out(text: str) -> None:
    clean = redacted(text, [SECRET])
    assert redacted(clean, [SECRET]) == clean


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_bytes_that_are_no_secret_come_out_as_they_went_in(data: bytes) -> None:
    assert in_pieces(data, [7] * 50) == data or MARK in in_pieces(data, [7] * 50)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"Epoch 1 of 3", b"Epoch 1 of 3"),
        (b"waiting for gh", b"waiting for "),
        (b"waiting for gh!", b"waiting for gh!"),
        (b"at http", b"at http"),
        (b"at http:", b"at http"),
        (b"at http://host", b"at http"),
        (b"at http://host/", b"at http://host/"),
        (b"the corr", b"the "),
        (b"the corrosion.", b"the corrosion."),
    ],
)
def test_only_what_may_be_the_beginning_of_a_secret_is_held_back(printed: bytes, shown: bytes) -> None:
    assert Redactor([SECRET]).feed(printed) == shown


def test_what_was_held_back_comes_at_the_end() -> None:
    redactor = Redactor([SECRET])
    assert redactor.feed(b"gh") + redactor.feed(b"p_ corr") + redactor.end() == b"ghp_ corr"


HARD = [
    *(b"ghp_", b"wandb ", b"wandb = a ", b"wandba", b"://", b"://u:", b"u:@", b"eyJ", b".eyJaaaaaaaa."),
    b"\\neyJ",
    *(
        b"-",
        b" sk-a",
        b'authorization:"',
        b"bearer ",
        b"bearer%20",
        b"-----BEGIN PRIV" + b"ATE KEY-----",
        b"\0",
    ),
    b"://u:" + b"@" * 500,
    b"://u:" + b"x" * 600 + b"@",
    b"eyJ" + b"a" * 1000 + b".eyJ",
    b"correct horse/correct ",
]


@pytest.mark.parametrize("unit", HARD, ids=lambda unit: repr(unit[:14]))
def test_time_grows_with_the_text_and_not_with_its_square(unit: bytes) -> None:
    def seconds(size: int) -> float:
        data = (unit * (size // len(unit) + 1))[:size]
        begin = time.process_time()
        in_pieces(data, [1 << 16] * (size >> 16), (SECRET,))
        return time.process_time() - begin

    # Eight times the text: 64 times the time if each byte were looked at as often as there are others.
    assert seconds(MIB) < 30 * seconds(MIB // 8) + 0.1


@pytest.mark.parametrize("unit", HARD, ids=lambda unit: repr(unit[:14]))
def test_no_stream_makes_it_hold_much(unit: bytes) -> None:
    redactor, most = Redactor([SECRET]), 0
    for _ in range(3000):
        redactor.feed(unit)
        most = max(most, redactor.held_b)
    assert most <= shapes.LONGEST_B + redact.LONGEST_B * 4


@pytest.mark.parametrize(
    ("name", "value", "is_secret"),
    [
        ("HF_TOKEN", "abcdefgh", True),
        ("my_secret", "abcdefgh", True),
        ("DB_PASSWORD", "abcdefgh", True),
        ("OPENAI_API_KEY", "abcdefgh", True),
        ("SSH_KEY", "abcdefgh", True),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/root/key.json", True),
        ("GH_PAT", "abcdefgh", True),
        ("HF_TOKEN", "abcdefg", False),
        ("MAX_TOKENS", "100000000", False),
        ("PATH", "/usr/bin:/bin", False),
        ("PWD", "/root/work", False),
        ("KEYBOARD", "qwertyuiop", False),
        ("HOME", "/home/ada", False),
    ],
)
def test_a_variable_is_a_secret_by_its_name(name: str, value: str, is_secret: bool) -> None:
    assert (value in secrets_of({name: value})) == is_secret


def test_the_password_in_an_address_is_a_secret_by_itself() -> None:
    assert secrets_of({"PIP_INDEX_URL": "https://ada:lovelace1@index.example/simple"}) == ("lovelace1",)
