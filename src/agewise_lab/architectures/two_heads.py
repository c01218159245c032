"""Networks with the two heads of agewise-s and agewise-m: the compact family, and a recognition network."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn


class TwoHeadConfig(Protocol):
    """What all shapes of such networks have."""

    @property
    def size(self) -> int:
        """Side of the crops that it is served with, in pixels."""
        ...

    @property
    def ages(self) -> int:
        """Classes of the age head: 0 to `ages` − 1 years."""
        ...


class TwoHeadNet(nn.Module):
    """Pooled features, dropout, and the two heads; what gives the features is each network's own."""

    config: TwoHeadConfig
    dropout: nn.Dropout
    age: nn.Linear
    gender: nn.Linear

    def pooled(self, image_B3HW: Tensor) -> Tensor:
        """RGB 0..1, float (n, 3, size, size) → the features that the heads see (n, features)."""
        raise NotImplementedError

    def heads(self, pooled_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, features) → logits over ages (n, ages) and over (female, male) (n, 2)."""
        x = self.dropout(pooled_BF)
        return self.age(x), self.gender(x)

    def forward(self, image_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """RGB 0..1, float (n, 3, size, size) → logits over ages (n, ages) and over (female, male) (n, 2)."""
        return self.heads(self.pooled(image_B3HW))
