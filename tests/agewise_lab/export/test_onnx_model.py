"""The exported file gives what the network gives, at any batch size, at a quarter of the bytes."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper

from agewise.card import ModelCard, read_card
from agewise.engine import OnnxEngine
from agewise_lab.architectures.compact import CompactConfig, CompactNet
from agewise_lab.export.onnx_model import ServedNet, fold_batch_norms, store_as_int8, to_onnx, with_card
from agewise_lab.export.release import About, first_card

CONFIG = CompactConfig(size=20, stem=16, widths=(32, 64), depths=(1, 1), squeeze=4, dropout=0.5)
LOG_LEVEL = 17


@pytest.fixture(scope="module")
def net(make_net: Callable[..., CompactNet]) -> CompactNet:
    return make_net(CONFIG)


@pytest.fixture(scope="module")
def model(net: CompactNet) -> onnx.ModelProto:
    """The export, which takes seconds: made once, from a network in training mode, under a chosen log level."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(LOG_LEVEL)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    net.train()
    exported = to_onnx(net)
    assert net.training
    net.eval()
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert log.level == LOG_LEVEL
    log.setLevel(level)
    return exported


@pytest.fixture(scope="module")
def small(model: onnx.ModelProto) -> onnx.ModelProto:
    return store_as_int8(model)


@pytest.fixture(scope="module")
def card(net: CompactNet) -> ModelCard:
    words = {"summary": "a test", "recipe": "none", "training_data": "none", "split": "none"}
    return first_card(net, About(name="tiny", version="0.1", **words))


def _images(count: int) -> np.ndarray:
    """Noise on flat colours, so that answers differ."""
    rng = np.random.default_rng(count)
    return rng.random((count, 3, 1, 1), dtype=np.float32) * 0.7 + rng.random((count, 3, 20, 20), dtype=np.float32) * 0.3


