"""dlib's face recognition network with two heads: pretrained on faces, whole or its first blocks.

The network of `dlib_face_recognition_resnet_model_v1.dat` (King, 2017; public domain): a ResNet-34 with half of its
channels and 29 convolutions, which learned to tell 7,485 people apart in about three million pictures, on 150×150
crops of dlib's `get_face_chip` (blog.dlib.net/2017/02). It was told no ages and no genders.

    image (n, 3, s, s), RGB, 0..1
      stem     conv 7×7 /2, ReLU, max-pool 3×3 /2; nothing is padded
      stages   3, 4, 3, 3 and 1 blocks of 32, 64, 128, 256 and 256 channels; all but the first begin with /2
      pool     means over all positions of each stage but the first, together; batch norm, dropout
      hidden   linear, ReLU, if asked for; dropout
      heads    age: linear → 101 logits; gender: linear → 2 logits

A block is conv 3×3, ReLU, conv 3×3, plus the input, ReLU. A block with /2 does not pad its first convolution; its
shortcut is a mean-pool of 2×2, and the sum has the larger of the two sides and more channels, with zeros where one has
nothing. dlib's batch norms are folded into the convolutions. The one of the pooled features, which lie at about
1 ± 0.15, is ours: without it the heads learn slowly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from agewise_lab.architectures.two_heads import TwoHeadNet

_MEAN_RGB = (122.782, 117.001, 104.298)
_BLOCKS = (
    *[(32, 32, 1)] * 3,
    *[(32, 64, 2), *[(64, 64, 1)] * 3],
    *[(64, 128, 2), *[(128, 128, 1)] * 2],
    *[(128, 256, 2), *[(256, 256, 1)] * 2],
    (256, 256, 2),
)
_STAGE_ENDS = (6, 9, 12, 13)


def _is_enough(side: int, blocks: int) -> bool:
    """Whether something is left for the last convolution.

    >>> _is_enough(103, 14), _is_enough(102, 14)
    (True, False)
    """
    side = ((side - 7) // 2 + 1 - 3) // 2 + 1
    for _, _, stride in _BLOCKS[:blocks]:
        if stride == 2:
            if side < 3:
                return False
            side = max((side - 3) // 2 + 1, side // 2)
    return side > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionConfig:
    """Shape of the network.

    Args:
        size: side of the crops that it is served with, in pixels; 150 is what its weights learned with.
        blocks: how many of the 14 blocks there are, from the first one on. The 13th does next to nothing.
        still: how many of the first blocks, and the stem with them, are not trained; 0 for none, nor the stem. With 3,
            those with the largest pictures, a step takes a third less time.
        hidden: features of a dense layer between the pooled ones and the heads; 0 for none. Ages do not lie on straight
            lines in what tells people apart.
        ages: classes of the age head.
        dropout: share of pooled features, and of hidden ones, that is dropped in training.
    """

    size: int = 150
    blocks: int = 14
    still: int = 0
    hidden: int = 0
    ages: int = 101
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if not 8 <= self.blocks <= len(_BLOCKS):
            raise ValueError(f"blocks are 8 to {len(_BLOCKS)}, got {self.blocks}")
        if not 0 <= self.still < self.blocks:
            raise ValueError(f"of {self.blocks} blocks 0 to {self.blocks - 1} can stand still, got {self.still}")
        if not _is_enough(self.size, self.blocks):
            raise ValueError(f"nothing is left for the last of {self.blocks} blocks at {self.size} pixels")


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1 if stride == 1 else 0)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y = self.second(torch.relu(self.first(x_BCHW)))
        if self.stride == 1:
            return torch.relu(x_BCHW + y)
        pooled = functional.avg_pool2d(x_BCHW, 2)
        sides = max(pooled.shape[2], y.shape[2]), max(pooled.shape[3], y.shape[3])
        return torch.relu(_grown(pooled, y.shape[1], sides) + _grown(y, y.shape[1], sides))


def _grown(x_BCHW: Tensor, channels: int, sides: tuple[int, int]) -> Tensor:
    """With zeros after the last channel, row and column.

    >>> _grown(torch.ones(1, 1, 1, 1), 2, (1, 2)).tolist()
    [[[[1.0, 0.0]], [[0.0, 0.0]]]]
    """
    more = sides[1] - x_BCHW.shape[3], sides[0] - x_BCHW.shape[2], channels - x_BCHW.shape[1]
    return functional.pad(x_BCHW, (0, more[0], 0, more[1], 0, more[2]))


class RecognitionTrunk(nn.Module):
    """All convolutions; fresh weights, see `agewise_lab.convert.dlib_net` for dlib's.

    Args:
        blocks: how many of them, from the first.
        still: how many of these get no gradients, the stem with them.
    """

    mean: Tensor

    def __init__(self, blocks: int = len(_BLOCKS), still: int = 0) -> None:
        super().__init__()
        self.still = still
        self.stem = nn.Conv2d(3, 32, 7, stride=2)
        self.blocks = nn.ModuleList(_Block(*shape) for shape in _BLOCKS[:blocks])
        self.register_buffer("mean", torch.tensor(_MEAN_RGB).view(1, 3, 1, 1), persistent=False)
        self._pooled = [place for place in range(blocks) if place in _STAGE_ENDS or place == blocks - 1]
        self.feature_count = sum(_BLOCKS[place][1] for place in self._pooled)

    def convolutions(self) -> list[nn.Conv2d]:
        """In the order in which they are carried out."""
        return [module for module in self.modules() if isinstance(module, nn.Conv2d)]

    def forward(self, image_B3HW: Tensor) -> list[Tensor]:
        """RGB 0..1 → what each stage but the first gives, pooled: (n, 64), (n, 128), (n, 256), (n, 256)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.still == 0):
            x = (image_B3HW * 255 - self.mean) / 256
            x = functional.max_pool2d(torch.relu(self.stem(x)), 3, 2)
        pooled = []
        for place, block in enumerate(self.blocks):
            with torch.set_grad_enabled(torch.is_grad_enabled() and place >= self.still):
                x = block(x)
            if place in self._pooled:
                pooled.append(x.mean(dim=(2, 3)))
        return pooled


