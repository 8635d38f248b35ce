"""Every error text that docs/three-machines.md explains is brought about, and printed as it stands there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from docker_engine import ROOT
from hosts.experiment import Laptop, Tower, begun_anew
from hosts.network import Hosts
from hosts.services import Mlflow

Trouble = Callable[[Laptop, Hosts, Mlflow], None]


def no_key_known(laptop: Laptop, hosts: Hosts, mlflow: Mlflow) -> None:
    hosts.known.write_text("")


def another_key(laptop: Laptop, hosts: Hosts, mlflow: Mlflow) -> None:
    other = (hosts.folder / "ssh" / "id_ed25519.pub").read_text().split()[1]
    hosts.known.write_text(re.sub(r"AAAA\S+", other, hosts.known.read_text()))


def no_entry(laptop: Laptop, hosts: Hosts, mlflow: Mlflow) -> None:
    hosts.authorized.write_text("")


def cable_cut(laptop: Laptop, hosts: Hosts, mlflow: Mlflow) -> None:
    hosts.cut("tower")


def no_image(laptop: Laptop, hosts: Hosts, mlflow: Mlflow) -> None:
    laptop.tower(image="llama3-training:none")


def no_gpu(laptop: Laptop, hosts: Hosts, mlflow: Mlflow) -> None:
    laptop.tower(gpu="RTX 4070 Ti")


def no_folder(laptop: Laptop, hosts: Hosts, mlflow: Mlflow) -> None:
    laptop.tower(mounts=[{"source": "/srv/none", "target": "/data"}])


def no_secret(laptop: Laptop, hosts: Hosts, mlflow: Mlflow) -> None:
    laptop.tower(secrets=["HF_TOKEN"])


def no_mlflow(laptop: Laptop, hosts: Hosts, mlflow: Mlflow) -> None:
    mlflow.kill()


TROUBLES: dict[str, Trouble] = {
    "the host key of tower is not known here": no_key_known,
    "tower shows another host key than the known one": another_key,
    "tower does not let us in (permission denied)": no_entry,
    "tower port 22 cannot be reached by SSH": cable_cut,
    "the engine has no image llama3-training:none": no_image,
    "containers get no GPU there; nothing was left behind": no_gpu,
    "a mount of the study file cannot be had": no_folder,
    "HF_TOKEN: not set": no_secret,
    "MLflow http://localhost:5000: cannot be reached": no_mlflow,
}


@pytest.fixture
def laptop(undisturbed: Laptop, tower: Tower, hosts: Hosts, mlflow: Mlflow, tmp_path: Path) -> Iterator[Laptop]:
    """The experiment, the control's training still to be done; afterwards keys, cables and MLflow are as before."""
    kept = {path: path.read_text() for path in (hosts.known, hosts.authorized)}
    yield begun_anew(undisturbed, tmp_path / "laptop")
    for path, text in kept.items():
        path.write_text(text)
    hosts.mend("tower")
    mlflow.ensure()


@pytest.mark.parametrize("text", TROUBLES)
def test_a_trouble_is_one_message_that_says_how_to_mend_it(
    text: str, laptop: Laptop, hosts: Hosts, mlflow: Mlflow, tower: Tower
) -> None:
    TROUBLES[text](laptop, hosts, mlflow)
    laptop.run(code=2)
    said = laptop.said()
    assert text in said
    assert "  mend:" in said
    assert "Traceback" not in said
    assert tower.begun() == []
    assert tower.engine.containers() == []


def test_the_page_explains_every_trouble() -> None:
    page = (ROOT / "docs" / "three-machines.md").read_text()
    assert [text for text in TROUBLES if f"`{text}`" not in page] == []
