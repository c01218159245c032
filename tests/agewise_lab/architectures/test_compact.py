"""The compact family: its sizes and costs, any input, and that it can learn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from agewise_lab.architectures.compact import CompactConfig, CompactNet
from agewise_lab.losses.label_distribution import expected_age, label_distribution, soft_cross_entropy
from agewise_lab.recipes.agewise_s import S


def _parameters(net: nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())


def _multiply_adds(net: nn.Module, size: int) -> int:
    """Of convolutions and dense layers, one image: each output needs one a weight of its filter."""
    total = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module.weight, Tensor)
        total += output.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    net.eval()(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return total


def test_the_embedded_models_size_and_cost() -> None:
    net = CompactNet(S)
    assert _parameters(net) == 911_351
    assert _multiply_adds(net, S.size) == 35_986_528


def test_a_tiny_net_by_hand() -> None:
    net = CompactNet(CompactConfig(size=16, stem=4, widths=(4, 8), depths=(1, 1)))
    stem = 3 * 4 * 9 + 8
    first = 2 * (4 * 4 * 9 + 8)  # no projection: as many channels
    second = (4 * 8 * 9 + 16) + (8 * 8 * 9 + 16) + (4 * 8 + 16)
    heads = (8 + 1) * 101 + (8 + 1) * 2
    assert _parameters(net) == stem + first + second + heads
    convolutions = 64 * (3 * 4 * 9 + 2 * 4 * 4 * 9) + 16 * (4 * 8 * 9 + 8 * 8 * 9 + 4 * 8)
    assert _multiply_adds(net, 16) == convolutions + 8 * 103


@pytest.mark.parametrize("squeeze", [0, 4])
@pytest.mark.parametrize("first_stride", [1, 2])
@pytest.mark.parametrize("size", [8, 15, 16, 17, 33])
def test_any_input_size(size: int, first_stride: int, squeeze: int) -> None:
    config = CompactConfig(stem=4, widths=(4, 8), depths=(1, 2), squeeze=squeeze, first_stride=first_stride)
    age, gender = CompactNet(config)(torch.rand(2, 3, size, size))
    assert (age.shape, gender.shape) == ((2, 101), (2, 2))
    assert torch.isfinite(age).all()


def test_a_stage_of_no_blocks_vanishes() -> None:
    without = CompactNet(CompactConfig(stem=4, widths=(99, 8), depths=(0, 1)))
    assert _parameters(without) == _parameters(
        CompactNet(CompactConfig(stem=4, widths=(8,), depths=(1,), first_stride=2))
    )


def test_squeeze_and_excitation_is_used() -> None:
    net = CompactNet(CompactConfig(stem=4, widths=(8,), depths=(1,), squeeze=4)).eval()
    for module in net.modules():  # blocks start as their shortcuts; let this one do something
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    before = net(image)[0]
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if "expand.bias" in name:
                weight.fill_(-50.0)
    assert not torch.allclose(before, net(image)[0])


def test_blocks_start_as_their_shortcuts() -> None:
    net = CompactNet(CompactConfig(stem=4, widths=(4,), depths=(2,))).eval()
    stem = nn.Sequential(*list(net.features)[:2])
    image = torch.rand(1, 3, 16, 16)
    assert torch.allclose(net.features(image), stem(image))


@pytest.mark.parametrize(("widths", "depths"), [((4, 8), (1,)), ((4,), (1, 1))])
def test_widths_and_depths_must_pair_up(widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must pair up"):
        CompactConfig(widths=widths, depths=depths)


def test_it_learns_sixteen_images_by_heart() -> None:
    torch.manual_seed(0)
    image = torch.rand(16, 3, 16, 16)
    ages = torch.arange(16.0) * 6
    female = (torch.arange(16) % 3 == 0).long()
    classes = torch.arange(101.0)
    target = label_distribution(ages, classes)
    net = CompactNet(CompactConfig(size=16, stem=8, widths=(16, 32), depths=(1, 1), dropout=0.0))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(100):
        age, gender = net(image)
        far = (expected_age(age, classes) - ages).abs().mean()
        loss = soft_cross_entropy(age, target).mean() + 0.2 * far + nn.functional.cross_entropy(gender, female)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (expected_age(age, classes) - ages).abs().mean().item() < 2
    assert torch.equal(gender.argmax(dim=1), female)
