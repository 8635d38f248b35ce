"""The environment contract of the containers: every variable, its type, its help.

All faults are reported in one message, each with the variable, what was wanted and what was seen; nothing is written
before the settings stand. A variable that is set but empty counts as unset, as `docker run -e EPOCHS=` means it.
"""

from __future__ import annotations

import difflib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sluicegate.errors import UserError, UserErrors

MODEL_KINDS = ("causal", "seq2seq", "dual")
WHOLE_KINDS = frozenset({"seq2seq", "dual"})
"""Kinds that train every weight unless LORA_R is set."""
MOST = 1_000_000_000
"""Of what is counted in steps, samples or tokens."""
OverLong = Literal["error", "drop", "truncate"]
Switch = Annotated[
    Literal["auto", "true", "false"],
    BeforeValidator(lambda said: {"1": "true", "0": "false"}.get(str(said), str(said).lower())),
]


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError("is a folder" if path.is_dir() else "no such file")
    return path


def _safe_name(name: str) -> str:
    told = name.isprintable() and name == name.strip() and not any(sign in name for sign in '/\\:*?"<>|')
    if not name or not told or name.startswith(".") or len(name) > 128:
        raise ValueError("not a plain folder name")
    return name


def _known_kind(kind: str) -> str:
    if kind not in MODEL_KINDS:
        raise ValueError(f"known kinds: {', '.join(MODEL_KINDS)}")
    return kind


def _existing_folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError("is a file" if path.is_file() else "no such folder")
    return path


def weights(text: str) -> dict[str, float]:
    """Evaluator → weight, of `name=weight,…` or a JSON object.

    >>> weights("k8s_bp=0.75, exact_match=.25"), weights('{"k8s_bp": 1}')
    ({'k8s_bp': 0.75, 'exact_match': 0.25}, {'k8s_bp': 1.0})

    Raises:
        ValueError: not such a text, a name that is given twice, a weight below 0, or a sum that is not 1.
    """
    pairs = _pairs(text)
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    if not all(weight >= 0 for weight in found.values()):  # NaN is refused too
        raise ValueError("a weight below 0")
    total = math.fsum(found.values())
    if not abs(total - 1) <= 1e-6:
        raise ValueError(f"the weights sum to {total:g}")
    return found


def _pairs(text: str) -> list[tuple[str, float]]:
    try:
        if text.lstrip().startswith("{"):
            rows = json.loads(text, object_pairs_hook=list)
        else:
            rows = [part.split("=", 1) for part in text.split(",")]
        return [(name.strip(), float(weight)) for name, weight in rows]
    except (ValueError, TypeError, RecursionError):
        raise ValueError("not name=weight,…") from None


def _weights(text: str) -> str:
    weights(text)
    return text


Name = Annotated[str, AfterValidator(_safe_name)]
ExistingFile = Annotated[Path, AfterValidator(_existing_file)]
ExistingFolder = Annotated[Path, AfterValidator(_existing_folder)]


def _field(default: Any, text: str, wanted: str, **bounds: Any) -> Any:
    return Field(default, description=text, json_schema_extra={"wanted": wanted}, **bounds)


