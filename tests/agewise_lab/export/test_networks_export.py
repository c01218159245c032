"""Every network with its system's heads, as a file: the numbers of PyTorch, at any batch size, through its card.

An export takes seconds; the tests that are not slow take one network of each kind of layer.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
import onnx.utils
import pytest
import torch
from torch import Tensor

from agewise import decode
from agewise.engine import OnnxEngine
from agewise_lab.architectures.base import AgeGenderNet
from agewise_lab.architectures.registry import ARCHITECTURES
from agewise_lab.architectures.ssrnet import StagewiseLayers
from agewise_lab.export.onnx_model import store_as_float16, store_as_int8, to_onnx
from agewise_lab.heads.build import build_net

_SMALL: dict[str, dict[str, Any]] = {
    "agewise-s": {"size": 32, "stem": 8, "widths": (8, 16), "depths": (1, 1), "squeeze": 4},
    "agewise-m": {"size": 32, "stem": 8, "widths": (16, 32), "depths": (1, 1)},
    "ssrnet": {},
    "mobilenet-0.25": {"size": 32},
    "mobilenet-0.5": {"size": 32},
    "mobilenet-multitask": {"size": 33, "alpha": 0.25},
    "densenet-13": {"size": 16, "growth": 6},
    "densenet-19": {"size": 16, "growth": 4},
    "wideresnet-16-8": {"size": 32, "depth": 10, "width": 2, "pooling": "same"},
    "levi-hassner": {"size": 64, "hidden": 32},
    "levi-hassner-bn": {"size": 64, "hidden": 32},
    "lmtcnn-1-1": {"size": 64, "hidden": 32},
    "lmtcnn-2-1": {"size": 64, "hidden": 32},
    "inception-v3": {"size": 75},
    "resnet-18": {"size": 32, "width": 8},
    "resnet-34": {"size": 32, "width": 8},
    "resnet-50": {"size": 32, "width": 8},
    "vgg-16": {"size": 32, "width": 0.125, "hidden": 64},
}
_QUICK = {"agewise-s", "ssrnet", "mobilenet-multitask", "lmtcnn-1-1", "wideresnet-16-8"}
_NAMES = [name if name in _QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ARCHITECTURES]


def _net(
    backbone: str, age: str = "expectation", gender: str | None = "two-way", *, apart: bool = False
) -> AgeGenderNet:
    """Random weights, every batch norm of which matters."""
    torch.manual_seed(2)
    net = build_net(backbone, age=age, gender=gender, apart=apart, backbone_options=_SMALL[backbone])
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    for module in net.modules():
        if isinstance(module, StagewiseLayers):  # a stage whose delta comes near -1 divides by nothing
            for delta in module.delta:
                torch.nn.init.normal_(delta.weight, std=1e-6)
    return net.eval()


def _image(net: AgeGenderNet, count: int) -> Tensor:
    draw = torch.Generator().manual_seed(count)
    size = net.input.size
    pixels = torch.rand(count, 3, 1, 1, generator=draw) * 160 + torch.rand(count, 3, size, size, generator=draw) * 95
    return net.input.normalise(pixels)


def _held(net: AgeGenderNet, model: onnx.ModelProto, tolerance: float = 1e-4) -> None:
    """The file's outputs are those that the decodings name, and PyTorch's, for batches of 1, 5 and 32."""
    onnx.checker.check_model(model)
    engine = OnnxEngine(model.SerializeToString())
    for count in (1, 5, 32):
        image = _image(net, count)
        with torch.inference_mode():
            expected = net.served(image)
            years = net.age_head.years(net(image)).numpy()
        got = engine.run({"image": image.numpy()})
        assert set(got) == set(expected)
        for name, value in expected.items():
            assert got[name].shape == value.shape
            scale = max(1.0, float(value.abs().max()))
            assert np.abs(got[name] - value.numpy()).max() <= tolerance * scale
        decoded = decode.decode_ages(got, net.age_head.decoding)
        assert np.abs(decoded.years - years).max() <= 100 * tolerance * max(1.0, np.abs(years).max() / 100)


@pytest.mark.parametrize("name", _NAMES)
def test_each_network_with_its_heads(name: str) -> None:
    stagewise = "soft-stagewise" if name == "ssrnet" else None
    net = _net(name, stagewise or "expectation", stagewise or "two-way")
    _held(net, to_onnx(net))


def test_a_trunk_for_each_task() -> None:
    net = _net("ssrnet", "soft-stagewise", "two-way", apart=True)
    model = to_onnx(net)
    _held(net, model)
    _held(net, store_as_float16(model), 5e-3)
    assert store_as_float16(model).ByteSize() < 0.25e6 < model.ByteSize() < 0.35e6
    alone = onnx.utils.Extractor(model).extract_model(["image"], ["gender_logits"])
    assert alone.ByteSize() < 0.5 * model.ByteSize(), "gender needs no trunk but its own"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("age", "gender"),
    [
        ("agewise", "binary"),
        ("l1", "number"),
        ("gaussian", None),
        ("or-cnn", "two-way"),
        ("coral", "two-way"),
        ("corn", "two-way"),
        ("bins", "two-way"),
        ("class-bce", "two-way"),
    ],
)
def test_each_kind_of_head(age: str, gender: str | None) -> None:
    net = _net("agewise-s", age, gender)
    _held(net, to_onnx(net))


def test_stored_as_float16_and_int8() -> None:
    net = _net("densenet-13")
    model = to_onnx(net)
    _held(net, model)
    before = copy.deepcopy(model)
    half, small = store_as_float16(model), store_as_int8(model)
    assert model == before
    sizes = [len(m.SerializeToString()) for m in (model, half, small)]
    assert sizes[0] > 1.5 * sizes[1] > 1.5 * sizes[2] * 0.9
    _held(net, half, 5e-3)
    _held(net, small, 5e-2)
    graph = small.graph
    assert {i.data_type for i in graph.initializer} >= {onnx.TensorProto.INT8, onnx.TensorProto.FLOAT}


def test_small_kernels_stored_as_float16_beside_int8() -> None:
    model = to_onnx(_net("densenet-13"))
    elements = {i.name: int(np.prod(i.dims)) for i in model.graph.initializer}
    below = sorted(count for count in elements.values() if count >= 1024)[len(elements) // 8]
    stored = {i.name: i.data_type for i in store_as_int8(model, half_below=below).graph.initializer}
    large = {name for name, kind in stored.items() if kind == onnx.TensorProto.INT8}
    small = {name for name, kind in stored.items() if kind == onnx.TensorProto.FLOAT16}
    assert large
    assert small
    assert all(elements[name.removesuffix(".int8")] >= below for name in large)
    assert all(1024 <= elements[name.removesuffix(".half")] < below for name in small)


def test_weights_beyond_float16_are_refused() -> None:
    from onnx import helper, numpy_helper

    weight = numpy_helper.from_array(np.full((1024, 2), 1e6, np.float32), "w")
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 1024])
    result = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 2])
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = helper.make_model(helper.make_graph([node], "g", [value], [result], [weight]))
    with pytest.raises(ValueError, match=r"1e\+06 is too large for float16: store int8 or float32"):
        store_as_float16(model)
