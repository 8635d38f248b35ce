"""What the machines of a study can do: those that its file names, else the one that this runs on.

Speeds of GPUs come from `tflops` in the study file, else from `GPUS`. A GPU of neither is unknown, and so is what
training takes on it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import psutil

from sluicegate.stages.forecast.span import Span, exactly
from sluicegate.study import Machine, Study

HERE = "here"
VERBS = ("train", "generate", "evaluate")
QUERY = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
GPUS: dict[str, tuple[float, float]] = {
    "h200": (989, 4800), "h100": (989, 3350), "a100": (312, 1555), "l40s": (362, 864), "l4": (121, 300),
    "t4": (65, 320), "rtx 4090": (165, 1008), "rtx 4080": (97, 717), "rtx 4070 ti": (80, 504), "rtx 4070": (58, 504),
    "rtx 3090": (71, 936),
}  # fmt: skip
"""Dense 16-bit TFLOP/s with sums in 32 bit, and GB/s of memory: the vendor's data sheets, the slowest variant, noted
2026-11-25."""
REACHED = Span(0.6, 0.8, 1.0)
"""Share of a data sheet's TFLOP/s in large products: an H200 reached 786 of 989 (0.79, 2026-11-22)."""
TOLD = Span(0.75, 1.0, 1.05)
"""Of the TFLOP/s that a study file tells: often a data sheet's after all. Assumed."""
FLOP_A_BYTE = Span(120, 165, 400)
"""TFLOP/s over TB/s of the cards in `GPUS`, for one that is known by its TFLOP/s alone."""
BANDWIDTH = Span(0.6, 0.85, 1.0)
"""Share of a data sheet's GB/s: a copy on an H200 moved 4.3 of 4.8 TB/s."""
UNKNOWN_CORES = Span(2, 4, 16)
CONTEXT_GIB = 0.6
"""Of a GPU's memory that no training gets: CUDA's own, and what a desktop shows. Assumed, not measured."""


@dataclass(frozen=True, slots=True)
class Speed:
    """A machine, as far as costs go.

    Args:
        gpu: its name; empty for none.
        tflops: of large 16-bit matrix products on the GPU; None where unknown, or without a GPU.
        bandwidth: of the GPU's memory, in bytes/s; None as before.
        gib: memory of the GPU, or main memory without one; None where unknown.
        cores: of the processor.
    """

    name: str
    gpu: str
    tflops: Span | None
    bandwidth: Span | None
    gib: float | None
    cores: Span
    dollars_per_hour: float = 0.0

    @property
    def free_gib(self) -> float | None:
        """What of its memory a training or decoding finds free; None where it is unknown.

        >>> Speed("tower", "RTX 4090", None, None, 24.0, exactly(2)).free_gib
        23.4
        """
        return self.gib if self.gib is None or not self.gpu else self.gib - CONTEXT_GIB

    @property
    def told(self) -> str:
        """The machine in words.

        >>> Speed("here", "", None, None, None, exactly(2)).told
        '2 CPU cores, no GPU'
        """
        if not self.gpu:
            known = self.cores.low == self.cores.high
            cores = f"{self.cores.expected:g} CPU cores" if known else "an unknown number of CPU cores"
            words = [cores, "no GPU"]
        else:
            reach = "unknown speed" if self.tflops is None else f"about {self.tflops.expected:.0f} TFLOP/s"
            words = [self.gpu, "unknown memory" if self.gib is None else f"{self.gib:g} GiB", reach]
        price = [f"${self.dollars_per_hour:g} an hour"] if self.dollars_per_hour else []
        return ", ".join([*words, *price])


def of(study: Study) -> dict[str, Speed]:
    """Verb → the machine that does it: the first of the study that says so, as prices go too; else this one."""
    found: dict[str, Speed] = {}
    for verb in VERBS:
        named = next(((name, row) for name, row in study.machines.items() if verb in row.does), None)
        found[verb] = declared(*named) if named else here()
    return found


def declared(name: str, machine: Machine) -> Speed:
    """A machine of a study file.

    >>> tower = declared("tower", Machine(gpu="NVIDIA GeForce RTX 4070 Ti", vram_gib=12))
    >>> tower.tflops.expected, declared("x", Machine(gpu="Quux 9000")).tflops
    (64.0, None)
    """
    price = machine.dollars_per_hour
    if not machine.gpu and machine.tflops is None:
        return Speed(name, "", None, None, None, UNKNOWN_CORES, price)
    gpu = machine.gpu or "a GPU"
    return _with_gpu(name, gpu, machine.vram_gib, UNKNOWN_CORES, tflops=machine.tflops, price=price)


def _with_gpu(name: str, gpu: str, gib: float | None, cores: Span, *, tflops: float | None, price: float) -> Speed:
    sheet = known(gpu)
    reached = TOLD * tflops if tflops else REACHED * sheet[0] if sheet else None
    bandwidth = BANDWIDTH * (sheet[1] * 1e9) if sheet else None
    if bandwidth is None and reached is not None:
        bandwidth = FLOP_A_BYTE.inverse() * (reached.expected * 1e12)
    return Speed(name, gpu, reached, bandwidth, gib, cores, price)


def known(gpu: str) -> tuple[float, float] | None:
    """The data sheet of a GPU, by the longest name in `GPUS` that stands in its own.

    >>> known("NVIDIA GeForce RTX 4070 Ti")[0], known("NVIDIA H200")[0], known("NVIDIA L40")
    (80, 989, None)
    """
    words = re.sub(r"[^a-z0-9]+", " ", gpu.lower())
    found = [name for name in GPUS if re.search(rf"\b{name}\b", words)]
    return GPUS[max(found, key=len)] if found else None


@cache
def here() -> Speed:
    """This machine: the first NVIDIA GPU that answers, else the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # absent on macOS and Windows
    cores = exactly(float(len(affinity(0)) if affinity else os.cpu_count() or 1))
    gpu, _, mib = _asked().partition(",")
    if gpu and mib.strip().isdecimal():
        return _with_gpu(HERE, gpu.strip(), round(int(mib) / 1024, 1), cores, tflops=None, price=0.0)
    return Speed(HERE, "", None, None, round(psutil.virtual_memory().total / 2**30, 1), cores)


def _asked() -> str:
    try:
        done = subprocess.run(QUERY, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return (done.stdout.strip().splitlines() or [""])[0]


def shared(machines: Mapping[str, Speed]) -> list[tuple[Speed, list[str]]]:
    """Each machine once, with what it does."""
    rows: dict[str, tuple[Speed, list[str]]] = {}
    for verb, machine in machines.items():
        rows.setdefault(machine.name, (machine, []))[1].append(verb)
    return list(rows.values())
