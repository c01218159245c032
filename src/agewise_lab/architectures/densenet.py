"""DenseNet (Huang, Liu, van der Maaten, Weinberger: «Densely Connected Convolutional Networks», CVPR 2017), as the
study of SSR-Net has it.

    image (n, 3, s, s), BGR, 0..255
      conv 3×3 → 24                                                    s
      block 1, transition   n layers; BN, ReLU, 1×1, mean-pool 2×2     s/2
      block 2, transition   as block 1                                 s/4
      block 3               n layers; BN, ReLU                         s/4
      mean over all positions
      dense 128, ReLU, dropout 0.2, dense 32, ReLU: 32 features

A layer is BN, ReLU, conv 3×3 → `growth`; its output is appended to its input. depth = 3·n + 4. No bias before a
batch norm, epsilon 1.1e-5. Growth 12: depth 13 has n = 3, depth 19 has n = 5.
At 64 pixels: depth 13 has 106,472 parameters and 107 M multiply-adds, depth 19 237,872 and 242 M.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agewise_lab.architectures.base import Backbone, InputFormat
from agewise_lab.architectures.layers import keras_norm, require_size

_EPSILON = 1.1e-5


class DenseLayer(nn.Module):
    """BN, ReLU, a 3×3 convolution; the result is appended to the input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm = keras_norm(inputs, _EPSILON)
        self.conv = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return torch.cat([x_BCHW, self.conv(torch.relu(self.norm(x_BCHW)))], dim=1)


class DenseNet(Backbone):
    """The network up to its 32 features; see the module's docstring.

    Args:
        depth: 3·n + 4.
        growth: channels that each layer adds.
        size: side of the input in pixels.
    """

    stem_names = ("conv1",)

    def __init__(self, depth: int, *, growth: int = 12, size: int = 64) -> None:
        super().__init__()
        layers, rest = divmod(depth - 4, 3)
        if layers < 1 or rest:
            raise ValueError(f"a DenseNet of three blocks has a depth of 3·n + 4, such as 13 or 19, got {depth}")
        require_size("densenet", size, 4)
        self.input = InputFormat(size=size, color_order="BGR", scale=1.0)
        channels = 2 * growth
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        for block in range(3):
            for _ in range(layers):
                blocks.append(DenseLayer(channels, growth))
                channels += growth
            blocks += [keras_norm(channels, _EPSILON), nn.ReLU()]
            if block < 2:
                blocks += [nn.Conv2d(channels, channels, 1, bias=False), nn.AvgPool2d(2)]
        self.blocks = nn.Sequential(*blocks)
        self.dense = nn.Sequential(nn.Linear(channels, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 32), nn.ReLU())
        self.feature_count = 32

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """BGR 0..255, float (n, 3, size, size) → features (n, 32)."""
        features: Tensor = self.dense(self.blocks(self.conv1(image_B3HW)).mean(dim=(2, 3)))
        return features


def densenet_13(*, growth: int = 12, size: int = 64) -> DenseNet:
    """The study's smaller one."""
    return DenseNet(13, growth=growth, size=size)


def densenet_19(*, growth: int = 12, size: int = 64) -> DenseNet:
    """The study's larger one."""
    return DenseNet(19, growth=growth, size=size)
