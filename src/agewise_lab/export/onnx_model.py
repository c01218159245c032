"""A trained network → one `.onnx` file with its card inside, checked by value against the original.

Batch norms are folded into their convolutions. Large weights are stored as int8 with a scale an output
channel, or an input channel where that is nearer (symmetric, round to nearest), and turned back to float by
`Cast` and `Mul`, which every runtime folds when it loads the file: a quarter of the size, the speed and the
arithmetic of float32. Or they are stored as float16, half of the size.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from agewise.card import CARD_KEY, ModelCard
from agewise_lab.architectures.stored import fold_batch_norms
from agewise_lab.architectures.two_heads import TwoHeadNet

_LEAST_ELEMENTS = 1024  # smaller weights stay float: they save nothing


class ServedNet(nn.Module):
    """What is served: probabilities instead of logits. RGB 0..1 (n, 3, size, size) → (n, ages), (n, 2)."""

    def __init__(self, net: TwoHeadNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        age, gender = self.net(image)
        return torch.softmax(age, dim=1), torch.softmax(gender, dim=1)


class NamedOutputs(nn.Module):
    """What is served of a network with heads: the outputs that their decodings name, in order.

    Args:
        net: an `AgeGenderNet`, or what has `input`, `heads` and `served` like one; in evaluation mode.
    """

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net
        size = net.input.size
        with torch.inference_mode():
            self.names = tuple(net.served(torch.zeros(1, 3, size, size)))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.net.served(image)[name] for name in self.names)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which warns of its own insides; leave all as it was found."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def to_onnx(net: Any) -> onnx.ModelProto:
    """The served network in float32: input `image`, any batch size.

    Args:
        net: a `TwoHeadNet`, whose outputs are `age_probs` and `gender_probs`; or an `AgeGenderNet`, or what serves like
            one (see `NamedOutputs`), whose outputs are those that its heads' decodings name.
    """
    folded = fold_batch_norms(net)
    if isinstance(folded, TwoHeadNet):
        served, size, names = ServedNet(folded).eval(), folded.config.size, ("age_probs", "gender_probs")
    else:
        served = NamedOutputs(folded).eval()
        size, names = folded.input.size, served.names
    stream = io.BytesIO()
    with _quiet():
        torch.onnx.export(
            served,
            (torch.zeros(2, 3, size, size),),
            stream,  # type: ignore[arg-type]  # a path by its annotation, a stream by its documentation
            input_names=["image"],
            output_names=list(names),
            dynamic_shapes=({0: torch.export.Dim("n", min=1, max=4096)},),
            opset_version=18,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = onnx.load_from_string(stream.getvalue())
    pool_within_convolutions(model)
    _slim(model, keep_weights=isinstance(folded, TwoHeadNet))
    return model


def pool_within_convolutions(model: onnx.ModelProto) -> None:
    """Turn each mean-pool of 2×2 before a 1×1 convolution into one convolution of 2×2 with stride 2, in place.

    The same numbers, up to the rounding of a sum; the kernel is the 1×1 one, a quarter of it, at all four places. It is
    stored once and spread out when the file is loaded. ONNX Runtime pools with rounding up outside of its fast
    layout: a seventh of agewise-s's time on a CPU with AVX2.
    """
    inferred = onnx.shape_inference.infer_shapes(model).graph
    sizes = {
        value.name: [step.dim_value for step in value.type.tensor_type.shape.dim][2:]
        for value in (*inferred.value_info, *inferred.input)
    }
    graph = model.graph
    stored = {value.name: value for value in graph.initializer}
    readers = [name for node in graph.node for name in node.input]
    pools = {node.output[0]: node for node in graph.node if node.op_type == "AveragePool"}
    spread: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        pool = pools.get(node.input[0]) if node.op_type == "Conv" else None
        if pool is None or not _is_pointwise(node, stored) or not _halves(pool, sizes.get(pool.input[0], [])):
            nodes.append(node)
            continue
        weight = node.input[1]
        if weight not in spread:  # members of an ensemble run twice
            spread[weight] = f"{weight}.spread"
            array = numpy_helper.to_array(stored[weight]) / 4
            stored[weight].CopyFrom(numpy_helper.from_array(array, weight))
            shape = numpy_helper.from_array(np.array([*array.shape[:2], 2, 2]), f"{weight}.shape")
            graph.initializer.append(shape)
            nodes.append(helper.make_node("Expand", [weight, shape.name], [spread[weight]]))
        new = helper.make_node("Conv", [pool.input[0], spread[weight], *node.input[2:]], list(node.output))
        new.attribute.extend([helper.make_attribute("kernel_shape", [2, 2]), helper.make_attribute("strides", [2, 2])])
        nodes.append(new)
        if readers.count(pool.output[0]) == 1:
            nodes.remove(pool)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)


def _is_pointwise(node: onnx.NodeProto, stored: dict[str, onnx.TensorProto]) -> bool:
    """A 1×1 convolution of step 1, without groups and borders, whose weight is stored."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    weight = stored.get(node.input[1])
    return (
        weight is not None
        and list(weight.dims[2:]) == [1, 1]
        and given.get("group", 1) == 1
        and all(step == 1 for step in given.get("strides", []))
        and not any(given.get("pads", []))
    )


def _halves(pool: onnx.NodeProto, size: list[int]) -> bool:
    """A pool of 2×2 with stride 2 over a picture whose known sides are even, so that it has no border."""
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in pool.attribute}
    return (
        list(given.get("kernel_shape", [])) == [2, 2]
        and list(given.get("strides", [])) == [2, 2]
        and not any(given.get("pads", []))
        and len(size) == 2
        and all(side > 0 and side % 2 == 0 for side in size)
    )


