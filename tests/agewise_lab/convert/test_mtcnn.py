"""MTCNN's conversion: the written graphs against the published arrays, run layer by layer as Keras would."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from agewise.engine import OnnxEngine
from agewise_lab.convert import mtcnn
from agewise_lab.convert.mtcnn import build_onet, build_pnet, build_rnet, convert, published_weights

BUILDERS = {"pnet": build_pnet, "rnet": build_rnet, "onet": build_onet}
# What stands between the convolutions: a pooling's size, and whether it keeps a border ('same').
POOLS: dict[str, list[tuple[int, bool] | None]] = {
    "pnet": [(2, True), None, None],
    "rnet": [(3, True), (3, False), None],
    "onet": [(3, True), (3, False), (2, True), None],
}


@pytest.fixture(scope="module")
def published() -> dict[str, list[Any]]:
    try:
        return dict(published_weights())
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs the extra lab: mtcnn")


def plain(name: str, arrays: list[Any], images: Any) -> Tensor:
    """The published network, step by step: (n, outputs[, h, w]) with the face's log-odds first."""
    layers: Iterator[Tensor] = iter([torch.tensor(np.asarray(array)) for array in arrays])
    x = (torch.tensor(images).permute(0, 3, 1, 2).float() - 127.5) / 128
    for pool in POOLS[name]:
        x = functional.conv2d(x, next(layers).permute(3, 2, 0, 1), next(layers))
        slope = next(layers).reshape(-1, 1, 1)
        x = torch.where(x > 0, x, slope * x)
        if pool is not None:
            size, same = pool
            if same:  # TensorFlow pads what is missing, the larger half behind
                missing = [max((-(-side // 2) - 1) * 2 + size - side, 0) for side in (x.shape[3], x.shape[2])]
                x = functional.pad(x, [part for m in missing for part in (m // 2, m - m // 2)], value=-torch.inf)
            x = functional.max_pool2d(x, size, 2)
    if name != "pnet":
        x = x.permute(0, 3, 2, 1).flatten(1) @ next(layers) + next(layers)
        slope = next(layers)
        x = torch.where(x > 0, x, slope * x)
    else:
        x = x.permute(0, 2, 3, 1)
    heads = []
    while (kernel := next(layers, None)) is not None:
        heads.append(x @ kernel.reshape(x.shape[-1], -1) + next(layers))
    out = torch.cat([heads[-1][..., 1:] - heads[-1][..., :1], *heads[:-1]], dim=-1)
    return out if name != "pnet" else out.permute(0, 3, 1, 2)


def _images(name: str, kind: str) -> Any:
    side = {"pnet": (61, 84), "rnet": (24, 24), "onet": (48, 48)}[name]
    rng = np.random.default_rng(11)
    if kind == "noise":
        return rng.integers(0, 256, (5, *side, 3), dtype=np.uint8)
    smooth = np.kron(rng.integers(0, 256, (5, 8, 8, 3)), np.ones((1, 11, 11, 1)))
    return smooth[:, : side[0], : side[1]].astype(np.uint8)


def _close(out: Any, expected: Any) -> None:
    """Probabilities and offsets to 1e-5, as a detector uses them."""
    assert out.shape == expected.shape
    sigmoid = [1 / (1 + np.exp(-value[:, 0].astype(np.float64))) for value in (out, expected)]
    np.testing.assert_allclose(*sigmoid, rtol=0, atol=1e-5)
    np.testing.assert_allclose(out[:, 1:], expected[:, 1:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["noise", "blocks"])
@pytest.mark.parametrize("name", list(BUILDERS))
def test_the_graph_gives_what_the_published_arrays_give(published: dict[str, list[Any]], name: str, kind: str) -> None:
    images = _images(name, kind)
    out = OnnxEngine(BUILDERS[name](published[name]).SerializeToString()).run({"images_rgb": images})["out"]
    _close(out, plain(name, published[name], images).numpy())


@pytest.mark.parametrize("name", list(BUILDERS))
@pytest.mark.parametrize("slopes", [(-1.4, -0.2), (0.0, 1.0), (0.3, 0.9), (-1.0, 1.9)])
def test_every_kind_of_slope(published: dict[str, list[Any]], name: str, slopes: tuple[float, float]) -> None:
    """Falling, flat, rising, and concave PReLU: each is written differently."""
    rng = np.random.default_rng(2)
    arrays = [
        rng.uniform(*slopes, array.shape).astype(np.float32) if array.ndim == 3 else array for array in published[name]
    ]
    if slopes[1] > 1 and name != "pnet":
        arrays[5] = arrays[5].clip(max=1)  # a later pooling takes no concave channel
        if name == "onet":
            arrays[8] = arrays[8].clip(max=1)
    images = _images(name, "blocks")
    out = OnnxEngine(BUILDERS[name](arrays).SerializeToString()).run({"images_rgb": images})["out"]
    expected = plain(name, arrays, images).numpy()
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_a_concave_channel_before_a_later_pooling_is_refused(published: dict[str, list[Any]]) -> None:
    arrays = list(published["rnet"])
    arrays[5] = np.full_like(arrays[5], 1.5)
    with pytest.raises(AssertionError, match="negative"):
        build_rnet(arrays)


def test_the_embedded_files_are_this_conversion(published: dict[str, list[Any]], tmp_path: Path) -> None:
    for path in convert(tmp_path):
        embedded = resources.files("agewise.weights") / path.name
        assert embedded.read_bytes() == path.read_bytes(), f"{path.name}: convert again into src/agewise/weights"
    shipped, made = (
        [line for line in json.loads((folder / "manifest.json").read_text("utf-8"))["files"] if "mtcnn" in line["name"]]
        for folder in (resources.files("agewise.weights"), tmp_path)
    )
    assert made == shipped, "the converter notes what it writes"


@pytest.mark.parametrize("name", list(BUILDERS))
def test_the_embedded_files_say_where_they_come_from(name: str) -> None:
    folder = resources.files("agewise.weights")
    data = (folder / f"mtcnn-{name}.onnx").read_bytes()
    assert dict(OnnxEngine(data).metadata) == {
        "name": f"mtcnn-{name}",
        "source": "mtcnn 1.0.0 (PyPI)",
        "licence": "MIT",
    }
    files = {item["name"]: item for item in json.loads((folder / "manifest.json").read_text("utf-8"))["files"]}
    assert files[f"mtcnn-{name}"]["sha256"] == hashlib.sha256(data).hexdigest()


def test_no_slow_activation_is_left_in_front(published: dict[str, list[Any]]) -> None:
    """PRelu has no blocked kernel: after a convolution it would cost half of the time."""
    for name, build in BUILDERS.items():
        kinds = [node.op_type for node in build(published[name]).graph.node]
        assert kinds.count("PRelu") == (0 if name == "pnet" else 1)
        assert "Softmax" not in kinds


def test_other_arrays_under_the_same_name_are_refused(
    published: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(mtcnn.SHA256, "rnet", "0" * 64)
    with pytest.raises(ValueError, match=r"rnet\S* has sha256 cb00e\w+, expected 0+: is it mtcnn 1.0.0"):
        published_weights()


def test_the_files_are_valid_onnx_of_an_old_version() -> None:
    for name in BUILDERS:
        model = onnx.load_from_string((resources.files("agewise.weights") / f"mtcnn-{name}.onnx").read_bytes())
        onnx.checker.check_model(model, full_check=True)
        assert (model.ir_version, model.opset_import[0].version) == (8, 17)
