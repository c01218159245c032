"""LMTCNN (Lee, Chan, Chen, Hsieh, Huang: «Joint Estimation of Age and Gender from Unconstrained Face Images using
Lightweight Multi-task CNN for Mobile Applications», MIPR 2018).

    image (n, 3, 227, 227), RGB, standardised inside
      conv1       7×7 /4 → 96, ReLU, max-pool 3/2, LRN: as Levi and Hassner       56 → 27
      separable1  depthwise 3×3, BN, ReLU, 1×1 → 256 (2-1: 512), BN, ReLU          27
      separable2  depthwise 3×3 /2, BN, ReLU, 1×1 → 384, BN, ReLU                  14
      max-pool    3/2                                                              6
      dense       512, ReLU, dropout 0.5
      dense       512, ReLU, dropout 0.5: 512 features for both heads

LMTCNN-1-1: 7,483,296 parameters, 90 M multiply-adds at 227 pixels; LMTCNN-2-1: 7,609,504 and 127 M.
"""

from __future__ import annotations

from torch import Tensor, nn

from agewise_lab.architectures.base import Backbone, InputFormat, standardised
from agewise_lab.architectures.layers import SameConv2d, pooled_side, require_size
from agewise_lab.architectures.levi_hassner import dense_layers, first_layer


def _separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        SameConv2d(inputs, inputs, 3, stride=stride, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Lmtcnn(Backbone):
    """The network up to its 512 features; see the module's docstring.

    Args:
        width: channels after the first separable layer: 256 for 1-1, 512 for 2-1.
        size: side of the input in pixels, 227 in the paper, at least 64.
        hidden: units of each dense layer.
    """

    stem_names = ("conv1",)

    def __init__(self, width: int, *, size: int = 227, hidden: int = 512) -> None:
        super().__init__()
        require_size("lmtcnn", size, 64)
        self.input = InputFormat(size=size, scale=1.0, standardise=True)
        self.conv1 = first_layer(batch_norm=False)
        self.separable1 = _separable(96, width, 1)
        self.separable2 = _separable(width, 384, 2)
        self.pool = nn.MaxPool2d(3, 2)
        side = pooled_side(pooled_side(size, 7, 4), 3, 2)
        side = pooled_side(-(-side // 2), 3, 2)
        self.dense = dense_layers(384 * side * side, hidden)
        self.feature_count = hidden

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """RGB 0..255, float (n, 3, size, size) → features (n, hidden)."""
        x = self.pool(self.separable2(self.separable1(self.conv1(standardised(image_B3HW)))))
        features: Tensor = self.dense(x.flatten(1))
        return features


def lmtcnn_1_1(*, size: int = 227, hidden: int = 512) -> Lmtcnn:
    """LMTCNN-1-1."""
    return Lmtcnn(256, size=size, hidden=hidden)


def lmtcnn_2_1(*, size: int = 227, hidden: int = 512) -> Lmtcnn:
    """LMTCNN-2-1."""
    return Lmtcnn(512, size=size, hidden=hidden)
