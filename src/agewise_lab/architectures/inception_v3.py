"""Inception-v3 (Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: «Rethinking the Inception Architecture for Computer Vision»,
CVPR 2016), with both tasks on its pooled features as beside LMTCNN.

    image (n, 3, 227, 227), RGB, standardised inside                            at 227
      stem      3×3 /2 → 32, 3×3 → 32, 3×3 same → 64, max-pool 3/2,
                1×1 → 80, 3×3 → 192, max-pool 3/2                               25
      A × 3     1×1 | 1×1, 5×5 | 1×1, 3×3, 3×3 | mean-pool, 1×1                 25    256, 288, 288
      B         3×3 /2 | 1×1, 3×3, 3×3 /2 | max-pool /2                         12    768
      C × 4     1×1 | 1×1, 1×7, 7×1 | 1×1, 7×1, 1×7, 7×1, 1×7 | mean, 1×1       12    768
      D         1×1, 3×3 /2 | 1×1, 1×7, 7×1, 3×3 /2 | max-pool /2               5     1280
      E × 2     1×1 | 1×1, [1×3, 3×1] | 1×1, 3×3, [1×3, 3×1] | mean, 1×1        5     2048
      mean over all positions: 2048 features

Each convolution is followed by BN (epsilon 1e-3) and ReLU. The auxiliary classifier is left out.
21,785,568 parameters, 2.91 G multiply-adds at 227 pixels (5.71 G at the paper's 299).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agewise_lab.architectures.base import Backbone, InputFormat, standardised
from agewise_lab.architectures.layers import KERAS_EPSILON, require_size

_Kernel = int | tuple[int, int]


def _conv(inputs: int, outputs: int, kernel: _Kernel, *, stride: int = 1, same: bool = True) -> nn.Sequential:
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (sides[0] // 2, sides[1] // 2) if same else (0, 0)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, sides, stride=stride, padding=padding, bias=False),
        nn.BatchNorm2d(outputs, eps=KERAS_EPSILON),
        nn.ReLU(),
    )


def _chain(inputs: int, *steps: tuple[int, _Kernel]) -> nn.Sequential:
    """Convolutions of stride 1 after each other: (outputs, kernel) of each."""
    layers = []
    for outputs, kernel in steps:
        layers.append(_conv(inputs, outputs, kernel))
        inputs = outputs
    return nn.Sequential(*layers)


def _means(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, 1, padding=1), _conv(inputs, outputs, 1))


class Branches(nn.Module):
    """Branches side by side; their channels are put after each other."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return torch.cat([branch(x_BCHW) for branch in self.branches], dim=1)


def _block_a(inputs: int, pooled: int) -> Branches:
    return Branches(
        _conv(inputs, 64, 1),
        _chain(inputs, (48, 1), (64, 5)),
        _chain(inputs, (64, 1), (96, 3), (96, 3)),
        _means(inputs, pooled),
    )


def _block_b(inputs: int) -> Branches:
    return Branches(
        _conv(inputs, 384, 3, stride=2, same=False),
        nn.Sequential(_chain(inputs, (64, 1), (96, 3)), _conv(96, 96, 3, stride=2, same=False)),
        nn.MaxPool2d(3, 2),
    )


def _block_c(inputs: int, c: int) -> Branches:
    return Branches(
        _conv(inputs, 192, 1),
        _chain(inputs, (c, 1), (c, (1, 7)), (192, (7, 1))),
        _chain(inputs, (c, 1), (c, (7, 1)), (c, (1, 7)), (c, (7, 1)), (192, (1, 7))),
        _means(inputs, 192),
    )


def _block_d(inputs: int) -> Branches:
    return Branches(
        nn.Sequential(_conv(inputs, 192, 1), _conv(192, 320, 3, stride=2, same=False)),
        nn.Sequential(_chain(inputs, (192, 1), (192, (1, 7)), (192, (7, 1))), _conv(192, 192, 3, stride=2, same=False)),
        nn.MaxPool2d(3, 2),
    )


def _block_e(inputs: int) -> Branches:
    def split() -> Branches:
        return Branches(_conv(384, 384, (1, 3)), _conv(384, 384, (3, 1)))

    return Branches(
        _conv(inputs, 320, 1),
        nn.Sequential(_conv(inputs, 384, 1), split()),
        nn.Sequential(_chain(inputs, (448, 1), (384, 3)), split()),
        _means(inputs, 192),
    )


class InceptionV3(Backbone):
    """The network up to its 2048 features; see the module's docstring.

    Args:
        size: side of the input in pixels, at least 75.
    """

    stem_names = ("stem",)

    def __init__(self, *, size: int = 227) -> None:
        super().__init__()
        require_size("inception-v3", size, 75)
        self.input = InputFormat(size=size, scale=1.0, standardise=True)
        self.stem = nn.Sequential(
            _conv(3, 32, 3, stride=2, same=False),
            _conv(32, 32, 3, same=False),
            _conv(32, 64, 3),
            nn.MaxPool2d(3, 2),
            _conv(64, 80, 1),
            _conv(80, 192, 3, same=False),
            nn.MaxPool2d(3, 2),
        )
        self.blocks = nn.Sequential(
            _block_a(192, 32), _block_a(256, 64), _block_a(288, 64),
            _block_b(288),
            _block_c(768, 128), _block_c(768, 160), _block_c(768, 160), _block_c(768, 192),
            _block_d(768),
            _block_e(1280), _block_e(2048),
        )  # fmt: skip
        self.feature_count = 2048

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """RGB 0..255, float (n, 3, size, size) → pooled features (n, 2048)."""
        return torch.mean(self.blocks(self.stem(standardised(image_B3HW))), dim=(2, 3))
