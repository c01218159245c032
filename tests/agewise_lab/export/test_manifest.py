"""The list of embedded files: one line a name, in order, true to the bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from agewise.errors import OutputError
from agewise.store.models import EmbeddedFile
from agewise_lab.export.manifest import embed


def _entry(name: str, data: bytes) -> EmbeddedFile:
    return EmbeddedFile(
        name=name,
        file=f"{name}.onnx",
        kind="estimator",
        sha256=hashlib.sha256(data).hexdigest(),
        licence="CC0-1.0",
        source="by hand",
    )


def _lines(folder: Path) -> list[EmbeddedFile]:
    return [EmbeddedFile(**line) for line in json.loads((folder / "manifest.json").read_text())["files"]]


def test_files_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b", "c", "a"):
        embed(name.encode(), _entry(name, name.encode()), tmp_path)
    assert [line.name for line in _lines(tmp_path)] == ["a", "b", "c"]
    for line in _lines(tmp_path):
        assert hashlib.sha256((tmp_path / line.file).read_bytes()).hexdigest() == line.sha256


def test_a_new_version_replaces_the_old_one(tmp_path: Path) -> None:
    for data in (b"old", b"new"):
        embed(data, _entry("a", data), tmp_path)
    assert _lines(tmp_path) == [_entry("a", b"new")]
    assert (tmp_path / "a.onnx").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "manifest.json"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the folder .*none does not exist"):
        embed(b"a", _entry("a", b"a"), tmp_path / "none")
