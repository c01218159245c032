"""Networks out of released files, and batch norms there and back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from agewise.engine import OnnxEngine
from agewise_lab.architectures.base import AgeGenderNet
from agewise_lab.architectures.compact import CompactConfig, CompactNet
from agewise_lab.architectures.stored import (
    fold_batch_norms,
    stored_net_of,
    stored_nets_of,
    unfold_batch_norms,
    unfold_into,
)
from agewise_lab.export.ensemble import Ensemble
from agewise_lab.export.onnx_model import store_as_float16, store_as_int8, to_onnx
from agewise_lab.heads.build import build_net

# Even all the way (pools become part of convolutions), odd in the last stage (they do not), with gates.
SHAPES = {
    "even": CompactConfig(size=16, stem=4, widths=(16, 24), depths=(1, 2), first_stride=2),
    "odd": CompactConfig(size=20, stem=4, widths=(16, 24, 24), depths=(1, 1, 1)),
    "gates": CompactConfig(size=16, stem=4, widths=(16, 24), depths=(1, 1), squeeze=4),
}


def _net(seed: int, config: CompactConfig) -> CompactNet:
    """As after training: the exporter leaves out what is zero, and statistics are not those of a fresh norm."""
    torch.manual_seed(seed)
    net = CompactNet(config)
    for value in net.parameters():
        nn.init.normal_(value, 0.1, 0.1)
    with torch.no_grad():
        net.train()(torch.rand(16, 3, config.size, config.size))
    return net.eval()


def _image(config: CompactConfig, count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, config.size, config.size, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "store",
    [lambda model: model, store_as_int8, partial(store_as_int8, half_below=10_000)],
    ids=["float32", "int8", "int8 and float16"],
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_released_file_gives_its_networks_back(
    shape: str, store: Callable[[onnx.ModelProto], onnx.ModelProto], mirrored: bool, tmp_path: Path
) -> None:
    config = SHAPES[shape]
    nets = [_net(seed, config) for seed in (1, 2, 3)]
    model = store(to_onnx(Ensemble(nets, mirrored=mirrored).eval()))
    expected = OnnxEngine(model.SerializeToString()).run({"image": _image(config).numpy()})
    back = stored_nets_of(model, config)
    assert len(back) == 3
    with torch.inference_mode():
        answer = Ensemble(back, mirrored=mirrored).eval().served(_image(config))
        for net, was in zip(back, nets, strict=True):  # in their order
            near = torch.softmax(net(_image(config))[0], 1), torch.softmax(was(_image(config))[0], 1)
            assert (near[0] - near[1]).abs().max() < 0.01
    for name, value in answer.items():
        np.testing.assert_allclose(value.numpy(), expected[name], atol=1e-6)
    onnx.save(model, tmp_path / "file.onnx")
    (again, *_) = stored_nets_of(tmp_path / "file.onnx", config)
    assert torch.equal(again.age.weight, back[0].age.weight)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_network_alone_too(shape: str) -> None:
    config = SHAPES[shape]
    (back,) = stored_nets_of(to_onnx(_net(1, config)), config)
    with torch.inference_mode():
        for ours, theirs in zip(back(_image(config)), _net(1, config)(_image(config)), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "other",
    [
        CompactConfig(size=16, stem=8, widths=(16, 24), depths=(1, 2), first_stride=2),
        CompactConfig(size=16, stem=4, widths=(16, 24), depths=(1, 1), first_stride=2),
        CompactConfig(size=16, stem=4, widths=(16, 24), depths=(1, 2), first_stride=2, ages=50),
    ],
    ids=["widths", "depths", "ages"],
)
def test_a_file_of_another_shape(other: CompactConfig) -> None:
    with pytest.raises(ValueError, match="not those of a network of this shape"):
        stored_nets_of(to_onnx(_net(1, SHAPES["even"])), other)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norms_come_back_and_change_nothing(shape: str) -> None:
    config = SHAPES[shape]
    net, images = _net(1, config), [_image(config, 32), _image(config, 8)]
    folded = fold_batch_norms(net)
    back = unfold_batch_norms(folded, images)
    assert not any(module.training for module in back.modules())
    norms = [module for module in back.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    with torch.inference_mode():
        expected = net(_image(config))
        for ours, theirs in zip(back(_image(config)), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_batch_norms_have_the_statistics_of_the_pictures() -> None:
    """So the network in training mode, on those very pictures, answers as in evaluation mode."""
    config = CompactConfig(size=16, stem=4, widths=(16, 24), depths=(1, 2), first_stride=2, dropout=0.0)
    image = _image(config, 64)
    back = unfold_batch_norms(fold_batch_norms(_net(1, config)), [image])
    with torch.no_grad():
        expected = back(image)
        for ours, theirs in zip(back.train()(image), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_batch_norms_need_pictures() -> None:
    with pytest.raises(ValueError, match="need pictures"):
        unfold_batch_norms(fold_batch_norms(_net(1, SHAPES["even"])), [])


def _named(seed: int, *, gender: bool = True) -> AgeGenderNet:
    """SSR-Net as after training, as `_net`."""
    torch.manual_seed(seed)
    net = build_net("ssrnet", age="soft-stagewise", gender="two-way" if gender else None)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.1)
                nn.init.normal_(module.bias, 0.0, 0.1)
        for _ in range(20):  # Keras' momentum moves the statistics slowly
            net.train()(_faces(32))
    return net.eval()


@functools.cache  # exporting takes a while
def _file(*, gender: bool) -> bytes:
    return bytes(to_onnx(_named(1, gender=gender)).SerializeToString())


def _faces(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 255


@pytest.mark.parametrize("store", [lambda model: model, store_as_float16], ids=["float32", "float16"])
@pytest.mark.parametrize("gender", [True, False])
def test_a_network_by_name_out_of_its_file(
    store: Callable[[onnx.ModelProto], onnx.ModelProto], gender: bool, tmp_path: Path
) -> None:
    model, fresh = store(onnx.load_from_string(_file(gender=gender))), _named(2, gender=gender)
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    onnx.save(model, tmp_path / "file.onnx")
    back = stored_net_of(tmp_path / "file.onnx", fresh)
    expected = OnnxEngine(model.SerializeToString()).run({"image": _faces(3).numpy()})
    with torch.inference_mode():
        answer = back.served(_faces(3))
    assert answer.keys() == expected.keys()
    for name, value in answer.items():
        np.testing.assert_allclose(value.numpy(), expected[name], atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in fresh.state_dict().items())


def test_a_file_of_another_network_by_name() -> None:
    model = onnx.load_from_string(_file(gender=False))
    with pytest.raises(ValueError, match="not those of a network of this shape, SsrNet: it has"):
        stored_net_of(model, _named(1))
    (flattened,) = (node for node in model.graph.node if node.op_type == "Concat")
    flattened.input[1], flattened.input[3] = flattened.input[3], flattened.input[1]
    with pytest.raises(ValueError, match="with them it answers otherwise than the file"):
        stored_net_of(model, _named(1, gender=False))


def test_batch_norms_come_back_in_a_network_by_name() -> None:
    folded = fold_batch_norms(_named(1))
    back = unfold_into(_named(2), folded, [_faces(32), _faces(8, seed=1)])
    image = torch.cat([_faces(32), _faces(8, seed=1)])
    with torch.no_grad():
        expected, answer = folded.served(image), back.served(image)
        back.backbone.train()
        trained = back.served(image)
    for name, value in expected.items():
        torch.testing.assert_close(answer[name], value, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(trained[name], value, atol=1e-2, rtol=1e-2)
