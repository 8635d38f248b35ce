"""Real manifests: what is kept, what is left out and why, and that nothing outside the folder is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.data.k8s.manifests import LARGEST, OBJECTS, harvest
from sluicegate.errors import UserError

POD = """apiVersion: v1
kind: Pod
metadata:
  name: {name}
spec:
  containers:
  - name: main
    image: {image}
"""


def pod(name: str, image: str = "") -> str:
    """A pod that shares little with another image's."""
    return POD.format(name=name, image=image or f"{name}:1") + "".join(
        f"    env:\n    - name: {name.upper()}_{n}\n      value: {name}{n}\n".replace("    env:\n" if n else "\0", "")
        for n in range(6)
    )


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_files_are_kept_with_their_repository_and_path(tmp_path: Path) -> None:
    folder = write(tmp_path, {"one/a.yaml": pod("ant"), "one/deep/b.yml": pod("bee"), "two/c.yaml": pod("cat")})
    found = harvest(folder)
    assert [(draft.repository, draft.meta["source"]["path"]) for draft in found.drafts] == [
        ("one", "one/a.yaml"), ("one", "one/deep/b.yml"), ("two", "two/c.yaml"),
    ]  # fmt: skip
    assert found.left_out == {}
    assert "licence" not in found.drafts[0].meta
    assert [draft.repository for draft in harvest(folder, depth=2).drafts] == ["one", "one/deep", "two"]
    assert {draft.repository for draft in harvest(folder, depth=0).drafts} == {""}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a: [\n", "not parsed"),
        (b"\xff\xfe\x00", "not parsed"),
        ("just words\n", "no Kubernetes object"),
        ("", "no Kubernetes object"),
        ("# a comment\n", "no Kubernetes object"),
        ("kind: Pod\n", "no Kubernetes object"),
        ("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n", "a kind without a schema"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {container: []}\n", "against its schema"),
        (pod("a").replace("metadata:", "metadata:\n  name: b\nmetadata:"), "against its schema"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 99999}]}\n",
         "against a semantic rule"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n"
         "spec: {containers: [{name: a, image: b}]}\n", "no name"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Values.name }}}\n", "template"),
        ("---\n".join(pod(f"p{n}") for n in range(OBJECTS + 1)), f"more than {OBJECTS} objects"),
        (f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n  a: {'x' * LARGEST}\n",
         f"more than {LARGEST:,} characters"),
        ("a: &a [1]\nb: &b [*a, *a]\n" * 3, "no Kubernetes object"),
    ],
)  # fmt: skip
def test_what_is_left_out_and_why(tmp_path: Path, content: str | bytes, reason: str) -> None:
    folder = write(tmp_path, {"r/good.yaml": pod("good"), "r/odd.yaml": content})
    found = harvest(folder)
    assert found.left_out == {reason: 1}
    assert [draft.bodies[0]["metadata"]["name"] for draft in found.drafts] == ["good"]


def test_duplicates_and_near_duplicates_are_left_out(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {"a/1.yaml": pod("ant"), "b/2.yaml": pod("ant") + "\n# the same\n", "c/3.yaml": pod("ant", "ant:2"),
         "d/4.yaml": pod("bee")},
    )  # fmt: skip
    found = harvest(folder)
    assert [draft.repository for draft in found.drafts] == ["a", "d"]
    assert found.left_out == {"equal to another": 1, "near-duplicate of another": 1}


def test_lists_are_expanded_and_what_the_server_wrote_is_gone(tmp_path: Path) -> None:
    service = "{apiVersion: v1, kind: Service, metadata: {name: s, uid: u, resourceVersion: '1', annotations: " \
              "{kubectl.kubernetes.io/last-applied-configuration: '{}'}}, spec: {ports: [{port: 80}]}, " \
              "status: {loadBalancer: {}}}"  # fmt: skip
    folder = write(tmp_path, {"r/list.yaml": f"apiVersion: v1\nkind: List\nitems:\n- {service}\n"})
    (draft,) = harvest(folder).drafts
    assert draft.bodies[0]["metadata"] == {"name": "s"}
    assert "status" not in draft.text and "List" not in draft.text


def test_hidden_files_links_and_other_files_are_not_read(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", {"secret.yaml": pod("secret")})
    folder = write(tmp_path / "in", {"r/a.yaml": pod("ant"), "r/.b.yaml": pod("bee"), ".git/c.yaml": pod("cat"),
                                     "r/notes.txt": pod("dog")})  # fmt: skip
    (folder / "link.yaml").symlink_to(outside / "secret.yaml")
    (folder / "linked").symlink_to(outside, target_is_directory=True)
    assert [draft.bodies[0]["metadata"]["name"] for draft in harvest(folder).drafts] == ["ant"]


def test_odd_names_do_not_break_out(tmp_path: Path) -> None:
    folder = write(tmp_path, {"a b/ü {x}.yaml": pod("ant")})
    (folder.joinpath("a b") / b"caf\xe9.yaml".decode(errors="surrogateescape")).write_text(pod("bee"))
    found = harvest(folder)
    assert len({draft.id for draft in found.drafts}) == 2
    for draft in found.drafts:
        draft.meta["source"]["path"].encode()


def test_no_folder_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a folder"):
        harvest(tmp_path / "none")
    with pytest.raises(UserError, match="not a folder"):
        harvest(write(tmp_path, {"x.yaml": pod("a")}) / "x.yaml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no manifests"):
        harvest(tmp_path / "empty")


def test_an_unknown_version_is_refused_and_an_old_one_is_asked(tmp_path: Path) -> None:
    folder = write(tmp_path, {"r/a.yaml": pod("ant")})
    with pytest.raises(UserError, match="version"):
        harvest(folder, version="0.1")
    assert len(harvest(folder, version="1.29").drafts) == 1
