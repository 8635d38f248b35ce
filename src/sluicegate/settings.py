"""The environment contract of the containers: every variable, its type, its help.

All faults are reported in one message, each with the variable, what was wanted and what was seen; nothing is written
before the settings stand. A variable that is set but empty counts as unset, as `docker run -e EPOCHS=` means it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sluicegate.errors import UserError, UserErrors

MODEL_KINDS = ("causal",)
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
    if not name or name.startswith(".") or any(sign in name for sign in '/\\:*?"<>|\0') or len(name) > 128:
        raise ValueError("not a plain folder name")
    return name


def _known_kind(kind: str) -> str:
    if kind not in MODEL_KINDS:
        raise ValueError(f"known kinds: {', '.join(MODEL_KINDS)}")
    return kind


Name = Annotated[str, AfterValidator(_safe_name)]
ExistingFile = Annotated[Path, AfterValidator(_existing_file)]


def _field(default: Any, text: str, wanted: str, **bounds: Any) -> Any:
    return Field(default, description=text, json_schema_extra={"wanted": wanted}, **bounds)


class TrainSettings(BaseSettings):
    """What `sluicegate train`, and so the training image, reads from the environment."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=False)

    dataset_path: ExistingFile = _field(
        ..., "Training data: JSONL with prompt and completion.", "an existing JSONL file"
    )
    val_dataset_path: ExistingFile | None = _field(
        None, "Validation data; the best checkpoint is chosen by its loss.", "an existing JSONL file"
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
    max_steps: int | None = _field(None, "Stop after this many optimizer steps.", "a whole number ≥ 1", ge=1)
    batch_size: int = _field(4, "Samples a device takes at once.", "a whole number ≥ 1", ge=1, le=4096)
    gradient_accumulation_steps: int = _field(
        1, "Batches summed before an optimizer step.", "a whole number ≥ 1", ge=1, le=4096
    )
    learning_rate: float = _field(2e-4, "Peak learning rate of AdamW.", "a number in (0, 1]", gt=0, le=1)
    warmup_steps: int = _field(10, "Steps of linear warm-up; then linear decay to 0.", "a whole number ≥ 0", ge=0)
    weight_decay: float = _field(0.0, "Decoupled weight decay.", "a number in [0, 1]", ge=0, le=1)
    max_grad_norm: float = _field(1.0, "Gradients are clipped to this norm.", "a number > 0", gt=0)
    max_seq_length: int = _field(2048, "Window in tokens, prompt and completion together.", "a whole number ≥ 8", ge=8)
    over_long: OverLong = _field(
        "error",
        "What happens to a sample longer than the window.",
        "error, drop or truncate (cuts the prompt's start)",
    )
    load_in_4bit: Switch = _field("auto", "NF4 base weights; auto decides from free VRAM.", "auto, true or false")
    lora_r: int = _field(
        16, "LoRA rank; 0 trains every weight (not in 4-bit).", "a whole number in 0…1024", ge=0, le=1024
    )
    lora_alpha: int = _field(32, "LoRA scale is LORA_ALPHA / LORA_R.", "a whole number ≥ 1", ge=1)
    lora_dropout: float = _field(0.05, "Dropout before the adapters.", "a number in [0, 1)", ge=0, lt=1)
    packing: Switch = _field(
        "auto",
        "Samples one behind the other instead of padded, kept apart by attention; auto: on a GPU.",
        "auto, true or false",
    )
    compile: Switch = _field(
        "auto", "Compile the layers, some 20 s a shape; auto: on a GPU, from 50 steps.", "auto, true or false"
    )
    vram_limit_gb: float | None = _field(
        None, "GPU memory to fill, in GiB; unset: what is free.", "a number > 0", gt=0, allow_inf_nan=False
    )
    seed: int = _field(0, "Of initialisation, data order and dropout.", "a whole number ≥ 0", ge=0, lt=2**32)
    save_every: int = _field(100, "Steps between two checkpoints and validations.", "a whole number ≥ 1", ge=1)
    mlflow_tracking_uri: str | None = _field(
        None, "MLflow server; unset: a SQLite store under runs/.", "http(s)://host:port or sqlite:///file.db"
    )
    trust_remote_code: bool = _field(False, "Run code that a model folder brings along.", "true or false")
    hf_token: SecretStr | None = _field(None, "Hub token; never printed, logged or stored.", "a token")

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
