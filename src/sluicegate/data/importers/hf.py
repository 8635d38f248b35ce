"""Data sets of Hugging Face as they lie on disk: a folder of `save_to_disk`, or Parquet, Arrow and JSON files.

They are read by pyarrow: the library `datasets` is not needed, and would clash with our folder of that name. No script
of a data set is run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sluicegate.data.importers import Asked, Draft, Rows, columns
from sluicegate.data.importers.rows import json_rows
from sluicegate.data.reader import LineError
from sluicegate.errors import UserError

SCENARIO, LANGUAGE = "hf", ""
INFO, STATE, SPLITS = "dataset_info.json", "state.json", "dataset_dict.json"
TABLES: Final = (".parquet", ".arrow")
TEXTS: Final = (".jsonl", ".json", ".gz")
BATCH: Final = 1000
WANTED: Final = "a folder of save_to_disk, or .parquet, .arrow, .jsonl or .json files"


def rows(path: Path, asked: Asked) -> Rows:
    """See `Format`; places are the numbers of rows in binary files."""
    if not path.is_dir():
        yield from _of_file(path)
    elif (path / SPLITS).is_file():
        for name in _listed(path / SPLITS, "splits"):
            yield from _of_split(path / name)
    else:
        yield from _of_split(path)


def draft(row: Mapping[str, Any], asked: Asked) -> Draft:
    """See `Format`."""
    return columns.draft(row, asked)


def _of_split(folder: Path) -> Rows:
    """The rows of one folder; the licence that its description names is that of each row without one."""
    own = {"licence": told} if (told := _licence(folder / INFO)) else {}
    for path in _files(folder):
        for place, row in _of_file(path):
            is_told = isinstance(row, LineError) or row.get("licence") or row.get("license")
            yield place, row if is_told else {**row, **own}  # type: ignore[dict-item]


def _files(folder: Path) -> list[Path]:
    if (folder / STATE).is_file():
        return [folder / name for name in _listed(folder / STATE, "_data_files")]
    found = sorted(path for path in folder.rglob("*") if path.suffix in (*TABLES, ".jsonl") and path.is_file())
    if not found:
        raise UserError(f"{folder}: no data set", wanted=WANTED, seen="none in it" if folder.is_dir() else "no folder")
    return found


def _listed(path: Path, field: str) -> list[str]:
    """Names of files or folders beside this one that it lists."""
    said = _json(path).get(field)
    names = [one.get("filename") if isinstance(one, dict) else one for one in said] if isinstance(said, list) else []
    if not names or not all(isinstance(name, str) and name == Path(name).name for name in names):
        raise UserError(f"{path}: cannot be read", wanted=f"names of files beside it in {field}", seen=repr(said)[:80])
    return [str(name) for name in names]


def _licence(path: Path) -> str:
    if not path.is_file():
        return ""
    said = _json(path).get("license")
    return said.strip() if isinstance(said, str) else ""


def _json(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as fault:
        raise UserError(f"{path}: cannot be read", wanted="JSON", seen=str(fault)) from None
    return said if isinstance(said, dict) else {}


def _of_file(path: Path) -> Rows:
    if path.suffix in TABLES and path.is_file():
        for number, row in enumerate(_of_table(path), start=1):
            yield f"{path}:{number}", row
    elif path.suffix in TEXTS and path.is_file():
        yield from json_rows(path)
    else:
        raise UserError(f"{path}: no data set", wanted=WANTED, seen="a file" if path.exists() else "no such file")


def _of_table(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise UserError(
            f"{path}: pyarrow is needed to read it", wanted="pyarrow", seen="not installed",
            mend="pip install 'sluicegate[mine]'",
        ) from None  # fmt: skip
    try:
        if path.suffix == ".parquet":
            batches = parquet.ParquetFile(path).iter_batches(batch_size=BATCH)
        else:
            batches = _arrow(pa, path)
        for batch in batches:
            yield from batch.to_pylist()
    except (OSError, pa.ArrowException, UnicodeDecodeError) as fault:
        raise UserError(f"{path}: cannot be read", wanted="Parquet or Arrow", seen=str(fault)[:200]) from None


def _arrow(pa: Any, path: Path) -> Any:
    """The batches of a stream, which `save_to_disk` writes, or of a file with a footer."""
    source = pa.memory_map(str(path))
    if source.read(6) == b"ARROW1":
        source.seek(0)
        reader = pa.ipc.open_file(source)
        return (reader.get_batch(number) for number in range(reader.num_record_batches))
    source.seek(0)
    return pa.ipc.open_stream(source)
