"""Gender: two logits, one logit, or a number. Unknown labels (NaN) cost nothing.

`female_B` is 1 for «female», 0 for «male», NaN for unknown, and a share in between where pictures are mixed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from agewise_lab.losses.label_distribution import soft_cross_entropy

# Dimension letters: B batch.


def two_way(logits_B2: Tensor, female_B: Tensor) -> Tensor:
    """Divergence of softmax over (female, male) from the label, (B,).

    >>> loss = two_way(torch.zeros(3, 2), torch.tensor([1.0, 0.0, torch.nan]))
    >>> [round(v, 4) for v in loss.tolist()]
    [0.6931, 0.6931, 0.0]
    """
    known, label = _known(female_B)
    return known * soft_cross_entropy(logits_B2, torch.stack([label, 1 - label], dim=1))


def binary(logit_B: Tensor, female_B: Tensor) -> Tensor:
    """Binary cross-entropy; the logit is that of «female», (B,).

    >>> loss = binary(torch.tensor([2.0, 2.0, 2.0]), torch.tensor([1.0, 0.0, torch.nan]))
    >>> [round(v, 4) for v in loss.tolist()]  # log(1 + e⁻²), log(1 + e²)
    [0.1269, 2.1269, 0.0]
    """
    known, label = _known(female_B)
    return known * binary_cross_entropy_with_logits(logit_B, label, reduction="none")


def regression(value_B: Tensor, female_B: Tensor) -> Tensor:
    """|value − label|, (B,): SSR-Net's loss, where 1 stands for the second label of its head.

    >>> regression(torch.tensor([0.25, 0.25, 0.25]), torch.tensor([1.0, 0.0, torch.nan])).tolist()
    [0.75, 0.25, 0.0]
    """
    known, label = _known(female_B)
    return known * (value_B - label).abs()


def _known(female_B: Tensor) -> tuple[Tensor, Tensor]:
    """1 where the label is known, else 0; and the labels with 0 for unknown ones."""
    return (~female_B.isnan()).to(female_B), torch.nan_to_num(female_B, nan=0.0)
