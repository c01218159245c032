"""Several networks that answer as one: the mean of their distributions (a deep ensemble).

    image (n, 3, s, s), RGB, 0..1 ──┬─> member 1 ─ softmax ─┐
                                    ├─> member 2 ─ softmax ─┼─ mean ─> age (n, ages), gender (n, 2)
      its mirror image, if asked ───┴─> each member again ──┘

Networks that were trained apart err differently, and the mean of their distributions errs less than any of them
(Lakshminarayanan, Pritzel, Blundell: «Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles»,
2017). It costs what its members cost together, and twice that with the mirror image.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from agewise.card import ExpectationAge, GenderSpec
from agewise.types import Gender
from agewise_lab.architectures.base import InputFormat
from agewise_lab.architectures.two_heads import TwoHeadNet
from agewise_lab.export.onnx_model import ServedNet


def distribution_over(class_ages: tuple[float, ...]) -> ExpectationAge:
    """How the age of such networks is decoded: a distribution, of which the median is the estimate."""
    return ExpectationAge(output="age_probs", class_ages=class_ages, estimate="median")


class Ensemble(nn.Module):
    """Members that answer as one; served and exported like a network with heads.

    Args:
        members: trained apart; of one input size and one count of ages.
        mirrored: each member also sees the mirror image, and both answers count alike.

    Raises:
        ValueError: no member, or members that differ in size or ages.
    """

    def __init__(self, members: Sequence[TwoHeadNet], *, mirrored: bool = False) -> None:
        super().__init__()
        shapes = sorted({(net.config.size, net.config.ages) for net in members})
        if len(shapes) != 1:
            raise ValueError(f"expected members of one input size and one count of ages, got {shapes or 'none'}")
        (size, ages) = shapes[0]
        self.members = nn.ModuleList(ServedNet(net) for net in members)
        self.mirrored = mirrored
        self.input = InputFormat(size=size)
        self.age_head = SimpleNamespace(decoding=distribution_over(tuple(float(age) for age in range(ages))))
        self.gender_head = SimpleNamespace(
            decoding=GenderSpec(output="gender_probs", order=(Gender.FEMALE, Gender.MALE))
        )

    def served(self, image_B3HW: Tensor) -> dict[str, Tensor]:
        """RGB 0..1 (n, 3, size, size) → «age_probs» (n, ages) and «gender_probs» (n, 2), rows that sum to 1."""
        views = [image_B3HW, image_B3HW.flip(3)] if self.mirrored else [image_B3HW]
        answers = [member(view) for member in self.members for view in views]
        age, gender = (torch.stack([answer[k] for answer in answers]).mean(0) for k in (0, 1))
        return {"age_probs": age, "gender_probs": gender}
