"""What README shows of three machines is typed, line by line, on three machines."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import yaml

from docker_engine import ROOT
from hosts.experiment import STUDY, environment, verdict
from hosts.network import Hosts
from hosts.services import Engine, Tunnel

ELSEWHERE = ("python3 -m venv ", "mkdir ", "docker ", "ssh-copy-id ")
"""What other tests do, or what cannot be had here: installing, secrets, the images and the compose file."""
MAY_LACK = ("scripts/stage0_check.sh server", "scripts/stage0_check.sh tower")
"""A GPU and the compose file's containers, which `test_roles` looks at."""


def section() -> str:
    found = re.search(r"^## Three machines\n(.*?)^## ", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1].replace("user@", "root@")


def block(kind: str) -> str:
    """The section's first block of a kind."""
    found = re.search(rf"```{kind}\n(.*?)```", section(), re.DOTALL)
    assert found is not None
    return found[1]


def typed() -> dict[str, list[str]]:
    """Host → the lines that are shown for it."""
    lines: dict[str, list[str]] = {}
    host = ""
    for line in block("sh").splitlines():
        if line.startswith("# "):
            host = line.removeprefix("# ")
        else:
            lines.setdefault(host, []).append(line)
    return lines


def as_run(line: str) -> str:
    """A line as it is run here."""
    if line.startswith(ELSEWHERE):
        return ""
    if line in MAY_LACK:
        return f"{line} || [ $? -eq 1 ]"
    return f"{line} sleep 5" if line.endswith("&") else line


def variables(commit: str, folder: Path) -> dict[str, str]:
    """A shell with this environment's programs, in which nobody can import torch."""
    barred = folder / "barred"
    barred.mkdir(exist_ok=True)
    (barred / "torch.py").write_text("raise ImportError('a laptop without torch')\n")
    path = {"PATH": Path(sys.executable).parent, "PYTHONPATH": barred}
    ahead = {name: os.pathsep.join(filter(None, [str(first), os.environ.get(name)])) for name, first in path.items()}
    return {**environment(commit), **ahead, "OMP_NUM_THREADS": "1"}


def test_the_readme_leads_from_bare_machines_to_stage_one(
    hosts: Hosts, engine: Engine, tunnel: Tunnel, image: str, tmp_path: Path
) -> None:
    assert list(typed()) == ["server", "tower", "laptop"]
    machines = yaml.safe_load(block("yaml"))["machines"]
    del machines["tower"]["gpu"]
    (tmp_path / "my-study.yaml").write_text(yaml.safe_dump({**STUDY, "machines": machines}))
    for name in ("scripts", "docker-compose.yml"):
        (tmp_path / name).symlink_to(ROOT / name)
    with tunnel.closed():
        for host, lines in typed().items():
            script = ["set -e", "trap 'kill $! 2>/dev/null || true' EXIT", *(as_run(line) for line in lines)]
            env = variables(image, tmp_path) | ({"DOCKER_HOST": engine.socket} if host == "tower" else {})
            done = hosts.run(host, "bash", "-c", "\n".join(script), env=env, cwd=tmp_path, limit_s=3000)
            assert done.returncode == 0, f"{host}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    (attempt,) = (tmp_path / "runs" / str(STUDY["name"])).glob("stage1-*")
    assert verdict(attempt)[0] == "GO"
