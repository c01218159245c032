"""Ages as classes: cross-entropy, mean-variance, and binary cross-entropy of each class."""

from __future__ import annotations

import torch
from torch import Tensor

from agewise_lab.losses.targets import AgeTarget, beyond, inside

# Dimension letters: B batch, A age classes.


def cross_entropy(logits_BA: Tensor, target: AgeTarget, class_ages_A: Tensor) -> Tensor:
    """Cross-entropy with the nearest class, (B,); decoded by expectation that is DEX.

    A class of ages: the probability of all ages in it together, −log Σ p_a.

    Source: Rothe, Timofte, Van Gool: «Deep expectation of real and apparent age from a single image
    without facial landmarks», IJCV 2018.

    >>> from agewise_lab.losses.targets import age_target
    >>> nan, ages = torch.nan, torch.arange(4.0)
    >>> t = age_target(torch.tensor([2.0, nan]), torch.tensor([nan, 1.0]), torch.tensor([nan, 2.0]), most=3.0)
    >>> [round(v, 4) for v in cross_entropy(torch.zeros(2, 4), t, ages).tolist()]  # log 4, log 2
    [1.3863, 0.6931]
    """
    may_BA = inside(class_ages_A, target)
    log_probs = torch.log_softmax(logits_BA, dim=1)
    return -torch.logsumexp(log_probs.masked_fill(may_BA == 0, -torch.inf), dim=1)


def mean_variance(
    logits_BA: Tensor,
    target: AgeTarget,
    class_ages_A: Tensor,
    *,
    mean_weight: float = 0.2,
    variance_weight: float = 0.05,
) -> Tensor:
    """Cross-entropy + 0.2 · ½ (mean − age)² + 0.05 · variance, (B,).

    A class of ages: its own cross-entropy, and the distance of the mean from the class.

    Source: Pan, Han, Shan, Chen: «Mean-Variance Loss for Deep Age Estimation from a Face», CVPR 2018,
    eqs. 2-5 and section 4.2.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([2.0]), most=2.0)
    >>> loss = mean_variance(torch.zeros(1, 3), t, torch.arange(3.0))  # log 3 + 0.2 · ½ · 1 + 0.05 · 2/3
    >>> [round(v, 4) for v in loss.tolist()]
    [1.2319]
    """
    probs = torch.softmax(logits_BA, dim=1)
    mean_B = probs @ class_ages_A
    variance_B = (probs * (class_ages_A[None] - mean_B[:, None]).square()).sum(dim=1)
    far_B = 0.5 * beyond(mean_B, target).square()
    return cross_entropy(logits_BA, target, class_ages_A) + mean_weight * far_B + variance_weight * variance_B


def class_binary_cross_entropy(
    logits_BA: Tensor, target: AgeTarget, class_ages_A: Tensor, *, spread: float = 2.0, positive_weight: float = 10.0
) -> Tensor:
    """Weighted binary cross-entropy of each age class of a softmax with soft targets about the age, (B,).

    −Σ_a [w · t_a · log p_a + (1 − t_a) · log(1 − p_a)], t the normal distribution about the age, 1 at its
    top. A class of ages: t is 1 in all of it and falls off from its ends.

    Source: system 4 of the research notes (Age-Gender-Pred); its notes leave the spread and the weight of
    the positive class open, so both are settings and the values ours.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([0.0]), most=1.0)  # targets 1 and exp(-1/8) = 0.8825
    >>> loss = class_binary_cross_entropy(torch.zeros(1, 2), t, torch.arange(2.0), positive_weight=1.0)
    >>> [round(v, 4) for v in loss.tolist()]  # 2 · log 2, as log p = log(1 - p)
    [1.3863]
    """
    far_BA = _beyond_classes(class_ages_A, target)
    soft_BA = torch.exp(-0.5 * (far_BA / spread).square())
    log_probs = torch.log_softmax(logits_BA, dim=1)
    log_rest = torch.log1p(-log_probs.exp().clamp(max=1 - 1e-6))
    return -(positive_weight * soft_BA * log_probs + (1 - soft_BA) * log_rest).sum(dim=1)


def sord(logits_BA: Tensor, target: AgeTarget, class_ages_A: Tensor, *, strength: float = 1.0) -> Tensor:
    """Cross-entropy with softmax(−strength · |class − age|), less its entropy: a divergence, (B,).

    A class of ages: no distance inside it, so that its ages share the weight.

    Source: Díaz, Marathe: «Soft Labels for Ordinal Regression» (SORD), CVPR 2019, eq. 1, with their
    absolute distance.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([0.0]), most=1.0)  # targets 0.7311 and 0.2689
    >>> [round(v, 4) for v in sord(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), t, torch.arange(2.0)).tolist()]
    [0.0, 0.1109]
    """
    log_soft = torch.log_softmax(-strength * _beyond_classes(class_ages_A, target), dim=1)
    return (log_soft.exp() * (log_soft - torch.log_softmax(logits_BA, dim=1))).sum(dim=1)


def unimodal_concentrated(
    logits_BA: Tensor, target: AgeTarget, class_ages_A: Tensor, *, unimodal_weight: float = 1000.0
) -> Tensor:
    """Likelihood of the age under a normal of the distribution's own mean and variance, and one peak only, (B,).

    ½ log v + (m − age)² / 2v, plus `unimodal_weight` times what p falls short of rising up to the age and
    falling after it. A class of ages: m's distance from it; no order is asked for inside it.

    Source: Li, Wang, Fan, Wang, Li, Ding: «Unimodal-Concentrated Loss: Fully Adaptive Label Distribution
    Learning for Ordinal Regression», CVPR 2022; its authors' code is not public. The variance is kept at or above 0.01
    here.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([2.0]), most=2.0)
    >>> flat = torch.zeros(1, 3)  # ½ log 2/3 + 1 / (4/3); nothing falls before the age
    >>> [round(v, 4) for v in unimodal_concentrated(flat, t, torch.arange(3.0)).tolist()]
    [0.5473]
    >>> falling = torch.tensor([[0.5, 0.25, 0.25]]).log()  # one fall of 0.25 before the age
    >>> one, two = (unimodal_concentrated(falling, t, torch.arange(3.0), unimodal_weight=w) for w in (0.0, 1.0))
    >>> [round(v, 4) for v in (two - one).tolist()]
    [0.25]
    """
    probs = torch.softmax(logits_BA, dim=1)
    mean_B = probs @ class_ages_A
    variance_B = (probs * (class_ages_A[None] - mean_B[:, None]).square()).sum(dim=1).clamp(min=0.01)
    concentrated = 0.5 * variance_B.log() + beyond(mean_B, target).square() / (2 * variance_B)
    rise = probs[:, 1:] - probs[:, :-1]
    middle = (class_ages_A[1:] + class_ages_A[:-1])[None] / 2
    before, after = middle < target.low[:, None], middle > target.high[:, None]
    wrong = torch.relu(-rise) * before + torch.relu(rise) * after
    return concentrated + unimodal_weight * wrong.sum(dim=1)


def _beyond_classes(class_ages_A: Tensor, target: AgeTarget) -> Tensor:
    """Distance of each class from the target, in years: (B, A)."""
    ages = class_ages_A[None]
    return torch.relu(target.low[:, None] - ages) + torch.relu(ages - target.high[:, None])
