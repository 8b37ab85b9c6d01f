"""Held-out loss on a tiny random Qwen2, against the model's own loss and formulas written out here."""

import contextlib
import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.bench.hook_modules import hook_module

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs the train extra")
transformers = pytest.importorskip("transformers", reason="needs the train extra")
evaluate = hook_module("evaluate").evaluate

WORDS = ["?", "a", "b", "c", "d", "e", "user", "assistant", "."]
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} . {% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)
IGNORED = -100


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizer_of_words()


def tokenizer_of_words():
    """A word is a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?", chat_template=TEMPLATE)


def tiny(seed: int):
    """A random model that is far from uniform, so that no loss is ln 9 by chance."""
    torch.manual_seed(seed)
    config = transformers.Qwen2Config(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.5,
        attention_dropout=0.5,
    )
    return transformers.Qwen2ForCausalLM(config).eval()


class Accelerator:
    """What the evaluation asks of a trainer's accelerator, on one CPU."""

    def unwrap_model(self, model):
        return model

    def autocast(self):
        return contextlib.nullcontext()


class SFTTrainer(SimpleNamespace):
    accelerator = Accelerator()


class DPOTrainer(SimpleNamespace):
    accelerator = Accelerator()
    beta = 0.3


@pytest.fixture
def evaluated(tmp_path, tokenizer):
    def run(trainer, *rows: dict) -> dict:
        path = tmp_path / "eval.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        trainer.processing_class = tokenizer
        return evaluate(trainer, str(path))

    return run


def own_loss(model, ids: list[int], prompt: int = 0) -> tuple[float, int]:
    """(mean loss, tokens) that the model itself computes over a row whose first `prompt` tokens are given."""
    labels = [IGNORED] * prompt + ids[prompt:]
    inputs = torch.tensor([ids])
    with torch.no_grad():
        loss = model.eval()(input_ids=inputs, labels=torch.tensor([labels])).loss
    return float(loss), len(ids) - max(prompt, 1)


def mean(*losses: tuple[float, int]) -> float:
    return sum(loss * tokens for loss, tokens in losses) / sum(tokens for _, tokens in losses)


def ids(text: str) -> list[int]:
    return [WORDS.index(word) for word in text.split()]


def test_the_loss_of_texts_is_the_models_own_mean_over_tokens(evaluated):
    model = tiny(1)
    found = evaluated(SFTTrainer(model=model), {"text": "a b c d"}, {"text": "e d"})
    assert found["loss"] == pytest.approx(mean(own_loss(model, ids("a b c d")), own_loss(model, ids("e d"))))
    assert (found["rows"], found["tokens"]) == (2, 3 + 1)


def test_all_tokens_of_messages_count_in_the_form_of_the_chat_template(evaluated):
    model = tiny(1)
    row = {"messages": [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c"}]}
    expected, tokens = own_loss(model, ids("user a b . assistant c ."))
    found = evaluated(SFTTrainer(model=model), row)
    assert (found["loss"], found["tokens"]) == (pytest.approx(expected), tokens)


def test_of_a_prompt_with_its_completion_only_the_completion_counts(evaluated):
    model = tiny(1)
    expected, tokens = own_loss(model, ids("a b c d e"), prompt=2)
    found = evaluated(SFTTrainer(model=model), {"prompt": "a b", "completion": "c d e"})
    assert (found["loss"], found["tokens"], tokens) == (pytest.approx(expected), 3, 3)


def test_of_a_conversation_the_generation_prompt_belongs_to_the_prompt(evaluated):
    model = tiny(1)
    row = {
        "prompt": [{"role": "user", "content": "a"}],
        "completion": [{"role": "assistant", "content": "b c"}],
    }
    expected, tokens = own_loss(model, ids("user a . assistant b c ."), prompt=4)
    found = evaluated(SFTTrainer(model=model), row)
    assert (found["loss"], found["tokens"], tokens) == (pytest.approx(expected), 3, 3)


def test_the_loss_of_a_row_does_not_depend_on_the_other_rows(evaluated):
    trainer = SFTTrainer(model=tiny(1))
    rows = [{"text": "a b c d"}, {"text": "e d c"}, {"text": "b b"}]
    alone = [evaluated(trainer, row) for row in rows]
    weighted = mean(*((found["loss"], found["tokens"]) for found in alone))
    assert evaluated(trainer, *rows)["loss"] == pytest.approx(weighted)
    assert evaluated(trainer, *reversed(rows))["loss"] == pytest.approx(weighted)


def test_a_model_that_trains_is_evaluated_without_dropout_and_trains_on(evaluated):
    model = tiny(1).train()
    found = [evaluated(SFTTrainer(model=model), {"text": "a b c"})["loss"] for _ in range(2)]
    assert found[0] == found[1]
    assert model.training


def test_evaluating_draws_no_random_number_and_keeps_no_gradient(evaluated):
    model = tiny(1)
    state = torch.get_rng_state()
    evaluated(SFTTrainer(model=model), {"text": "a b c"})
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_full_fine_tuning_does_not_know_the_loss_before(evaluated):
    assert evaluated(SFTTrainer(model=tiny(1)), {"text": "a b"})["before"] is None


ASKS_THE_OLD_NAME = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"
)
"""PEFT 0.21 does, on transformers 5.23."""


def with_adapter(model):
    peft = pytest.importorskip("peft", reason="needs the train extra")
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.5)
    return adapted


