"""Heads for age whose outputs are a distribution, or a number."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from agewise.card import BinsAge, ExpectationAge, RegressionAge
from agewise_lab.architectures.base import Outputs
from agewise_lab.heads.base import AgeHead, dense
from agewise_lab.losses import regression
from agewise_lab.losses.bins import ADIENCE_BINS, soft_bins
from agewise_lab.losses.targets import AgeTarget

# Dimension letters: B batch, F features, A age classes, N bins.

ClassLoss = Callable[..., Tensor]


class DistributionHead(AgeHead):
    """Softmax over the ages 0, 1, 2 …, decoded to its mean.

    Args:
        features: that it is given.
        of: a loss of (logits, target, class_ages, options); see `agewise_lab.losses`.
        classes: how many ages.
        hidden, bias, dropout: of its layers.
        options: of the loss, by name.
    """

    class_ages: Tensor

    def __init__(
        self,
        features: int,
        *,
        of: ClassLoss,
        classes: int = 101,
        hidden: int = 0,
        bias: bool = True,
        dropout: float = 0.0,
        **options: float,
    ) -> None:
        super().__init__(0.0, classes - 1.0)
        self.layers = dense(features, classes, hidden=hidden, bias=bias, dropout=dropout)
        self._of, self._options = of, options
        self.register_buffer("class_ages", torch.arange(classes, dtype=torch.float32), persistent=False)

    @property
    def decoding(self) -> ExpectationAge:
        return ExpectationAge(
            output="age_logits", class_ages=tuple(map(float, range(len(self.class_ages)))), activation="softmax"
        )

    def forward(self, features_BF: Tensor) -> Outputs:
        return {"age_logits": self.layers(features_BF)}

    def years(self, outputs: Outputs) -> Tensor:
        return torch.softmax(outputs["age_logits"], dim=1) @ self.class_ages

    def _loss(self, outputs: Outputs, target: AgeTarget) -> Tensor:
        return self._of(outputs["age_logits"], target, self.class_ages, **self._options)


class BinsHead(AgeHead):
    """Softmax over a few wide classes of ages, decoded to the mean of ages within them.

    Args:
        features: that it is given.
        bins: [low, high) in years; Adience's eight by default.
        neighbours: share of a label's weight that its neighbours get.
        hidden, bias, dropout: of its layers.
    """

    bins: Tensor

    def __init__(
        self,
        features: int,
        *,
        bins: tuple[tuple[float, float], ...] = ADIENCE_BINS,
        neighbours: float = 0.0,
        hidden: int = 0,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(bins[0][0], bins[-1][1])
        self.layers = dense(features, len(bins), hidden=hidden, bias=bias, dropout=dropout)
        self._neighbours = neighbours
        self.register_buffer("bins", torch.tensor(bins, dtype=torch.float32), persistent=False)

    @property
    def decoding(self) -> BinsAge:
        bins = tuple((low, high) for low, high in self.bins.tolist())
        return BinsAge(output="age_logits", bins=bins, activation="softmax")

    def forward(self, features_BF: Tensor) -> Outputs:
        return {"age_logits": self.layers(features_BF)}

    def years(self, outputs: Outputs) -> Tensor:
        return torch.softmax(outputs["age_logits"], dim=1) @ self.bins.mean(dim=1)

    def _loss(self, outputs: Outputs, target: AgeTarget) -> Tensor:
        return soft_bins(outputs["age_logits"], target, self.bins, neighbours=self._neighbours)


class RegressionHead(AgeHead):
    """One number: age = number · scale + offset.

    Args:
        features: that it is given.
        of: a loss of (years, target, options).
        scale: years a unit of the number.
        offset: years at 0; about the mean of the labels saves training from walking there.
        most: the greatest age of a label that it learns.
        hidden, dropout: of its layers.
        options: of the loss, by name.
    """

    def __init__(
        self,
        features: int,
        *,
        of: Callable[..., Tensor],
        scale: float = 1.0,
        offset: float = 0.0,
        most: float = 120.0,
        hidden: int = 0,
        dropout: float = 0.0,
        **options: float,
    ) -> None:
        super().__init__(0.0, most)
        self.layers = dense(features, 1, hidden=hidden, dropout=dropout)
        self._of, self._options = of, options
        self._scale, self._offset = scale, offset

    @property
    def decoding(self) -> RegressionAge:
        return RegressionAge(output="age_value", scale=self._scale, offset=self._offset)

    def forward(self, features_BF: Tensor) -> Outputs:
        return {"age_value": self.layers(features_BF)}

    def years(self, outputs: Outputs) -> Tensor:
        return outputs["age_value"][:, 0] * self._scale + self._offset

    def _loss(self, outputs: Outputs, target: AgeTarget) -> Tensor:
        return self._of(self.years(outputs), target, **self._options)


class GaussianHead(AgeHead):
    """A number and the logarithm of its variance.

    Args:
        features: that it is given.
        scale, offset, most: as of `RegressionHead`; the default is a start at 30 ± 15 years.
        hidden, dropout: of its layers, which both numbers share.
    """

    def __init__(
        self,
        features: int,
        *,
        scale: float = 15.0,
        offset: float = 30.0,
        most: float = 120.0,
        hidden: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(0.0, most)
        self.layers = dense(features, 2, hidden=hidden, dropout=dropout)
        self._scale, self._offset = scale, offset

    @property
    def decoding(self) -> RegressionAge:
        return RegressionAge(
            output="age_value", log_variance_output="age_log_variance", scale=self._scale, offset=self._offset
        )

    def forward(self, features_BF: Tensor) -> Outputs:
        value, log_variance = self.layers(features_BF).split(1, dim=1)
        return {"age_value": value, "age_log_variance": log_variance.clamp(-10.0, 5.0)}

    def years(self, outputs: Outputs) -> Tensor:
        return outputs["age_value"][:, 0] * self._scale + self._offset

    def _loss(self, outputs: Outputs, target: AgeTarget) -> Tensor:
        log_variance = outputs["age_log_variance"][:, 0] + 2 * math.log(self._scale)
        return regression.gaussian(self.years(outputs), log_variance, target)
