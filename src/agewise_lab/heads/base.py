"""What the heads of both tasks share. The protocol stands in `agewise_lab.architectures.base`.

`targets` of a loss holds, batch first: `age` in years (NaN where there is only a class of ages), `is_female` (1, 0, NaN
for unknown), and where the data have classes of ages `age_low` and `age_high`, NaN where there is none. A face
without any label of the task costs nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agewise.card import AgeSpec, GenderSpec
from agewise_lab.architectures.base import Outputs, Targets
from agewise_lab.losses.targets import AgeTarget, age_target

# Dimension letters: B batch, F features, A age classes.


def dense(features: int, outputs: int, *, hidden: int = 0, bias: bool = True, dropout: float = 0.0) -> nn.Module:
    """The layers of a head: one dense layer, or with `hidden` units and ReLU before it; dropout before each."""
    layers: list[nn.Module] = []
    if hidden:
        layers += [nn.Dropout(dropout), nn.Linear(features, hidden), nn.ReLU()]
    layers += [nn.Dropout(dropout), nn.Linear(hidden or features, outputs, bias=bias)]
    layers = [layer for layer in layers if not isinstance(layer, nn.Dropout) or dropout > 0]
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


class AgeHead(nn.Module):
    """A head for age.

    Args:
        least, most: ages in years that it can give; labels beyond are clipped, and counted by `clipped`.
    """

    def __init__(self, least: float = 0.0, most: float = 100.0) -> None:
        super().__init__()
        self.least, self.most = least, most

    @property
    def decoding(self) -> AgeSpec:
        raise NotImplementedError

    def forward(self, features_BF: Tensor) -> Outputs:
        raise NotImplementedError

    def served(self, outputs: Outputs) -> Outputs:
        return {name: value for name, value in outputs.items() if name.startswith("age_")}

    def years(self, outputs: Outputs) -> Tensor:
        """The decoded age, (B,): the twin in torch of `agewise.decode.decode_ages`, held to it by a test."""
        raise NotImplementedError

    def loss(self, outputs: Outputs, targets: Targets) -> Tensor:
        """The loss of each face, (B,); 0 where no age is known."""
        target = self.target(targets)
        known = ~target.age.isnan()
        if not bool(known.all()):
            middle = torch.full_like(target.age, (self.least + self.most) / 2)
            target = AgeTarget(
                torch.where(known, target.low, middle), torch.where(known, target.high, middle), target.clipped
            )
        return self._loss(outputs, target) * known

    def _loss(self, outputs: Outputs, target: AgeTarget) -> Tensor:
        raise NotImplementedError

    def see_ages(self, ages: Tensor) -> None:
        """Look at the training part's known ages in years, (n,), before a run; most heads have no use for them."""

    def target(self, targets: Targets) -> AgeTarget:
        """The labels as this head can give them."""
        low, high = targets.get("age_low"), targets.get("age_high")
        return age_target(targets["age"], low, high, least=self.least, most=self.most)

    def clipped(self, targets: Targets) -> int:
        """How many labels lie outside what this head can give."""
        return int(self.target(targets).clipped)


class GenderHead(nn.Module):
    """A head for gender."""

    @property
    def decoding(self) -> GenderSpec:
        raise NotImplementedError

    def forward(self, features_BF: Tensor) -> Outputs:
        raise NotImplementedError

    def served(self, outputs: Outputs) -> Outputs:
        return {name: value for name, value in outputs.items() if name.startswith("gender_")}

    def female(self, outputs: Outputs) -> Tensor:
        """The probability of «female», (B,): the twin in torch of `agewise.decode.decode_female_probability`."""
        raise NotImplementedError

    def loss(self, outputs: Outputs, targets: Targets) -> Tensor:
        """The loss of each face, (B,); 0 where the label is unknown."""
        raise NotImplementedError
