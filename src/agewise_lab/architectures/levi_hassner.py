"""The network of Levi, Hassner: «Age and Gender Classification using Convolutional Neural Networks», CVPR workshops,
2015.

    image (n, 3, 227, 227), RGB, standardised inside
      conv1   7×7 /4 → 96, ReLU, max-pool 3/2, LRN                56 → 27
      conv2   5×5 → 256, ReLU, max-pool 3/2, LRN                  27 → 13
      conv3   3×3 → 384, ReLU, max-pool 3/2                       13 → 6
      dense   512, ReLU, dropout 0.5
      dense   512, ReLU, dropout 0.5: 512 features

LRN is local response normalisation over 5 channels, alpha 1e-4, beta 0.75, as in the paper: the mean of squares is
taken over the window (TensorFlow's function of that name takes a radius, and the sum). The other variant has a batch
norm after each convolution instead. The paper has one network a task; here both heads may sit on one.

8,855,040 parameters, 649 M multiply-adds at 227 pixels.
"""

from __future__ import annotations

from torch import Tensor, nn

from agewise_lab.architectures.base import Backbone, InputFormat, standardised
from agewise_lab.architectures.layers import pooled_side, require_size

_LEAST = 64


def first_layer(batch_norm: bool) -> nn.Sequential:
    """conv1 with its pool and normalisation, which LMTCNN shares."""
    return _layer(nn.Conv2d(3, 96, 7, stride=4, bias=not batch_norm), batch_norm, normalise=True)


def _layer(conv: nn.Conv2d, batch_norm: bool, *, normalise: bool) -> nn.Sequential:
    layers: list[nn.Module] = [conv]
    if batch_norm:
        layers.append(nn.BatchNorm2d(conv.out_channels))
    layers += [nn.ReLU(), nn.MaxPool2d(3, 2)]
    if normalise and not batch_norm:
        layers.append(nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75))
    return nn.Sequential(*layers)


def dense_layers(inputs: int, hidden: int) -> nn.Sequential:
    """The two dense layers before the heads, which LMTCNN shares."""
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.5)
    )


class LeviHassner(Backbone):
    """The network up to its 512 features; see the module's docstring.

    Args:
        size: side of the input in pixels, 227 in the paper, at least 64.
        batch_norm: the variant with batch norms instead of LRN.
        hidden: units of each dense layer.
    """

    stem_names = ("conv1",)

    def __init__(self, *, size: int = 227, batch_norm: bool = False, hidden: int = 512) -> None:
        super().__init__()
        require_size("levi-hassner", size, _LEAST)
        self.input = InputFormat(size=size, scale=1.0, standardise=True)
        self.conv1 = first_layer(batch_norm)
        self.conv2 = _layer(nn.Conv2d(96, 256, 5, padding=2, bias=not batch_norm), batch_norm, normalise=True)
        self.conv3 = _layer(nn.Conv2d(256, 384, 3, padding=1, bias=not batch_norm), batch_norm, normalise=False)
        side = pooled_side(size, 7, 4)
        for _ in range(3):
            side = pooled_side(side, 3, 2)
        self.dense = dense_layers(384 * side * side, hidden)
        self.feature_count = hidden

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """RGB 0..255, float (n, 3, size, size) → features (n, hidden)."""
        x = self.conv3(self.conv2(self.conv1(standardised(image_B3HW))))
        features: Tensor = self.dense(x.flatten(1))
        return features


def levi_hassner_bn(*, size: int = 227, hidden: int = 512) -> LeviHassner:
    """The variant with batch norms."""
    return LeviHassner(size=size, batch_norm=True, hidden=hidden)
