"""Ages as a few wide classes with gaps, as Adience has them: cross-entropy with soft neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from agewise_lab.losses.label_distribution import soft_cross_entropy
from agewise_lab.losses.targets import AgeTarget

# Dimension letters: B batch, N bins.

ADIENCE_BINS: tuple[tuple[float, float], ...] = (
    (0, 3), (4, 7), (8, 13), (15, 21), (25, 33), (38, 44), (48, 54), (60, 101),
)  # fmt: skip
"""Adience's eight classes as [low, high): «(0, 2)» holds the ages from 0 up to the third birthday."""


def bin_of(target: AgeTarget, bins_N2: Tensor) -> Tensor:
    """The bin of each age, (B,), int64: that which holds the middle of the target, else the nearest one.

    >>> from agewise_lab.losses.targets import age_target
    >>> bin_of(age_target(torch.tensor([1.0, 14.2, 55.0, 100.0])), torch.tensor(ADIENCE_BINS)).tolist()
    [0, 3, 6, 7]
    """
    age_B1 = target.age[:, None]
    outside = torch.relu(bins_N2[None, :, 0] - age_B1) + torch.relu(age_B1 - bins_N2[None, :, 1])
    return outside.argmin(dim=1)


def soft_bins(logits_BN: Tensor, target: AgeTarget, bins_N2: Tensor, *, neighbours: float = 0.0) -> Tensor:
    """Divergence from a label that leaves `neighbours` of its weight to the bins beside it, (B,).

    Half to each; the whole of it to the one neighbour of the first and the last bin. With 0 that is
    cross-entropy. A class of ages that is a bin is that bin; another one is the bin of its middle.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([1.0]))
    >>> hard, soft = (soft_bins(torch.zeros(1, 8), t, torch.tensor(ADIENCE_BINS), neighbours=n) for n in (0.0, 0.5))
    >>> [round(float(v), 4) for v in (hard, soft)]  # log 8, and log 8 less log 2, the label's entropy
    [2.0794, 1.3863]
    """
    if not 0 <= neighbours < 1:
        raise ValueError(f"neighbours is a share of the label's weight, 0 up to 1, got {neighbours}")
    count = len(bins_N2)
    one_hot = torch.nn.functional.one_hot(bin_of(target, bins_N2), count).to(logits_BN)
    beside = torch.zeros_like(one_hot)
    beside[:, 1:] += one_hot[:, :-1]
    beside[:, :-1] += one_hot[:, 1:]
    beside = beside / beside.sum(dim=1, keepdim=True)
    return soft_cross_entropy(logits_BN, (1 - neighbours) * one_hot + neighbours * beside)
