"""Makes transformers know the dual encoder, without importing transformers or torch for that.

`AutoConfig.from_pretrained` and `AutoModelForSeq2SeqLM.from_pretrained` find a model's class in tables of transformers.
Ours are entered once transformers has loaded these tables, or at once where it has done so already. So `import
sluicegate.models` is enough, before or after transformers, whichever of its modules comes first: what ours are made of
may be half imported when a table is loaded, so nothing is entered before the outermost import has ended.
"""

from __future__ import annotations

import importlib.abc
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

CONFIGS, MODELS = "transformers.models.auto.configuration_auto", "transformers.models.auto.modeling_auto"
"""Modules of the tables."""
OURS = ("sluicegate.models.dual_config", "sluicegate.models.dual_encoder")
"""Modules of what is entered."""


def _enter(loaded: str = "") -> bool:
    """Enter the dual encoder in the tables that are loaded.

    Nothing is done while anything that it may be made of is being imported: it leads here again when that has ended.

    Args:
        loaded: what has just been executed.

    Returns:
        Whether it was entered.
    """
    if CONFIGS not in sys.modules or any(_half(name) for name in [*sys.modules] if _counts(name) and name != loaded):
        return False
    from transformers import AutoConfig

    from sluicegate.models.dual_config import MODEL_TYPE, DualEncoderConfig

    AutoConfig.register(MODEL_TYPE, DualEncoderConfig, exist_ok=True)
    if MODELS in sys.modules:
        from transformers import AutoModelForSeq2SeqLM

        from sluicegate.models.dual_encoder import DualEncoderForConditionalGeneration

        AutoModelForSeq2SeqLM.register(DualEncoderConfig, DualEncoderForConditionalGeneration, exist_ok=True)
    return True


def _counts(name: str) -> bool:
    """Whether a module is one of transformers, or ours."""
    return name.partition(".")[0] == "transformers" or name in OURS


def _half(name: str) -> bool:
    """Whether a module is being imported."""
    return bool(getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules as Python does, and has us entered when the outermost of transformers or ours is loaded."""

    def __init__(self) -> None:
        self._import = threading.local()
        self._seen: list[ModuleType | None] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec, with an entry of ours behind its execution; None for any other module."""
        if not _counts(fullname):
            return None
        others = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        spec = next((found for finder in others if (found := finder.find_spec(fullname, path, target))), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def executed(module: ModuleType) -> None:
            depth = getattr(self._import, "depth", 0)
            self._import.depth = depth + 1
            try:
                execute(module)
                tables = [sys.modules.get(name) for name in (CONFIGS, MODELS)]
                anew = fullname in {CONFIGS, MODELS} or tables != self._seen  # a module that is loaded again stays one
                if not depth and anew and _enter(fullname):
                    self._seen = tables
            finally:
                self._import.depth = depth

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


def register() -> None:
    """Enter the dual encoder now where the tables are loaded, else when they are; a second call changes nothing."""
    _enter()
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
