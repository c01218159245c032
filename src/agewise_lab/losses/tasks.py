"""Two tasks in one sum: fixed weights, or weights learned from each task's uncertainty."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def weighted(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Σ weight · loss; a task without a weight counts once.

    >>> float(weighted({"age": torch.tensor(3.0), "gender": torch.tensor(0.5)}, {"gender": 0.6}))
    3.299999952316284
    """
    return torch.stack([weights.get(task, 1.0) * loss for task, loss in losses.items()]).sum()


class UncertaintyWeights(nn.Module):
    """Σ exp(−s) · loss + ½ s, with an s a task, learned with the rest: log σ² of the task.

    Source: Kendall, Gal, Cipolla: «Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry
    and Semantics», CVPR 2018, eq. 10, with the same factor for both kinds of task.

    >>> weigh = UncertaintyWeights(["age", "gender"])
    >>> with torch.no_grad():
    ...     _ = weigh.log_variance["age"].fill_(1.0)
    >>> weigh({"age": torch.tensor(2.7182817), "gender": torch.tensor(0.5)}).item()  # 1 + ½, and ½
    2.0
    """

    def __init__(self, tasks: list[str]) -> None:
        super().__init__()
        self.log_variance = nn.ParameterDict({task: nn.Parameter(torch.zeros(())) for task in tasks})

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        terms = [
            torch.exp(-self.log_variance[task]) * loss + 0.5 * self.log_variance[task] for task, loss in losses.items()
        ]
        return torch.stack(terms).sum()
