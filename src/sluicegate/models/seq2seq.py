"""The kind `seq2seq`: a T5-family model that reads prompt and context one behind the other, and writes the completion.

T5, CodeT5 and CodeT5+ (220M, 770M) by hub name or folder, or one made from scratch (`scratch`). Trained whole with
LORA_R=0, else through adapters, in 4-bit where asked. The learner here serves the kind `dual` as well. Nothing here
knows of steps, optimizers or processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import torch

from sluicegate.errors import UserError
from sluicegate.models import TYPES, Example, Facts, Seq2SeqExample, pairs, scratch
from sluicegate.models.base import Source, find, quiet, readable
from sluicegate.models.compiling import compiles
from sluicegate.models.dual_config import MODEL_TYPE
from sluicegate.models.loading import (
    base_of,
    free_gib,
    here,
    moved,
    size_of,
    tokenizer_of,
    trained_in_4bit,
    weights,
    with_adapters,
)
from sluicegate.models.memory import ADAM_BYTES, GIB, SLACK, decide, filled_gib
from sluicegate.models.pair_memory import PairSize, forecast_gib, held_bytes, prompts_at_once, samples_at_once
from sluicegate.models.pairs import Pair, Reads
from sluicegate.models.t5_fast import Seq2SeqLoss
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings

WANTED = "an encoder-decoder of the T5 family"
FAMILY = tuple(name for name, kind in TYPES.items() if kind == "seq2seq")
"""`model_type`s of the T5 family."""
NAMES = ("input_ids", "attention_mask"), ("pattern_input_ids", "pattern_attention_mask")
"""What an encoder's tensors are called in a batch."""
CARD = """---
library_name: {library}
pipeline_tag: text2text-generation
{named}tags:
- sluicegate
---

# {name}

{told} Made from {base}, {how}: {trained:,} of {total:,} parameters.

- It was trained on inputs and answers of at most {window} tokens each, and knows nothing beyond its training data.
- What it writes is not checked by itself: validate it before use.
- Settings, data digests and versions are in `run.json`, figures in `result.json`.

A dual encoder is known to transformers after `import sluicegate.models`; then `AutoTokenizer` and
`AutoModelForSeq2SeqLM.from_pretrained(folder)`, and with adapters `peft.PeftModel.from_pretrained` on top of the base.
"""
STEP_ON_GPU, STEP = 64, 8
"""Widths of padded rows are multiples of this: of a larger one on a GPU, so that few shapes occur."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What tells the kinds of encoder-decoder apart.

    Args:
        encoders: how many there are.
        reads: what each of them is given of a sample.
        config: the model's configuration, of the base's and the settings.
        weights: the model of that configuration, from its base, on the device.
        told: what the model is, in a sentence of its card.
    """

    encoders: int
    reads: Reads
    config: Callable[[Any, TrainSettings, Source], Any]
    weights: Callable[..., Any]
    told: str


