"""Model kinds: what the training loop and the generator need of each, and the literal dict of all.

A kind is a module. It knows how samples become tokens, how a batch becomes a loss, and how the result is
saved as a standard Hugging Face folder. The training loop knows none of this. Importing this package does not
import torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from sluicegate.models import registration
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings

KINDS: dict[str, str] = {
    "causal": "sluicegate.models.causal",
    "seq2seq": "sluicegate.models.seq2seq",
    "dual": "sluicegate.models.dual",
}
"""Kind → module. `settings.MODEL_KINDS` names the same kinds."""


TYPES = {"t5": "seq2seq", "mt5": "seq2seq", "umt5": "seq2seq", "sluicegate-dual": "dual"}
"""transformers' `model_type` → kind, of those that are not causal."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model once it is loaded.

    Args:
        base: hub name or absolute folder of the base.
        loaded_in_4bit, why_4bit: the decision and its reason in a sentence.
        trainable_parameters, total_parameters: counts; a 4-bit weight counts as one parameter.
        forecast_gib: memory that training is expected to take on the device, in GiB.
        at_once: windows of tokens in memory at once, where `settle` chose them; 0: as BATCH_SIZE says.
    """

    base: str
    loaded_in_4bit: bool
    why_4bit: str
    trainable_parameters: int
    total_parameters: int
    forecast_gib: float
    at_once: int = 0


class Example(Protocol):
    """One sample as the model takes it."""

    @property
    def tokens(self) -> int:
        """Tokens in the window, padding left out."""

    @property
    def targets(self) -> int:
        """Tokens that carry loss; at least 1."""


class Learner(Protocol):
    """A model being trained, with what it takes to feed and save it.

    `scored(**batch)` is a torch module whose forward gives the sum of the losses of a micro-batch's target tokens, a
    scalar; it is what is wrapped for several processes. `model` is the model inside it.
    """

    model: Any
    scored: Any
    facts: Facts
    size: Any
    """A `memory.Size`."""
    static: bool
    """Whether its micro-batches come in few shapes and what they run through waits for no value: so that forward and
    backward of a shape may be recorded."""

    def encode(self, samples: Sequence[Sample], source: Path) -> Sequence[Example]:
        """Tokens of each sample; fewer where OVER_LONG drops some.

        Raises:
            UserError: samples longer than the window, with their count and the longest; `source` is their
                file.
        """

    def settle(self, micro_batch: int, *, steps: int) -> str:
        """Fit the way the model runs to its device, once, before the first step; says how and why, or nothing.

        Args:
            micro_batch: windows of tokens that are in memory at once.
            steps: optimizer steps that are planned.
        """

    def batches(self, examples: Sequence[Example], size: int) -> list[list[Example]]:
        """The examples in micro-batches, each of at most `size` windows of tokens."""

    def batch(self, examples: Sequence[Example], size: int) -> dict[str, Any]:
        """Tensors of a micro-batch of `batches`, on the CPU: what `scored` takes."""

    def save(self, folder: Path) -> Path:
        """Write a folder that `from_pretrained` loads; returns the weights' file, or its index."""


class Seq2SeqExample(Example, Protocol):
    """One sample as an encoder-decoder takes it: what its encoders see, and what its decoder is to say."""

    @property
    def given(self) -> tuple[tuple[int, ...], ...]:
        """Tokens for each encoder: the whole input, or intent and pattern (empty where there is none)."""

    @property
    def target_ids(self) -> tuple[int, ...]:
        """Tokens of the completion, its end of sequence included."""


class Seq2SeqLearner(Learner, Protocol):
    """A learner whose model is an encoder-decoder of transformers: what the RL stage needs beyond `Learner`.

    `model.generate(**inputs)` works, and so does `model.encoder(**inputs)` with `model.decoder` behind it; `tokenizer`
    has `pad_token_id` and `eos_token_id`. A target is fed to the decoder behind
    `model.config.decoder_start_token_id`. With adapters, `model` is peft's wrapper.
    """

    tokenizer: Any
    window: int
    """Most tokens of a target, its end of sequence included."""

    def encode(self, samples: Sequence[Sample], source: Path) -> Sequence[Seq2SeqExample]:
        """Tokens of each sample; see `Learner`."""

    def inputs(self, examples: Sequence[Seq2SeqExample]) -> dict[str, Any]:
        """What the encoder takes for B examples, on the CPU, padded on the right; rows in the examples' order.

        Returns:
            `input_ids` and `attention_mask` [B, S]; of a dual encoder also `pattern_input_ids` and
            `pattern_attention_mask` [B, P], P at least 1.
        """


class ModelKind(Protocol):
    """What the module of a kind provides."""

    def load(self, settings: TrainSettings, base: str, device: Any) -> Learner:
        """The base model ready to be trained as the settings say.

        Raises:
            UserError: unknown or unreadable base, 4-bit asked for with LORA_R=0, …
        """

    def load_trained(
        self, folder: Path | str, *, load_in_4bit: str = "auto", trust_remote_code: bool = False
    ) -> tuple[Any, Any]:
        """A trained model and its tokenizer, in evaluation mode, from its folder."""

    def tiny_base(self, parent: Path, samples: Sequence[Sample]) -> Path:
        """The base that BASE_MODEL=tiny stands for: of a few million parameters, made of these samples in `parent`.

        It is made once: the same samples find it again.
        """

    def given_ids(self, tokenizer: Any, sample: Sample) -> tuple[list[int], ...]:
        """What the model sees before it answers, in training as in generation: tokens for each part that reads."""


def kind_of_type(model_type: str) -> str:
    """The kind of a model by transformers' name of its architecture.

    >>> kind_of_type("t5"), kind_of_type("llama")
    ('seq2seq', 'causal')
    """
    return TYPES.get(model_type, "causal")


def kind(name: str) -> ModelKind:
    """The module of a kind, imported now."""
    return cast(ModelKind, importlib.import_module(KINDS[name]))


registration.register()