@ASKS_THE_OLD_NAME
def test_with_adapters_the_loss_before_is_that_of_the_base_model(evaluated):
    expected, _ = own_loss(tiny(1), ids("a b c d"))
    found = evaluated(SFTTrainer(model=with_adapter(tiny(1))), {"text": "a b c d"})
    assert found["before"] == pytest.approx(expected)
    assert found["loss"] != pytest.approx(expected)


PAIR = {"prompt": "a b", "chosen": "c d", "rejected": "e"}


def margin(model) -> float:
    """log p(chosen) - log p(rejected) of PAIR."""
    chosen, rejected = (own_loss(model, ids(text), prompt=2) for text in ("a b c d", "a b e"))
    return rejected[0] * rejected[1] - chosen[0] * chosen[1]


def test_a_policy_that_is_its_reference_has_a_loss_of_ln_2(evaluated):
    model = tiny(1)
    found = evaluated(DPOTrainer(model=model, ref_model=model), PAIR)
    assert found["loss"] == pytest.approx(math.log(2))
    assert (found["rows"], found["tokens"], found["reward_accuracy"]) == (1, 4 + 3, 0.0)


def loaded_from(place: str, seed: int = 1):
    """A model as if its weights had been loaded from there; other weights by now, for it was trained."""
    model = tiny(seed)
    model.config._name_or_path = place
    return model


@pytest.mark.parametrize(
    ("policy", "reference", "before"),
    [("base", "base", math.log(2)), ("base", "tuned", None), ("", "", None)],
    ids=["same checkpoint", "another checkpoint", "made from nothing"],
)
def test_pairs_began_at_ln_2_where_policy_and_reference_came_from_one_checkpoint(
    evaluated, policy, reference, before
):
    trainer = DPOTrainer(model=loaded_from(policy), ref_model=loaded_from(reference, 2))
    assert evaluated(trainer, PAIR)["before"] == before


def test_the_loss_of_a_pair_is_the_sigmoid_loss_of_its_margin_over_the_reference(evaluated):
    policy, reference = tiny(1), tiny(2)
    reward = DPOTrainer.beta * (margin(policy) - margin(reference))
    found = evaluated(DPOTrainer(model=policy, ref_model=reference), PAIR)
    assert found["loss"] == pytest.approx(math.log(1 + math.exp(-reward)), rel=1e-4)
    assert found["reward_accuracy"] == float(reward > 0)


def test_chosen_and_rejected_swapped_lose_what_the_others_gain(evaluated):
    trainer = DPOTrainer(model=tiny(1), ref_model=tiny(2))
    swapped = {**PAIR, "chosen": PAIR["rejected"], "rejected": PAIR["chosen"]}
    one, other = evaluated(trainer, PAIR), evaluated(trainer, swapped)
    # -log s(x) and -log s(-x): their exponentials' inverses sum to 1.
    assert math.exp(-one["loss"]) + math.exp(-other["loss"]) == pytest.approx(1.0)
    assert one["reward_accuracy"] + other["reward_accuracy"] == 1.0


@ASKS_THE_OLD_NAME
def test_without_a_reference_model_the_base_below_the_adapters_is_the_reference(evaluated):
    adapted = with_adapter(tiny(1))
    reward = DPOTrainer.beta * (margin(adapted) - margin(tiny(1)))
    found = evaluated(DPOTrainer(model=adapted, ref_model=None), PAIR)
    assert found["loss"] == pytest.approx(math.log(1 + math.exp(-reward)), rel=1e-4)
    assert found["before"] == math.log(2)


@ASKS_THE_OLD_NAME
def test_adapters_that_did_not_start_at_zero_began_nobody_knows_where(evaluated):
    adapted = with_adapter(tiny(1))
    adapted.peft_config["default"].init_lora_weights = False
    assert evaluated(DPOTrainer(model=adapted, ref_model=None), PAIR)["before"] is None
    assert evaluated(SFTTrainer(model=adapted), {"text": "a b"})["before"] is None


@ASKS_THE_OLD_NAME
def test_a_copy_of_the_adapters_is_the_reference_that_the_policy_began_at(evaluated):
    adapted = with_adapter(tiny(1))
    adapted.add_adapter("ref", adapted.peft_config["default"])
    found = evaluated(DPOTrainer(model=adapted, ref_model=None), PAIR)
    assert found["before"] == math.log(2)
    assert found["loss"] != pytest.approx(math.log(2))


