"""SSR-Net's heads: soft stagewise regression of the age, and of gender as a number."""

from __future__ import annotations

from torch import Tensor

from agewise.card import GenderSpec, SoftStagewiseAge
from agewise.types import Gender
from agewise_lab.architectures.base import Outputs, Targets
from agewise_lab.architectures.ssrnet import StagewiseLayers, soft_stagewise
from agewise_lab.heads.base import AgeHead, GenderHead
from agewise_lab.losses import gender, regression
from agewise_lab.losses.targets import AgeTarget

# Dimension letters: B batch, F features.

Pairs = tuple[tuple[int, int], ...]


def pairs_of(features: int, stages: int = 3) -> Pairs:
    """Features of a network without stages, cut into equal pairs.

    Raises:
        ValueError: they do not divide.

    >>> pairs_of(96)
    ((16, 16), (16, 16), (16, 16))
    """
    if features % (2 * stages):
        raise ValueError(
            f"soft stagewise regression cuts features into {2 * stages} equal parts; {features} do not divide"
        )
    part = features // (2 * stages)
    return ((part, part),) * stages


class StagewiseHead(AgeHead):
    """Soft stagewise regression with the L1 loss in years.

    Args:
        features: that it is given.
        feature_pairs: of each stage (`SsrNet.feature_pairs`); None cuts the features into three equal pairs.
        age_range: V; more than any age.
        lambda_d, lambda_local: strengths of the shifts of scales and of classes, 0 to 1.
        classes, dropout: of the stages.
    """

    def __init__(
        self,
        features: int,
        *,
        feature_pairs: Pairs | None = None,
        age_range: float = 101.0,
        lambda_d: float = 1.0,
        lambda_local: float = 1.0,
        classes: tuple[int, ...] = (3, 3, 3),
        dropout: float = 0.2,
    ) -> None:
        super().__init__(0.0, age_range)
        pairs = feature_pairs or pairs_of(features, len(classes))
        self.layers = StagewiseLayers(pairs, classes=classes, dropout=dropout)
        self._range, self._d, self._local = age_range, lambda_d, lambda_local
        self._count = len(classes)

    @property
    def decoding(self) -> SoftStagewiseAge:
        probs, deltas, etas = (
            tuple(f"age_{part}_{k}" for k in range(1, self._count + 1)) for part in ("probs", "delta", "eta")
        )
        return SoftStagewiseAge(
            probs=probs,
            deltas=deltas,
            etas=etas,
            age_range=self._range,
            lambda_d=self._d,
            lambda_local=self._local,
        )

    def forward(self, features_BF: Tensor) -> Outputs:
        outputs: Outputs = {}
        for k, parts in enumerate(self.layers(features_BF), 1):
            outputs |= {f"age_{part}_{k}": value for part, value in zip(("probs", "delta", "eta"), parts, strict=True)}
        return outputs

    def years(self, outputs: Outputs) -> Tensor:
        stages = [
            (outputs[f"age_probs_{k}"], outputs[f"age_delta_{k}"], outputs[f"age_eta_{k}"])
            for k in range(1, self._count + 1)
        ]
        return soft_stagewise(stages, age_range=self._range, lambda_d=self._d, lambda_local=self._local)

    def _loss(self, outputs: Outputs, target: AgeTarget) -> Tensor:
        return regression.l1(self.years(outputs), target)


class StagewiseGenderHead(GenderHead):
    """The same with V = 1: a number near 1 for the second label of `order`, with the L1 loss.

    Args:
        features, feature_pairs, lambda_d, lambda_local, classes, dropout: as of `StagewiseHead`.
        order: labels of 0 and of 1; IMDB-WIKI's coding has male as 1.
    """

    def __init__(
        self,
        features: int,
        *,
        feature_pairs: Pairs | None = None,
        lambda_d: float = 1.0,
        lambda_local: float = 1.0,
        classes: tuple[int, ...] = (3, 3, 3),
        dropout: float = 0.2,
        order: tuple[str, str] = (Gender.FEMALE, Gender.MALE),
    ) -> None:
        super().__init__()
        pairs = feature_pairs or pairs_of(features, len(classes))
        self.layers = StagewiseLayers(pairs, classes=classes, dropout=dropout)
        self._d, self._local = lambda_d, lambda_local
        self._order = (Gender(order[0]), Gender(order[1]))

    @property
    def decoding(self) -> GenderSpec:
        return GenderSpec(output="gender_value", order=self._order, activation="none")

    def forward(self, features_BF: Tensor) -> Outputs:
        value = soft_stagewise(self.layers(features_BF), age_range=1.0, lambda_d=self._d, lambda_local=self._local)
        return {"gender_value": value[:, None]}

    def female(self, outputs: Outputs) -> Tensor:
        share = outputs["gender_value"][:, 0].clamp(1e-6, 1 - 1e-6)
        return share if self._order[1] is Gender.FEMALE else 1 - share

    def loss(self, outputs: Outputs, targets: Targets) -> Tensor:
        female = targets["is_female"]
        label = female if self._order[1] is Gender.FEMALE else 1 - female
        return gender.regression(outputs["gender_value"][:, 0], label)
