"""Heads for age that answer «older than 0?», «older than 1?» …: OR-CNN, CORAL, CORN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agewise.card import OrdinalAge
from agewise_lab.architectures.base import Outputs
from agewise_lab.heads.base import AgeHead, dense
from agewise_lab.losses.ordinal import coral, corn, or_cnn, threshold_importance
from agewise_lab.losses.targets import AgeTarget

# Dimension letters: B batch, F features, A age classes, K = A - 1 thresholds.


def probs_over_classes(answers_BK: Tensor, conditional: bool) -> Tensor:
    """The distribution over classes, (B, A), of the answers' probabilities. The twin of `agewise.decode.ordinal`.

    >>> probs_over_classes(torch.tensor([[0.75, 0.5]]), conditional=True).tolist()
    [[0.25, 0.375, 0.375]]
    """
    older = answers_BK.cumprod(dim=1) if conditional else answers_BK.cummin(dim=1).values
    edge = torch.ones_like(older[:, :1])
    return torch.cat([edge, older], dim=1) - torch.cat([older, torch.zeros_like(edge)], dim=1)


class OrdinalHead(AgeHead):
    """One logit a threshold.

    Args:
        features: that it is given.
        kind: "or-cnn", "coral" (all logits share their weights but the bias) or "corn" (conditional questions).
        classes: how many ages, 0, 1, 2 …
        importance: of "or-cnn": in a run each threshold weighs by the root of how many training faces are of its
            class, as in the paper; otherwise all weigh alike.
        hidden, dropout: of its layers.
    """

    class_ages: Tensor
    importance: Tensor

    def __init__(
        self,
        features: int,
        *,
        kind: str = "or-cnn",
        classes: int = 101,
        importance: bool = True,
        hidden: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(0.0, classes - 1.0)
        self._of = {"or-cnn": or_cnn, "coral": coral, "corn": corn}[kind]
        self._conditional = kind == "corn"
        outputs = 1 if kind == "coral" else classes - 1
        self.layers = dense(features, outputs, hidden=hidden, dropout=dropout)
        # Biases that fall from the first threshold on, so that the questions differ from the beginning.
        self.bias = nn.Parameter(torch.linspace(1.0, 0.0, classes - 1)) if kind == "coral" else None
        self.register_buffer("class_ages", torch.arange(classes, dtype=torch.float32), persistent=False)
        self._weighs = importance and kind == "or-cnn"
        self.register_buffer("importance", torch.ones(classes - 1), persistent=False)

    def see_ages(self, ages: Tensor) -> None:
        """Weigh the thresholds by these ages, in years."""
        if self._weighs:
            self.importance = threshold_importance(ages.float(), self.class_ages.cpu()).to(self.class_ages.device)

    @property
    def decoding(self) -> OrdinalAge:
        return OrdinalAge(
            output="age_thresholds",
            class_ages=tuple(map(float, range(len(self.class_ages)))),
            activation="sigmoid",
            conditional=self._conditional,
        )

    def forward(self, features_BF: Tensor) -> Outputs:
        logits = self.layers(features_BF)
        return {"age_thresholds": logits if self.bias is None else logits + self.bias}

    def years(self, outputs: Outputs) -> Tensor:
        probs = probs_over_classes(torch.sigmoid(outputs["age_thresholds"]), self._conditional)
        return probs @ self.class_ages

    def _loss(self, outputs: Outputs, target: AgeTarget) -> Tensor:
        logits = outputs["age_thresholds"]
        if self._weighs:
            return or_cnn(logits, target, self.class_ages, importance_K=self.importance)
        return self._of(logits, target, self.class_ages)
