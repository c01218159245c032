"""Backbones by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from agewise.errors import unknown_name
from agewise_lab.architectures.base import Backbone
from agewise_lab.architectures.compact import agewise_m, agewise_s
from agewise_lab.architectures.densenet import densenet_13, densenet_19
from agewise_lab.architectures.inception_v3 import InceptionV3
from agewise_lab.architectures.levi_hassner import LeviHassner, levi_hassner_bn
from agewise_lab.architectures.lmtcnn import lmtcnn_1_1, lmtcnn_2_1
from agewise_lab.architectures.mobilenet import mobilenet_half, mobilenet_multitask, mobilenet_quarter
from agewise_lab.architectures.resnet import resnet_18, resnet_34, resnet_50
from agewise_lab.architectures.ssrnet import SsrNet
from agewise_lab.architectures.vgg16 import Vgg16
from agewise_lab.architectures.wideresnet import WideResNet

ARCHITECTURES: dict[str, Callable[..., Backbone]] = {
    "agewise-s": agewise_s,
    "agewise-m": agewise_m,
    "ssrnet": SsrNet,
    "mobilenet-0.25": mobilenet_quarter,
    "mobilenet-0.5": mobilenet_half,
    "mobilenet-multitask": mobilenet_multitask,
    "densenet-13": densenet_13,
    "densenet-19": densenet_19,
    "wideresnet-16-8": WideResNet,
    "levi-hassner": LeviHassner,
    "levi-hassner-bn": levi_hassner_bn,
    "lmtcnn-1-1": lmtcnn_1_1,
    "lmtcnn-2-1": lmtcnn_2_1,
    "inception-v3": InceptionV3,
    "resnet-18": resnet_18,
    "resnet-34": resnet_34,
    "resnet-50": resnet_50,
    "vgg-16": Vgg16,
}
"""What builds each; every builder takes `size`, the side of the input in pixels."""


def build_backbone(name: str, **options: Any) -> Backbone:
    """A backbone with fresh weights.

    Args:
        name: one of `ARCHITECTURES`.
        options: what its builder there takes by name, such as `size`.

    Raises:
        ValueError: no such backbone, or no such option (the message lists them); or a value that does not fit.
    """
    if name not in ARCHITECTURES:
        raise ValueError(unknown_name("backbone", name, ARCHITECTURES))
    builder = ARCHITECTURES[name]
    known = [option for option in inspect.signature(builder).parameters if option != "self"]
    for option in options:
        if option not in known:
            raise ValueError(f"{name}: " + unknown_name("option", option, known))
    return builder(**options)
