"""ESLint for JavaScript, JSX, TypeScript and TSX: one Node process, a program a line, started again when it dies.

Starting it costs a second, a program then a few milliseconds. The packages come from `npm ci` in this folder, or in
a copy of its two package files in the folder that `STYLE_NODE` names.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from threading import Lock
from typing import Final

from sluicegate.evaluators.linters import LinterError

HERE: Final = Path(__file__).parent
VARIABLE: Final = "STYLE_NODE"
PATIENCE_S: Final = 120.0
"""A machine under load is slow; a program of `answer.LIMIT` characters takes well under a second."""
_lock = Lock()
_running: list[subprocess.Popen[bytes]] = []


def findings(language: str, text: str) -> list[str]:
    """The rules that a program breaks, as often as it does.

    Raises:
        LinterError: no Node, no packages, or no answer.
    """
    request = json.dumps({"language": language, "text": text}).encode() + b"\n"
    with _lock:
        try:
            process = _process()
            return _ask(process, request)
        except (OSError, ValueError, LinterError) as fault:
            _end()
            raise LinterError(f"eslint: {fault}") from None


def _process() -> subprocess.Popen[bytes]:
    if _running and _running[0].poll() is None:
        return _running[0]
    _end()
    folder, node = Path(os.environ.get(VARIABLE) or HERE), shutil.which("node")
    if node is None:
        raise LinterError("no node on the PATH")
    if not (folder / "node_modules" / "eslint").is_dir():
        raise LinterError(
            f"no packages: npm ci in the package's evaluators/linters, or {VARIABLE}=FOLDER that has them"
        )
    process = subprocess.Popen(
        [node, str(HERE / "eslint.cjs"), str(folder.resolve())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
        env={"PATH": os.environ.get("PATH", "")}, start_new_session=True,
    )  # fmt: skip
    _running.append(process)
    _answer(process)
    return process


def _ask(process: subprocess.Popen[bytes], request: bytes) -> list[str]:
    assert process.stdin is not None  # noqa: S101 - PIPE was asked for
    sent = memoryview(request)
    while sent:  # an unbuffered pipe may take a part only
        sent = sent[process.stdin.write(sent) or 0 :]
    return [str(rule) for rule in json.loads(_answer(process))]


def _answer(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    until, heard = time.monotonic() + PATIENCE_S, b""
    while not heard.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
        chunk = os.read(process.stdout.fileno(), 65_536) if ready else b""
        if not chunk:
            raise LinterError("no answer" if ready else f"no answer in {PATIENCE_S:g} s")
        heard += chunk
    return heard


@atexit.register
def _end() -> None:
    while _running:
        process = _running.pop()
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
