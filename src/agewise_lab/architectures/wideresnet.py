"""Wide residual network (Zagoruyko, Komodakis: «Wide Residual Networks», BMVC 2016), as age-gender-estimation by yu4u
has it.

    image (n, 3, s, s), BGR, 0..255
      conv 3×3 → 16                                              s
      stage 1   n blocks → 16·k                                  s
      stage 2   n blocks → 32·k, the first one /2                s/2
      stage 3   n blocks → 64·k, the first one /2                s/4
      BN, ReLU, mean over windows of 8×8, flatten

A block is BN, ReLU, conv 3×3, BN, ReLU, conv 3×3, plus its input. Where planes differ, the first BN-ReLU is
shared by both branches, and the shortcut is a 1×1 convolution. depth = 6·n + 4; no layer has a bias.
Depth 16, width 8 at 64 pixels: 10.96 M parameters, 6.2 G multiply-adds.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from agewise_lab.architectures.base import Backbone, InputFormat
from agewise_lab.architectures.layers import keras_norm, require_size

Pooling: TypeAlias = Literal["apart", "sliding", "same"]
_WINDOW = 8


class WideBlock(nn.Module):
    """One residual block; see the module's docstring."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = keras_norm(inputs)
        # With stride 2 TensorFlow pads at the right and bottom only.
        self.stride = stride
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=0 if stride > 1 else 1, bias=False)
        self.norm2 = keras_norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False) if inputs != outputs else None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        active = torch.relu(self.norm1(x_BCHW))
        padded = functional.pad(active, (0, 1, 0, 1)) if self.stride > 1 else active
        y = self.conv2(torch.relu(self.norm2(self.conv1(padded))))
        result: Tensor = y + (x_BCHW if self.shortcut is None else self.shortcut(active))
        return result


class WindowMeans(nn.Module):
    """Means over windows of 8×8.

    "apart": the windows lie beside each other. "sliding": one at each position where it fits. "same": one around each
    position, cut at the border, as the published weights have it: at 64 pixels 131,072 features.
    """

    def __init__(self, kind: Pooling, side: int) -> None:
        super().__init__()
        self.kind = kind
        self.window = min(_WINDOW, side)
        self.side = {"apart": side // self.window, "sliding": side - self.window + 1, "same": side}[kind]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if self.kind != "same":
            return functional.avg_pool2d(x_BCHW, self.window, stride=self.window if self.kind == "apart" else 1)
        before = (self.window - 1) // 2
        pad = (before, self.window - 1 - before) * 2
        inside = functional.avg_pool2d(functional.pad(torch.ones_like(x_BCHW[:1, :1]), pad), self.window, stride=1)
        return functional.avg_pool2d(functional.pad(x_BCHW, pad), self.window, stride=1) / inside


class WideResNet(Backbone):
    """The network up to its features; see the module's docstring.

    Args:
        depth: 6·n + 4.
        width: k.
        size: side of the input in pixels, a multiple of 4.
        pooling: see `WindowMeans`.
    """

    stem_names = ("conv1", "stage1")

    def __init__(self, *, depth: int = 16, width: int = 8, size: int = 64, pooling: Pooling = "apart") -> None:
        super().__init__()
        count, rest = divmod(depth - 4, 6)
        if count < 1 or rest:
            raise ValueError(f"a wide residual network has a depth of 6·n + 4, such as 10, 16 or 22, got {depth}")
        require_size("wideresnet", size, 16)
        if size % 4:
            raise ValueError(f"wideresnet halves its input twice: the size must be a multiple of 4, got {size}")
        self.input = InputFormat(size=size, color_order="BGR", scale=1.0)
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.stage1 = _stage(16, 16 * width, count, 1)
        self.stage2 = _stage(16 * width, 32 * width, count, 2)
        self.stage3 = _stage(32 * width, 64 * width, count, 2)
        self.norm = keras_norm(64 * width)
        self.means = WindowMeans(pooling, size // 4)
        self.feature_count = 64 * width * self.means.side**2
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """BGR 0..255, float (n, 3, size, size) → features (n, 64·width·windows), channels slowest."""
        x = self.stage3(self.stage2(self.stage1(self.conv1(image_B3HW))))
        features: Tensor = self.means(torch.relu(self.norm(x))).flatten(1)
        return features


def _stage(inputs: int, outputs: int, count: int, stride: int) -> nn.Sequential:
    blocks = [WideBlock(inputs, outputs, stride)] + [WideBlock(outputs, outputs, 1) for _ in range(count - 1)]
    return nn.Sequential(*blocks)
