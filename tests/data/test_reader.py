"""Every way a sample file can be wrong, and what is said about it."""

import errno
import json
from pathlib import Path

import pytest

from sluicegate.data import reader
from sluicegate.data.reader import read_samples
from sluicegate.errors import UserError, UserErrors
from sluicegate.records import Sample, to_json

GOOD = b'{"prompt": "p", "completion": "c"}'


def file(tmp_path: Path, content: bytes | str, name: str = "train.jsonl") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_samples(path)
    return str(caught.value)


def test_all_fields_are_read(tmp_path: Path) -> None:
    one = Sample("a", "p", "c", "python", "ctx", "assert True", {"intent": "x", "n": [1, None, 2.5]})
    assert read_samples(file(tmp_path, to_json(one) + "\n")) == [one]


def test_intent_and_yaml_are_prompt_and_completion(tmp_path: Path) -> None:
    plain = read_samples(file(tmp_path, GOOD))
    other = read_samples(file(tmp_path, '{"yaml": "c", "intent": "p"}'))
    assert plain == other


@pytest.mark.parametrize(
    "content",
    [
        GOOD + b"\n" + GOOD,
        b"\xef\xbb\xbf" + GOOD + b"\r\n" + GOOD + b"\r\n\r\n",
        b"[" + GOOD + b",\n" + GOOD + b"]\n",
        b"  [\r\n" + GOOD + b"\r\n,\r\n" + GOOD + b"\r\n]\r\n",
        b"\xef\xbb\xbf[" + GOOD + b"," + GOOD + b"]",
    ],
)
def test_lines_lists_marks_and_line_ends(tmp_path: Path, content: bytes) -> None:
    first, second = read_samples(file(tmp_path, content))
    assert (first.prompt, first.completion) == (second.prompt, second.completion) == ("p", "c")


def test_unicode_line_separators_are_text_not_line_ends(tmp_path: Path) -> None:
    [sample] = read_samples(file(tmp_path, '{"prompt": "a\u2028b\u0085c", "completion": "d"}'))
    assert sample.prompt == "a\u2028b\u0085c"


def test_ids_come_from_content_and_do_not_depend_on_place_or_key_order(tmp_path: Path) -> None:
    first = read_samples(file(tmp_path, b'{"prompt": "q", "completion": "c"}\n' + GOOD))
    second = read_samples(file(tmp_path, b'{"completion": "c", "prompt": "p"}'))
    assert first[1].id == second[0].id
    assert first[0].id != first[1].id
    assert len(second[0].id) == 16


def test_repeated_content_without_ids_is_kept_and_told_apart(tmp_path: Path) -> None:
    ids = [sample.id for sample in read_samples(file(tmp_path, b"\n".join([GOOD] * 3)))]
    assert ids == [ids[0], f"{ids[0]}-2", f"{ids[0]}-3"]


