"""What a trained network promises: the parts of its card that follow from its own parts, and its answers in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from agewise import decode
from agewise.card import (
    AgeSpec,
    BinsAge,
    ExpectationAge,
    GenderSpec,
    InputSpec,
    OrdinalAge,
    RegressionAge,
    SoftStagewiseAge,
)
from agewise.types import FloatArray, Gender, UInt8Array
from agewise_lab.architectures.base import AgeGenderNet
from agewise_lab.architectures.stored import fold_batch_norms
from agewise_lab.architectures.two_heads import TwoHeadNet
from agewise_lab.export.ensemble import Ensemble, distribution_over
from agewise_lab.export.onnx_model import ServedNet

Network: TypeAlias = TwoHeadNet | AgeGenderNet | Ensemble
"""What can be exported with a card."""


@dataclass(frozen=True, kw_only=True)
class Promises:
    """Input, decoding of both tasks, and the ages that the network can give."""

    input: InputSpec
    age: AgeSpec
    gender: GenderSpec | None
    age_years: tuple[float, float]


def promises_of(net: Network) -> Promises:
    """What a network promises.

    Raises:
        ValueError: it has no age head: a card needs an age.
    """
    if isinstance(net, TwoHeadNet):
        classes = tuple(float(age) for age in range(net.config.ages))
        return Promises(
            input=InputSpec(name="image", size=net.config.size, color_order="RGB", scale=1 / 255),
            age=distribution_over(classes),
            gender=GenderSpec(output="gender_probs", order=(Gender.FEMALE, Gender.MALE)),
            age_years=(classes[0], classes[-1]),
        )
    if net.age_head is None:
        raise ValueError(
            "a model of agewise estimates an age; this network has a gender head only: give it an age head"
        )
    age: AgeSpec = net.age_head.decoding
    gender = None if net.gender_head is None else net.gender_head.decoding
    return Promises(input=net.input.spec(), age=age, gender=gender, age_years=_range(age))


def _range(age: AgeSpec) -> tuple[float, float]:
    match age:
        case ExpectationAge() | OrdinalAge():
            return age.class_ages[0], age.class_ages[-1]
        case BinsAge():
            return age.bins[0][0], age.bins[-1][1]
        case SoftStagewiseAge():
            return 0.0, age.age_range
        case RegressionAge():
            return 0.0, 120.0


def years_in_torch(net: Network, crops_rgb: UInt8Array) -> FloatArray:
    """The ages that the float32 network gives crops, uint8 RGB (n, size, size, 3), decoded as its card says.

    Of distributions their means (see `agewise.decode.AgeEstimates.mean_years`).
    """
    image = torch.from_numpy(np.ascontiguousarray(crops_rgb.transpose(0, 3, 1, 2)))
    with torch.inference_mode():
        if isinstance(net, TwoHeadNet):
            probs, _ = ServedNet(fold_batch_norms(net))(image.float() / 255)
            outputs = {"age_probs": probs}
        else:
            outputs = net.eval().served(net.input.normalise(image))
    return decode.decode_ages({name: value.numpy() for name, value in outputs.items()}, promises_of(net).age).mean_years
