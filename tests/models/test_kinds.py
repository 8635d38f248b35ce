import subprocess
import sys

import pytest

from sluicegate import models
from sluicegate.settings import MODEL_KINDS


def test_the_kinds_are_those_that_the_settings_know() -> None:
    assert tuple(models.KINDS) == MODEL_KINDS


def test_the_package_does_not_import_torch() -> None:
    code = "import sys, sluicegate.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.torch
@pytest.mark.parametrize("name", models.KINDS)
def test_every_kind_provides_what_the_protocol_asks(name: str) -> None:
    module = models.kind(name)
    assert all(callable(getattr(module, part)) for part in ("load", "load_trained", "given_ids", "tiny_base"))
