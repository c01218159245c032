"""MobileNet v1 (Howard et al.: «MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications»,
2017), as Keras has it.

    image (n, 3, s, s)
      conv1      3×3 /2 → 32·alpha, BN, ReLU6                        s/2
      13 blocks  depthwise 3×3, BN, ReLU6, 1×1, BN, ReLU6            s/32
                 → alpha · 64, 128 /2, 128, 256 /2, 256, 512 /2, 5 × 512, 1024 /2, 1024
      features   "pool": the mean over all positions, 1024·alpha
                 "study": conv 1×1 → 20, ReLU, flatten, dropout 0.2, dense 32, ReLU: 32 features, on which the
                 study of SSR-Net puts one number, the age

Batch norms have Keras' epsilon 1e-3; stride 2 pads at the right and bottom only.
At 64 pixels with the study's layers: alpha 0.25 has 220,804 parameters (226,276 as Keras counts, with the batch norms'
statistics) and 3.4 M multiply-adds, alpha 0.5 831,444 and 12.2 M. Alpha 1 with the mean: 3,206,976 and 644 M at 227.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agewise_lab.architectures.base import Backbone, InputFormat, standardised
from agewise_lab.architectures.layers import SameConv2d, keras_norm, require_size

_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def _step(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = SameConv2d(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)
    return [conv, keras_norm(outputs), nn.ReLU6()]


class MobileNet(Backbone):
    """The network up to its features; see the module's docstring.

    Args:
        alpha: factor of all widths.
        input: what it is fed.
        study: end in the layers of SSR-Net's study instead of the mean.
    """

    stem_names = ("conv1",)

    def __init__(self, alpha: float, *, input: InputFormat, study: bool) -> None:  # noqa: A002  # as the attribute
        super().__init__()
        require_size("mobilenet", input.size, 32)
        self.input = input
        inputs = int(32 * alpha)
        self.conv1 = nn.Sequential(*_step(3, inputs, 3, stride=2))
        blocks: list[nn.Module] = []
        for width, stride in _BLOCKS:
            outputs = int(width * alpha)
            blocks.append(
                nn.Sequential(*_step(inputs, inputs, 3, stride=stride, groups=inputs), *_step(inputs, outputs, 1))
            )
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.feature_count = 32 if study else inputs
        self.squeeze: nn.Module | None = None
        if study:
            side = -(-input.size // 32)
            self.squeeze = nn.Sequential(nn.Conv2d(inputs, 20, 1), nn.ReLU())
            self.dense = nn.Sequential(nn.Dropout(0.2), nn.Linear(20 * side * side, 32), nn.ReLU())

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """An image as `input` says → features (n, 32), or (n, 1024·alpha) without the study's layers."""
        if self.input.standardise:
            image_B3HW = standardised(image_B3HW)
        x = self.blocks(self.conv1(image_B3HW))
        if self.squeeze is None:
            return torch.mean(x, dim=(2, 3))
        features: Tensor = self.dense(self.squeeze(x).flatten(1))
        return features


def mobilenet_study(alpha: float, *, size: int = 64) -> MobileNet:
    """The baseline of SSR-Net's study: BGR 0..255, 32 features."""
    return MobileNet(alpha, input=InputFormat(size=size, color_order="BGR", scale=1.0), study=True)


def mobilenet_quarter(*, size: int = 64) -> MobileNet:
    """SSR-Net's baseline of alpha 0.25."""
    return mobilenet_study(0.25, size=size)


def mobilenet_half(*, size: int = 64) -> MobileNet:
    """SSR-Net's baseline of alpha 0.5."""
    return mobilenet_study(0.5, size=size)


def mobilenet_multitask(*, alpha: float = 1.0, size: int = 227) -> MobileNet:
    """The network for both tasks beside LMTCNN: standardised images, the mean over positions as features."""
    return MobileNet(alpha, input=InputFormat(size=size, scale=1.0, standardise=True), study=False)
