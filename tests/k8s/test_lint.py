"""What the linter reads, and with which code it ends."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from sluicegate.errors import GO, RETRY, UserError
from sluicegate.k8s.lint import Source, exit_code, harden, lint, read
from sluicegate.k8s.output import changes
from sluicegate.k8s.parse import Limits

FIXTURES = Path(__file__).parent / "fixtures"
GOOD = (FIXTURES / "run_as_non_root.pass.pod-flag.yaml").read_bytes()
BAD = (FIXTURES / "run_as_non_root.fail.unset.yaml").read_bytes()
SERVICE = b"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n"


def names(*given: str, stdin: bytes = b"") -> list[str]:
    return [source.name for source in read(given, io.BytesIO(stdin))]


def test_files_folders_and_the_standard_input(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "deep/c.json", "notes.txt", ".git/x.yaml", "deep/.hidden.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(GOOD)
    assert names(str(tmp_path)) == [str(tmp_path / name) for name in ("a.yml", "b.yaml", "deep/c.json")]
    assert names(str(tmp_path / "notes.txt"), "-") == [str(tmp_path / "notes.txt"), "-"]
    assert read(["-"], io.BytesIO(GOOD)) == [Source("-", GOOD)]


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_nothing_to_read_is_the_users_to_mend(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        names(str(tmp_path / name))


def test_a_huge_file_is_read_no_further_than_the_parser_goes(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    path.write_bytes(b"# " + b"x" * (2 * Limits().bytes))
    (source,) = read([str(path)], io.BytesIO())
    assert len(source.data) == Limits().bytes + 1
    assert exit_code([lint(source)]) == RETRY


@pytest.mark.parametrize(
    ("data", "minimum", "code"),
    [
        (GOOD, None, GO),
        (BAD, None, RETRY),
        (SERVICE, None, GO),
        (b"a: [", None, RETRY),
        (b"", None, GO),
        (b"\xff\xfe\x00", None, RETRY),
        (BAD, 90.0, GO),
        (BAD, 91.0, RETRY),
        (GOOD, 100.0, GO),
        (SERVICE, 100.0, GO),
        (BAD + b"---\na: [", 10.0, RETRY),
    ],
)
def test_the_code_says_whether_something_is_to_be_mended(data: bytes, minimum: float | None, code: int) -> None:
    assert exit_code([lint(Source("a", data))], minimum) == code


def copies(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.yaml").write_bytes(BAD)
    (folder / "deep" / "a.yaml").write_bytes(GOOD)
    return folder


def test_one_text_goes_to_the_standard_output() -> None:
    (one,) = harden(read(["-"], io.BytesIO(BAD)))
    assert (one.target, one.differs) == (None, True)
    assert exit_code([lint(Source("-", one.fixed.text.encode()))]) == GO


def test_a_folder_keeps_its_shape(tmp_path: Path) -> None:
    sources = read([str(copies(tmp_path))], io.BytesIO())
    found = harden(sources, str(tmp_path / "out"))
    assert [one.target for one in found] == [tmp_path / "out" / "a.yaml", tmp_path / "out" / "deep" / "a.yaml"]
    assert [one.differs for one in found] == [True, False]
    assert [one.target for one in harden(sources, in_place=True)] == [Path(source.name) for source in sources]
    assert not (tmp_path / "out").exists()


def test_one_file_goes_to_a_file_or_into_a_folder(tmp_path: Path) -> None:
    sources = read([str(copies(tmp_path) / "a.yaml")], io.BytesIO())
    (tmp_path / "there").mkdir()
    for out, target in (("b.yaml", "b.yaml"), ("new/", "new/a.yaml"), ("there", "there/a.yaml")):
        (one,) = harden(sources, f"{tmp_path}/{out}")
        assert one.target == tmp_path / target


@pytest.mark.parametrize("way", ["several", "taken", "twice", "both", "stdin"])
def test_nothing_is_overwritten_by_accident(way: str, tmp_path: Path) -> None:
    folder = copies(tmp_path)
    sources = read([str(folder)], io.BytesIO())
    with pytest.raises(UserError):
        match way:
            case "several":
                harden(sources)
            case "taken":
                harden(sources, str(folder))
            case "twice":
                harden(read([str(folder), str(folder)], io.BytesIO()), str(tmp_path / "out"))
            case "both":
                harden(sources, "out", in_place=True)
            case _:
                harden(read(["-"], io.BytesIO(BAD)), in_place=True)


def test_what_a_fix_did_is_told() -> None:
    (one,) = harden(read(["-"], io.BytesIO(BAD.replace(b":2.4.1", b":latest"))))
    assert changes("shop.yaml", one.fixed).splitlines() == [
        "shop.yaml: 1 field set, 1 flaw left",
        "  set  Deployment/shop spec.template.spec.securityContext.runAsNonRoot: not set → true",
        "       (run_as_non_root)",
        "  left Deployment/shop spec.template.spec.containers[web].image: image",
        "       registry.example/shop/web:latest has the tag latest; needed: which version was tested",
    ]
    (broken,) = harden([Source("-", b"\xff")])
    assert "not UTF-8: byte 0xff at offset 0" in " ".join(changes("-", broken.fixed).split())
    assert broken.differs is False
