"""A whole run, typed. A recipe is a function that returns one of these."""

from __future__ import annotations

from dataclasses import dataclass, field

from agewise_lab.architectures.compact import CompactConfig
from agewise_lab.training.augment import AugmentConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class NetConfig:
    """One network of a run.

    Args:
        name: by which it is logged and exported.
        architecture: its shape.
        learning_rate: the peak of the one-cycle schedule.
        teacher: name of another network of the same run whose current answers it also learns from.
        distill: weight of the teacher's answers, 0 to 1; the labels have the rest.
        frozen: folder of a finished run, or one of its checkpoints. This network is then not trained: it has the
            averaged weights of the network of the same name there, and only teaches.
        mirrored: a frozen network answers with the mean of a crop's and its mirror image's probabilities.
    """

    name: str
    architecture: CompactConfig
    learning_rate: float = 3e-3
    teacher: str | None = None
    distill: float = 0.5
    frozen: str | None = None
    mirrored: bool = True

    def __post_init__(self) -> None:
        if not self.name or "." in self.name:
            raise ValueError(f"a network's name is part of its weights' names and holds no dot, got {self.name!r}")
        if not 0.0 <= self.distill <= 1.0:
            raise ValueError(f"distill is a share, 0 to 1, got {self.distill}")
        if self.frozen is not None and self.teacher is not None:
            raise ValueError(f"{self.name}: a frozen network learns nothing, so it has no teacher; leave one out")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A run: one or several networks that see the same batches.

    Args:
        name: of the recipe.
        nets: the networks; a teacher stands before its students, the network that is released last.
        epochs: passes over as many crops as the training split has.
        batch: crops a step.
        sizes: (share of the run, side in pixels) in order: up to that share, crops have that side.
        weight_decay: AdamW's, on weights of two dimensions or more.
        warm_up: share of the run before the peak of the learning rate.
        expectation_weight: of the L1 loss of the expected age, in years, beside the divergence.
        gender_weight: of the gender loss.
        balance: exponent: a picture of an age is drawn in proportion to (frequency of the age) ** -balance.
        augment: augmentation; weakened linearly to a third over the last `calm` share of the run.
        calm: see `augment`.
        mixup: probability that a batch is mixed (Zhang et al. 2018), with Beta(0.3, 0.3).
        ema: decay of the average of the weights, a step.
        seed: of weights, order and augmentation.
    """

    name: str
    nets: tuple[NetConfig, ...]
    epochs: int = 60
    batch: int = 128
    sizes: tuple[tuple[float, int], ...] = ((1.0, 64),)
    weight_decay: float = 0.03
    warm_up: float = 0.08
    expectation_weight: float = 0.2
    gender_weight: float = 0.6
    balance: float = 0.35
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    calm: float = 0.15
    mixup: float = 0.2
    ema: float = 0.998
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.nets:
            raise ValueError(f"{self.name}: a run trains at least one network, got none")
        if all(net.frozen is not None for net in self.nets):
            raise ValueError(f"{self.name}: a run trains at least one network, but all of its networks are frozen")
        seen: set[str] = set()
        for net in self.nets:
            if net.name in seen:
                raise ValueError(f"two networks are named {net.name!r}: each needs a name of its own")
            if net.architecture.ages != self.nets[0].architecture.ages:
                raise ValueError(f"{net.name}: all networks of a run have the same age classes")
            if net.teacher is not None and net.teacher not in seen:
                raise ValueError(f"{net.name}: teacher {net.teacher!r} must stand before it among {sorted(seen)}")
            seen.add(net.name)
        shares = [share for share, _ in self.sizes]
        if not shares or shares != sorted(set(shares)) or shares[-1] != 1.0:
            raise ValueError(f"the shares of sizes must rise and end at 1.0, got {self.sizes}")

    @property
    def trained(self) -> tuple[NetConfig, ...]:
        """The networks that are not frozen."""
        return tuple(net for net in self.nets if net.frozen is None)

    def size_at(self, epoch: int) -> int:
        """Side of the crops in an epoch."""
        share = (epoch + 0.5) / self.epochs
        return next(side for until, side in self.sizes if share <= until)

    def augment_at(self, epoch: int) -> AugmentConfig:
        """Augmentation in an epoch."""
        left = (self.epochs - epoch - 0.5) / self.epochs
        calm = min(1.0, left / self.calm) if self.calm > 0 else 1.0
        return self.augment.weakened(1 / 3 + 2 / 3 * calm)
