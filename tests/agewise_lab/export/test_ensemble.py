"""Networks that answer together."""

from __future__ import annotations

import pytest
import torch

from agewise_lab.architectures.compact import CompactConfig, CompactNet
from agewise_lab.export.ensemble import Ensemble

TINY = CompactConfig(size=16, stem=4, widths=(4, 6), depths=(1, 1))


def _net(seed: int, config: CompactConfig = TINY) -> CompactNet:
    torch.manual_seed(seed)
    return CompactNet(config).eval()


def test_the_mean_of_the_members() -> None:
    image = torch.rand(3, 3, 16, 16)
    both = Ensemble([_net(1), _net(2)]).eval().served(image)
    for k, name in enumerate(("age_probs", "gender_probs")):
        expected = (torch.softmax(_net(1)(image)[k], 1) + torch.softmax(_net(2)(image)[k], 1)) / 2
        torch.testing.assert_close(both[name], expected)
        torch.testing.assert_close(both[name].sum(1), torch.ones(3))


def test_a_mirrored_ensemble_does_not_know_left_from_right() -> None:
    image = torch.rand(2, 3, 16, 16)
    mirrored, plain = Ensemble([_net(1)], mirrored=True).eval(), Ensemble([_net(1)]).eval()
    torch.testing.assert_close(mirrored.served(image)["age_probs"], mirrored.served(image.flip(3))["age_probs"])
    assert not torch.allclose(plain.served(image)["age_probs"], plain.served(image.flip(3))["age_probs"])


@pytest.mark.parametrize(
    "members", [[], [_net(1), _net(2, CompactConfig(size=32, stem=4, widths=(4, 6), depths=(1, 1)))]]
)
def test_members_that_do_not_fit(members: list[CompactNet]) -> None:
    with pytest.raises(ValueError, match="members of one input size"):
        Ensemble(members)
