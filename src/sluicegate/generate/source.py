"""Where the model is, and by what it is known: a folder's digest, a version at MLflow, an endpoint's address.

The identity goes into the settings beside the predictions, so that a file is never continued with another
model that lies under the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sluicegate import jsonl
from sluicegate.endpoint import address
from sluicegate.errors import UserError
from sluicegate.generate import registry
from sluicegate.generate.request import KEY_VARIABLE, Request
from sluicegate.records import digest

CONFIGS = ("adapter_config.json", "config.json")
PARTS = (*CONFIGS, "generation_config.json", "tokenizer.json", "tokenizer_config.json")
"""Files besides the weights that shape a text."""
WEIGHTS = ("*.safetensors", "*.bin")
CACHE = ".models"


@dataclass(frozen=True, slots=True)
class Source:
    """A model, found but not loaded.

    Args:
        kind: where it is.
        address: folder, MLflow URI with a concrete version, or base address.
        identity: what is recorded of it.
    """

    kind: Literal["folder", "mlflow", "endpoint"]
    address: str
    identity: str


def locate(request: Request) -> Source:
    """Find the model.

    Raises:
        UserError: no such folder, not a model folder, an address with credentials in it, a server that cannot
            be reached, no such version.
    """
    if request.is_endpoint:
        base = address(request.model, "model", KEY_VARIABLE)
        return Source("endpoint", base, base)
    if request.model.startswith(("runs:", "models:")):
        uri = registry.resolve(request.model, request.tracking_uri)
        return Source("mlflow", uri, uri)
    folder = _existing(request.model)
    return Source("folder", str(folder), "sha256:" + folder_digest(folder))


def model_folder(request: Request, source: Source) -> Path:
    """The folder of the model, brought here first where it lies at MLflow.

    What was brought stays in `.models` beside the predictions, so that going on needs no server's time.
    """
    if source.kind == "folder":
        return Path(source.address)
    cache = request.out.parent / CACHE / digest(source.address)[:16]
    return _model_inside(registry.bring(source.address, request.tracking_uri, cache), source.address)


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and digests of the files that shape a model's texts."""
    weights = {path for pattern in WEIGHTS for path in folder.glob(pattern)}
    files = sorted(weights | {folder / name for name in PARTS if (folder / name).is_file()})
    try:
        return digest([[path.name, jsonl.sha256(path)] for path in files])
    except OSError as fault:
        raise UserError(f"{folder}: cannot be read", wanted="readable files", seen=str(fault)) from None


def _existing(model: str) -> Path:
    folder = Path(model)
    if _is_model(folder):
        return folder
    if not folder.is_dir():
        seen = "a file" if folder.exists() else "no such folder"
        mend = (
            ""
            if folder.exists()
            else "give a path; a hub model must be brought first: hf download NAME --local-dir FOLDER"
        )
    else:
        seen = "a folder that holds " + (", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "nothing")
        mend = "did its training end? the files are written at the end"
    raise UserError(
        f"model {model}: not found",
        wanted=f"a model folder (with {' or '.join(CONFIGS)}), runs:/…, models:/… or http(s)://…",
        seen=seen,
        mend=mend,
    )


def _is_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in CONFIGS)


def _model_inside(root: Path, uri: str) -> Path:
    """The model folder in what MLflow keeps: the root, or the only folder nearest to it that is one."""
    found = [path for path in (root, *sorted(root.rglob("*"))) if path.is_dir() and _is_model(path)]
    nearest = min((len(path.parts) for path in found), default=0)
    found = [path for path in found if len(path.parts) == nearest]
    if len(found) != 1:
        names = ", ".join(str(path.relative_to(root)) for path in found[:6])
        raise UserError(
            f"{uri}: which model?" if found else f"{uri}: holds no model",
            wanted=f"one folder with {' or '.join(CONFIGS)}",
            seen=names or f"{sum(path.is_file() for path in root.rglob('*'))} other files",
            mend="name the artifact folder in the URI: runs:/RUN_ID/PATH",
        )
    return found[0]
