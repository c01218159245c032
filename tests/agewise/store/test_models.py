"""Models by name and by path. Most tests stand on a folder of their own; the last ones on what really ships."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from agewise.engine import OnnxEngine
from agewise.errors import AgewiseError, ModelError, UnknownModelError
from agewise.estimate import Estimator
from agewise.store import DEFAULT_MODEL, ModelFile, embedded_files, find_model, list_models, models

MANIFEST = Path(models.__file__).parents[1] / "weights" / "manifest.json"
ships = pytest.mark.skipif(not MANIFEST.is_file(), reason="weights/manifest.json is not made yet")


def entry(name: str, data: bytes, kind: str = "estimator") -> dict[str, str]:
    return {
        "name": name,
        "file": f"{name}.onnx",
        "kind": kind,
        "sha256": hashlib.sha256(data).hexdigest(),
        "licence": "MIT",
        "source": "made here",
    }


FILES = {"zebra": b"Z" * 10, DEFAULT_MODEL: b"S" * 20, "agewise-m": b"M" * 30, "mtcnn-pnet": b"P" * 5}


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands in for `agewise/weights`."""
    folder = tmp_path / "weights"
    folder.mkdir()
    entries = [entry(name, data, "detector" if "mtcnn" in name else "estimator") for name, data in FILES.items()]
    for name, data in FILES.items():
        (folder / f"{name}.onnx").write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps({"files": entries}), encoding="utf-8")

    def files(package: str) -> Path:
        assert package == "agewise.weights"
        return folder

    monkeypatch.setattr("agewise.store.models.resources.files", files)
    return folder


# ---------------------------------------------------------------- by name


@pytest.mark.usefixtures("weights")
def test_estimators_are_listed_with_the_default_first() -> None:
    assert list_models() == (DEFAULT_MODEL, "agewise-m", "zebra")


@pytest.mark.usefixtures("weights")
def test_embedded_files_come_in_the_manifests_order_and_whole() -> None:
    assert [item.name for item in embedded_files()] == list(FILES)
    item = embedded_files()[3]
    assert (item.file, item.kind, item.licence, item.source) == ("mtcnn-pnet.onnx", "detector", "MIT", "made here")


@pytest.mark.usefixtures("weights")
def test_a_model_by_name() -> None:
    found = find_model("agewise-m")
    assert (found.name, found.data) == ("agewise-m", FILES["agewise-m"])
    assert found.embedded is not None
    assert found.sha256 == found.embedded.sha256 == hashlib.sha256(b"M" * 30).hexdigest()
    assert find_model(Path("agewise-m")) == found


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("agewise-x", "unknown model 'agewise-x': did you mean 'agewise-"),
        ("agewise_s", "unknown model 'agewise_s': did you mean 'agewise-s'? Known: agewise-s, agewise-m, zebra"),
        ("Zebra", "did you mean 'zebra'?"),
        ("resnet50", "unknown model 'resnet50': Known: agewise-s, agewise-m, zebra (or a path to an .onnx file)"),
        ("", "unknown model '': Known: agewise-s"),
        ("mtcnn-pnet", "unknown model 'mtcnn-pnet': "),  # a detector's network is no estimator
    ],
)
def test_an_unknown_name(name: str, message: str) -> None:
    with pytest.raises(UnknownModelError, match=re.escape(message)) as caught:
        find_model(name)
    assert str(caught.value).endswith("(or a path to an .onnx file)")


# ---------------------------------------------------------------- a damaged installation


@pytest.mark.parametrize("data", [b"", b"S" * 19, b"S" * 19 + b"T"])
def test_a_damaged_embedded_file_is_named(weights: Path, data: bytes) -> None:
    (weights / "agewise-s.onnx").write_bytes(data)
    message = (
        r"the embedded file agewise-s\.onnx is damaged \(sha256 \w{12}…, expected \w{12}…\): install agewise again"
    )
    with pytest.raises(ModelError, match=message):
        find_model(DEFAULT_MODEL)
    assert find_model("agewise-m").data == FILES["agewise-m"]


def test_a_missing_embedded_file_is_named(weights: Path) -> None:
    (weights / "agewise-s.onnx").unlink()
    with pytest.raises(ModelError, match=r"the embedded file agewise-s\.onnx is missing: install agewise again"):
        find_model(DEFAULT_MODEL)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"models": []}', '{"files": [{"name": "x"}]}', '{"files": [{"surprise": 1}]}', "\udcff"]
)
def test_a_damaged_manifest(weights: Path, tmp_path: Path, text: str) -> None:
    (weights / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ModelError, match=r"weights/manifest\.json, is missing or damaged: install agewise again"):
        find_model(DEFAULT_MODEL)
    with pytest.raises(ModelError, match="install agewise again"):
        list_models()
    path = tmp_path / "own.onnx"
    path.write_bytes(b"own")
    assert find_model(path).data == b"own", "a file of one's own needs no manifest"


