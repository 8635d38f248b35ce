"""The kind `dual`: one encoder reads the prompt, another the context (a Kubernetes pattern); see `dual_encoder`.

Its base is a dual encoder (`scratch` makes one, or a training has), or a single T5: then that one's encoder is copied
into both, and the fusion starts at zero, so that before the first step the model says what the T5 says of the prompt
alone. All but the loading is `seq2seq`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from sluicegate.errors import UserError
from sluicegate.models import pairs, scratch
from sluicegate.models.base import Source
from sluicegate.models.choices import CHOICES, fields
from sluicegate.models.dual_config import MODEL_TYPE, DualEncoderConfig
from sluicegate.models.seq2seq import FAMILY, EncoderDecoder, Recipe, config_of, learner, load_trained, weights_of
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings

__all__ = ["given_ids", "load", "load_trained", "tiny_base", "warmed"]
NOT_OURS = frozenset({"model_type", "architectures", "transformers_version", "dtype", "task_specific_params"})
"""Fields of a T5's configuration that say nothing of its shape."""


def around(config: Any, chosen: Mapping[str, str | None]) -> DualEncoderConfig:
    """The configuration of a dual encoder around a single T5.

    Args:
        config: the T5's.
        chosen: see `choices`; unless told otherwise the decoder attends to the intent alone, as the T5's does.
    """
    kept = {name: value for name, value in config.to_dict().items() if name not in NOT_OURS}
    # T5's own rule: an untied table means that nothing is scaled; the tables of a dual encoder are tied all the same.
    kept["tie_word_embeddings"] = bool(config.scale_decoder_outputs)
    return DualEncoderConfig(**{**kept, "memory": "intent", "gated": True, **fields(chosen)})


def warmed(source: Source, config: DualEncoderConfig) -> Any:
    """A dual encoder with a single T5's weights, fp32, on the CPU.

    Args:
        source: where the T5 lies.
        config: see `around`.
    """
    from sluicegate.models.dual_encoder import DualEncoderForConditionalGeneration

    base = weights_of(source, config_of(source), torch.float32, in_4bit=False, device=torch.device("cpu"))
    model = DualEncoderForConditionalGeneration(config)
    model.shared.load_state_dict(base.shared.state_dict())
    model.encoder.intent.load_state_dict(base.encoder.state_dict())
    if model.encoder.pattern is not None:
        model.encoder.pattern.load_state_dict(base.encoder.state_dict())
    if model.encoder.pattern_embedding is not None:
        model.encoder.pattern_embedding.load_state_dict(base.shared.state_dict())
    model.decoder.load_state_dict(base.decoder.state_dict())
    if base.lm_head.weight is not base.shared.weight:
        model.lm_head.weight = torch.nn.Parameter(base.lm_head.weight.detach().clone())
    model.generation_config = base.generation_config
    return model


def shaped(config: Any, settings: TrainSettings, source: Source) -> DualEncoderConfig:
    """The configuration of the dual encoder that a base gives.

    Raises:
        UserError: a base of another family; choices that it was not made with; adapters or 4-bit around a single T5.
    """
    chosen = {name: getattr(settings, f"dual_{name}") for name in CHOICES}
    if config.model_type == MODEL_TYPE:
        for name, value in chosen.items():
            has = next(word for word, (field, what) in CHOICES[name].items() if getattr(config, field) == what)
            if value not in {None, has}:
                raise UserError(
                    f"DUAL_{name.upper()}={value}: the base has another shape",
                    wanted=f"DUAL_{name.upper()} unset, or {has} as {source.name!r} was made",
                    seen=value,
                    mend="make another base: python -m sluicegate.models.scratch OUT --kind dual "
                    f"--{name} {value} FILE…",
                )
        return cast(DualEncoderConfig, config)
    if config.model_type not in FAMILY:
        raise UserError(
            f"BASE_MODEL {source.name!r}: not a model of kind dual",
            wanted=f"a dual encoder ({MODEL_TYPE}), or a T5-family model to begin with: {', '.join(FAMILY)}",
            seen=str(config.model_type),
            mend="choose another base, or the MODEL_KIND that fits it",
        )
    if settings.lora_r or settings.load_in_4bit == "true":
        raise UserError(
            f"BASE_MODEL {source.name!r}: adapters and 4-bit need a base that is a dual encoder already",
            wanted="LORA_R=0 and no 4-bit with a single T5, or a dual encoder",
            seen=f"LORA_R={settings.lora_r}, LOAD_IN_4BIT={settings.load_in_4bit} and a {config.model_type}",
            mend=f"python -m sluicegate.models.scratch OUT --kind dual --warm {source.name}, then BASE_MODEL=OUT",
        )
    return around(config, chosen)


def _weights(source: Source, config: Any, dtype: torch.dtype, *, in_4bit: bool, device: torch.device) -> Any:
    found = config_of(source)
    if found.model_type == MODEL_TYPE:
        return weights_of(source, found, dtype, in_4bit=in_4bit, device=device)
    return warmed(source, config).to(device)


TOLD = "One encoder reads the prompt, another the context, and the decoder writes the completion."
RECIPE = Recipe(2, pairs.apart, shaped, _weights, TOLD)


def load(settings: TrainSettings, base: str, device: torch.device) -> EncoderDecoder:
    """The base model on the device, ready to be trained; see `models.ModelKind.load`."""
    return learner(RECIPE, settings, base, device)


def given_ids(tokenizer: Any, sample: Sample) -> tuple[list[int], ...]:
    """What each encoder reads; see `models.ModelKind`."""
    return pairs.apart(tokenizer, sample)


def tiny_base(parent: Path, samples: Sequence[Sample]) -> Path:
    """A base of three million parameters in a folder of its own within `parent`; see `models.ModelKind`."""
    return scratch.cached(parent, samples, kind="dual")
