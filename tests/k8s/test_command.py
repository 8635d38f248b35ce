"""`sluicegate k8s` as a person types it: what it prints, what it writes, and with which code it ends."""

from __future__ import annotations

import argparse
import io
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

import golden_files
from sluicegate import cli
from sluicegate.__main__ import guard
from sluicegate.k8s import schema
from sluicegate.k8s.checks import CHECKS
from sluicegate.k8s.checks.page import SEMANTIC

FIXTURES = Path(__file__).parent / "fixtures"
GOOD = FIXTURES / "run_as_non_root.pass.pod-flag.yaml"
BAD = FIXTURES / "run_as_non_root.fail.unset.yaml"
LATEST = FIXTURES / "image_pinned.fail.latest.yaml"
BROKEN = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 0}]}\n"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def k8s(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in an empty folder: code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*argv: str, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
        try:
            code = guard(lambda: cli.run(["k8s", *argv]))
        except SystemExit as end:
            code = int(end.code or 0)
        sys.stderr.flush()
        out, err = capfdbinary.readouterr()
        return code, out.decode("utf-8", "surrogateescape"), err.decode()

    return run


def nested() -> dict[str, argparse.ArgumentParser]:
    parts = next(row for row in cli.parser()._actions if isinstance(row, argparse._SubParsersAction))
    inner = next(row for row in parts.choices["k8s"]._actions if isinstance(row, argparse._SubParsersAction))
    return dict(inner.choices)


@pytest.mark.golden
def test_help_is_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    pages = [part.format_help() for part in nested().values()]
    golden_files.check("k8s-help.txt", ("\n" + "-" * 100 + "\n\n").join(pages))


@pytest.mark.parametrize(
    ("path", "options", "code"),
    [
        (GOOD, (), 0),
        (BAD, (), 10),
        (BAD, ("--minimum", "90"), 0),
        (BAD, ("--minimum", "91"), 10),
        (BAD, ("--skip", "run_as_non_root"), 0),
        (BAD, ("--skip", "2,1", "--skip", "image_pinned"), 0),
        (BAD, ("--skip", "image_pinned"), 10),
    ],
)
def test_the_code_says_whether_something_is_to_be_mended(
    path: Path, options: tuple[str, ...], code: int, k8s: Run
) -> None:
    found, out, err = k8s("check", str(path), *options)
    assert (found, err) == (code, "")
    assert out.startswith(str(path))
    assert "\x1b" not in out
    assert "1 file, 1 object, 1 workload" in out


def test_a_skipped_check_is_not_counted(k8s: Run) -> None:
    _, out, _ = k8s("check", str(LATEST), "--skip", "image_pinned")
    assert "BP 100.0% (8 of 8)" in out
    whole = json.loads(k8s("check", str(LATEST), "--skip", "11", "--format", "json")[1])
    (workload,) = whole["files"][0]["workloads"]
    assert [row["state"] for row in workload["checks"]][-3:] == ["not applicable", "not applicable", "skipped"]
    root = ElementTree.fromstring(k8s("check", str(LATEST), "--skip", "11", "--format", "junit")[1])  # noqa: S314
    assert root.attrib["skipped"] == "3"
    every = ",".join(check.name for check in CHECKS)
    code, out, _ = k8s("check", str(BAD), "--skip", every)
    assert code == 0
    assert "BP none (0 of 0)" in out


def test_validity_is_asked_unless_it_is_off(k8s: Run) -> None:
    code, out, _ = k8s("check", "-", stdin=BROKEN.encode())
    assert code == 10
    assert "ERROR line 4: Service/a: spec.ports[0].port: wanted 1 to 65535, seen 0 (service-port)" in out
    assert "1 reason to be refused" in out
    assert k8s("check", "-", "--no-validity", stdin=BROKEN.encode())[0] == 0
    assert k8s("check", "-", "--minimum", "0", stdin=BROKEN.encode())[0] == 10


