"""ResNet (He, Zhang, Ren, Sun: «Deep Residual Learning for Image Recognition», CVPR 2016).

    image (n, 3, 224, 224), RGB, ImageNet normalisation
      conv1   7×7 /2 → 64, BN, ReLU; max-pool 3×3 /2               s/4
      layer1  blocks of width 64                                   s/4
      layer2  blocks of width 128, the first one /2                s/8
      layer3  blocks of width 256, the first one /2                s/16
      layer4  blocks of width 512, the first one /2                s/32
      mean over all positions

ResNet-18 has 2, 2, 2, 2 blocks of two 3×3 convolutions, ResNet-34 3, 4, 6, 3. ResNet-50 has 3, 4, 6, 3 blocks
of 1×1, 3×3 (here the stride), 1×1 to four times the width. Age-Gender-Pred puts two heads of one hidden layer of
512 on ResNet-18. Parameters without heads: 11,176,512, 21,284,672 and 23,508,032; multiply-adds at 224 pixels
1.81 G, 3.66 G and 4.09 G.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agewise_lab.architectures.base import IMAGENET_MEAN, IMAGENET_STD, Backbone, InputFormat
from agewise_lab.architectures.layers import conv_norm_relu, require_size


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs)
    )


class ResidualBlock(nn.Module):
    """The plain block of two convolutions, or with `bottleneck` that of three."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            self.layers = nn.Sequential(
                conv_norm_relu(inputs, width, 1),
                conv_norm_relu(width, width, 3, stride=stride, padding=1),
                _conv_norm(width, outputs, 1),
            )
        else:
            self.layers = nn.Sequential(
                conv_norm_relu(inputs, width, 3, stride=stride, padding=1), _conv_norm(width, width, 3)
            )
        changed = stride > 1 or inputs != outputs
        self.shortcut = _conv_norm(inputs, outputs, 1, stride) if changed else nn.Sequential()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return torch.relu(self.layers(x_BCHW) + self.shortcut(x_BCHW))


class ResNet(Backbone):
    """The network up to its pooled features; see the module's docstring.

    Args:
        depths: blocks of each layer.
        bottleneck: blocks of three convolutions.
        size: side of the input in pixels.
        width: of the first layer, 64 in the paper.
    """

    stem_names = ("conv1", "layer1")

    def __init__(self, depths: tuple[int, ...], *, bottleneck: bool = False, size: int = 224, width: int = 64) -> None:
        super().__init__()
        require_size("resnet", size, 32)
        self.input = InputFormat(size=size, mean=IMAGENET_MEAN, std=IMAGENET_STD)
        self.conv1 = nn.Sequential(conv_norm_relu(3, width, 7, stride=2, padding=3), nn.MaxPool2d(3, 2, padding=1))
        inputs = width
        for i, depth in enumerate(depths):
            blocks: list[nn.Module] = []
            for j in range(depth):
                blocks.append(ResidualBlock(inputs, width, 2 if i and not j else 1, bottleneck))
                inputs = 4 * width if bottleneck else width
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
            width *= 2
        self.feature_count = inputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """RGB, ImageNet normalisation, float (n, 3, size, size) → pooled features (n, feature_count)."""
        x = image_B3HW
        for layer in self.children():
            x = layer(x)
        return x.mean(dim=(2, 3))


def resnet_18(*, size: int = 224, width: int = 64) -> ResNet:
    """ResNet-18."""
    return ResNet((2, 2, 2, 2), size=size, width=width)


def resnet_34(*, size: int = 224, width: int = 64) -> ResNet:
    """ResNet-34."""
    return ResNet((3, 4, 6, 3), size=size, width=width)


def resnet_50(*, size: int = 224, width: int = 64) -> ResNet:
    """ResNet-50."""
    return ResNet((3, 4, 6, 3), bottleneck=True, size=size, width=width)