def test_duplicate_ids_name_both_lines(tmp_path: Path) -> None:
    rows = [{"id": name, "prompt": f"p{place}", "completion": "c"} for place, name in enumerate("abca")]
    told = complaint(file(tmp_path, "\n".join(json.dumps(row) for row in rows)))
    assert "train.jsonl:4: id 'a' is used before, on line 1" in told


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not JSON"),
        ('{"prompt": "p", "completion": "c"} {', "extra data"),
        ("{'prompt': 'p'}", "not JSON"),
        ('"text"', "seen text"),
        ("null", "seen null"),
        ("12", "seen a number"),
        ("{}", "prompt is missing (or intent); completion is missing (or yaml)"),
        ('{"prompt": "p"}', "completion is missing"),
        ('{"prompt": "", "completion": "c"}', "prompt is empty"),
        ('{"prompt": "p", "completion": " \\n\\t"}', "completion is empty"),
        ('{"prompt": 1, "completion": "c"}', "prompt: wanted text, seen a number"),
        ('{"prompt": null, "completion": "c"}', "prompt: wanted text, seen null"),
        ('{"prompt": ["p"], "completion": true}', "completion: wanted text, seen true or false"),
        ('{"prompt": "p", "completion": "c", "id": 7}', "id: wanted text"),
        ('{"prompt": "p", "completion": "c", "id": ""}', "id is empty"),
        ('{"prompt": "p", "completion": "c", "id": " a"}', "id: wanted up to 200 printable"),
        ('{"prompt": "p", "completion": "c", "id": "a\\nb"}', "id: wanted up to 200 printable"),
        ('{"prompt": "p", "completion": "c", "meta": []}', "meta: wanted an object, seen a list"),
        ('{"prompt": "p", "completion": "c", "tests": null}', "tests: wanted text, seen null"),
        ('{"prompt": "p", "completon": "c"}', "did you mean completion?"),
        ('{"prompt": "p", "completion": "c", "stars": 3}', "other facts belong in meta"),
        ('{"prompt": "p", "intent": "p", "yaml": "c"}', "prompt is given twice: prompt and intent"),
        ('{"prompt": "p", "prompt": "q", "completion": "c"}', "field 'prompt' is given twice"),
        ('{"prompt": "p", "completion": "c", "meta": {"x": NaN}}', "NaN is not JSON"),
        ('{"prompt": "p", "completion": "c", "meta": {"x": -Infinity}}', "-Infinity is not JSON"),
        ('{"prompt": "p", "completion": "c", "meta": {"x": 1e999}}', "too large for a float"),
        ('{"prompt": "p", "completion": "c", "meta": {"x": ' + "9" * 5000 + "}}", "not JSON"),
        ('{"prompt": "p\\u0000", "completion": "c"}', "a NUL character"),
        ('{"prompt": "p", "completion": "c", "meta": {"\\u0000": 1}}', "a NUL character"),
        ('{"prompt": "p", "completion": "\\ud800"}', "half a surrogate pair (\\ud800)"),
        ('{"prompt": "p", "completion": "c", "meta": {"a": ["\\udfff"]}}', "half a surrogate pair"),
        ('{"prompt": "p\0", "completion": "c"}', "not JSON"),
        ('{"prompt": "p\n", "completion": "c"}', "not JSON"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        ('{"prompt": "p", "completion": "c", "meta": {"a": ' + "[" * 40 + "]" * 40 + "}}", "nested too deep"),
        ('{"prompt": "p", "completion": "c", "meta": {"a": ' + "[" * 9000 + "]" * 9000 + "}}", "nested too"),
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_a_bad_line_is_named_and_nothing_is_read(tmp_path: Path, line: str, words: str) -> None:
    first = "" if line.startswith("[") else GOOD.decode() + "\n"
    path = file(tmp_path, f"{first}{line}")
    told = complaint(path)
    assert f"{path}:{2 if first else 1}: " in told
    assert words in told
    assert "nothing was read" in told
    assert len(told) < 2000


def test_every_fault_of_a_line_is_told(tmp_path: Path) -> None:
    told = complaint(file(tmp_path, '{"prompt": "", "completion": 1, "meta": 2, "test": ""}'))
    for words in ("prompt is empty", "completion: wanted text", "meta: wanted an object", "did you mean tests?"):
        assert words in told


def test_every_bad_line_is_counted_and_the_first_ten_shown(tmp_path: Path) -> None:
    path = file(tmp_path, b"\n".join([b"{", GOOD] * 12))
    with pytest.raises(UserErrors) as caught:
        read_samples(path)
    assert caught.value.what == f"{path}: 12 bad lines (first 10 shown); nothing was read"
    assert [fault.what.split(": ")[0] for fault in caught.value.faults] == [
        f"{path}:{line}" for line in range(1, 21, 2)
    ]


def test_an_empty_line_inside_is_a_fault(tmp_path: Path) -> None:
    assert "train.jsonl:2: an empty line" in complaint(file(tmp_path, GOOD + b"\n\n" + GOOD))


def test_a_huge_line_is_refused_without_being_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LINE_LIMIT", 1000)
    huge = json.dumps({"prompt": "p", "completion": "c" * 2000})
    assert "train.jsonl:2: line too long: 2,0" in (told := complaint(file(tmp_path, GOOD.decode() + "\n" + huge)))
    assert len(told) < 500
    assert "train.jsonl:2: item too long" in complaint(file(tmp_path, "[" + GOOD.decode() + ",\n" + huge + "]"))


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\r\n", b"[]", b"\xef\xbb\xbf", b"[ \n ]\n"])
def test_an_empty_file_says_what_was_wanted(tmp_path: Path, content: bytes) -> None:
    told = complaint(file(tmp_path, content))
    assert "train.jsonl: empty" in told
    assert "at least one sample" in told


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_text_is_named(tmp_path: Path, encoding: str) -> None:
    told = complaint(file(tmp_path, GOOD.decode().encode(encoding)))
    assert "not UTF-8" in told
    assert "UTF-16" in told
    assert "iconv -f UTF-16" in told


def test_latin_1_is_named_with_its_line(tmp_path: Path) -> None:
    told = complaint(file(tmp_path, GOOD + b"\n" + '{"prompt": "é", "completion": "c"}'.encode("latin-1")))
    assert "train.jsonl:2: not UTF-8" in told
    assert "byte 0xe9" in told


def test_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    file(tmp_path, GOOD, "trian.jsonl")
    told = complaint(tmp_path / "train.jsonl")
    assert "not found" in told
    assert "trian.jsonl" in told


def test_a_file_that_may_not_be_read_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path, GOOD)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # as root everything may be read
    assert "cannot be read" in complaint(path)


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    assert "cannot be read" in complaint(tmp_path)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("[" + '{"prompt": "p", "completion": "c"}\n{"prompt"', 2, "wanted ',' or ']'"),
        ('[{"prompt": "p", "completion": "c"},\n', 2, "not JSON"),
        ('[{"prompt": "p", "completion": "c"}', 1, "the end of the file"),
        ('[\n{"prompt": "p"},\n{"prompt": "", "completion": "c"}]', 3, "prompt is empty"),
        ('[{"prompt": "p", "completion": "c"}]\n{"prompt": "p"}', 1, "text after the end of the list"),
        ('[{"prompt": "p",\n "completion": }]', 2, "not JSON"),
        ("[1, 2]", 1, "seen a number"),
        ("[[", 1, "not JSON"),
    ],
)
def test_bad_lists_name_the_line(tmp_path: Path, content: str, line: int, words: str) -> None:
    path = file(tmp_path, content, "set.json")
    told = complaint(path)
    assert f"{path}:{line}: " in told
    assert words in told


def test_a_list_item_across_lines_counts_from_its_first(tmp_path: Path) -> None:
    told = complaint(file(tmp_path, '[\n\n{\n"prompt": "p"\n}\n]'))
    assert "train.jsonl:3: completion is missing" in told


def test_each_sample_comes_with_its_line(tmp_path: Path) -> None:
    row = '{"prompt": "a", "completion": "b"}'
    assert [line for line, _ in reader.read_lines(file(tmp_path, f"{row}\n{row}\n"))] == [1, 2]
    path = file(tmp_path, f"[\n{row},\n\n{row}\n]", "list.json")
    assert [line for line, _ in reader.read_lines(path)] == [2, 4]
    assert [sample for _, sample in reader.read_lines(path)] == read_samples(path)