def test_the_version_decides_what_is_known(k8s: Run) -> None:
    text = b"{apiVersion: flowcontrol.apiserver.k8s.io/v1beta2, kind: FlowSchema, metadata: {name: a}}"
    assert k8s("check", "-", "--kube-version", "v1.25.3", stdin=text)[0] == 0
    assert k8s("check", "-", stdin=text)[0] == 10


def test_without_the_schemas_the_checks_still_run(k8s: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    schema._folders.cache_clear()
    monkeypatch.setattr(schema, "PACKAGE", "no_such_package")
    try:
        code, out, err = k8s("check", str(GOOD))
        assert (code, out) == (2, "")
        assert "--no-validity" in err
        assert k8s("check", str(GOOD), "--no-validity")[0] == 0
    finally:
        schema._folders.cache_clear()


def test_a_folder_with_other_yaml_in_it(k8s: Run) -> None:
    Path("in").mkdir()
    Path("in/workflow.yaml").write_text("on: push\n")
    Path("in/values.yaml").write_text("replicas: 3\n")
    Path("in/pod.yaml").write_bytes(GOOD.read_bytes())
    assert k8s("check", "in")[0] == 0
    assert k8s("check", "in/values.yaml")[0] == 10
    Path("in/template.yaml").write_text("name: {{ .Values.name }}\n")
    code, out, _ = k8s("check", "in")
    assert code == 10
    assert "helm template" in out


def test_the_formats(k8s: Run) -> None:
    code, out, err = k8s("check", str(BAD), str(GOOD), "--format", "sarif")
    assert (code, err) == (10, "")
    (run,) = json.loads(out)["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["run_as_non_root"]
    code, out, err = k8s("check", str(BAD), "--format", "junit")
    assert (code, err) == (10, "")
    assert ElementTree.fromstring(out).attrib["failures"] == "1"  # noqa: S314  our own text
    code, out, err = k8s("check", str(BAD), "--format", "json")
    assert json.loads(out)["summary"]["flaws"] == 1


def test_a_report_goes_to_a_file(k8s: Run) -> None:
    code, out, err = k8s("check", str(BAD), "--format", "json", "--out", "deep/report.json")
    assert (code, out) == (10, "")
    assert "1 flaw" in err
    assert "deep/report.json" in err
    assert json.loads(Path("deep/report.json").read_text())["summary"]["flaws"] == 1
    assert k8s("check", str(GOOD), "--format", "json", "--out", "deep/report.json")[0] == 0
    assert json.loads(Path("deep/report.json").read_text())["summary"]["flaws"] == 0
    assert [path.name for path in Path("deep").iterdir()] == ["report.json"]


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("NO_COLOR", False)])
def test_colours_are_for_terminals(
    variable: str, coloured: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    screen = Terminal(io.BytesIO())
    monkeypatch.delenv("NO_COLOR", raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(sys, "stdout", screen)
    cli.run(["k8s", "check", str(BAD)])
    cli.run(["k8s", "check", str(BAD), "--format", "json"])
    cli.run(["k8s", "check", str(BAD), "--out", str(tmp_path / "report.txt")])
    screen.seek(0)
    told = screen.read()
    assert ("\x1b[31mFAIL\x1b[0m" in told) is coloured
    assert "\x1b" not in told[told.index('{"tool"') :]
    assert "\x1b" not in (tmp_path / "report.txt").read_text()


def test_a_copy_goes_to_the_standard_output(k8s: Run) -> None:
    code, out, err = k8s("check", "--fix", str(BAD))
    assert code == 0
    assert "1 field set, 0 flaws left" in err
    assert k8s("check", "-", stdin=out.encode())[0] == 0
    assert k8s("check", "--fix", "-", stdin=out.encode()) == (0, out, "nothing to mend\n")


def test_what_is_left_ends_with_10(k8s: Run) -> None:
    code, out, err = k8s("check", "--fix", str(LATEST))
    assert code == 10
    assert out == LATEST.read_text()
    assert "needed: which version was tested" in err
    assert k8s("check", "--fix", str(LATEST), "--skip", "image_pinned")[0] == 0
    code, out, err = k8s("check", "--fix", "-", stdin=b"a: [\xff")
    assert (code, out.encode("utf-8", "surrogateescape")) == (10, b"a: [\xff")
    assert "not parsed" in err


def test_copies_of_a_folder_keep_its_shape(k8s: Run) -> None:
    Path("in/deep").mkdir(parents=True)
    Path("in/a.yaml").write_bytes(BAD.read_bytes())
    Path("in/deep/b.yaml").write_bytes(GOOD.read_bytes())
    code, out, _ = k8s("check", "--fix", "in", "--out", "out")
    assert (code, out) == (0, "")
    assert k8s("check", "out")[0] == 0
    assert Path("out/deep/b.yaml").read_bytes() == GOOD.read_bytes()
    assert Path("in/a.yaml").read_bytes() == BAD.read_bytes()
    code, _, err = k8s("check", "--fix", "in", "--out", "out")
    assert code == 2
    assert "nothing was written" in err


def test_a_file_that_is_not_read_to_its_end_is_not_copied(k8s: Run) -> None:
    Path("a.yaml").write_bytes(BAD.read_bytes() + b"# " + b"x" * 1_000_000)
    for options in ((), ("--in-place",), ("--out", "b.yaml")):
        code, out, err = k8s("check", "--fix", "a.yaml", *options)
        assert (code, out) == (2, "")
        assert "nothing was written" in err
    assert [path.name for path in Path().iterdir()] == ["a.yaml"]
    assert k8s("check", "a.yaml")[0] == 10


@pytest.mark.parametrize("options", [("--out", "out"), ("--in-place",)], ids=["out", "in-place"])
def test_a_file_that_is_too_large_is_left_and_the_others_are_mended(k8s: Run, options: tuple[str, ...]) -> None:
    Path("in").mkdir()
    Path("in/a.yaml").write_bytes(GOOD.read_bytes().replace(b"runAsNonRoot: true", b"runAsNonRoot: false"))
    large = BAD.read_bytes() + b"# " + b"x" * 1_000_000
    Path("in/large.yaml").write_bytes(large)
    code, out, err = k8s("check", "--fix", "in", *options)
    assert (code, out) == (10, "")
    assert "in/large.yaml: too large, left as it is; at most 1,000,000 bytes are copied" in err.splitlines()
    assert Path("in/large.yaml").read_bytes() == large
    assert b"runAsNonRoot: true" in Path("out/a.yaml" if "--out" in options else "in/a.yaml").read_bytes()
    assert [path.name for path in Path("out").rglob("*")] == (["a.yaml"] if "--out" in options else [])


def test_in_place_keeps_links_and_who_may_read(k8s: Run) -> None:
    Path("a.yaml").write_bytes(BAD.read_bytes())
    Path("a.yaml").chmod(0o640)
    Path("link.yaml").symlink_to("a.yaml")
    Path("good.yaml").write_bytes(GOOD.read_bytes())
    before = Path("good.yaml").stat()
    mask = os.umask(0o077)
    try:
        code, out, _ = k8s("check", "--fix", "--in-place", "link.yaml", "good.yaml")
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(mask)
    assert (code, out) == (0, "")
    assert Path("link.yaml").is_symlink()
    assert stat.S_IMODE(Path("a.yaml").stat().st_mode) == 0o640
    assert Path("good.yaml").stat().st_ino == before.st_ino
    assert k8s("check", "a.yaml")[0] == 0


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("check",), "nothing to check"),
        (("check", "none.yaml"), "none.yaml: not there"),
        (("check", "x" * 5000), "cannot be read"),
        (("check", "."), "nothing to check"),
        (("check", "-", "--minimum", "101"), "0 to 100"),
        (("check", "-", "--minimum", "nan"), "0 to 100"),
        (("check", "-", "--minimum", "many"), "invalid float"),
        (("check", "-", "--format", "xml"), "invalid choice"),
        (("check", "-", "--skip", "run_as_nonroot"), "did you mean run_as_non_root?"),
        (("check", "-", "--skip", "12"), "unknown"),
        (("check", "-", "--kube-version", "1.2"), "one of 1."),
        (("check", "-", "--kube-version", "1.30", "--no-validity"), "one of them"),
        (("check", "-", "--in-place"), "--fix with it"),
        (("check", "--fix", "-", "--in-place"), "the standard input"),
        (("check", "--fix", "-", "--format", "json"), "--format and --fix"),
        (("check", "--fix", "-", "--minimum", "1"), "--minimum and --fix"),
        (("check", "--explain", "12"), "unknown"),
        (("check", "-", "--out", "/dev/null/report"), "cannot be written"),
        (("chek", "-"), "invalid choice"),
        ((), "COMMAND"),
    ],
)
def test_the_users_faults_are_one_message_and_exit_2(
    argv: tuple[str, ...], told: str, k8s: Run, tmp_path: Path
) -> None:
    code, out, err = k8s(*argv, stdin=GOOD.read_bytes())
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_report_never_takes_the_place_of_what_it_reports_on(k8s: Run) -> None:
    Path("a.yaml").write_bytes(BAD.read_bytes())
    for out in ("a.yaml", "./a.yaml", os.path.abspath("a.yaml")):  # noqa: PTH100
        code, _, err = k8s("check", "a.yaml", "--out", out)
        assert code == 2
        assert "nothing was written" in err
    assert Path("a.yaml").read_bytes() == BAD.read_bytes()


