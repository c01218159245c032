"""agewise's own compact family: a plain residual network of 3×3 convolutions, for CPUs.

    image (n, 3, s, s), RGB, 0..1
      stem     conv 3×3 /2, BN, ReLU                                   s/2
      stage 1  `depths[0]` residual blocks, widths[0]                  s/2
      stage k  `depths[k]` blocks, widths[k], the first one with /2    s/2^k
      pool     mean over all positions; dropout
      heads    age: linear → 101 logits; gender: linear → 2 logits

A block is conv 3×3, BN, ReLU, conv 3×3, BN, squeeze-and-excitation if asked for, plus the input, ReLU;
where the shape changes the shortcut is a mean-pool and a 1×1 convolution (He et al. 2016; the «D» variant
of He et al. 2019). Plain 3×3 convolutions run near a CPU's peak in training (bf16) and in serving;
depthwise ones of the same cost in multiply-adds do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from agewise_lab.architectures.base import Backbone, InputFormat
from agewise_lab.architectures.two_heads import TwoHeadNet


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactConfig:
    """Shape of one member of the family.

    Args:
        size: side of the input in pixels.
        stem: channels after the stem.
        widths: channels of each stage.
        depths: residual blocks of each stage; 0 for a first stage makes it vanish.
        ages: classes of the age head.
        dropout: share of pooled features that is dropped in training.
        squeeze: reduction of squeeze-and-excitation in every block (Hu et al. 2018); 0 for none.
        first_stride: stride of the first stage; 2 saves time where the input is large.
    """

    size: int = 64
    stem: int = 24
    widths: tuple[int, ...] = (24, 48, 96, 160)
    depths: tuple[int, ...] = (1, 2, 2, 1)
    ages: int = 101
    dropout: float = 0.2
    squeeze: int = 0
    first_stride: int = 1

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.depths):
            raise ValueError(f"widths and depths must pair up, got {self.widths} and {self.depths}")


class SqueezeExcitation(nn.Module):
    """Channel gates from the mean over positions (Hu, Shen, Sun: «Squeeze-and-Excitation Networks», 2018)."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        hidden = max(8, width // reduction)
        self.reduce = nn.Conv2d(width, hidden, 1)
        self.expand = nn.Conv2d(hidden, width, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        gate = torch.relu(self.reduce(x_BCHW.mean(dim=(2, 3), keepdim=True)))
        return x_BCHW * torch.sigmoid(self.expand(gate))


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """One residual block."""

    def __init__(self, inputs: int, outputs: int, stride: int, squeeze: int) -> None:
        super().__init__()
        self.first = _conv(inputs, outputs, stride)
        self.second = _conv(outputs, outputs)
        norm = self.second[1]
        assert isinstance(norm, nn.BatchNorm2d)
        nn.init.zeros_(norm.weight)  # a block starts as its shortcut
        self.squeeze = SqueezeExcitation(outputs, squeeze) if squeeze else nn.Identity()
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(nn.AvgPool2d(stride, ceil_mode=True))
        if inputs != outputs:
            shortcut += [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y = self.squeeze(self.second(torch.relu(self.first(x_BCHW))))
        return torch.relu(y + self.shortcut(x_BCHW))


def _features(config: CompactConfig) -> nn.Sequential:
    """The stem and all blocks: 0..1 moved to about -2..2 → (n, widths[-1], h, w)."""
    layers: list[nn.Module] = [_conv(3, config.stem, 2), nn.ReLU()]
    inputs = config.stem
    for stage, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
        for i in range(depth):
            stride = (config.first_stride if stage == 0 else 2) if i == 0 else 1
            layers.append(Block(inputs, width, stride, config.squeeze))
            inputs = width
    return nn.Sequential(*layers)


class CompactNet(TwoHeadNet):
    """The network with its own two heads, which the embedded models are; see the module's docstring."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config: CompactConfig = config
        self.features = _features(config)
        self.dropout = nn.Dropout(config.dropout)
        self.age = nn.Linear(config.widths[-1], config.ages)
        self.gender = nn.Linear(config.widths[-1], 2)

    def pooled(self, image_B3HW: Tensor) -> Tensor:
        """RGB 0..1, float (n, 3, size, size) → pooled features (n, widths[-1])."""
        pooled: Tensor = self.features((image_B3HW - 0.5) * 4.0).mean(dim=(2, 3))
        return pooled


class CompactBackbone(Backbone):
    """The same network up to the pooled features, for any heads. Its weights have the names of `CompactNet`'s.

    Args:
        config: its shape; `ages` says nothing here.
    """

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        self.input = InputFormat(size=config.size)
        self.feature_count = config.widths[-1]
        self.features = _features(config)
        self.dropout = nn.Dropout(config.dropout)

    def groups(self) -> dict[str, list[nn.Module]]:
        """The stem's convolution and the first stage, and the rest."""
        layers = list(self.features)
        first = 2 + self.config.depths[0]
        return {"stem": layers[:first], "trunk": layers[first:]}

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """RGB 0..1, float (n, 3, size, size) → pooled features (n, widths[-1])."""
        pooled: Tensor = self.dropout(self.features((image_B3HW - 0.5) * 4.0).mean(dim=(2, 3)))
        return pooled


def agewise_s(
    *,
    size: int = 96,
    stem: int = 16,
    widths: tuple[int, ...] = (32, 64, 112, 160),
    depths: tuple[int, ...] = (1, 1, 2, 1),
    dropout: float = 0.1,
    squeeze: int = 0,
) -> CompactBackbone:
    """The backbone of agewise-s: 0.89 M parameters, 36 M multiply-adds at 96 pixels."""
    return CompactBackbone(
        CompactConfig(
            size=size, stem=stem, widths=widths, depths=depths, first_stride=2, dropout=dropout, squeeze=squeeze
        )
    )


def agewise_m(
    *,
    size: int = 96,
    stem: int = 32,
    widths: tuple[int, ...] = (64, 128, 224, 320),
    depths: tuple[int, ...] = (1, 1, 2, 1),
    dropout: float = 0.2,
    squeeze: int = 0,
) -> CompactBackbone:
    """The backbone of agewise-m: 3.57 M parameters, 142 M multiply-adds at 96 pixels."""
    return agewise_s(size=size, stem=stem, widths=widths, depths=depths, dropout=dropout, squeeze=squeeze)
