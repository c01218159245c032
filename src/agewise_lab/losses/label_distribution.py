"""Ages as distributions: label distribution learning with the expectation punished too.

Gao et al., «Age Estimation Using Expectation of Label Distribution Learning» (DLDL-v2), IJCAI 2018,
eqs. 1-6. Ours differs in one thing: the spread of the label grows with the age, as the noise of age
labels does.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Dimension letters: B batch, A age classes, G genders.


def label_spread(age_years_B: Tensor) -> Tensor:
    """Standard deviation in years of an age label: 0.8 at 0, 2.3 at 30, at most 4.5.

    >>> label_spread(torch.tensor([0.0, 30.0, 90.0])).tolist()
    [0.800000011920929, 2.299999952316284, 4.5]
    """
    return (0.8 + 0.05 * age_years_B).clamp(max=4.5)


def label_distribution(age_years_B: Tensor, class_ages_A: Tensor) -> Tensor:
    """Normal distributions about the ages, over the classes; rows sum to one. Ages outside are clipped.

    >>> p = label_distribution(torch.tensor([0.0]), torch.arange(3.0))
    >>> [round(v, 4) for v in p[0].tolist()]
    [0.6659, 0.3049, 0.0293]
    """
    age_B1 = age_years_B.clamp(float(class_ages_A[0]), float(class_ages_A[-1]))[:, None]
    z_BA = (class_ages_A[None] - age_B1) / label_spread(age_B1)
    return torch.softmax(-0.5 * z_BA * z_BA, dim=1)


def soft_cross_entropy(logits_BA: Tensor, target_BA: Tensor) -> Tensor:
    """Cross-entropy with soft targets less the targets' entropy: the Kullback-Leibler divergence, (B,).

    >>> t = torch.tensor([[0.5, 0.5]])
    >>> [round(float(soft_cross_entropy(torch.tensor([[a, 0.0]]), t)), 4) for a in (0.0, 2.0)]
    [0.0, 0.4338]
    """
    log_target = torch.where(target_BA > 0, target_BA, 1.0).log()
    return (target_BA * (log_target - torch.log_softmax(logits_BA, dim=1))).sum(dim=1)


def median_age(logits_BA: Tensor, class_ages_A: Tensor) -> Tensor:
    """The median of the distributions (n,), as `agewise.decode.median` takes it.

    >>> median_age(torch.tensor([[0.0, 2.0, 0.0]]), torch.tensor([20.0, 30.0, 40.0])).tolist()
    [30.0]
    """
    reached = torch.softmax(logits_BA.double(), dim=1).cumsum(dim=1) >= 0.5 - 1e-9
    return class_ages_A[reached.int().argmax(dim=1)]


def expected_age(logits_BA: Tensor, class_ages_A: Tensor) -> Tensor:
    """The mean of the distribution, in years (B,). The twin of `agewise.decode.expectation`."""
    return torch.softmax(logits_BA, dim=1) @ class_ages_A


def gender_weight(age_years_B: Tensor) -> Tensor:
    """How far a gender label counts: 0.5 for babies, rising to 1 at 13. A small child's face says little.

    >>> gender_weight(torch.tensor([1.0, 8.0, 40.0])).tolist()
    [0.5, 0.75, 1.0]
    """
    return 0.5 + 0.5 * ((age_years_B - 3.0) / 10.0).clamp(0.0, 1.0)
