"""Runs while the training image is built: bitsandbytes has a library for this torch, and loads it, without a GPU."""

from __future__ import annotations

import ctypes

import torch
from bitsandbytes import cextension, functional
from bitsandbytes.cuda_specs import CUDASpecs


def main() -> None:
    """Load the CUDA library where torch has CUDA, and pack a matrix into NF4 and back on the CPU.

    Raises:
        OSError: a library is not there, or lacks another.
        ValueError: the matrix comes back as another one.
    """
    cuda = torch.version.cuda
    if cuda:
        major, minor = (int(part) for part in cuda.split(".")[:2])
        path = cextension.get_cuda_bnb_library_path(CUDASpecs((8, 9), f"{major}{minor}", (major, minor)))
        ctypes.CDLL(str(path))
        print(f"{path.name} loads")
    whole = torch.ones(64, 64)
    packed, state = functional.quantize_4bit(whole, quant_type="nf4")
    if not torch.allclose(functional.dequantize_4bit(packed, state), whole, atol=1e-3):
        raise ValueError("NF4: a matrix of ones comes back as another one")
    print(f"NF4 packs and unpacks on the CPU; torch {torch.__version__}, CUDA {cuda or 'none'}")


if __name__ == "__main__":
    main()
