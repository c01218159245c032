"""Networks as released files hold them, batch norms folded into their convolutions, and the way back.

A file that ships is all that is left of a run after a while. Its networks can still answer together with others, teach,
and be trained on.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from agewise.engine import OnnxEngine
from agewise_lab.architectures.base import AgeGenderNet
from agewise_lab.architectures.compact import CompactConfig, CompactNet
from agewise_lab.architectures.recognition import RecognitionConfig, RecognitionNet
from agewise_lab.architectures.two_heads import TwoHeadNet

_Net = TypeVar("_Net", bound=nn.Module)


def fold_batch_norms(net: _Net) -> _Net:
    """A copy in evaluation mode whose convolutions, or heads, hold their batch norms."""
    folded: _Net = copy.deepcopy(net).eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for module in list(folded.modules()):
        if isinstance(module, RecognitionNet):
            module.fold_norm()
        if not isinstance(module, nn.Sequential):
            continue
        for i in range(len(module) - 1):
            conv, norm = module[i], module[i + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[i], module[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return folded


def unfold_batch_norms(folded: TwoHeadNet, images: Iterable[Tensor]) -> TwoHeadNet:
    """The same function with batch norms, which training needs; the inverse of `fold_batch_norms`.

    Each batch norm has the statistics of its convolution's output over `images` and undoes them, so in evaluation
    mode nothing changes, and in training mode little on pictures of that kind.

    Args:
        folded: a network whose convolutions, or heads, hold their batch norms, as `stored_nets_of` gives it.
        images: batches of float RGB 0..1 (n, 3, s, s), of the pictures that will be trained on.

    Raises:
        ValueError: no images.
    """
    if isinstance(folded, RecognitionNet):
        recognition = copy.deepcopy(folded)
        recognition.unfold_norm(images)
        return recognition.eval()
    assert isinstance(folded, CompactNet)
    return unfold_into(CompactNet(folded.config), folded, images)


def unfold_into(net: _Net, folded: _Net, images: Iterable[Tensor]) -> _Net:
    """What `unfold_batch_norms` does, for a network of any kind whose batch norms follow convolutions.

    Args:
        net: of the same shape as `folded`, with batch norms; changed in place.
        folded: as `stored_net_of` gives it.
        images: batches of what the network is fed (n, 3, s, s), of the pictures that will be trained on.

    Raises:
        ValueError: no images.
    """
    held = dict(folded.named_modules())
    pairs = [
        (f"{name}.{i}", module[i], module[i + 1])
        for name, module in net.named_modules()
        if isinstance(module, nn.Sequential)
        for i in range(len(module) - 1)
        if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1], nn.BatchNorm2d)
    ]
    moments = _moments({name: held[name] for name, _, _ in pairs}, folded, images)
    own = net.state_dict()
    net.load_state_dict(own | {name: value for name, value in folded.state_dict().items() if name in own})
    for name, conv, norm in pairs:
        mean, variance = moments[name]
        without = mean if conv.bias is not None else mean - held[name].bias  # type: ignore[operator]
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(without)
        norm.running_var.copy_(variance)
        with torch.no_grad():
            norm.weight.copy_(torch.sqrt(variance + norm.eps))
            norm.bias.copy_(mean)
    return net.eval()


@torch.no_grad()
def _moments(
    layers: dict[str, nn.Module], net: nn.Module, images: Iterable[Tensor]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance of each channel of the layers' outputs over all images and places."""
    sums: dict[str, Tensor] = {}

    def add(name: str, output: Tensor) -> None:
        x = output.double()
        count = torch.full((x.shape[1],), float(x.numel() // x.shape[1]), dtype=torch.float64)
        new = torch.stack([count, x.sum((0, 2, 3)), x.square().sum((0, 2, 3))])
        sums[name] = sums[name] + new if name in sums else new

    hooks = [
        layer.register_forward_hook(lambda _module, _inputs, output, name=name: add(name, output))
        for name, layer in layers.items()
    ]
    for image_B3HW in images:
        net(image_B3HW)
    for hook in hooks:
        hook.remove()
    if not sums:
        raise ValueError("batch norms need pictures to take their statistics from, got none")
    return {
        name: ((total / count).float(), (squares / count - (total / count).square()).clamp(min=0).float())
        for name, (count, total, squares) in sums.items()
    }


def fresh_net(config: CompactConfig | RecognitionConfig) -> CompactNet | RecognitionNet:
    """A network of a shape, with fresh weights."""
    return CompactNet(config) if isinstance(config, CompactConfig) else RecognitionNet(config)


def stored_nets_of(source: onnx.ModelProto | Path, config: CompactConfig | RecognitionConfig) -> list[TwoHeadNet]:
    """The networks inside a released file, batch norms folded, in evaluation mode.

    So models whose runs are gone can still answer together with others, and teach. Weights stored as int8 come back as
    the file's runtime reads them. Weights are told by their order in the graph, which is that of the forward pass.

    Args:
        source: made by `to_onnx` from a `TwoHeadNet` or an `Ensemble` of them, as it is or stored as int8; or its path.
        config: the shape that each network was trained with.

    Returns:
        One network, or the members of an ensemble in their order; whether they see the mirror image is not told.

    Raises:
        ValueError: the file's weights are not those of such networks.
    """
    model = onnx.load(source) if isinstance(source, Path) else source
    constants = _Constants(model)
    blank: TwoHeadNet = fold_batch_norms(fresh_net(config))
    convolutions = [name for name, module in blank.named_modules() if isinstance(module, nn.Conv2d)]
    found = {kind: _weights_of(model, kind) for kind in ("Conv", "Gemm")}
    outputs = {name: module.out_features for name, module in blank.named_modules() if isinstance(module, nn.Linear)}
    dense = {
        name: [pair for pair in found["Gemm"] if len(constants[pair[1]]) == count] for name, count in outputs.items()
    }
    count = len(found["Conv"]) // len(convolutions)
    if count == 0 or {len(found["Conv"]), *map(len, dense.values())} != {count * len(convolutions), count}:
        raise ValueError(
            f"the file's weights are not those of a network of this shape: it has {len(found['Conv'])} "
            f"convolutions and {len(found['Gemm'])} dense layers, one network of {config} has {len(convolutions)} and "
            f"{len(outputs)}"
        )
    nets = []
    for k in range(count):
        net = copy.deepcopy(blank)
        layers = dict(zip(convolutions, found["Conv"][k * len(convolutions) :], strict=False))
        layers |= {name: pairs[k] for name, pairs in dense.items()}
        state = {
            f"{name}.{part}": torch.tensor(constants[source])
            for name, pair in layers.items()
            for part, source in zip(("weight", "bias"), pair, strict=True)
        }
        try:
            net.load_state_dict(state)
        except RuntimeError as e:
            raise ValueError(f"the file's weights are not those of a network of this shape: {e}") from e
        nets.append(net)
    return nets


def stored_net_of(source: onnx.ModelProto | Path, fresh: AgeGenderNet) -> AgeGenderNet:
    """The network by name inside a released file, batch norms folded, in evaluation mode.

    Weights are told by their numbers, which follow the network's parameters, and held to the file's answers to noise.

    Args:
        source: made by `to_onnx` from an `AgeGenderNet`, as it is or stored as float16; or its path.
        fresh: a network of the shape that it was trained with; not changed.

    Raises:
        ValueError: the file's weights are not those of such a network: two that were joined are none.
    """
    model = onnx.load(source) if isinstance(source, Path) else source
    net = fold_batch_norms(fresh)
    weights = _numbered_weights(model)
    own = dict(net.named_parameters())
    problem = f"the file's weights are not those of a network of this shape, {type(fresh.backbone).__name__}: "
    if [weight.shape for weight in weights] != [tuple(weight.shape) for weight in own.values()]:
        raise ValueError(f"{problem}it has {len(weights)} arrays, the network {len(own)}, or they have other shapes")
    with torch.no_grad():
        for value, weight in zip(own.values(), weights, strict=True):
            value.copy_(torch.tensor(weight))
        image = torch.rand(2, 3, net.input.size, net.input.size) / net.input.scale / max(net.input.std)
        answers = net.served(image)
    given = OnnxEngine(model.SerializeToString()).run({"image": image.numpy()})
    if given.keys() != answers.keys() or any(
        not np.allclose(value.numpy(), given[name], rtol=1e-3, atol=1e-3) for name, value in answers.items()
    ):
        raise ValueError(f"{problem}with them it answers otherwise than the file")
    return net


def _numbered_weights(model: onnx.ModelProto) -> list[npt.NDArray[np.float32]]:
    """The arrays that `to_onnx` has named w12, w13, … in their order, as the network computes with them."""
    constants = _Constants(model)
    numbers = [
        int(name[1])
        for value in model.graph.initializer
        if value.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
        if (name := re.fullmatch(r"w(\d+)(?:\.half)?", value.name))
    ]
    return [constants.in_use(f"w{number}") for number in sorted(numbers)]


def _weights_of(model: onnx.ModelProto, kind: str) -> list[tuple[str, str]]:
    """(weight, bias) of each layer of a kind, in order; a layer that is used twice once."""
    pairs = [(node.input[1], node.input[2]) for node in model.graph.node if node.op_type == kind]
    return list(dict.fromkeys(pairs))


class _Constants:
    """Values of a file's weights by the name that the graph knows them by."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._stored = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
        self._makers = {node.output[0]: node for node in model.graph.node if node.op_type in ("Cast", "Mul", "Expand")}

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        if name in self._stored:
            return np.asarray(self._stored[name], dtype=np.float32)
        maker = self._makers[name]
        parts = [self[part] for part in maker.input]
        if maker.op_type == "Expand":  # a 1×1 kernel and the pool before it: see `pool_within_convolutions`
            return parts[0] * 4
        return parts[0] if maker.op_type == "Cast" else parts[0] * parts[1]

    def in_use(self, name: str) -> npt.NDArray[np.float32]:
        """A weight as a layer reads it: see `pool_within_convolutions`."""
        spread = (out for out, node in self._makers.items() if node.op_type == "Expand" and node.input[0] == name)
        return self[next(spread, name)]