class TrainSettings(BaseSettings):
    """What `sluicegate train`, and so the training image, reads from the environment."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=False)

    dataset_path: ExistingFile = _field(
        ..., "Training data: JSONL with prompt and completion.", "an existing JSONL file"
    )
    val_dataset_path: ExistingFile | None = _field(
        None, "Validation data; the best checkpoint is chosen by it, as SELECT_BY says.", "an existing JSONL file"
    )
    base_model: str = _field(
        "meta-llama/Meta-Llama-3-8B",
        "Hub name or folder of the base model, or `tiny`.",
        "a name or folder",
        min_length=1,
    )
    model_kind: Annotated[str, AfterValidator(_known_kind)] = _field(
        "causal", "Kind of model.", f"one of {', '.join(MODEL_KINDS)}"
    )
    model_name: Name = _field("model", "The trained model lies in OUTPUT_DIR/MODEL_NAME.", "a plain folder name")
    output_dir: Path = _field(Path("models"), "Where trained models lie.", "a writable folder")
    epochs: float = _field(3.0, "Passes over the training data.", "a number > 0", gt=0, le=10_000, allow_inf_nan=False)
    max_steps: int | None = _field(None, "Stop after this many optimizer steps.", "a whole number ≥ 1", ge=1, le=MOST)
    batch_size: int = _field(
        4,
        "Samples a device takes at once; packed on a GPU, as many windows as are fastest in its memory.",
        "a whole number ≥ 1",
        ge=1,
        le=4096,
    )
    gradient_accumulation_steps: int = _field(
        1, "Batches summed before an optimizer step.", "a whole number ≥ 1", ge=1, le=4096
    )
    learning_rate: float = _field(2e-4, "Peak learning rate of AdamW.", "a number in (0, 1]", gt=0, le=1)
    warmup_steps: int = _field(
        10, "Steps of linear warm-up; then linear decay to 0.", "a whole number ≥ 0", ge=0, le=MOST
    )
    weight_decay: float = _field(0.0, "Decoupled weight decay.", "a number in [0, 1]", ge=0, le=1)
    max_grad_norm: float = _field(1.0, "Gradients are clipped to this norm.", "a number > 0", gt=0)
    max_seq_length: int = _field(
        2048,
        "Window in tokens: prompt and completion together; of seq2seq and dual, what each encoder reads, and the "
        "completion.",
        "a whole number ≥ 8",
        ge=8,
        le=MOST,
    )
    over_long: OverLong = _field(
        "error",
        "What happens to a sample longer than the window.",
        "error, drop or truncate (cuts the prompt's start)",
    )
    load_in_4bit: Switch = _field("auto", "NF4 base weights; auto decides from free VRAM.", "auto, true or false")
    lora_r: int = _field(
        16,
        "LoRA rank; 0 trains every weight (not in 4-bit), and is the default of seq2seq and dual.",
        "a whole number in 0…1024",
        ge=0,
        le=1024,
    )
    lora_alpha: int = _field(32, "LoRA scale is LORA_ALPHA / LORA_R.", "a whole number ≥ 1", ge=1, le=MOST)
    lora_dropout: float = _field(0.05, "Dropout before the adapters.", "a number in [0, 1)", ge=0, lt=1)
    dual_tables: Literal["shared", "separate"] | None = _field(
        None,
        "dual: one table of tokens, or one more for the pattern; unset, as the next three: as the base has it, and "
        "with a single T5 shared, separate, two, intent.",
        "shared or separate",
    )
    dual_encoders: Literal["separate", "shared"] | None = _field(
        None, "dual: an encoder for each input, or the same layers for both.", "separate or shared"
    )
    dual_fusion: Literal["two", "one"] | None = _field(
        None, "dual: intent and pattern attend to each other, or the intent to the pattern.", "two or one"
    )
    dual_memory: Literal["both", "intent"] | None = _field(
        None, "dual: the decoder attends to both inputs, or to the intent alone.", "both or intent"
    )
    packing: Switch = _field(
        "auto",
        "causal: samples one behind the other instead of padded, kept apart by attention; auto: on a GPU.",
        "auto, true or false",
    )
    compile: Switch = _field(
        "auto", "Compile the layers, some 20 s a shape; auto: on a GPU, from 50 steps.", "auto, true or false"
    )
    vram_limit_gb: float | None = _field(
        None, "GPU memory to fill, in GiB; unset: what is free.", "a number > 0", gt=0, allow_inf_nan=False
    )
    shuffle: bool = _field(
        True, "Each epoch in an order of its own, by SEED; false: every epoch in the file's order.", "true or false"
    )
    seed: int = _field(0, "Of initialisation, data order and dropout.", "a whole number ≥ 0", ge=0, lt=2**32)
    save_every: int = _field(100, "Steps between two checkpoints and validations.", "a whole number ≥ 1", ge=1, le=MOST)
    mlflow_tracking_uri: str | None = _field(
        None, "MLflow server; unset: a SQLite store under runs/.", "http(s)://host:port or sqlite:///file.db"
    )
    trust_remote_code: bool = _field(False, "Run code that a model folder brings along.", "true or false")
    hf_token: SecretStr | None = _field(None, "Hub token; never printed, logged or stored.", "a token")

    # Reinforcement learning, and how the best checkpoint is chosen.
    method: Literal["supervised", "rloo", "reinforce"] = _field(
        "supervised",
        "Cross-entropy, or reinforcement learning from INIT_FROM: rloo, or reinforce, the older way, for comparison.",
        "supervised, rloo or reinforce",
    )
    init_from: ExistingFolder | None = _field(
        None,
        "Folder of a finished training of the same kind to go on from, with a new optimizer, instead of BASE_MODEL.",
        "an existing model folder",
    )
    reward: Annotated[str, AfterValidator(_weights)] = _field(
        "codebleu_k8s=0.3,k8s_bp=0.4,k8s_security=0.2,k8s_simplicity=0.1",
        "Weights over evaluators, as name=weight,… or a JSON object.",
        "weights ≥ 0 that sum to 1",
    )
    reward_gate: Literal["gated", "plain"] = _field(
        "gated",
        "gated: 0 for what is not YAML, empty or cut off, and BP and security times intent fidelity; plain: neither.",
        "gated or plain",
    )
    rl_steps: int = _field(
        100, "Updates of reinforcement learning; MAX_STEPS may cut them.", "a whole number ≥ 1", ge=1, le=MOST
    )
    rl_prompts: int = _field(16, "Prompts an update.", "a whole number ≥ 1", ge=1, le=4096)
    rl_samples: int = _field(8, "Answers drawn a prompt.", "a whole number in 2…256", ge=2, le=256)
    rl_batch: int = _field(
        64,
        "Answers an update takes at once, whole groups of RL_SAMPLES where it can; less where memory runs out.",
        "a whole number ≥ 1",
        ge=1,
        le=4096,
    )
    rl_max_new_tokens: int = _field(512, "Tokens an answer may have.", "a whole number ≥ 1", ge=1, le=MOST)
    rl_learning_rate: float = _field(
        2e-6, "Learning rate of reinforcement learning, in place of LEARNING_RATE.", "a number in (0, 1]", gt=0, le=1
    )
    rl_target_kl: float = _field(
        0.01, "KL divergence from INIT_FROM, nats a token, that rloo steers to.", "a number in (0, 10]", gt=0, le=10
    )
    rl_kl: float = _field(0.05, "Weight of the KL term of rloo at the start; it adapts.", "a number ≥ 0", ge=0, le=100)
    rl_anchor: float = _field(0.1, "Weight of cross-entropy in the loss of rloo.", "a number ≥ 0", ge=0, le=100)
    rl_workers: int | None = _field(
        None, "Processes that score answers; unset: a core is left free.", "a whole number in 1…256", ge=1, le=256
    )
    steps_like_rl: bool = _field(
        False,
        "Supervised steps for the compute of RL_STEPS × RL_PROMPTS × RL_SAMPLES, in place of EPOCHS: the control of "
        "reinforcement learning.",
        "true or false",
    )
    select_by: str | None = _field(
        None,
        "What the best checkpoint is chosen by: the validation loss, or greedy answers' mean by an evaluator or by "
        "REWARD; unset: loss, or reward where METHOD learns by it.",
        "loss, reward or an evaluator",
        min_length=1,
    )
    select_samples: int = _field(
        64, "Validation samples answered for SELECT_BY, the first of the file.", "a whole number ≥ 1", ge=1, le=MOST
    )
    tensorboard: bool = _field(False, "Curves for TensorBoard too, in the model's folder.", "true or false")

    @model_validator(mode="before")
    @classmethod
    def _whole_unless_told(cls, given: Any) -> Any:
        """LORA_R=0 where the kind trains every weight and nobody says otherwise."""
        if isinstance(given, dict) and given.get("model_kind") in WHOLE_KINDS:
            return {"lora_r": 0, **given}
        return given

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment is the only source; keyword arguments are for tests."""
        return init_settings, env_settings

    @property
    def model_dir(self) -> Path:
        """The folder of the trained model."""
        return self.output_dir / self.model_name

    def public(self) -> dict[str, str | int | float | bool | None]:
        """Every setting but the secrets, as JSON types, in the order of their definition."""
        return self.model_dump(mode="json", exclude={"hf_token"})