_DEFAULTS = {
    "storage_order": 0,
    "ceil_mode": 0,
    "auto_pad": b"NOTSET",
    "count_include_pad": 0,
    "group": 1,
    "alpha": 1.0,
    "beta": 1.0,
    "transA": 0,
}
"""Of attributes, where the operators that we get have no other."""


def _slim(model: onnx.ModelProto, *, keep_weights: bool) -> None:
    """Leave out what says nothing, and shorten the names inside: a third of a very small file.

    With `keep_weights`, weights keep the names that they have in PyTorch.
    """
    outside = {value.name for value in (*model.graph.input, *model.graph.output)}
    short: dict[str, str] = {name: name for name in outside} | {"": ""}
    for initializer in model.graph.initializer:
        short[initializer.name] = initializer.name if keep_weights else f"w{len(short)}"
        initializer.name = short[initializer.name]
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces of the exporter
        node.doc_string = node.name = ""
        for names in (node.input, node.output):
            names[:] = [short.setdefault(name, f"t{len(short)}") for name in names]
        kept = [attribute for attribute in node.attribute if not _is_default(node.op_type, attribute)]
        del node.attribute[:]
        node.attribute.extend(kept)
    del model.graph.value_info[:]


def _is_default(kind: str, attribute: onnx.AttributeProto) -> bool:
    value = helper.get_attribute_value(attribute)
    if kind in ("Conv", "AveragePool", "MaxPool"):
        if attribute.name == "pads":
            return not any(value)
        if attribute.name == "dilations":
            return all(step == 1 for step in value)
    elif kind != "Gemm":
        return False
    return attribute.name in _DEFAULTS and value == _DEFAULTS[attribute.name]


def store_as_int8(model: onnx.ModelProto, *, half_below: int = 0) -> onnx.ModelProto:
    """The same network with its large convolution and dense weights stored as int8.

    Args:
        model: in float32.
        half_below: weights with fewer elements than this are stored as float16 in place of int8. The first
            convolutions are small, and their rounding goes through all that follow.
    """
    model = copy.deepcopy(model)
    graph = model.graph
    weights = {node.input[1]: _output_axis(node) for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")}
    for node in graph.node:
        if node.op_type == "Expand" and node.output[0] in weights:
            weights[node.input[0]] = weights[node.output[0]]
    front: list[onnx.NodeProto] = []
    for initializer in list(graph.initializer):
        axis = weights.get(initializer.name)
        array = numpy_helper.to_array(initializer)
        if axis is None or array.size < _LEAST_ELEMENTS:
            continue
        if array.size < half_below:
            front.append(_as_half(graph, initializer))
            continue
        ways = [_rounded(array, along) for along in (axis, 1 - axis)]
        stored, scale = min(ways, key=lambda way: _relative_error(array, way[0] * way[1], axis))
        name = initializer.name
        graph.initializer.remove(initializer)
        graph.initializer.append(numpy_helper.from_array(stored, f"{name}.int8"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        front.append(helper.make_node("Cast", [f"{name}.int8"], [f"{name}.float"], to=onnx.TensorProto.FLOAT))
        front.append(helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name]))
    nodes = [*front, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def _rounded(array: npt.NDArray[np.float32], axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Integers −127 to 127 and their scales, one for each index of `axis`: their product is near the weight."""
    others = tuple(i for i in range(array.ndim) if i != axis)
    scale = np.maximum(np.abs(array).max(axis=others, keepdims=True), 1e-12) / 127
    return np.clip(np.round(array / scale), -127, 127).astype(np.int8), scale.astype(np.float32)


def _relative_error(array: npt.NDArray[np.float32], near: npt.NDArray[np.float32], axis: int) -> float:
    """The mean over a weight's outputs, along `axis`, of the squared error as a share of the squares: outputs of all
    sizes count alike.
    """
    others = tuple(i for i in range(array.ndim) if i != axis)
    return float((np.square(near - array).sum(others) / np.maximum(np.square(array).sum(others), 1e-24)).mean())


def store_as_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with its large weights stored as float16, half of the size; it still computes in float32."""
    model = copy.deepcopy(model)
    graph = model.graph
    front = [
        _as_half(graph, initializer)
        for initializer in list(graph.initializer)
        if initializer.data_type == onnx.TensorProto.FLOAT and math.prod(initializer.dims) >= _LEAST_ELEMENTS
    ]
    nodes = [*front, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def _as_half(graph: onnx.GraphProto, initializer: onnx.TensorProto) -> onnx.NodeProto:
    """Store a weight as float16; gives the node that makes it float32 again, to be put before all others."""
    array = numpy_helper.to_array(initializer)
    largest = float(np.abs(array).max())
    if largest > float(np.finfo(np.float16).max):
        raise ValueError(f"a weight of {largest:g} is too large for float16: store int8 or float32")
    name = initializer.name
    graph.initializer.remove(initializer)
    graph.initializer.append(numpy_helper.from_array(array.astype(np.float16), f"{name}.half"))
    return helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT)


def _output_axis(node: onnx.NodeProto) -> int:
    """The axis of a node's weights along which its output channels lie."""
    if node.op_type == "Gemm":
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        return 0 if transposed else 1
    return 1 if node.op_type == "MatMul" else 0


def with_card(model: onnx.ModelProto, card: ModelCard) -> bytes:
    """The file's bytes, with the card in its metadata."""
    model = copy.deepcopy(model)
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    model.producer_name, model.producer_version, model.doc_string = "agewise-lab", card.version, card.summary
    return bytes(model.SerializeToString())
