"""The list of embedded files: `manifest.json` beside them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from agewise._files import atomic_write
from agewise.store.models import EmbeddedFile


def embed(data: bytes, entry: EmbeddedFile, weights: Path) -> None:
    """Write a file into the folder of embedded files, and its line into the manifest there."""
    manifest = weights / "manifest.json"
    files = json.loads(manifest.read_text(encoding="utf-8"))["files"] if manifest.exists() else []
    files = [line for line in files if line["name"] != entry.name] + [dataclasses.asdict(entry)]
    with atomic_write(weights / entry.file) as file:
        file.write(data)
    text = json.dumps({"files": sorted(files, key=lambda line: str(line["name"]))}, indent=2) + "\n"
    with atomic_write(manifest) as file:
        file.write(text.encode())