def test_a_policy_that_was_its_own_reference_is_held_against_the_weights_it_was_loaded_with(
    evaluated, tmp_path
):
    tiny(2).save_pretrained(tmp_path / "base")
    policy = transformers.Qwen2ForCausalLM.from_pretrained(tmp_path / "base")
    policy.load_state_dict(tiny(1).state_dict())  # trained away from them
    found = evaluated(DPOTrainer(model=policy, ref_model=None, precompute_ref_logps=True), PAIR)
    reward = DPOTrainer.beta * (margin(tiny(1)) - margin(tiny(2)))
    assert found["loss"] == pytest.approx(math.log(1 + math.exp(-reward)), rel=1e-4)
    assert found["before"] == math.log(2)


def test_a_reference_that_was_left_in_training_mode_drops_nothing(evaluated):
    torch.manual_seed(0)
    trainer = DPOTrainer(model=tiny(1), ref_model=tiny(2).train())
    assert evaluated(trainer, PAIR)["loss"] == evaluated(trainer, PAIR)["loss"]


def test_a_trainer_without_any_reference_says_so(evaluated):
    with pytest.raises(ValueError, match="keeps no reference model"):
        evaluated(DPOTrainer(model=tiny(1), ref_model=None), PAIR)


def test_rows_of_another_form_are_refused_with_their_keys(evaluated):
    with pytest.raises(ValueError, match=r"it has \['answer', 'question'\]"):
        evaluated(SFTTrainer(model=tiny(1)), {"question": "a", "answer": "b"})


@pytest.mark.parametrize("row", [{"chosen": "a b", "rejected": "a c"}, {"prompt": "a", "completion": "b"}])
def test_pairs_of_another_form_are_refused_with_their_keys(evaluated, row):
    with pytest.raises(ValueError, match="it has "):
        evaluated(DPOTrainer(model=tiny(1), ref_model=tiny(2)), row)


@pytest.mark.parametrize("rows", [[], [{"text": "a"}]])
def test_rows_without_a_token_to_predict_are_refused(evaluated, rows):
    with pytest.raises(ValueError, match="token"):
        evaluated(SFTTrainer(model=tiny(1)), *rows)


def test_a_model_is_put_back_to_training_where_its_evaluation_fails(evaluated):
    model = tiny(1).train()
    with pytest.raises(ValueError, match="it has"):
        evaluated(SFTTrainer(model=model), {"question": "a"})
    assert model.training


BEFORE_TRAINING = """
import atexit, json, sys
from tests.bench.hook_modules import hook_module
from tests.bench.test_hook_evaluate import SFTTrainer, tiny, tokenizer_of_words
atexit.register(print, "the subject's own end")
measure = hook_module("measure").Measure(json.loads(sys.argv[1]))
trainer = SFTTrainer(model=tiny(1).train(), processing_class=tokenizer_of_words())
print("what the subject printed", end="")
try:
    hook_module("evaluate").end_before_training(measure, trainer)
finally:
    print("trained")
"""


def ended_before_training(tmp_path, *rows: dict):
    """(the ended process, its events) of a subject that comes to its training with these eval rows."""
    path, events = tmp_path / "eval.jsonl", tmp_path / "events"
    events.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"events": str(events), "key": "00", "eval": str(path), "before": True}
    process = subprocess.run(
        [sys.executable, "-c", BEFORE_TRAINING, json.dumps(settings)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    [written] = events.iterdir()
    return process, [json.loads(line) for line in written.read_text().splitlines()]


def test_a_run_that_only_tells_the_loss_before_ends_well_and_at_once(tmp_path):
    process, events = ended_before_training(tmp_path, {"text": "a b c d"})
    assert (process.returncode, process.stdout) == (0, "what the subject printed"), process.stderr
    [found] = [event for event in events if event["kind"] == "eval"]
    expected, tokens = own_loss(tiny(1), ids("a b c d"))
    assert found["loss"] == found["before"] == pytest.approx(expected)
    assert (found["rows"], found["tokens"]) == (1, tokens)
    assert [event["name"] for event in events if event["kind"] == "phase"] == ["prep", "eval", "prep"]
    assert (events[-1]["kind"], events[-1]["steps"]) == ("end", 0)


def test_a_loss_before_that_cannot_be_had_is_told_and_ends_the_run_as_well(tmp_path):
    process, events = ended_before_training(tmp_path, {"question": "a"})
    assert process.returncode == 0, process.stderr
    [found] = [event for event in events if event["kind"] == "eval"]
    assert "it has ['question']" in found["failed"]
    assert events[-1]["kind"] == "end"
