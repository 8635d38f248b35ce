"""T5 stacks as transformers wrote them: each block is called as a module.

`FastStack` reads a block's weights past the block. Where they are gathered from other processes when it is called, and
let go behind it, they would not be there.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.models.t5.modeling_t5 import T5Stack


class PlainStack(T5Stack):  # type: ignore[misc]
    """A T5Stack in the place of a `FastStack`."""

    def packs(self, exact: torch.dtype) -> bool:
        """Whether rows run without their padding: never; see `FastStack.packs`."""
        return False


def plainly(model: Any) -> None:
    """Let all T5Stacks of a model run so, wherever they sit."""
    for part in model.modules():
        if isinstance(part, T5Stack):
            part.__class__ = PlainStack
