"""VGG-16 (Simonyan, Zisserman: «Very Deep Convolutional Networks for Large-Scale Image Recognition», ICLR 2015), on
which DEX (Rothe, Timofte, Van Gool, IJCV 2018) puts 101 ages.

    image (n, 3, 224, 224), BGR, 0..255 less ImageNet's mean
      block 1   2 × [conv 3×3 → 64, ReLU], max-pool 2          s/2
      block 2   2 × [conv 3×3 → 128, ReLU], max-pool 2         s/4
      block 3   3 × [conv 3×3 → 256, ReLU], max-pool 2         s/8
      block 4   3 × [conv 3×3 → 512, ReLU], max-pool 2         s/16
      block 5   3 × [conv 3×3 → 512, ReLU], max-pool 2         s/32
      fc6, fc7  4096, ReLU, dropout 0.5: 4096 features

134,260,544 parameters, 15.5 G multiply-adds at 224 pixels. DEX starts from ImageNet's weights and crops with a margin
of 40 %.
"""

from __future__ import annotations

from torch import Tensor, nn

from agewise_lab.architectures.base import Backbone, InputFormat
from agewise_lab.architectures.layers import require_size

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


class Vgg16(Backbone):
    """The network up to its 4096 features; see the module's docstring.

    Args:
        size: side of the input in pixels, at least 32.
        width: factor of all convolutions' channels; 1 in the paper.
        hidden: units of fc6 and fc7; 4096 in the paper.
    """

    def __init__(self, *, size: int = 224, width: float = 1.0, hidden: int = 4096) -> None:
        super().__init__()
        require_size("vgg-16", size, 32)
        self.input = InputFormat(size=size, color_order="BGR", scale=1.0, mean=(103.939, 116.779, 123.68))
        layers: list[nn.Module] = []
        inputs = 3
        for count, channels in _BLOCKS:
            outputs = max(int(channels * width), 1)
            for _ in range(count):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Linear(inputs * (size // 32) ** 2, hidden), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.5),
        )  # fmt: skip
        self.feature_count = hidden
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def groups(self) -> dict[str, list[nn.Module]]:
        """The first two blocks, and the rest."""
        layers = list(self.features)
        return {"stem": layers[:10], "trunk": [*layers[10:], self.dense]}

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """BGR less ImageNet's mean, float (n, 3, size, size) → features (n, hidden)."""
        features: Tensor = self.dense(self.features(image_B3HW).flatten(1))
        return features
