"""What a compiler's processes survive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

COMPILES = """
import signal, time
import torch._inductor.config
torch._inductor.config.compile_threads = 2
from sluicegate.models import graphs
graphs.ready()
from torch._inductor.async_compile import AsyncCompile
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: None)  # as a training that ends after its step
work = AsyncCompile.process_pool().submit(time.sleep, 1)
print("begun", flush=True)
work.result(timeout=60)
"""


@pytest.mark.torch
@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_the_whole_group_leave_the_compilers_alone(number: signal.Signals) -> None:
    command = [sys.executable, "-c", COMPILES]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        os.killpg(process.pid, number)
        _, said = process.communicate()
    assert process.returncode == 0, said[-2000:]
