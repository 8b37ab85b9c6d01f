"""Secrets by shape and by chance. They are put together here, so that no scanner finds one in this file."""

import pytest

from agent.review.secrets import GENERIC, Secret, entropy_bits, masked, secrets_in

RANDOM = "aB3dE6gH9kL2nP5rS8uV1xY4zC7fJ0mQ"
SHAPED = {
    "GitHub token": "ghp" + "_" + RANDOM + "wxyz",
    "GitHub fine-grained token": "github" + "_pat_" + RANDOM,
    "GitLab token": "gl" + "pat-" + RANDOM[:20],
    "AWS access key id": "AK" + "IA" + "Q3ERZ7MNBV2KLPW9",
    "Hugging Face token": "h" + "f_" + RANDOM + "ab",
    "Anthropic key": "sk-" + "ant-api03-" + RANDOM,
    "OpenAI key": "sk" + "-proj-" + RANDOM,
    "Google API key": "AI" + "za" + RANDOM + "abc",
    "Slack token": "xo" + "xb-" + "2345678901-" + RANDOM,
    "Slack webhook": "hooks.slack" + ".com/services/T02345678/B02345678/" + RANDOM[:24],
    "JSON web token": "ey" + "J" + RANDOM[:12] + ".ey" + "J" + RANDOM[:16] + "." + RANDOM[:20],
    "private key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
}


@pytest.mark.parametrize(("kind", "text"), SHAPED.items())
def test_a_known_shape_is_found_and_shown_masked(kind, text):
    [(found, mask, exact, is_shape)] = secrets_in(f'KEY = "{text}"  # x')
    assert (found, exact, is_shape) == (kind, text, True)
    assert text not in mask
    assert mask.endswith(f"… ({len(text)} characters)")


@pytest.mark.parametrize(
    "line",
    [
        f'password = "{RANDOM}"',
        f"WANDB_API_KEY={RANDOM}",
        f'  "secret": "{RANDOM}",',
        f"auth: {RANDOM}",
        f"client_secret => '{RANDOM}'",
    ],
)
def test_random_text_under_a_secrets_name_is_found(line):
    [(kind, mask, text, is_shape)] = secrets_in(line)
    assert (kind, text, is_shape) == (GENERIC, RANDOM, False)
    assert mask == "… (32 characters)"


@pytest.mark.parametrize(
    "line",
    [
        'tokenizer = "Qwen/Qwen2.5-7B-Instruct"',
        'pad_token = "<|finetune_right_pad_id|>"',
        'pad_token = "finetune_right_pad_id_2"',
        'password = os.environ["WANDB_PASSWORD_12345678"]',
        "token = get_token_from_environment2(name)",
        'secret = "changeme-changeme-9"',
        'token = "correct-horse-battery-staple"',
        f'commit = "{RANDOM}"',
        f'digest = "sha256:{RANDOM}"',
        "max_tokens: 1234567890123456",
        "token: ${{ secrets.GITHUB_TOKEN_123456 }}",
        'token = "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
        "task-" + "sk-" + "learn-is-a-library-for-machine-learning",
        "sk-" + "learn-is-a-library-for-machine-learning",
    ],
)
def test_what_only_looks_like_one_is_none(line):
    assert list(secrets_in(line)) == []


def test_a_line_of_a_million_characters_is_read_in_no_time():
    assert list(secrets_in("token=" * 200_000)) == []


@pytest.mark.parametrize(("text", "bits"), [("aaaa", 0.0), ("abab", 1.0), ("abcd", 2.0), ("abcdefgh", 3.0)])
def test_entropy_is_in_bits_per_character(text, bits):
    assert entropy_bits(text) == pytest.approx(bits)


def test_masking_takes_out_what_was_found_and_all_known_shapes():
    secret = Secret(GENERIC, "…", "c", "a.py", 1, is_shape=False, text="hunter2hunter2x9")
    text = f"password 'hunter2hunter2x9' and {SHAPED['GitHub token']}"
    assert masked(text, [secret]) == f"password '[{GENERIC}]' and [GitHub token]"


def test_a_secret_does_not_print_itself():
    assert "hunter2" not in repr(Secret(GENERIC, "…", "c", "a.py", 1, is_shape=False, text="hunter2"))
