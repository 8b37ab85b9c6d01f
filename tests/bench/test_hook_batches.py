"""What a micro-batch holds, on tensors as TRL 1.16 sends them, counted by hand."""

import hashlib

import pytest

from tests.bench.hook_modules import hook_module

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs the train extra")
batches = hook_module("batches")


def counted(inputs, wants_digest=False) -> dict:
    return batches.settled(batches.count(inputs, wants_digest))


def counts(inputs) -> tuple:
    found = counted(inputs)
    return found["rows"], found["real"], found["padded"], found["supervised"]


def tensors(**rows) -> dict:
    return {name: torch.tensor(values) for name, values in rows.items()}


# Two rows of 3 and 2 tokens, in each form that a collator gives them.
UNPACKED = tensors(
    input_ids=[[1, 2, 3], [4, 5, 0]],
    attention_mask=[[1, 1, 1], [1, 1, 0]],
    labels=[[1, 2, 3], [4, 5, -100]],
)
PADDING_FREE = tensors(
    input_ids=[[1, 2, 3, 4, 5]],
    labels=[[-100, 2, 3, -100, 5]],
    position_ids=[[0, 1, 2, 0, 1]],
    cu_seq_lens_q=[0, 3, 5],
    cu_seq_lens_k=[0, 3, 5],
) | {"max_length_q": 3, "max_length_k": 3}


def test_an_unpacked_batch_has_its_mask_as_real_tokens():
    assert counts(UNPACKED) == (2, 5, 6, 3)


def test_a_padding_free_batch_computes_nothing_but_real_tokens():
    assert counts(PADDING_FREE) == (2, 5, 5, 3)


def test_padding_free_and_unpacked_agree_on_all_but_the_padding():
    one, other = counted(UNPACKED), counted(PADDING_FREE)
    assert {name for name in one if one[name] != other[name]} == {"padded"}


def test_the_rows_of_a_packed_batch_are_its_documents():
    # Two packs of 4 positions: documents of 3 and 1, of 2 and 2.
    packed = tensors(
        input_ids=[[1, 2, 3, 4, 5, 6, 7, 8]],
        labels=[[-100, 2, 3, -100, -100, 6, -100, 8]],
        position_ids=[[0, 1, 2, 0, 0, 1, 0, 1]],
        cu_seq_lens_q=[0, 3, 4, 6, 8],
    )
    assert counts(packed) == (4, 8, 8, 4)


def test_without_sequence_lengths_documents_are_counted_by_their_first_positions():
    packed = {name: value for name, value in PADDING_FREE.items() if not name.startswith(("cu_", "max_"))}
    assert counts(packed) == (2, 5, 5, 3)


def test_a_prompt_is_not_supervised():
    inputs = {**UNPACKED, "labels": torch.tensor([[-100, -100, 3], [-100, 5, -100]])}
    assert counts(inputs) == (2, 5, 6, 2)


def test_the_first_position_of_a_row_is_never_supervised():
    inputs = tensors(input_ids=[[1]], attention_mask=[[1]], labels=[[1]])
    assert counts(inputs) == (1, 1, 1, 0)


def test_a_preference_batch_holds_half_as_many_rows_as_texts():
    # Pairs (1 2 | 3, 4 5) and (1 | 3 4, 5): chosen rows, then rejected ones.
    inputs = tensors(
        input_ids=[[1, 2, 3, 0], [1, 3, 4, 0], [1, 2, 4, 5], [1, 5, 0, 0]],
        attention_mask=[[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]],
        completion_mask=[[0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1], [0, 1, 0, 0]],
    )
    assert counts(inputs) == (2, 12, 16, 6)


def test_a_completion_mask_beside_labels_makes_no_pairs():
    inputs = {**UNPACKED, "completion_mask": torch.tensor([[0, 1, 1], [0, 1, 0]])}
    assert counts(inputs)[0] == 2


def test_labels_of_a_classifier_are_one_a_row():
    inputs = tensors(input_ids=[[1, 2], [3, 0]], attention_mask=[[1, 1], [1, 0]], labels=[1, 0])
    assert counts(inputs) == (2, 3, 4, 2)


def test_a_batch_without_token_ids_has_rows_only():
    inputs = {"pixel_values": torch.zeros(4, 3, 2, 2), "labels": torch.tensor([0, 1, 0, 1])}
    assert counts(inputs) == (4, None, None, None)


def test_without_labels_nobody_knows_what_is_supervised():
    inputs = {name: value for name, value in UNPACKED.items() if name != "labels"}
    assert counts(inputs) == (2, 5, 6, None)


def test_without_a_mask_every_position_is_real():
    assert counts(tensors(input_ids=[[1, 2], [3, 4]])) == (2, 4, 4, None)


def test_a_mask_of_four_dimensions_does_not_tell_real_tokens():
    inputs = {"input_ids": torch.ones(1, 3, dtype=torch.long), "attention_mask": torch.ones(1, 1, 3, 3)}
    assert counts(inputs)[1] == 3


@pytest.mark.parametrize("inputs", [None, (1, 2), {}, {"meta": "text"}])
def test_what_is_no_batch_of_tensors_has_no_counts(inputs):
    assert counts(inputs) == (None, None, None, None)


def test_counts_are_plain_numbers():
    assert {type(value) for value in counts(UNPACKED)} == {int}


def test_a_digest_is_that_of_the_ids_and_only_where_it_is_wanted():
    digest = hashlib.sha256(UNPACKED["input_ids"].numpy().tobytes()).hexdigest()[:16]
    assert counted(UNPACKED, wants_digest=True)["digest"] == digest
    assert counted(UNPACKED)["digest"] is None


def test_another_order_of_rows_is_another_digest():
    turned = {**UNPACKED, "input_ids": UNPACKED["input_ids"].flip(0)}
    digests = {counted(inputs, wants_digest=True)["digest"] for inputs in (UNPACKED, turned)}
    assert len(digests) == 2


def test_a_batch_is_left_as_it_was():
    before = {name: value.clone() for name, value in UNPACKED.items()}
    counted(UNPACKED, wants_digest=True)
    assert all(torch.equal(value, UNPACKED[name]) for name, value in before.items())


@pytest.fixture(scope="module")
def collators():
    pytest.importorskip("trl", reason="needs the train extra")
    from trl.trainer.dpo_trainer import DataCollatorForPreference
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    return DataCollatorForLanguageModeling, DataCollatorForPreference


def test_trls_own_collators_send_what_is_counted_here(collators):
    language, preference = collators
    rows = [{"input_ids": [1, 2, 3], "labels": [1, 2, 3]}, {"input_ids": [4, 5], "labels": [4, 5]}]
    pack = [{"input_ids": [1, 2, 3, 4, 5], "labels": [1, 2, 3, 4, 5], "seq_lengths": [3, 2]}]
    pairs = [
        {"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4, 5]},
        {"prompt_ids": [1], "chosen_ids": [3, 4], "rejected_ids": [5]},
    ]
    assert counts(language(pad_token_id=0)(rows)) == (2, 5, 6, 3)
    assert counts(language(pad_token_id=0, padding_free=True)(rows)) == (2, 5, 5, 3)
    assert counts(language(pad_token_id=0, padding_free=True)(pack)) == (2, 5, 5, 3)
    assert counts(preference(pad_token_id=0)(pairs)) == (2, 12, 16, 6)
