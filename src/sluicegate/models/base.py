"""Finding a base model: a folder, a name in the hub's cache, or a name at the hub.

The hub's client retries a dead network for half a minute. Here what the cache of this machine holds is used
without asking, and else one question with a short time limit decides. Nothing here loads weights.
"""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate.errors import UserError

HUB_LIMIT_S = 5.0
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a base lies and how to ask for it: `name` and `options` go to every `from_pretrained`."""

    name: str
    options: dict[str, Any]


def find(name: str, *, token: str | None = None, trust_remote_code: bool = False) -> Source:
    """Where a base model lies.

    Args:
        name: a folder with a config.json, or a hub name.
        token: of the hub; handed on to the hub's client and to nobody else.
        trust_remote_code: whether code that the model brings along may run.

    Raises:
        UserError: no such folder, no such name at the hub, no access, or no hub to be reached.
    """
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise _unknown(name, "a folder without config.json")
        return Source(str(folder.resolve()), options | {"local_files_only": True})
    if not HUB_NAME.fullmatch(name):
        raise _unknown(name, "no such folder")
    if _cached(name):
        return Source(name, options | {"local_files_only": True})
    _ask_hub(name, token)
    return Source(name, options | ({"token": token} if token else {}))


def _cached(name: str) -> bool:
    """Whether the hub's cache on this machine has this model's configuration and weights."""
    from huggingface_hub import try_to_load_from_cache

    found = [isinstance(try_to_load_from_cache(name, file), str) for file in ("config.json", *WEIGHTS)]
    return found[0] and any(found[1:])


def _ask_hub(name: str, token: str | None) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        HfApi().model_info(name, timeout=HUB_LIMIT_S, token=token)
    except GatedRepoError:
        raise _unknown(
            name, "the hub says access is restricted", "accept its licence there, and set HF_TOKEN"
        ) from None
    except RepositoryNotFoundError:
        raise _unknown(
            name, "the hub has no such public model", "check the name; a private one needs HF_TOKEN"
        ) from None
    except HfHubHTTPError as fault:
        status = getattr(fault.response, "status_code", "an error")
        raise _unknown(name, f"the hub answered {status}", "try again later, or use a folder") from None
    except Exception as fault:
        # The client's own network errors differ between its versions and have no base class of ours to name.
        raise _unknown(
            name,
            f"no such folder, not in the hub's cache, and the hub cannot be reached ({type(fault).__name__})",
        ) from None


def _unknown(name: str, seen: str, mend: str = "") -> UserError:
    return UserError(
        f"BASE_MODEL {name!r}: not found",
        wanted="a folder with a Hugging Face model, a hub name, or `tiny`",
        seen=seen,
        mend=mend
        or "check the spelling, or fetch the model where there is a network: hf download NAME --local-dir FOLDER",
    )


@contextlib.contextmanager
def readable(name: str, *, wanted: str = "a causal language model") -> Iterator[None]:
    """Faults of loading a base model as a message of ours, and no chatter of other libraries in between.

    Raises:
        UserError: for what the libraries raise on files that are missing, broken or of another kind.
    """
    from safetensors import SafetensorError

    try:
        with quiet():
            yield
    except (OSError, ValueError, ImportError, SafetensorError) as fault:
        first = (str(fault).strip() or type(fault).__name__).splitlines()[0]
        raise UserError(
            f"BASE_MODEL {name!r}: cannot be loaded",
            wanted=f"{wanted} in Hugging Face's format",
            seen=f"{type(fault).__name__}: {first[:300]}",
            mend="check the folder; if its own code is needed and trusted: TRUST_REMOTE_CODE=true",
        ) from None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no notices for developers from transformers, peft and bitsandbytes."""
    from transformers.utils import logging as of_transformers

    of_transformers.disable_progress_bar()
    of_bitsandbytes = logging.getLogger("bitsandbytes")
    before = of_bitsandbytes.level
    of_bitsandbytes.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        of_bitsandbytes.setLevel(before)