@dataclass
class EncoderDecoder:
    """An encoder-decoder being trained; see `models.Seq2SeqLearner`.

    Args:
        size: of the model.
        window: most tokens of what an encoder reads, and of a target.
        step: widths of padded rows are multiples of it.
        largest: as long on each side as any sample that was encoded.
        widths: tokens that a sample may take on each side, padding counted; () before `settle`: every window filled.
    """

    model: Any
    scored: Seq2SeqLoss
    tokenizer: Any
    facts: Facts
    size: PairSize
    window: int
    settings: TrainSettings
    recipe: Recipe
    step: int
    largest: Pair | None = None
    widths: tuple[int, ...] = ()
    static: bool = False

    def encode(self, samples: Sequence[Sample], source: Path) -> Sequence[Seq2SeqExample]:
        """Tokens of each sample."""
        found = pairs.encode_all(
            self.tokenizer,
            samples,
            self.recipe.reads,
            window=self.window,
            over_long=self.settings.over_long,
            source=source,
        )
        self.largest = pairs.covering([*found, *([self.largest] if self.largest else [])])
        return found

    def settle(self, micro_batch: int, *, steps: int) -> str:
        """On a GPU, compile where that pays, and try the largest micro-batch that the encoded samples can make.

        Where it does not fit beside all else that a training holds, layers compute their activations again; see
        `models.Learner`. Learning by reward, a micro-batch is of answers that are as long as they may be.
        """
        whole = (0,) * self.window
        largest = self.largest or Pair((whole,) * self.recipe.encoders, whole)
        self.widths = widths = pairs.shape([largest], step=self.step)
        device = next(self.model.parameters()).device
        if device.type != "cuda":
            return ""
        trials = self.trials(largest, micro_batch)
        beside = self._beside(widths)
        limit = filled_gib(self.settings, (torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()) / GIB)
        wanted = compiles(self.settings, steps)
        what = "sample" if self.settings.method == "supervised" else "answer"
        shown = (*widths[:-1], trials[0]["decoder_input_ids"].shape[1])
        said = f"{micro_batch} {what}(s) of {' + '.join(map(str, shown))} tokens at once"
        taken = tried(self.scored, trials, device, compiles=wanted)
        how = "all activations are kept"
        if taken is None or (taken.bytes + beside) / GIB > limit:
            with quiet():
                self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            taken = tried(self.scored, trials, device, compiles=wanted)
            how = "layers compute their activations again"
        if taken is None:
            # The loop's own ladder takes it from here: it halves the micro-batch until a step fits.
            return f"{said} leave no room, even where layers compute their activations again"
        peak = (taken.bytes + beside) / GIB
        self.facts = replace(self.facts, forecast_gib=peak)
        return f"{said}, {taken.told}, {how}: {peak:.2f} GiB expected of {limit:.2f}"

    def trials(self, largest: Pair, micro_batch: int) -> list[dict[str, torch.Tensor]]:
        """The largest micro-batches that occur: of answers, which share what is read, where there are any; of samples.

        Args:
            largest: as long on each side as any sample.
            micro_batch: samples, or answers, at once.
        """
        samples = samples_at_once(self.settings, micro_batch)
        whole = self.batch([largest] * samples, samples)
        if self.settings.method == "supervised":
            return [whole]
        answer = replace(largest, target_ids=(0,) * self.settings.rl_max_new_tokens)
        read = prompts_at_once(micro_batch, self.settings.rl_samples)
        rows = read * min(micro_batch, self.settings.rl_samples)
        return [self.batch([answer] * rows, rows) | self.inputs([largest] * read), whole]

    def _beside(self, widths: Sequence[int]) -> float:
        """Bytes that a training holds besides weights, gradients and a micro-batch."""
        source = sum(widths[: self.size.sources]) if self.recipe.encoders > 1 else widths[0]
        trained = self.facts.trainable_parameters
        held = held_bytes(self.size, self.settings, trained=trained, source=source, gpu=True)
        return (ADAM_BYTES - 8) * trained + held

    def batches(self, examples: Sequence[Example], size: int) -> list[list[Example]]:
        """Batches that take no more room than `size` of the largest samples; of like length where there is padding."""
        rows = cast(Sequence[Pair], examples)
        widths = self.widths or (self.window,) * (self.recipe.encoders + 1)
        if self.scored.packs(torch.bfloat16):
            found = pairs.packed(rows, [size * width for width in widths])
        else:
            found = pairs.batched(rows, size * sum(widths), step=self.step)
        return cast(list[list[Example]], found)

    def batch(self, examples: Sequence[Example], size: int) -> dict[str, torch.Tensor]:
        """Tensors of a micro-batch, a row each, padded on the right: what `Seq2SeqLoss.forward` takes."""
        rows = cast(Sequence[Pair], examples)
        *_, width = pairs.shape(rows, step=self.step)
        start = self.model.config.decoder_start_token_id
        said = [row.target_ids for row in rows]
        ids, _ = _padded([(start, *row[:-1]) for row in said], width, self.tokenizer.pad_token_id)
        places = [torch.arange(number * width, number * width + len(row)) for number, row in enumerate(said)]
        return {
            **self.inputs(rows),
            "decoder_input_ids": ids,
            "rows": torch.cat(places),
            "targets": torch.tensor([token for row in said for token in row]),
        }

    def inputs(self, examples: Sequence[Seq2SeqExample]) -> dict[str, torch.Tensor]:
        """What the encoder takes."""
        return tensors([example.given for example in examples], self.tokenizer.pad_token_id, step=self.step)

    def save(self, folder: Path) -> Path:
        """Write the model (or its adapter and shape), the tokenizer and a card; returns the weights' file or index."""
        with readable(self.facts.base):
            self.model.save_pretrained(folder, safe_serialization=True)
            if self.settings.lora_r:
                self.model.get_base_model().config.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text(card(self.settings, self.facts, self.recipe.told), "utf-8")
        names = ("adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json")
        return next(folder / name for name in names if (folder / name).exists())