def fault_in(name: str, value: Any) -> str:
    """What is wrong with a training setting's value, as the environment would give it; empty where nothing is.

    >>> fault_in("epochs", 3), fault_in("epochs", "many")
    ('', 'wanted a number > 0')
    """
    info = TrainSettings.model_fields[name]
    said = str(value).lower() if isinstance(value, bool) else value if value is None else str(value)
    if said is None or said == "":  # unset, as an empty variable is
        return ""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(cast(Any, Annotated[info.annotation, info]))
        adapter.validate_python(said)
    except ValidationError:
        extra = info.json_schema_extra
        return f"wanted {extra['wanted']}" if isinstance(extra, dict) else "not a value of it"
    return ""


def load_train_settings() -> TrainSettings:
    """The settings of this process's environment.

    Raises:
        UserErrors: every wrong or missing variable, in one message.
    """
    try:
        return TrainSettings()
    except ValidationError as fault:
        raise faults_of(TrainSettings, fault, os.environ) from None


def faults_of(kind: type[BaseSettings], fault: ValidationError, environ: Mapping[str, str]) -> UserErrors:
    """A validation error as one message, one fault a variable, secrets masked."""
    faults = []
    for row in fault.errors(include_url=False):
        field = str(row["loc"][0])
        variable = field.upper()
        info = kind.model_fields[field]
        extra = info.json_schema_extra
        wanted = str(extra["wanted"]) if isinstance(extra, dict) else ""
        if row["type"] == "missing":
            near = difflib.get_close_matches(variable, environ, n=1, cutoff=0.8)
            seen = f"unset (but {near[0]} is set: a slip?)" if near else "unset"
        elif "Secret" in str(info.annotation):
            seen = "a value that is not shown"
        else:
            reason = row["msg"].removeprefix("Value error, ") if row["type"] == "value_error" else ""
            seen = f"{row['input']!s:.80}" + (f" ({reason})" if reason else "")
        faults.append(UserError(variable, wanted=wanted, seen=seen))
    return UserErrors(f"{len(faults)} setting(s) are wrong; nothing was written", faults)
