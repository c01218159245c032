"""Heads for gender: two logits, one logit, or a number."""

from __future__ import annotations

import torch
from torch import Tensor

from agewise.card import GenderSpec
from agewise.types import Gender
from agewise_lab.architectures.base import Outputs, Targets
from agewise_lab.heads.base import GenderHead, dense
from agewise_lab.losses import gender

# Dimension letters: B batch, F features.


class TwoWayHead(GenderHead):
    """Softmax over (female, male).

    Args:
        features: that it is given.
        hidden, bias, dropout: of its layers.
    """

    def __init__(self, features: int, *, hidden: int = 0, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = dense(features, 2, hidden=hidden, bias=bias, dropout=dropout)

    @property
    def decoding(self) -> GenderSpec:
        return GenderSpec(output="gender_logits", order=(Gender.FEMALE, Gender.MALE), activation="softmax")

    def forward(self, features_BF: Tensor) -> Outputs:
        return {"gender_logits": self.layers(features_BF)}

    def female(self, outputs: Outputs) -> Tensor:
        return torch.softmax(outputs["gender_logits"], dim=1)[:, 0]

    def loss(self, outputs: Outputs, targets: Targets) -> Tensor:
        return gender.two_way(outputs["gender_logits"], targets["is_female"])


class BinaryHead(GenderHead):
    """One logit: that of female.

    Args:
        features: that it is given.
        hidden, dropout: of its layers.
    """

    def __init__(self, features: int, *, hidden: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = dense(features, 1, hidden=hidden, dropout=dropout)

    @property
    def decoding(self) -> GenderSpec:
        return GenderSpec(output="gender_logit", order=(Gender.MALE, Gender.FEMALE), activation="sigmoid")

    def forward(self, features_BF: Tensor) -> Outputs:
        return {"gender_logit": self.layers(features_BF)}

    def female(self, outputs: Outputs) -> Tensor:
        return torch.sigmoid(outputs["gender_logit"][:, 0])

    def loss(self, outputs: Outputs, targets: Targets) -> Tensor:
        return gender.binary(outputs["gender_logit"][:, 0], targets["is_female"])


class NumberHead(GenderHead):
    """A number near 0 for female and near 1 for male, with the L1 loss: gender as a regression.

    Args:
        features: that it is given.
        hidden, dropout: of its layers.
    """

    def __init__(self, features: int, *, hidden: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = dense(features, 1, hidden=hidden, dropout=dropout)

    @property
    def decoding(self) -> GenderSpec:
        return GenderSpec(output="gender_value", order=(Gender.FEMALE, Gender.MALE), activation="none")

    def forward(self, features_BF: Tensor) -> Outputs:
        return {"gender_value": self.layers(features_BF)}

    def female(self, outputs: Outputs) -> Tensor:
        return 1 - outputs["gender_value"][:, 0].clamp(1e-6, 1 - 1e-6)

    def loss(self, outputs: Outputs, targets: Targets) -> Tensor:
        return gender.regression(outputs["gender_value"][:, 0], 1 - targets["is_female"])
