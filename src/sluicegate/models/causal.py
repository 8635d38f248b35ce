"""The kind `causal`: any Hugging Face causal language model, whole or in 4-bit with LoRA adapters.

NF4 with double quantisation through bitsandbytes, LoRA through peft on every linear layer but the head, loss
on the completion only. The result is a standard adapter folder (a standard model folder with LORA_R=0).
Nothing here knows of steps, optimizers or processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, cast

import torch
from torch.nn import functional

from sluicegate.models import Example, Facts, adapted, attention, fitting, tiny
from sluicegate.models.attention import TILE
from sluicegate.models.base import Source, find, quiet, readable
from sluicegate.models.layers import Layers
from sluicegate.models.loading import (
    base_of,
    free_gib,
    growing,
    here,
    size_of,
    tokenizer_of,
    trained_in_4bit,
    weights,
    with_adapters,
)
from sluicegate.models.loss import NO_TARGET, SummedLoss
from sluicegate.models.memory import GIB, SLACK, Size, decide, filled_gib, forecast_gib
from sluicegate.models.packing import packed, padded, width
from sluicegate.models.tokens import Tokens, encode_all, prompt_ids
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings

SAMPLES_A_PACK = 16
"""Samples that the bounds of a pack have room for, or a multiple of that."""


@dataclass
class Causal:
    """A causal model being trained; see `models.Learner`.

    Attributes:
        packs: whether samples stand one behind the other.
        size: of the model.
        mean_tokens: of a sample that is trained on.
        grows: whether memory is taken in segments that grow; a graph's lies apart, and with holes in both it is short.
        longest: most tokens of a sample that was encoded, filled up to a tile of the attention kernels.
        table: the input embeddings where the host keeps them, else None.
    """

    model: Any
    scored: SummedLoss
    tokenizer: Any
    facts: Facts
    window: int
    settings: TrainSettings
    packs: bool
    layers: Layers | None
    size: Size
    mean_tokens: float = 0.0
    grows: bool = False
    longest: int = TILE
    static: bool = False
    table: Any = None

    def encode(self, samples: Sequence[Sample], source: Path) -> Sequence[Example]:
        """Tokens of each sample."""
        asked = self.settings.over_long
        found = list(encode_all(self.tokenizer, samples, window=self.window, over_long=asked, source=source))
        if not self.mean_tokens:  # those that are trained on come first
            self.mean_tokens = sum(one.tokens for one in found) / max(1, len(found))
        self.longest = max(self.longest, *(-(-one.tokens // TILE) * TILE for one in found)) if found else self.longest
        return found

    def settle(self, micro_batch: int, *, steps: int) -> str:
        """Compile the layers and choose how memory is filled; see `fitting`."""
        if self.layers is None:
            return ""
        samples = micro_batch * self.settings.gradient_accumulation_steps
        asked = fitting.Asked(
            scored=self.scored,
            layers=self.layers,
            size=self.size,
            in_4bit=self.facts.loaded_in_4bit,
            window=self.window,
            tokens=samples * (self.mean_tokens or self.window),
            table=self._hostable(),
            batch=lambda windows: self.batch(self._full(windows), windows),
            host=self.host,
            leave=lambda: adapted.leave(self.model),
        )
        settings = self.settings if self.packs else self.settings.model_copy(update={"packing": "false"})
        try:
            adapted.adopt(self.model)
            fitted = fitting.fit(asked, settings, steps=steps)
        except torch.OutOfMemoryError:
            # The loop's own ladder takes it from here: it halves the micro-batch until a step fits.
            torch.cuda.empty_cache()
            self.layers.keeps = 0
            return f"{micro_batch} window(s) at once leave no room: every layer computes its activations again"
        self.facts = replace(self.facts, forecast_gib=fitted.forecast_gib, at_once=fitted.windows)
        frozen = self.settings.lora_r > 0  # a head that is trained reads the random state
        self.static = self.grows and self.packs and fitted.records and self.scored.has_body and frozen
        return fitted.told + ("; a kernel of ours unpacks 4-bit weights" if adapted.adopted(self.model) else "")

    def _full(self, windows: int) -> list[Tokens]:
        """Samples that fill so many windows, all their tokens but the first to be predicted."""
        each = min(self.longest, self.window) if self.packs else self.window
        lengths = [*[each] * (self.window // each), self.window % each] * windows
        return [Tokens((self.tokenizer.pad_token_id,) * length, 1) for length in lengths if length > 1]

    def _hostable(self) -> int:
        """Bytes of the input embeddings where the host may keep them: frozen, plain, and not the head's too; else 0."""
        inputs, head = self.model.get_input_embeddings(), self.model.get_output_embeddings()
        plain = type(inputs) is torch.nn.Embedding and inputs.max_norm is None and self.scored.has_body
        free = plain and not inputs.weight.requires_grad and (head is None or head.weight is not inputs.weight)
        return inputs.weight.numel() * inputs.weight.element_size() if free else 0

    def host(self) -> None:
        """Keep the input embeddings in the host's memory: batches bring what they are for their tokens.

        They are frozen, and of a step's tokens few rows of them are needed.
        """
        inputs = self.model.get_input_embeddings()
        self.table = inputs.weight.detach().cpu()
        inputs.weight = torch.nn.Parameter(inputs.weight.detach()[:0].clone(), requires_grad=False)

    def batches(self, examples: Sequence[Example], size: int) -> list[list[Example]]:
        """Packs of `size` windows, or `size` samples padded."""
        return packed(examples, size * self.window) if self.packs else padded(examples, size)

    def batch(self, examples: Sequence[Example], size: int) -> dict[str, Any]:
        """Tensors of a micro-batch: one row that holds all samples, or a row each, padded on the right.

        Returns:
            What `SummedLoss.forward` takes.
        """
        rows = cast(Sequence[Tokens], examples)
        made = self._packed(rows, size * self.window) if self.packs else self._padded(rows)
        return made if self.table is None else made | {"states": functional.embedding(made["ids"], self.table)}

    def _padded(self, rows: Sequence[Tokens]) -> dict[str, torch.Tensor]:
        width = max(row.tokens for row in rows)
        ids = torch.full((len(rows), width), self.tokenizer.pad_token_id)
        for number, row in enumerate(rows):
            ids[number, : row.tokens] = torch.tensor(row.ids)
        starts = [number * width for number in range(len(rows))]
        return {"ids": ids, **_targets(rows, starts)}

    def _packed(self, rows: Sequence[Tokens], capacity: int) -> dict[str, Any]:
        """What is left of the row's width is samples of padding alone, none longer than the longest.

        The kernels start a program for each sample that there are bounds for and each tile of the longest, whether
        there is anything in it or not: those cost more than all others, where there are many of them.
        """
        longest = max(self.longest, *(row.tokens for row in rows))
        starts = list(accumulate((row.tokens for row in rows), initial=0))
        end = starts.pop()
        whole = width(end, capacity)
        ids = torch.full((1, whole), self.tokenizer.pad_token_id)
        ids[0, :end] = torch.tensor([token for row in rows for token in row.ids])
        edges = [*starts, *range(end, whole, longest), whole]
        positions = torch.cat([torch.arange(after - before) for before, after in pairwise(edges)])[None]
        bounds = torch.full((self._bounds(len(edges), capacity),), whole, dtype=torch.int32)
        bounds[: len(edges)] = torch.tensor(edges, dtype=torch.int32)
        made = _targets(rows, starts)
        if self.static:
            some = width(len(made["rows"]), whole) - len(made["rows"])
            made = {
                "rows": functional.pad(made["rows"], (0, some)),
                "targets": functional.pad(made["targets"], (0, some), value=NO_TARGET),
            }
        return {"ids": ids, "positions": positions, "bounds": bounds, "longest": longest, **made}

    def _bounds(self, edges: int, capacity: int) -> int:
        """How many a pack gets that needs so many: the same for almost all, so that few shapes are compiled."""
        usual = capacity / (self.mean_tokens or self.window)
        room = -(-(usual + 3 * usual**0.5) // SAMPLES_A_PACK) * SAMPLES_A_PACK
        while room < edges - 1:
            room *= 2
        return 1 + int(room)

    def save(self, folder: Path) -> Path:
        """Write the adapter (or the model) and the tokenizer; returns the weights' file, or its index."""
        with readable(self.facts.base):
            self.model.save_pretrained(folder, safe_serialization=True)
            self.tokenizer.save_pretrained(folder)
        # peft writes a model card of blanks to fill in, which nobody does.
        (folder / "README.md").unlink(missing_ok=True)
        names = ("adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json")
        return next(folder / name for name in names if (folder / name).exists())


def _targets(rows: Sequence[Tokens], starts: Sequence[int]) -> dict[str, torch.Tensor]:
    """Which positions predict a target, and the targets; `starts` is where each sample begins in the flat batch."""
    spans = [
        torch.arange(start + row.prompt - 1, start + row.tokens - 1) for row, start in zip(rows, starts, strict=True)
    ]
    return {
        "rows": torch.cat(spans),
        "targets": torch.tensor([token for row in rows for token in row.ids[row.prompt :]]),
    }


def load(settings: TrainSettings, base: str, device: torch.device) -> Causal:
    """The base model with fresh adapters, on the device, ready to be trained.

    `base` is a folder or a hub name; `tiny` is made into a folder before.

    Raises:
        UserError: unknown or unreadable base, 4-bit with LORA_R=0, a base without an end-of-sequence token.
    """
    from transformers import AutoModelForCausalLM

    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    source = find(base, token=token, trust_remote_code=settings.trust_remote_code)
    config, size = _measured(source)
    window = min(settings.max_seq_length, _positions(config))
    gpu = device.type == "cuda"
    grows = gpu and growing()
    free = free_gib(device)
    in_4bit, why = decide(settings, size, window=window, gpu=gpu, free_gib=free)
    tokenizer = tokenizer_of(source)
    dtype = torch.bfloat16 if gpu and settings.lora_r else torch.float32
    torch.manual_seed(settings.seed)
    model = weights(AutoModelForCausalLM, source, dtype, in_4bit=in_4bit, device=device)
    if settings.lora_r:
        model = with_adapters(model, settings, name=source.name)
    scored, packs = _scored(model, settings.packing, gpu=gpu)
    layers = Layers(model) if gpu else None
    if layers is not None and not layers.all:
        layers = None
        with quiet():
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    facts = Facts(
        base=source.name,
        loaded_in_4bit=in_4bit,
        why_4bit=why,
        trainable_parameters=sum(part.numel() for part in model.parameters() if part.requires_grad),
        total_parameters=size.parameters,
        forecast_gib=forecast_gib(
            size, settings, in_4bit=in_4bit, window=window, gpu=gpu, limit_gib=filled_gib(settings, free)
        ),
    )
    return Causal(model, scored, tokenizer, facts, window, settings, packs, layers, size, grows=grows)


def _scored(model: Any, packing: str, *, gpu: bool) -> tuple[SummedLoss, bool]:
    """The model with its loss, and whether samples are packed: where it is wanted and the model keeps them apart."""
    autocast = torch.bfloat16 if gpu else None
    wanted = packing == "true" or (packing == "auto" and gpu)
    if wanted and gpu:
        own = model.config._attn_implementation
        model.set_attn_implementation(attention.NAME)
        scored = SummedLoss(model, autocast=autocast)
        if scored.packs:
            return scored, True
        model.set_attn_implementation(own)
    scored = SummedLoss(model, autocast=autocast)
    return scored, wanted and scored.packs


def load_trained(folder: Path | str, *, load_in_4bit: str = "auto", trust_remote_code: bool = False) -> tuple[Any, Any]:
    """A trained model and its tokenizer, in evaluation mode, on the GPU where there is one.

    Args:
        folder: an adapter's folder, or a whole model's folder or hub name.
        load_in_4bit: `true`, `false`, or `auto`: as it was trained, which its adapter has adjusted itself to; where
            that is not known, only if the plain weights would not fit.
        trust_remote_code: whether code that the model brings along may run.

    Raises:
        UserError: nothing there, or its base cannot be found or read.
    """
    from transformers import AutoModelForCausalLM

    device = here()
    adapted = base_of(Path(folder))
    base = adapted or str(folder)
    source = find(base, trust_remote_code=trust_remote_code)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    in_4bit = trained_in_4bit(Path(folder)) if load_in_4bit == "auto" else load_in_4bit == "true"
    if in_4bit is None:
        _, size = _measured(source)
        in_4bit = size.parameters * dtype.itemsize > SLACK * free_gib(device) * GIB
    model = weights(AutoModelForCausalLM, source, dtype, in_4bit=in_4bit, device=device)
    if adapted:
        with readable(str(folder)):
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(folder))
        source = Source(str(folder), source.options | {"local_files_only": True})
    return model.eval(), tokenizer_of(source)


def _measured(source: Source) -> tuple[Any, Size]:
    """The base's configuration, and its size counted on a model without weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    trust = source.options["trust_remote_code"]
    with readable(source.name):
        config = AutoConfig.from_pretrained(source.name, **source.options)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust)
    return config, size_of(model)


def _positions(config: Any) -> int:
    """The base's own window; unlimited where its configuration names none."""
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(found) if found and found > 0 else 2**31


def given_ids(tokenizer: Any, sample: Sample) -> tuple[list[int], ...]:
    """The prompt's tokens; see `models.ModelKind`."""
    return (prompt_ids(tokenizer, sample.prompt),)


def tiny_base(parent: Path, samples: Sequence[Sample]) -> Path:
    """A base of a few million parameters in a folder of its own within `parent`; see `models.ModelKind`."""
    return tiny.cached(parent, tiny.texts_of(samples))