def tensors(given: Sequence[Sequence[Sequence[int]]], pad: int, *, step: int = 1) -> dict[str, torch.Tensor]:
    """What the encoder takes for rows of tokens for each of its parts, on the CPU, padded on the right.

    Args:
        given: for each row, tokens for each encoder.
        pad: id of the token that fills up.
        step: widths are multiples of it.
    """
    made: dict[str, torch.Tensor] = {}
    for side, names in zip(zip(*given, strict=True), NAMES, strict=False):
        width = max(1, -(-max(map(len, side)) // step)) * step
        made |= dict(zip(names, _padded(side, width, pad), strict=True))
    return made


def _padded(rows: Sequence[Sequence[int]], width: int, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    ids, mask = torch.full((len(rows), width), pad), torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[number, : len(row)] = 1
    return ids, mask


@dataclass(frozen=True, slots=True)
class Tried:
    """What a trial took: bytes at most, weights and gradients among them, and how it ran, in a word or two."""

    bytes: int
    told: str


def tried(
    scored: Seq2SeqLoss, trials: Sequence[dict[str, torch.Tensor]], device: torch.device, *, compiles: bool
) -> Tried | None:
    """A forward and a backward of each batch on a GPU; None where its memory is too small for one of them."""
    try:
        batches = [moved(batch, device) for batch in trials]
        with torch.autocast("cuda", dtype=torch.bfloat16):
            told = scored.compile(batches[0]) if compiles else "not compiled"
        torch.cuda.reset_peak_memory_stats()
        for batch in batches:
            with torch.autocast("cuda", dtype=torch.bfloat16):
                loss = scored(**batch)
            loss.backward()
            del loss
        torch.cuda.synchronize()
        return Tried(int(torch.cuda.max_memory_allocated()), told)
    except torch.OutOfMemoryError:
        return None
    finally:
        scored.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def learner(recipe: Recipe, settings: TrainSettings, base: str, device: torch.device) -> EncoderDecoder:
    """The base model on the device, ready to be trained as the settings say; see `models.ModelKind.load`.

    Weights that are trained are fp32, whatever the products are in; frozen ones are bf16 on a GPU.
    """
    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    source = find(base, token=token, trust_remote_code=settings.trust_remote_code)
    config = recipe.config(config_of(source), settings, source)
    size = sized(config, recipe.encoders)
    window, gpu = settings.max_seq_length, device.type == "cuda"
    in_4bit, why = decide(settings, size, window=window, gpu=gpu, free_gib=free_gib(device), forecast=forecast_gib)
    tokenizer = tokenizer_of(source)
    torch.manual_seed(settings.seed)
    dtype = torch.bfloat16 if gpu and settings.lora_r else torch.float32
    model = recipe.weights(source, config, dtype, in_4bit=in_4bit, device=device)
    refuse_unnamed(tokenizer, model, source)
    if settings.lora_r:
        model = with_adapters(model, settings, name=source.name, task="SEQ_2_SEQ_LM")
    facts = Facts(
        base=source.name,
        loaded_in_4bit=in_4bit,
        why_4bit=why,
        trainable_parameters=sum(part.numel() for part in model.parameters() if part.requires_grad),
        total_parameters=size.parameters,
        forecast_gib=forecast_gib(size, settings, in_4bit=in_4bit, window=window, gpu=gpu),
    )
    step = STEP_ON_GPU if gpu else STEP
    return EncoderDecoder(model, Seq2SeqLoss(model), tokenizer, facts, size, window, settings, recipe, step)


def config_of(source: Source) -> Any:
    """The base's configuration."""
    from transformers import AutoConfig

    with readable(source.name, wanted=WANTED):
        return AutoConfig.from_pretrained(source.name, **source.options)


def sized(config: Any, encoders: int) -> PairSize:
    """The model's size, counted on one without weights."""
    from transformers import AutoModelForSeq2SeqLM

    with torch.device("meta"):
        counted = size_of(AutoModelForSeq2SeqLM.from_config(config))
    writers = int(config.num_decoder_layers)
    shape = {part.name: getattr(counted, part.name) for part in fields(counted)}
    shape |= {"layers": encoders * int(config.num_layers) + writers, "widest": int(config.d_ff)}
    sources = 2 if getattr(config, "memory", "") == "both" else 1
    return PairSize(**shape, writers=writers, heads=int(config.num_heads), sources=sources)


def refuse_unnamed(tokenizer: Any, model: Any, source: Source) -> None:
    """Refuse a tokenizer of another model, and name the token that a decoder starts with where the base does not.

    Raises:
        UserError: the tokenizer has tokens that the model has no row for.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise UserError(
            f"BASE_MODEL {source.name!r}: its tokenizer does not fit its weights",
            wanted=f"at most {rows} tokens",
            seen=f"{len(tokenizer)} tokens",
            mend="bring the tokenizer that the model was trained with",
        )
    if model.config.decoder_start_token_id is None:
        model.config.decoder_start_token_id = tokenizer.pad_token_id
        model.generation_config.decoder_start_token_id = tokenizer.pad_token_id


def single(config: Any, source: Source) -> Any:
    """The configuration of a T5 as it is.

    Raises:
        UserError: a base of another family, or a dual encoder.
    """
    if config.model_type not in FAMILY:
        dual = "MODEL_KIND=dual" if config.model_type == MODEL_TYPE else ""
        raise UserError(
            f"BASE_MODEL {source.name!r}: not a model of kind seq2seq",
            wanted=f"a T5-family model: {', '.join(FAMILY)}",
            seen=str(config.model_type),
            mend=dual or "choose another base, or the MODEL_KIND that fits it",
        )
    return config


def weights_of(source: Source, config: Any, dtype: torch.dtype, *, in_4bit: bool, device: torch.device) -> Any:
    """The base's model with its own weights.

    Raises:
        UserError: weights that are missing or of another shape than the configuration says.
    """
    from transformers import AutoModelForSeq2SeqLM

    try:
        model, about = weights(
            AutoModelForSeq2SeqLM, source, dtype, in_4bit=in_4bit, device=device,
            wanted=WANTED, config=config, output_loading_info=True,
        )  # fmt: skip
    except RuntimeError as fault:
        if "size mismatch" not in str(fault) and "mismatched" not in str(fault):
            raise
        raise _another_shape(source, "tensors of other sizes") from None
    missing = sorted(about["missing_keys"])
    if missing:
        raise _another_shape(source, f"{len(missing)} tensors are missing, {missing[0]} among them")
    return model


def _another_shape(source: Source, seen: str) -> UserError:
    return UserError(
        f"BASE_MODEL {source.name!r}: its weights are of another shape than its config.json says",
        wanted="the weights that belong to it",
        seen=seen,
        mend="bring the folder again, whole",
    )


def card(settings: TrainSettings, facts: Facts, told: str) -> str:
    """The README.md of a saved folder: what the model is and how it is used; figures are in its result.json."""
    base = Path(facts.base).name if Path(facts.base).is_dir() else facts.base
    named = "" if Path(facts.base).is_dir() else f"base_model: {facts.base}\n"
    how = f"LoRA adapters of rank {settings.lora_r}" if settings.lora_r else "all weights trained"
    return CARD.format(
        library="peft" if settings.lora_r else "transformers",
        named=named,
        name=settings.model_name,
        told=told,
        base=base,
        how=how,
        total=facts.total_parameters,
        trained=facts.trainable_parameters,
        window=settings.max_seq_length,
    )


RECIPE = Recipe(
    1,
    pairs.joined,
    lambda config, settings, source: single(config, source),
    weights_of,
    "It reads prompt and context as one text and writes the completion.",
)


def load(settings: TrainSettings, base: str, device: torch.device) -> EncoderDecoder:
    """The base model on the device, ready to be trained; see `models.ModelKind.load`."""
    return learner(RECIPE, settings, base, device)


def load_trained(folder: Path | str, *, load_in_4bit: str = "auto", trust_remote_code: bool = False) -> tuple[Any, Any]:
    """A trained model and its tokenizer, in evaluation mode, on the GPU where there is one; a dual encoder as well.

    Args:
        folder: an adapter's folder, or a whole model's folder or hub name.
        load_in_4bit: `true`, `false`, or `auto`: as it was trained; where that is not known, only if the plain weights
            would not fit.
        trust_remote_code: whether code that the model brings along may run.

    Raises:
        UserError: nothing there, or its base cannot be found or read.
    """
    device, adapted = here(), base_of(Path(folder))
    source = find(adapted or str(folder), trust_remote_code=trust_remote_code)
    config = config_of(source)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    in_4bit = trained_in_4bit(Path(folder)) if load_in_4bit == "auto" else load_in_4bit == "true"
    if in_4bit is None:
        in_4bit = sized(config, 1).parameters * dtype.itemsize > SLACK * free_gib(device) * GIB
    model = weights_of(source, config, dtype, in_4bit=in_4bit, device=device)
    if adapted:
        with readable(str(folder), wanted=WANTED):
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(folder))
        source = Source(str(folder), source.options | {"local_files_only": True})
    return model.eval(), tokenizer_of(source)


def given_ids(tokenizer: Any, sample: Sample) -> tuple[list[int], ...]:
    """What the encoder reads; see `models.ModelKind`."""
    return pairs.joined(tokenizer, sample)


def tiny_base(parent: Path, samples: Sequence[Sample]) -> Path:
    """A base of two million parameters in a folder of its own within `parent`; see `models.ModelKind`."""
    return scratch.cached(parent, samples, kind="seq2seq")
