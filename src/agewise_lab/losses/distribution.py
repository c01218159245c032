"""Ages as distributions of a fixed spread: DLDL, and DLDL-v2 with the expectation. See also `label_distribution`."""

from __future__ import annotations

import torch
from torch import Tensor

from agewise_lab.losses.label_distribution import label_spread, soft_cross_entropy
from agewise_lab.losses.targets import AgeTarget, beyond, inside

# Dimension letters: B batch, A age classes.


def normal_labels(target: AgeTarget, class_ages_A: Tensor, spread: float) -> Tensor:
    """A normal distribution about each age; about each age of a class, and their mean: (B, A), rows sum to one.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([0.0]), most=2.0)  # 1, exp(-1/2), exp(-2), divided by their sum
    >>> [round(v, 4) for v in normal_labels(t, torch.arange(3.0), 1.0)[0].tolist()]
    [0.5741, 0.3482, 0.0777]
    """
    exact = torch.softmax(-0.5 * ((class_ages_A[None] - target.age[:, None]) / spread).square(), dim=1)
    wide_B = target.high > target.low
    if not bool(wide_B.any()):
        return exact
    between = torch.softmax(-0.5 * ((class_ages_A[None] - class_ages_A[:, None]) / spread).square(), dim=1)
    may_BA = inside(class_ages_A, target)
    mixed = (may_BA / may_BA.sum(dim=1, keepdim=True)) @ between
    return torch.where(wide_B[:, None], mixed, exact)


def dldl(logits_BA: Tensor, target: AgeTarget, class_ages_A: Tensor, *, spread: float = 2.0) -> Tensor:
    """Kullback-Leibler divergence from the label's normal distribution, (B,).

    A class of ages: the mean of its ages' distributions.

    Source: Gao, Xing, Xie, Wu, Geng: «Deep Label Distribution Learning with Label Ambiguity» (DLDL), IEEE
    TIP 2017.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([0.0]), most=2.0)
    >>> flat = dldl(torch.zeros(1, 3), t, torch.arange(3.0), spread=1.0)  # log 3 less the label's entropy 0.8844
    >>> [round(v, 4) for v in flat.tolist()]
    [0.2142]
    """
    return soft_cross_entropy(logits_BA, normal_labels(target, class_ages_A, spread))


def dldl_v2(
    logits_BA: Tensor, target: AgeTarget, class_ages_A: Tensor, *, spread: float = 2.0, expectation_weight: float = 1.0
) -> Tensor:
    """DLDL, and the distance of the expectation from the age, in years, (B,).

    A class of ages: as in `dldl`, and the distance of the expectation from the class.

    Source: Gao, Zhou, Wu, Geng: «Age Estimation Using Expectation of Label Distribution Learning»
    (DLDL-v2), IJCAI 2018, eqs. 5-7.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([0.0]), most=2.0)
    >>> [round(v, 4) for v in dldl_v2(torch.zeros(1, 3), t, torch.arange(3.0), spread=1.0).tolist()]  # 0.2142 + 1
    [1.2142]
    """
    far_B = beyond(torch.softmax(logits_BA, dim=1) @ class_ages_A, target).abs()
    return dldl(logits_BA, target, class_ages_A, spread=spread) + expectation_weight * far_B


def growing_spread(
    logits_BA: Tensor, target: AgeTarget, class_ages_A: Tensor, *, expectation_weight: float = 0.2
) -> Tensor:
    """agewise's own: DLDL-v2 with a spread that grows with the age, see `label_distribution`, (B,).

    A class of ages: the spread of its middle, and otherwise as `dldl_v2`.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([0.0]), most=2.0)  # the spread is 0.8; log 3 less the entropy 0.7363, and 0.2
    >>> [round(v, 4) for v in growing_spread(torch.zeros(1, 3), t, torch.arange(3.0)).tolist()]
    [0.5624]
    """
    spread_B1 = label_spread(target.age)[:, None]
    far = torch.relu(target.low[:, None] - class_ages_A[None]) + torch.relu(class_ages_A[None] - target.high[:, None])
    label = torch.softmax(-0.5 * (far / spread_B1).square(), dim=1)
    beside_B = beyond(torch.softmax(logits_BA, dim=1) @ class_ages_A, target).abs()
    return soft_cross_entropy(logits_BA, label) + expectation_weight * beside_B
