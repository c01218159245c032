"""Where a model's bytes come from: the embedded ones by name, or any `.onnx` file by its path.

`weights/manifest.json` lists every embedded file with its sha256, source and licence; the bytes are held
against it each time they are read, so that a damaged installation is noticed and named.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from agewise.errors import ModelError, UnknownModelError, unknown_name

DEFAULT_MODEL = "agewise-s"


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """One line of the manifest.

    Args:
        name: of the model or network.
        file: its name in `agewise/weights/`.
        kind: "estimator" (has a card) or "detector".
        sha256: of the file.
        licence: of the weights, SPDX or text.
        source: where it comes from.
    """

    name: str
    file: str
    kind: str
    sha256: str
    licence: str
    source: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model on hand.

    Args:
        name: an embedded model's name, or the file's path as given.
        data: the whole file.
        embedded: its line of the manifest, or None for a file of the user's own.
    """

    name: str
    data: bytes
    embedded: EmbeddedFile | None = None

    @property
    def sha256(self) -> str:
        """Of the bytes."""
        return hashlib.sha256(self.data).hexdigest()


def embedded_files() -> tuple[EmbeddedFile, ...]:
    """Every model and network that ships inside agewise.

    Raises:
        ModelError: the manifest is missing or damaged.
    """
    try:
        text = (resources.files("agewise.weights") / "manifest.json").read_text(encoding="utf-8")
        return tuple(EmbeddedFile(**entry) for entry in json.loads(text)["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            "the list of embedded models, agewise/weights/manifest.json, is missing or damaged: install agewise again"
        ) from error


def read_embedded(entry: EmbeddedFile) -> bytes:
    """The bytes of an embedded file.

    Raises:
        ModelError: missing, or changed since it was installed.
    """
    try:
        data = (resources.files("agewise.weights") / entry.file).read_bytes()
    except OSError as error:
        raise ModelError(f"the embedded file {entry.file} is missing: install agewise again") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != entry.sha256:
        raise ModelError(
            f"the embedded file {entry.file} is damaged (sha256 {digest[:12]}…, expected {entry.sha256[:12]}…): "
            "install agewise again"
        )
    return data


def read_network(name: str) -> bytes:
    """The bytes of an embedded network by its name in the manifest, such as "mtcnn-pnet".

    Raises:
        ModelError: no such network, or it is missing or changed since it was installed.
    """
    entry = next((entry for entry in embedded_files() if entry.name == name), None)
    if entry is None:
        raise ModelError(f"the embedded network {name} is not in the list of embedded models: install agewise again")
    return read_embedded(entry)


def list_models() -> tuple[str, ...]:
    """Names of the estimators on hand, the default first."""
    names = [entry.name for entry in embedded_files() if entry.kind == "estimator"]
    return tuple(sorted(names, key=lambda name: (name != DEFAULT_MODEL, name)))


def find_model(name_or_path: str | Path) -> ModelFile:
    """An estimator by name, or any ONNX file by its path (whatever ends in .onnx or holds a separator).

    A `Path` that is no model's name is a path, whatever it looks like.

    Raises:
        UnknownModelError: no such name, or no such file.
        ModelError: the file cannot be read.
    """
    name = str(name_or_path)
    # Judged as it was typed: Path("./model") would drop the "./" that says that it is a path.
    looks_like_path = name.lower().endswith(".onnx") or any(sep in name for sep in (os.sep, os.altsep) if sep)
    if not looks_like_path:
        for entry in embedded_files():
            if entry.kind == "estimator" and entry.name == name:
                return ModelFile(name, read_embedded(entry), entry)
    if looks_like_path or isinstance(name_or_path, Path):
        try:
            return ModelFile(name, Path(name_or_path).read_bytes())
        except FileNotFoundError as error:
            raise UnknownModelError(f"no model file at {name}: give a path to an .onnx file") from error
        except OSError as error:
            raise ModelError(f"cannot read the model file {name}: {error.strerror}") from error
        except ValueError as error:  # a null character
            raise ModelError(f"{name!r} is not a possible path: {error}") from error
    raise UnknownModelError(unknown_name("model", name, list_models()) + " (or a path to an .onnx file)")
