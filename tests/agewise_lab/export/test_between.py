"""Weights between two networks: the ends are the two, the middle is their mean, batch norms folded."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from agewise_lab.architectures.compact import CompactConfig, CompactNet
from agewise_lab.architectures.recognition import RecognitionConfig, RecognitionNet
from agewise_lab.architectures.stored import fold_batch_norms
from agewise_lab.architectures.two_heads import TwoHeadNet
from agewise_lab.export.between import between

COMPACT = CompactConfig(size=32, stem=8, widths=(8, 16), depths=(1, 1), dropout=0.0, ages=7)
RECOGNITION = RecognitionConfig(size=60, blocks=8, hidden=6, ages=7)


def _compact(seed: int) -> TwoHeadNet:
    return _used(CompactNet(COMPACT), seed)


def _recognition(seed: int) -> TwoHeadNet:
    return _used(RecognitionNet(RECOGNITION), seed)


def _used(net: TwoHeadNet, seed: int) -> TwoHeadNet:
    """With weights and statistics of its own."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                noise = 0.1 * torch.randn(value.shape, generator=random)
                value.add_(noise.abs() if name.endswith("running_var") else noise)
    return net.eval()


@pytest.mark.parametrize("make", [_compact, _recognition])
@pytest.mark.parametrize("folded", [False, True])
def test_the_ends_are_the_two_networks(make: Callable[[int], TwoHeadNet], folded: bool) -> None:
    first, second = make(1), make(2)
    image = torch.rand(2, 3, first.config.size, first.config.size)
    with torch.inference_mode():
        expected = [first(image), second(image)]
        given = fold_batch_norms(first) if folded else first
        for share, (age, gender) in zip((0.0, 1.0), expected, strict=True):
            got = between(given, second, share)(image)
            torch.testing.assert_close(got[0], age, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(got[1], gender, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(expected[0][0], expected[1][0], atol=1e-3)


def test_a_quarter_of_the_second_is_a_quarter_of_each_folded_weight() -> None:
    first, second = _compact(1), _compact(2)
    before = {name: value.clone() for name, value in first.state_dict().items()}
    got = between(first, second, 0.25).state_dict()
    parts = [fold_batch_norms(net).state_dict() for net in (first, second)]
    assert got.keys() == parts[0].keys()
    for name, value in got.items():
        torch.testing.assert_close(value, 0.75 * parts[0][name] + 0.25 * parts[1][name])
    assert all(torch.equal(value, before[name]) for name, value in first.state_dict().items())


@pytest.mark.parametrize(
    ("make", "share", "message"),
    [(_compact, 1.5, "0 to 1, got 1.5"), (_compact, -0.1, "got -0.1"), (_recognition, 0.5, "these two differ")],
)
def test_what_has_nothing_in_between(make: Callable[[int], TwoHeadNet], share: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        between(_compact(1), make(2), share)