def test_a_missing_manifest(weights: Path) -> None:
    (weights / "manifest.json").unlink()
    with pytest.raises(ModelError, match=r"weights/manifest\.json, is missing or damaged"):
        embedded_files()


# ---------------------------------------------------------------- by path


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize(
    ("file", "given"),
    [
        ("own.onnx", "own.onnx"),
        ("own.ONNX", "own.ONNX"),
        ("own", "./own"),
        ("own.bin", f".{os.sep}own.bin"),
        ("sub folder/ünï 年.onnx", "sub folder/ünï 年.onnx"),
        ("sub folder/own", "sub folder/own"),
        ("agewise-s", "./agewise-s"),  # a file that is named like a model
        (os.fsdecode(b"caf\xe9.onnx"), os.fsdecode(b"caf\xe9.onnx")),
    ],
)
def test_a_model_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, given: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sub folder").mkdir()
    Path(file).write_bytes(b"own")
    assert find_model(given) == ModelFile(given, b"own")
    assert find_model(str(tmp_path / file)).data == b"own"
    if "agewise-s" not in file:  # a Path drops the "./" that tells the file from the model
        assert find_model(Path(file)).data == b"own"


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("name", ["missing.onnx", "./missing", "no/such/folder/own", "mtcnn-pnet.onnx"])
def test_a_path_where_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownModelError, match=re.escape(f"no model file at {name}: give a path to an .onnx file")):
        find_model(name)
    with pytest.raises(UnknownModelError, match="no model file at"):
        find_model(tmp_path / name)


@pytest.mark.usefixtures("weights")
def test_paths_that_cannot_be_read(tmp_path: Path, not_root: Callable[[], AbstractContextManager[None]]) -> None:
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    locked = tmp_path / "locked.onnx"
    locked.write_bytes(b"own")
    loop = tmp_path / "loop.onnx"
    loop.symlink_to(loop)
    for path, reason in (
        (folder, "Is a directory"),
        (locked / "inner.onnx", "Not a directory"),
        (loop, "Too many levels of symbolic links"),
    ):
        with pytest.raises(ModelError, match=re.escape(f"cannot read the model file {path}: {reason}")):
            find_model(path)
    locked.chmod(0)
    with not_root(), pytest.raises(ModelError, match=re.escape(f"cannot read the model file {locked}: Permission")):
        find_model(locked)
    with pytest.raises(ModelError, match="is not a possible path"):
        find_model("nul\0l.onnx")


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("data", [b"", b"text that is no model", b"\x08\x08:\x05"])
def test_a_corrupt_model_file_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "corrupt model.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=re.escape(f"{path} is not a model that ONNX Runtime")):
        Estimator(path)


def test_a_model_of_ones_own_is_estimated_with(onnx_path: Path) -> None:
    """Through the store, ONNX Runtime, the card and the golden check."""
    assert Estimator(onnx_path).card.name == "tiny"
    assert Estimator(str(onnx_path)).name == str(onnx_path)


def test_a_network_without_a_card_is_refused(tmp_path: Path, make_onnx: Callable[..., bytes]) -> None:
    path = tmp_path / "bare.onnx"
    path.write_bytes(make_onnx({"author": "someone"}))
    with pytest.raises(ModelError, match=re.escape(f"{path} has no agewise card")):
        Estimator(path)


# ---------------------------------------------------------------- what really ships


@ships
def test_everything_that_ships_is_in_the_manifest_and_as_it_says() -> None:
    fields: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    assert set(fields) >= {"files"}
    listed = {item.file for item in embedded_files()}
    assert listed == {path.name for path in MANIFEST.parent.glob("*.onnx")}
    for item in embedded_files():
        assert hashlib.sha256((MANIFEST.parent / item.file).read_bytes()).hexdigest() == item.sha256
        assert item.kind in ("estimator", "detector")
        assert item.licence
        assert item.source
    assert len({item.name for item in embedded_files()}) == len(listed), "names are unique"


@ships
def test_every_embedded_network_opens_and_every_estimator_keeps_its_promise() -> None:
    for item in embedded_files():
        if item.kind == "estimator":
            estimator = Estimator(item.name)
            assert estimator.card.name == item.name
            assert estimator.card.licences.weights == item.licence
        else:
            OnnxEngine(models.read_embedded(item))


@ships
def test_the_default_is_on_hand() -> None:
    if not any(item.kind == "estimator" for item in embedded_files()):
        pytest.skip("no estimator is embedded yet")
    assert list_models()[0] == DEFAULT_MODEL


@ships
def test_an_unknown_model_names_those_that_ship() -> None:
    with pytest.raises(AgewiseError, match=r"unknown model 'agewise-xxl': .*Known: "):
        find_model("agewise-xxl")
