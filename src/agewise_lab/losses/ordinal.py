"""Ages as a row of questions «older than a_k?»: OR-CNN, CORAL, CORN.

For A classes there are A − 1 thresholds, one logit each. The probabilities are decoded by
`agewise.decode.ordinal`. A class of ages leaves the questions open whose answer it does not know: they
cost nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from agewise_lab.losses.targets import AgeTarget

# Dimension letters: B batch, A age classes, K = A - 1 thresholds.


def levels(target: AgeTarget, class_ages_A: Tensor) -> tuple[Tensor, Tensor]:
    """Answers to «older than class k?», 1 or 0, and which of them are known, 1 or 0: both (B, K).

    An age between two classes counts as the nearer one.

    >>> from agewise_lab.losses.targets import age_target
    >>> nan = torch.nan
    >>> t = age_target(torch.tensor([2.0, nan]), torch.tensor([nan, 1.0]), torch.tensor([nan, 2.0]), most=3.0)
    >>> answers, known = levels(t, torch.arange(4.0))
    >>> answers.tolist(), known.tolist()
    ([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]], [[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    """
    middle_K = (class_ages_A[1:] + class_ages_A[:-1]) / 2
    surely = target.low[:, None] >= middle_K[None]
    perhaps = target.high[:, None] >= middle_K[None]
    return surely.to(middle_K), (surely == perhaps).to(middle_K)


def threshold_importance(ages_B: Tensor, class_ages_A: Tensor) -> Tensor:
    """OR-CNN's weight of each threshold: √(number of training faces of that class), over their sum; times K: (K,).

    A class without faces counts as one of one face: a threshold of no weight would never be learned, and is decoded.

    >>> threshold_importance(torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0]), torch.arange(3.0)).tolist()
    [1.3333333730697632, 0.6666666865348816]
    """
    nearest = (class_ages_A[None] - ages_B[:, None]).abs().argmin(dim=1)
    root = torch.bincount(nearest, minlength=len(class_ages_A))[:-1].clamp(min=1).to(class_ages_A).sqrt()
    return root / root.sum() * len(root)


def or_cnn(logits_BK: Tensor, target: AgeTarget, class_ages_A: Tensor, *, importance_K: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of each question, summed, (B,); where given, each threshold with its importance.

    The paper's two outputs a threshold and their softmax are one logit here, the same thing.

    Source: Niu, Zhou, Wang, Gao, Hua: «Ordinal Regression with Multiple Output CNN for Age Estimation», CVPR
    2016, eqs. 2-4.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([1.0]), most=2.0)  # older than 0: yes; older than 1: no
    >>> [round(v, 4) for v in or_cnn(torch.tensor([[0.0, 2.0]]), t, torch.arange(3.0)).tolist()]  # log 2 + log(1 + e²)
    [2.8201]
    """
    answers, known = levels(target, class_ages_A)
    loss = binary_cross_entropy_with_logits(logits_BK, answers, reduction="none") * known
    return (loss if importance_K is None else loss * importance_K[None]).sum(dim=1)


def coral(logits_BK: Tensor, target: AgeTarget, class_ages_A: Tensor) -> Tensor:
    """The same sum for logits that share all weights but their biases, and so never cross, (B,).

    Source: Cao, Mirjalili, Raschka: «Rank consistent ordinal regression for neural networks with
    application to age estimation» (CORAL), Pattern Recognition Letters 2020, eq. 4.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([0.0]), most=2.0)
    >>> [round(v, 4) for v in coral(torch.zeros(1, 2), t, torch.arange(3.0)).tolist()]  # 2 · log 2
    [1.3863]
    """
    return or_cnn(logits_BK, target, class_ages_A)


def corn(logits_BK: Tensor, target: AgeTarget, class_ages_A: Tensor) -> Tensor:
    """Questions that are asked only if the one before had a yes: «older than a_k, given older than a_{k-1}?», (B,).

    A question that was not reached costs nothing. Summed over questions and averaged over faces; the paper
    divides each question's sum by how many faces reached it, which needs the whole batch.

    Source: Shi, Cao, Raschka: «Deep Neural Networks for Rank-Consistent Ordinal Regression Based On
    Conditional Probabilities» (CORN), Pattern Analysis and Applications 2023, eq. 8.

    >>> from agewise_lab.losses.targets import age_target
    >>> t = age_target(torch.tensor([0.0, 2.0]), most=2.0)  # of two questions the first face gets one
    >>> [round(v, 4) for v in corn(torch.zeros(2, 2), t, torch.arange(3.0)).tolist()]
    [0.6931, 1.3863]
    """
    answers, known = levels(target, class_ages_A)
    reached = torch.cat([torch.ones_like(answers[:, :1]), answers[:, :-1]], dim=1)
    return (binary_cross_entropy_with_logits(logits_BK, answers, reduction="none") * known * reached).sum(dim=1)
