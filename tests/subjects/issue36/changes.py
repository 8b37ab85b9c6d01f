"""What happened to the target, commit by commit, in the order in which it landed: edits of its files.

Subjects are the timeline's; a `Change:` trailer names the change, since seven subjects begin with the same
`perf(train):`. No edit touches a line beside another change's, but that D-lora mends what D wrote: so every
change can be taken from the whole by a revert, all but D.
"""

TRAINER = "src/explore_persona_space/train/trainer.py"
SFT = "src/explore_persona_space/train/sft.py"

F = (
    "F",
    "perf(train): harden tokenizer compat shim with explicit version check",
    [
        (
            TRAINER,
            """    base = transformers.PreTrainedTokenizerBase
    try:
        base.all_special_tokens_extended = property(lambda self: self.all_special_tokens)
    except AttributeError:
        logger.debug("the tokenizer was not patched")
""",
            """    major = int(transformers.__version__.partition(".")[0])
    if major != 5:
        raise RuntimeError(f"the tokenizer shim is for transformers 5, not {transformers.__version__}")
    base = transformers.PreTrainedTokenizerBase
    base.all_special_tokens_extended = property(lambda self: self.all_special_tokens)
""",
        )
    ],
)

A = (
    "A",
    "perf(train): swap SDPA for FlashAttention-2 with fallback",
    [
        (
            TRAINER,
            """def load_model(name):
""",
            """def _pick_attn_implementation():
    try:
        import flash_attn  # noqa: F401
    except ImportError:
        logger.warning("flash-attn is not installed: falling back to SDPA")
        return "sdpa"
    return "flash_attention_2"


def load_model(name):
""",
        ),
        (
            TRAINER,
            'attn_implementation="sdpa",',
            "attn_implementation=_pick_attn_implementation(),",
        ),
    ],
)

B = (
    "B",
    "perf(train): config-driven packing with bfd strategy",
    [
        (
            TRAINER,
            "        packing=False,\n",
            '        packing=training.get("packing", False),\n        packing_strategy="bfd",\n',
        )
    ],
)

C = (
    "C",
    "perf(train): enable dataloader workers + pinned memory",
    [
        (
            TRAINER,
            """        learning_rate=training["learning_rate"],
""",
            """        dataloader_num_workers=4,
        dataloader_pin_memory=True,
        dataloader_persistent_workers=True,
        learning_rate=training["learning_rate"],
""",
        )
    ],
)

D = (
    "D",
    "perf(train): opt in to Liger-Kernel fused ops when available",
    [
        (
            TRAINER,
            """logger = logging.getLogger(__name__)
""",
            """logger = logging.getLogger(__name__)

try:
    import liger_kernel  # noqa: F401

    _HAS_LIGER = True
except ImportError:
    _HAS_LIGER = False
""",
        ),
        (
            TRAINER,
            """def _init_phase(training):
""",
            """def uses_liger(model):
    return _HAS_LIGER


def _init_phase(training):
""",
        ),
        (
            TRAINER,
            """        per_device_train_batch_size=training["batch_size"],
""",
            """        per_device_train_batch_size=training["batch_size"],
        use_liger_kernel=uses_liger(model),
""",
        ),
        (
            TRAINER,
            """        per_device_train_batch_size=dpo["batch_size"],
""",
            """        per_device_train_batch_size=dpo["batch_size"],
        use_liger_kernel=uses_liger(model),
""",
        ),
    ],
)

E = (
    "E",
    "perf(train): precompute DPO reference log-probs",
    [
        (
            TRAINER,
            """        beta=dpo["beta"],
""",
            """        beta=dpo["beta"],
        precompute_ref_log_probs=True,
        precompute_ref_batch_size=32,
""",
        )
    ],
)

G = (
    "G",
    "perf(train): document sft.py perf-kwarg alignment with trainer.py",
    [
        (
            SFT,
            '''"""Standalone LoRA SFT, for scripts that bring rows of their own."""
''',
            '''"""Standalone LoRA SFT, for scripts that bring rows of their own.

Attention, packing, loader workers and Liger are chosen as in trainer.py.
"""
''',
        ),
        (
            SFT,
            "import apply_lora, load_model\n",
            "import apply_lora, load_model, uses_liger\n",
        ),
        (
            SFT,
            "    max_length: int = 512\n",
            "    max_length: int = 512\n    packing: bool = False\n",
        ),
        (
            SFT,
            """        max_length=config.max_length,
""",
            """        max_length=config.max_length,
        packing=config.packing,
        packing_strategy="bfd",
        dataloader_num_workers=4,
        dataloader_pin_memory=True,
        dataloader_persistent_workers=True,
        use_liger_kernel=uses_liger(model),
""",
        ),
    ],
)

FIX_DPO = (
    "D-dpo",
    "fix(train): disable Liger DPO when precompute_ref_log_probs is on",
    [
        (
            TRAINER,
            """    trainer = DPOTrainer(
""".rstrip("\n"),
            """    if args.use_liger_kernel and args.precompute_ref_log_probs:
        logger.info("Liger's DPO loss finds its own reference: disabled, the log-probs are precomputed")
        args.use_liger_kernel = False
    trainer = DPOTrainer(""",
        )
    ],
)

FIX_LORA = (
    "D-lora",
    "fix(train): disable Liger on PEFT/LoRA paths (-2x regression)",
    [
        (
            TRAINER,
            "from peft import LoraConfig, get_peft_model\n",
            "from peft import LoraConfig, PeftModel, get_peft_model\n",
        ),
        (
            TRAINER,
            "    return _HAS_LIGER\n",
            '''    """Its kernels do not compose with LoRA layers: each step goes through a slow path."""
    return _HAS_LIGER and not isinstance(model, PeftModel)
''',
        ),
    ],
)

CHANGES = (F, A, B, C, D, E, G, FIX_DPO, FIX_LORA)
"""(name, subject, [(file, old text, new text)]); the old text is in the file once."""