class RecognitionNet(TwoHeadNet):
    """The trunk with agewise's two heads."""

    def __init__(self, config: RecognitionConfig) -> None:
        super().__init__()
        self.config: RecognitionConfig = config
        self.trunk = RecognitionTrunk(config.blocks, config.still)
        self.norm: nn.Module = nn.BatchNorm1d(self.trunk.feature_count, affine=False)
        self.dropout = nn.Dropout(config.dropout)
        width = config.hidden or self.trunk.feature_count
        self.hidden = nn.Linear(self.trunk.feature_count, width) if config.hidden else None
        self.age = nn.Linear(width, config.ages)
        self.gender = nn.Linear(width, 2)

    def pooled(self, image_B3HW: Tensor) -> Tensor:
        """RGB 0..1, float (n, 3, size, size) → hidden features, or pooled ones (n, features)."""
        pooled: Tensor = self.norm(torch.cat(self.trunk(image_B3HW), dim=1))
        return pooled if self.hidden is None else torch.relu(self.hidden(self.dropout(pooled)))

    def _after_norm(self) -> list[nn.Linear]:
        return [self.age, self.gender] if self.hidden is None else [self.hidden]

    @torch.no_grad()
    def fold_norm(self) -> None:
        """Let the layers after it take up the batch norm, if it is still there: in evaluation mode nothing changes."""
        norm = self.norm
        if isinstance(norm, nn.Identity):
            return
        assert isinstance(norm, nn.BatchNorm1d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        for layer in self._after_norm():
            layer.weight.div_(torch.sqrt(norm.running_var + norm.eps))
            layer.bias.sub_(layer.weight @ norm.running_mean)
        self.norm = nn.Identity()

    @torch.no_grad()
    def unfold_norm(self, images: Iterable[Tensor]) -> None:
        """The inverse: a batch norm with the statistics of `images`, batches of RGB 0..1 (n, 3, size, size)."""
        assert isinstance(self.norm, nn.Identity)
        features = torch.cat([torch.cat(self.trunk(image_B3HW), dim=1) for image_B3HW in images]).double()
        mean, variance = features.mean(0).float(), features.var(0, correction=0).float()
        norm = nn.BatchNorm1d(self.trunk.feature_count, affine=False)
        norm.load_state_dict({**norm.state_dict(), "running_mean": mean, "running_var": variance})
        for layer in self._after_norm():
            layer.bias.add_(layer.weight @ mean)
            layer.weight.mul_(torch.sqrt(variance + norm.eps))
        self.norm = norm.train(self.training)