def test_a_check_is_explained_and_all_are_listed(k8s: Run) -> None:
    code, out, err = k8s("check", "--explain", "image_pinned")
    assert (code, err) == (0, "")
    assert out == k8s("check", "--explain", "11")[1]
    assert "CKV_K8S_14" in out
    code, out, err = k8s("checks")
    assert (code, err) == (0, "")
    for row in (*CHECKS, *SEMANTIC):
        assert f" {row.name} " in out
    assert max(map(len, out.splitlines())) <= 100
    rows = json.loads(k8s("checks", "--format", "json")[1])
    assert [row["check"] for row in rows] == [check.name for check in CHECKS]
    assert all(row["rules"] for row in rows)


def test_nothing_of_a_manifest_reaches_the_terminal_as_a_control(k8s: Run) -> None:
    text = b'{apiVersion: v1, kind: Pod, metadata: {name: "a\\e[31m"}, spec: {containers: [{image: "\\x07\\r"}]}}'
    for options in ((), ("--format", "junit"), ("--fix",)):
        _, out, err = k8s("check", "-", *options, stdin=text)
        told = err if "--fix" in options else out + err
        assert not {sign for sign in told if not sign.isprintable() and sign != "\n"}


def test_the_data_command_hands_on_what_is_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[dict[str, object]] = []

    def command(**asked: object) -> str:
        given.append(asked)
        return "built"

    monkeypatch.setattr("sluicegate.data.k8s.command", command)
    assert cli.run(["data", "k8s", "--from", "in", "--depth", "2", "--kube-version", "1.31", "--seed", "3"]) == 0
    assert cli.run(["data", "k8s", "--import", "a.json", "b.json", "--force", "--out", "o", "--order", "reversed"]) == 0
    assert given == [
        {"folder": Path("in"), "depth": 2, "version": "1.31", "seed": 3, "force": False, "out": None},
        {"imported": [Path("a.json"), Path("b.json")], "order": "reversed", "seed": 0, "force": True, "out": Path("o")},
    ]
    assert capsys.readouterr().out == "built\nbuilt\n"


@pytest.mark.parametrize(
    "argv",
    [
        ("data", "k8s", "--synthesize", "3", "--study", "demo"),
        ("data", "k8s", "--synthesize", "3", "--train-samples", "3"),
        ("data", "micro", "--synthesize", "3"),
        ("data", "small", "--order", "reversed"),
    ],
)
def test_options_of_another_size_are_refused(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.run(argv)
    assert "unrecognized arguments" in capsys.readouterr().err
