"""What ships in agewise/weights: all of it listed, whole, licensed, and small."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

MOST_BYTES = 8_000_000
KINDS = {"detector", "estimator"}


@pytest.fixture(scope="module")
def weights(repository: Path) -> Path:
    return repository / "src" / "agewise" / "weights"


@pytest.fixture(scope="module")
def entries(weights: Path) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = json.loads((weights / "manifest.json").read_text(encoding="utf-8"))["files"]
    return files


def test_the_manifest_lists_exactly_the_files(weights: Path, entries: list[dict[str, Any]]) -> None:
    assert sorted(entry["file"] for entry in entries) == sorted(path.name for path in weights.rglob("*.onnx"))


def test_nothing_else_lies_there(weights: Path) -> None:
    others = {path.name for path in weights.iterdir() if path.suffix != ".onnx"} - {"__pycache__"}
    assert others == {"__init__.py", "manifest.json"}


def test_each_entry_is_true_and_licensed(weights: Path, entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        data = (weights / entry["file"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(data).hexdigest(), entry["file"]
        assert entry["kind"] in KINDS, entry["file"]
        assert entry["licence"].strip(), f"{entry['file']} has no licence"
        assert entry["source"].strip(), f"{entry['file']} has no source"


def test_all_together_are_small(weights: Path) -> None:
    assert sum(path.stat().st_size for path in weights.rglob("*.onnx")) < MOST_BYTES


def test_weights_md_names_each_file(repository: Path, entries: list[dict[str, Any]]) -> None:
    text = (repository / "WEIGHTS.md").read_text(encoding="utf-8")
    assert [entry["file"] for entry in entries if f"`{entry['file']}`" not in text] == []
