"""Units of SSR-Net's head that give every face the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agewise_lab.architectures.ssrnet import StagewiseLayers


def _maps(layers: StagewiseLayers, count: int = 400) -> Tensor:
    torch.manual_seed(3)
    return torch.relu(torch.randn(count, sum(layers.sizes)))


def _layers() -> StagewiseLayers:
    """Of the first stage all mixes are asleep, of the second one, the third is left as it is made."""
    torch.manual_seed(2)
    layers = StagewiseLayers().eval()
    with torch.no_grad():
        for k, units in ((0, [0, 1, 2]), (1, [2])):
            for mix in (layers.s_mix[k], layers.x_mix[k]):
                mix.bias.fill_(2.0)  # type: ignore[operator]
                mix.weight[units], mix.bias[units] = 0.0, -1.0  # type: ignore[index,operator]
            layers.probs[k].bias.fill_(0.4)  # type: ignore[operator]
    return layers


def _spread(layers: StagewiseLayers, features: Tensor, stage: int) -> float:
    with torch.no_grad():
        return float(layers(features)[stage][0].std(dim=0).max())


def _learns(layer: nn.Module, layers: StagewiseLayers, features: Tensor) -> list[bool]:
    layers.zero_grad()
    sum(probs.square().sum() for probs, _, _ in layers(features)).backward()  # type: ignore[union-attr]
    assert isinstance(layer, nn.Linear)
    assert layer.weight.grad is not None
    return [bool(row.abs().max() > 0) for row in layer.weight.grad]


def test_units_that_are_asleep_are_woken_and_the_others_left() -> None:
    layers = _layers()
    features = _maps(layers)
    before = [[part.detach().clone() for part in stage] for stage in layers(features)]
    awake = layers.s_mix[1].weight[:2].clone(), layers.s_mix[1].bias[:2].clone()  # type: ignore[index]
    assert _spread(layers, features, 0) == 0
    assert _learns(layers.s_mix[0], layers, features) == [False] * 3
    assert _learns(layers.s_mix[1], layers, features) == [True, True, False]
    assert layers.wake(features) >= 4
    assert _spread(layers, features, 0) > 0
    assert _learns(layers.s_mix[0], layers, features) == [True] * 3
    assert _learns(layers.x_mix[1], layers, features) == [True] * 3
    assert torch.equal(layers.s_mix[1].weight[:2], awake[0])  # type: ignore[index]
    assert torch.equal(layers.s_mix[1].bias[:2], awake[1])  # type: ignore[index]
    after = [[part.detach() for part in stage] for stage in layers(features)]
    for (p, delta, eta), (p_was, delta_was, eta_was) in zip(after, before, strict=True):
        assert torch.equal(delta, delta_was)
        assert (p.mean(0) - p_was.mean(0)).abs().max() < 0.1
        assert (eta.mean(0) - eta_was.mean(0)).abs().max() < 0.1
    assert layers.wake(features) == 0  # nothing is left to be woken


def test_a_class_that_is_always_zero_is_woken() -> None:
    layers = _layers()
    features = _maps(layers)
    layers.wake(features)
    with torch.no_grad():
        layers.probs[2].bias[1] = -9.0  # type: ignore[index]
    assert float(layers(features)[2][0][:, 1].detach().max()) == 0
    assert layers.wake(features) == 1
    assert float(layers(features)[2][0][:, 1].detach().mean()) > 0
