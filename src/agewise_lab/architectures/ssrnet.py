"""SSR-Net (Yang, Huang, Lin, Hsiu, Chuang: «SSR-Net: A Compact Soft Stagewise Regression Network for Age Estimation»,
IJCAI 2018).

    image (n, 3, 64, 64), BGR, 0..255
      stream X   x1 ─pool/2─ x2 ─pool/2─ x3 ─pool/2─ x4         conv 3×3 → 32, BN, ReLU; average pools
                      31×31       14×14                4×4
      stream S   s1 ─pool/2─ s2 ─pool/2─ s3 ─pool/2─ s4         conv 3×3 → 16, BN, tanh; max pools
                      │           │                    │
      stage        3, pool/8   2, pool/4               1        conv 1×1 → 10, ReLU on each stream, pool, flatten

    `SsrNet` is all this; its features are the flattened maps (S, X) of stages 1, 2, 3 after each other.
    `StagewiseLayers`, the head's part, makes of each stage's two maps s and x
      delta_k = tanh(dense(s ∘ x))
      f = ReLU(dense(ReLU(dense(dropout(s))) ∘ ReLU(dense(dropout(x)))))
      p_k = ReLU(dense(f)), eta_k = tanh(dense(f))
    which `agewise.decode.soft_stagewise` turns into years.

One trunk carries any number of heads: age and gender of one network share the streams. With one head 40,531
parameters (40,915 as Keras counts, with the batch norms' statistics) and 17.1 M multiply-adds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agewise_lab.architectures.base import Backbone, InputFormat
from agewise_lab.architectures.layers import keras_norm, pooled_side, require_size

_MAPS = 10
_X, _S = 32, 16
_ASLEEP = 0.05
"""A unit of a head whose values have a standard deviation of less over faces is asleep."""


def _block(inputs: int, outputs: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3), keras_norm(outputs), activation)


def _map(inputs: int, pool: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, _MAPS, 1), nn.ReLU(), pool)


class SsrNet(Backbone):
    """Both streams and the stages' maps; see the module's docstring.

    Args:
        size: side of the input in pixels, 64 in the paper, at least 64.
    """

    stem_names = ("x1", "s1")

    def __init__(self, *, size: int = 64) -> None:
        super().__init__()
        require_size("ssrnet", size, 64)
        self.input = InputFormat(size=size, color_order="BGR", scale=1.0)
        self.x1, self.s1 = _block(3, _X, nn.ReLU()), _block(3, _S, nn.Tanh())
        self.x2, self.s2 = _block(_X, _X, nn.ReLU()), _block(_S, _S, nn.Tanh())
        self.x3, self.s3 = _block(_X, _X, nn.ReLU()), _block(_S, _S, nn.Tanh())
        self.x4, self.s4 = _block(_X, _X, nn.ReLU()), _block(_S, _S, nn.Tanh())
        self.x_pool, self.s_pool = nn.AvgPool2d(2), nn.MaxPool2d(2)
        # Stages 1, 2, 3: from the ends of the streams back to their beginnings.
        self.s_maps = nn.ModuleList([_map(_S, nn.Identity()), _map(_S, nn.MaxPool2d(4)), _map(_S, nn.MaxPool2d(8))])
        self.x_maps = nn.ModuleList([_map(_X, nn.Identity()), _map(_X, nn.AvgPool2d(4)), _map(_X, nn.AvgPool2d(8))])
        first = pooled_side(size - 2, 2, 2)
        second = pooled_side(first - 2, 2, 2)
        end = pooled_side(second - 2, 2, 2) - 2
        self.feature_pairs: tuple[tuple[int, int], ...] = tuple(
            (_MAPS * side * side, _MAPS * side * side) for side in (end, second // 4, first // 8)
        )
        """Of each stage, how many features come from S and how many from X."""
        self.feature_count = sum(s + x for s, x in self.feature_pairs)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """BGR 0..255, float (n, 3, size, size) → maps of the stages, (n, 680) at 64 pixels."""
        x, s = self.x_pool(self.x1(image_B3HW)), self.s_pool(self.s1(image_B3HW))
        x_third, s_third = x, s
        x, s = self.x_pool(self.x2(x)), self.s_pool(self.s2(s))
        x_second, s_second = x, s
        x, s = self.x4(self.x_pool(self.x3(x))), self.s4(self.s_pool(self.s3(s)))
        maps = []
        for i, (s_k, x_k) in enumerate(((s, x), (s_second, x_second), (s_third, x_third))):
            maps += [self.s_maps[i](s_k).flatten(1), self.x_maps[i](x_k).flatten(1)]
        return torch.cat(maps, dim=1)


class StagewiseLayers(nn.Module):
    """Maps of the stages → (p, delta, eta) of each.

    Args:
        feature_pairs: of each stage, how many features lie in its first and in its second map; a backbone that is
            not made of stages may be cut into pairs in any way whose sizes match within each.
        classes: of each stage.
        dropout: of the maps.
    """

    def __init__(
        self,
        feature_pairs: tuple[tuple[int, int], ...] = ((160, 160), (90, 90), (90, 90)),
        *,
        classes: tuple[int, ...] = (3, 3, 3),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if len(classes) != len(feature_pairs):
            raise ValueError(f"one number of classes a stage, got {len(classes)} for {len(feature_pairs)} stages")
        if any(s != x for s, x in feature_pairs):
            raise ValueError(f"the two maps of a stage are multiplied: they must be equally large, got {feature_pairs}")
        self.sizes = [size for pair in feature_pairs for size in pair]
        self.dropout = nn.Dropout(dropout)
        sizes = [s for s, _ in feature_pairs]
        self.delta = nn.ModuleList([nn.Linear(size, 1) for size in sizes])
        self.s_mix = nn.ModuleList([nn.Linear(size, n) for size, n in zip(sizes, classes, strict=True)])
        self.x_mix = nn.ModuleList([nn.Linear(size, n) for size, n in zip(sizes, classes, strict=True)])
        self.joint = nn.ModuleList([nn.Linear(n, 2 * n) for n in classes])
        self.probs = nn.ModuleList([nn.Linear(2 * n, n) for n in classes])
        self.eta = nn.ModuleList([nn.Linear(2 * n, n) for n in classes])

    def forward(self, features_BF: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """(n, features) → for each stage p (n, classes), delta (n, 1), eta (n, classes)."""
        maps = features_BF.split(self.sizes, dim=1)
        stages = []
        for k in range(len(self.delta)):
            s, x = maps[2 * k], maps[2 * k + 1]
            delta = torch.tanh(self.delta[k](s * x))
            joint = torch.relu(self.joint[k](self._mixed(k, s, x)))
            stages.append((torch.relu(self.probs[k](joint)), delta, torch.tanh(self.eta[k](joint))))
        return stages

    def _mixed(self, k: int, s: Tensor, x: Tensor) -> Tensor:
        return torch.relu(self.s_mix[k](self.dropout(s))) * torch.relu(self.x_mix[k](self.dropout(x)))

    @torch.no_grad()
    def wake(self, features_BF: Tensor) -> int:
        """Fresh weights for units that give every face the same, with nearly the same answers as before.

        A stage mixes its maps by a product of two ReLUs and two more after it. A unit that is zero for all faces gets
        no gradient ever again, and where all of a stage's are, only its scale, delta, is left. What such units are
        fed is weighed anew, to a mean of .5 and a standard deviation of 1 over the faces; what is made of them begins
        small, and its mean goes off the bias. In evaluation mode only.

        Args:
            features_BF: maps of faces, (n, features), as of the backbone in evaluation mode; some hundreds.

        Returns:
            How many units of the mixes, of the joint layers and of the probabilities were asleep.
        """
        maps = features_BF.split(self.sizes, dim=1)
        count = 0
        for k, (s_mix, x_mix, joint, probs, eta) in enumerate(
            zip(self.s_mix, self.x_mix, self.joint, self.probs, self.eta, strict=True)
        ):
            s, x = maps[2 * k], maps[2 * k + 1]
            asleep = _asleep(self._mixed(k, s, x))
            _weigh_anew(s_mix, asleep, s)
            _weigh_anew(x_mix, asleep, x)
            mixed = self._mixed(k, s, x)
            _begin_small([joint], asleep, mixed)
            count += int(asleep.sum())
            asleep = _asleep(torch.relu(joint(mixed)))
            _weigh_anew(joint, asleep, mixed)
            units = torch.relu(joint(mixed))
            _begin_small([probs, eta], asleep, units)
            count += int(asleep.sum())
            given = probs(units)
            asleep = given.max(dim=0).values < _ASLEEP
            probs.bias[asleep] += _ASLEEP - given.mean(dim=0)[asleep]  # type: ignore[operator]
            count += int(asleep.sum())
        return count


def _asleep(values_BU: Tensor) -> Tensor:
    """(units,): those whose values hardly vary."""
    return values_BU.std(dim=0) < _ASLEEP


def _weigh_anew(layer: nn.Module, units: Tensor, inputs_BF: Tensor) -> None:
    """Fresh weights for these units, with values of mean .5 and standard deviation 1 on these inputs."""
    assert isinstance(layer, nn.Linear)
    fresh = nn.Linear(layer.in_features, layer.out_features)
    values = inputs_BF @ fresh.weight.T
    scale = values.std(dim=0).clamp_min(1e-6)
    layer.weight[units] = (fresh.weight / scale[:, None])[units]
    layer.bias[units] = (0.5 - values.mean(dim=0) / scale)[units]


def _begin_small(layers: list[nn.Module], inputs: Tensor, values_BF: Tensor) -> None:
    """Small fresh weights for these inputs; the layers' mean answers stay as they are without them."""
    for layer in layers:
        assert isinstance(layer, nn.Linear)
        without = layer.weight.clone()
        without[:, inputs] = 0
        layer.weight[:, inputs] = 0.1 * nn.Linear(layer.in_features, layer.out_features).weight[:, inputs]
        layer.bias -= (values_BF @ (layer.weight - without).T).mean(dim=0)


def soft_stagewise(
    stages: list[tuple[Tensor, Tensor, Tensor]], *, age_range: float, lambda_d: float = 1.0, lambda_local: float = 1.0
) -> Tensor:
    """The regressed number (n,): the twin in torch of `agewise.decode.soft_stagewise`, held to it by a test.

    >>> p, zero = torch.tensor([[0.0, 1.0, 0.0]]), torch.zeros(1, 1)
    >>> soft_stagewise([(p, zero, torch.zeros(1, 3))], age_range=90.0).tolist()
    [30.0]
    """
    total, width = stages[0][1].new_zeros(()), stages[0][1].new_ones(())
    for probs, delta, eta in stages:
        count = probs.shape[1]
        width = width * count * (1 + lambda_d * delta[:, 0])
        index = torch.arange(count, dtype=probs.dtype, device=probs.device)
        total = total + ((index + lambda_local * eta) * probs).sum(dim=1) / width
    return age_range * total