def _torch(net: CompactNet, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        age, gender = net(torch.from_numpy(images))
        return torch.softmax(age, 1).numpy(), torch.softmax(gender, 1).numpy()


def _onnx(model: onnx.ModelProto, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    outputs = OnnxEngine(model.SerializeToString()).run({"image": images})
    return np.asarray(outputs["age_probs"]), np.asarray(outputs["gender_probs"])


@pytest.mark.parametrize("count", [1, 5, 33])
def test_float32_gives_what_torch_gives(net: CompactNet, model: onnx.ModelProto, count: int) -> None:
    images = _images(count)
    for ours, theirs in zip(_onnx(model, images), _torch(net, images), strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 1e-4
    ages = np.arange(101)
    assert np.abs(_onnx(model, images)[0] @ ages - _torch(net, images)[0] @ ages).max() <= 1e-3
    assert np.ptp(_torch(net, _images(33))[0] @ ages) > 0.5, "the answers must differ for this to show anything"


def test_int8_storage_changes_little(net: CompactNet, small: onnx.ModelProto) -> None:
    images = _images(33)
    ages = np.arange(101)
    difference = np.abs(_onnx(small, images)[0] @ ages - _torch(net, images)[0] @ ages)
    assert 0 < difference.max() < 0.5
    assert np.abs(_onnx(small, images)[1] - _torch(net, images)[1]).max() < 0.03


def test_int8_storage_takes_a_quarter(model: onnx.ModelProto, small: onnx.ModelProto) -> None:
    assert 0.25 < len(small.SerializeToString()) / len(model.SerializeToString()) < 0.33


def test_dropout_is_for_training(model: onnx.ModelProto) -> None:
    assert "Dropout" not in {node.op_type for node in model.graph.node}


def test_only_large_weights_are_stored_as_int8(model: onnx.ModelProto, small: onnx.ModelProto) -> None:
    before = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    after = {item.name: numpy_helper.to_array(item) for item in small.graph.initializer}
    weights = {node.input[1] for node in model.graph.node if node.op_type in ("Conv", "Gemm")}
    weights |= {node.input[0] for node in model.graph.node if node.op_type == "Expand"}
    for name, array in before.items():
        if name in weights and array.size >= 1024:
            stored, scale = after[f"{name}.int8"], after[f"{name}.scale"]
            assert stored.dtype == np.int8
            (axis,) = (k for k in range(array.ndim) if scale.shape[k] > 1)
            assert axis in (0, 1)  # one an output channel, or one an input channel
            assert scale.shape[axis] == array.shape[axis]
            assert (np.abs(stored * scale - array) <= scale / 2 + 1e-7).all()
            assert (np.abs(stored).max(axis=tuple(k for k in range(array.ndim) if k != axis)) == 127).all()
        else:
            assert np.array_equal(after[name], array)
    assert sum(name.endswith(".int8") for name in after) >= 4


def test_nothing_is_computed_in_int8(model: onnx.ModelProto, small: onnx.ModelProto) -> None:
    """The added nodes turn stored weights back to float; all others, the softmax too, are as they were."""
    added = len(small.graph.node) - len(model.graph.node)
    front = list(small.graph.node)[:added]
    assert [node.op_type for node in front] == ["Cast", "Mul"] * (added // 2)
    assert [n.SerializeToString() for n in list(small.graph.node)[added:]] == [
        n.SerializeToString() for n in model.graph.node
    ]
    assert sum(node.op_type == "Softmax" for node in small.graph.node) == 2


def test_the_runtime_folds_the_added_nodes(small: onnx.ModelProto, tmp_path: object) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = f"{tmp_path}/folded.onnx"
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    onnxruntime.InferenceSession(small.SerializeToString(), options, providers=["CPUExecutionProvider"])
    folded = onnx.load(options.optimized_model_filepath)
    assert "Cast" not in {node.op_type for node in folded.graph.node}
    assert not any(item.data_type == onnx.TensorProto.INT8 for item in folded.graph.initializer)


def test_pools_become_part_of_the_convolutions_after_them(model: onnx.ModelProto, small: onnx.ModelProto) -> None:
    """Of 20 pixels the second stage halves 10, which is even. A pool with a border stays: see `test_stored`."""
    for graph in (model.graph, small.graph):
        kinds = [node.op_type for node in graph.node]
        assert "AveragePool" not in kinds
        assert kinds.count("Expand") == 1
    odd = to_onnx(CompactNet(CompactConfig(size=20, stem=4, widths=(4, 8, 8), depths=(1, 1, 1))))
    assert [node.op_type for node in odd.graph.node].count("AveragePool") == 1


@pytest.mark.parametrize(("operator", "axis"), [("MatMul", 1), ("Gemm", 1), ("Gemm transposed", 0)])
def test_dense_weights_have_a_scale_an_output_channel(operator: str, axis: int) -> None:
    """Outputs of very different sizes keep their digits."""
    rng = np.random.default_rng(0)
    sizes = np.array([1e-3, 1.0, 1e3, 1e-2], dtype=np.float32)
    weights = (rng.standard_normal((300, 4)) * sizes).astype(np.float32)
    stored = weights if axis == 1 else np.ascontiguousarray(weights.T)
    attributes = {"transB": 1} if axis == 0 else {}
    graph = helper.make_graph(
        [helper.make_node(operator.split()[0], ["x", "w"], ["y"], **attributes)],
        "dense",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 300])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(stored, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    x = rng.standard_normal((5, 300)).astype(np.float32)
    y = np.asarray(OnnxEngine(store_as_int8(model).SerializeToString()).run({"x": x})["y"])
    assert np.abs((y - x @ weights) / sizes).max() < 0.5


@pytest.mark.parametrize("ordered", ["outputs", "inputs"])
def test_scales_go_along_the_axis_that_keeps_more(ordered: str) -> None:
    """Inputs of very different sizes, as those that a batch norm was folded for, have a scale each."""
    rng = np.random.default_rng(0)
    sizes = np.geomspace(1e-2, 1e2, 64, dtype=np.float32)
    weights = (rng.standard_normal((64, 64)) * (sizes[:, None] if ordered == "outputs" else sizes)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)],
        "dense",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    small = store_as_int8(model)
    stored = {value.name: numpy_helper.to_array(value) for value in small.graph.initializer}
    assert stored["w.scale"].shape == ((64, 1) if ordered == "outputs" else (1, 64))
    x = rng.standard_normal((5, 64)).astype(np.float32) / (1 if ordered == "outputs" else sizes)
    y = np.asarray(OnnxEngine(small.SerializeToString()).run({"x": x})["y"])
    assert np.abs((y - x @ weights.T) / (sizes if ordered == "outputs" else 1)).max() < 0.2


def test_batch_norms_are_folded_and_the_network_is_left_alone(net: CompactNet, model: onnx.ModelProto) -> None:
    before = {key: value.clone() for key, value in net.state_dict().items()}
    folded = fold_batch_norms(net)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    image = torch.from_numpy(_images(3))
    with torch.inference_mode():
        assert torch.allclose(folded(image)[0], net(image)[0], atol=1e-4)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_no_traces_of_the_exporting_machine(model: onnx.ModelProto) -> None:
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert b"site-packages" not in model.SerializeToString()
    assert b".py" not in model.SerializeToString()


def test_a_card_goes_in_and_comes_out(small: onnx.ModelProto, card: ModelCard) -> None:
    data = with_card(small, card)
    assert read_card(OnnxEngine(data).metadata, "tiny") == card
    assert not small.metadata_props, "the model that was given is left alone"
    stored = onnx.load_from_string(data)
    assert (stored.producer_name, stored.producer_version) == ("agewise-lab", "0.1")
    again = with_card(stored, card.model_copy(update={"version": "0.2"}))
    assert read_card(OnnxEngine(again).metadata, "tiny").version == "0.2"


def test_served_outputs_are_probabilities(net: CompactNet) -> None:
    with torch.inference_mode():
        for output in ServedNet(net)(torch.from_numpy(_images(6))):
            assert torch.allclose(output.sum(dim=1), torch.ones(6), atol=1e-6)
