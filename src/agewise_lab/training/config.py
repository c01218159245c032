"""A whole run, typed. A recipe is a function that returns one of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agewise_lab.architectures.compact import CompactConfig
from agewise_lab.architectures.recognition import RecognitionConfig
from agewise_lab.training.augment import AugmentConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadConfig:
    """One head of a network.

    Args:
        name: one of `agewise_lab.heads.registry`'s of its task.
        weight: factor of its loss.
        options: of its layers and its loss, by name.
    """

    name: str
    weight: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Any backbone with any heads, by name.

    Args:
        backbone: one of `agewise_lab.architectures.registry`'s.
        size: side of the crops that it is served with, in pixels.
        options: of the backbone, by name.
        apart: each task has a backbone of its own, as where age and gender are two networks; else they share one.
        age, gender: the heads; None for a network of the other task alone.
    """

    backbone: str
    size: int
    options: dict[str, Any] = field(default_factory=dict)
    apart: bool = False
    age: HeadConfig | None = None
    gender: HeadConfig | None = None

    def __post_init__(self) -> None:
        if self.age is None and self.gender is None:
            raise ValueError(f"{self.backbone}: a network needs an age head, a gender head, or both; got none")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """How weights move.

    Args:
        name: which method. "adam" takes weight decay as L2, "adamw" apart from the gradient.
        momentum, nesterov: of "sgd".
        decay_all: weight decay on biases and norms too.
    """

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: float = 0.9
    nesterov: bool = False
    decay_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleConfig:
    """The learning rate over a run, in shares of its peak.

    Args:
        name: "one-cycle" rises over `TrainConfig.warm_up` of the run, and falls by a cosine; "step" is multiplied by
            `factor` at each milestone; "quarter" after each quarter of the run; "plateau" after more than `patience`
            checks without a better figure; "cosine" rises over `warm_up` and falls to `least`; "constant" stays.
        milestones: of "step", as shares of the run, rising.
        factor: of "step", "quarter" and "plateau".
        patience: of "plateau", in checks.
        least: the smallest learning rate, as a share of the peak.
    """

    name: Literal["one-cycle", "step", "quarter", "plateau", "cosine", "constant"] = "one-cycle"
    milestones: tuple[float, ...] = ()
    factor: float = 0.1
    patience: int = 8
    least: float = 0.0

    def __post_init__(self) -> None:
        rising = list(self.milestones) == sorted(set(self.milestones))
        if not rising or not all(0 < share < 1 for share in self.milestones):
            raise ValueError(f"milestones are shares of the run, between 0 and 1 and rising, got {self.milestones}")
        if (self.name == "step") != bool(self.milestones):
            raise ValueError(f"milestones belong to the schedule 'step', got {self.milestones} for {self.name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeConfig:
    """Parts that stand still at first.

    Args:
        until: epochs for which they do.
        parts: of "stem", "trunk" (`Backbone.groups`) and "heads".
    """

    until: int
    parts: tuple[Literal["stem", "trunk", "heads"], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetConfig:
    """One network of a run.

    Args:
        name: by which it is logged and exported.
        architecture: its shape: of the compact family as it was embedded first, of dlib's recognition network, or any
            network by name.
        learning_rate: the peak of the schedule.
        trunk_rate: factor of the learning rate in all parts but the heads, so that what a network has learned before is
            kept while new heads learn. The compact family has no parts, so it can have no such factor.
        teacher: name of another network of the same run whose current answers it also learns from; of several, one is
            drawn for each batch.
        distill: weight of the teacher's answers, 0 to 1; the labels have the rest.
        hint: weight of the distance between what a linear layer makes of its features and a frozen teacher's features
            (Romero et al.: «FitNets», 2015); of teachers that are one network, and answer by one view at a time. The
            layer is the run's, and no part of the network.
        frozen: folder of a finished run, one of its checkpoints, or a released file of agewise-s or agewise-m, which
            may hold several networks. This network is then not trained: it has the averaged weights of the network of
            the same name there (of a file: its networks' weights), and only teaches.
        held: the name that it has there, if another one than here; two teachers may have one name in their runs.
        mirrored: a frozen network answers with the mean of a crop's and its mirror image's probabilities.
        asked: which of a frozen network's answers (one for each network of a file, and each view) are averaged:
            "all", or "one", drawn anew for each batch. The expected gradient is the same, as the cross-entropy is
            linear in the teacher's answer; the time is that of one.
    """

    name: str
    architecture: CompactConfig | RecognitionConfig | ModelConfig
    learning_rate: float = 3e-3
    trunk_rate: float = 1.0
    teacher: str | tuple[str, ...] | None = None
    distill: float = 0.5
    hint: float = 0.0
    frozen: str | None = None
    held: str = ""
    mirrored: bool = True
    asked: Literal["all", "one"] = "all"

    def __post_init__(self) -> None:
        if not self.name or "." in self.name:
            raise ValueError(f"a network's name is part of its weights' names and holds no dot, got {self.name!r}")
        if not 0.0 <= self.distill <= 1.0:
            raise ValueError(f"distill is a share, 0 to 1, got {self.distill}")
        if self.hint < 0:
            raise ValueError(f"{self.name}: a hint's weight is 0 or more, got {self.hint}")
        if self.trunk_rate != 1.0 and isinstance(self.architecture, CompactConfig):
            raise ValueError(
                f"{self.name}: a network of the compact family has no parts that could learn at {self.trunk_rate:g} "
                "of its rate: leave trunk_rate out"
            )
        if self.frozen is not None and self.teachers:
            raise ValueError(f"{self.name}: a frozen network learns nothing, so it has no teacher; leave one out")

    @property
    def teachers(self) -> tuple[str, ...]:
        """Names of all its teachers."""
        if self.teacher is None:
            return ()
        return (self.teacher,) if isinstance(self.teacher, str) else self.teacher


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
        consistency_weight: of the distance in years of the second crop's expected age from the first one's, which it
            does not move; see `second`.
        balance: exponent: a picture of an age is drawn in proportion to (frequency of the age) ** -balance.
        augment: augmentation; weakened linearly to a third over the last `calm` share of the run.
        calm: see `augment`.
        second: augmentation of a second crop of each face, about the place of the first one: what moves the face is
            added to the first one's, the rest is its own, weakened as `augment` is. The networks learn from both crops;
            a teacher answers for the first (Sohn et al.: «FixMatch», 2020). Of agewise-s and agewise-m.
        second_taught: what a frozen teacher says of the second crop: "first", its answer for the first one, or "own",
            one for the second itself (Beyer et al. 2022), where the teacher knows such crops.
        mixup: probability that a batch is mixed (Zhang et al. 2018), with Beta(alpha, alpha), for both tasks.
        mixup_alpha: alpha.
        ema: decay of the average of the weights, a step; 0 for none.
        seed: of weights, order and augmentation.
        optimizer, schedule: how weights move, and how fast.
        freeze: parts that stand still at first. Of networks by name.
        task_weights: "fixed", the heads' own, or "uncertainty", learned (Kendall et al. 2018). Of networks by name.
        views: which of the store's two crops are trained on: "both" (each time one by chance), "whole", "aligned".
        precision: "bf16-mixed", "16-mixed" (on a GPU), or "32-true".
        clip: largest norm of the gradient; 0 for any.
        check_every: epochs from one look at the validation part to the next.
        monitor: the figure that makes a checkpoint the best one and steers "plateau" and `patience`: "<network>/" and
            "whole_" or "aligned_" and "mae", "cs5", "gender", "gender_error" or "loss" (which is worked out for
            networks by name, and only where it is asked for); "" for "<last network>/whole_mae", or its
            whole_gender_error where it has no age.
        patience: checks without a better figure after which the run stops; 0 for never.
        start: folder of a run, or a checkpoint, whose weights of the same names and shapes the networks start with;
            or a released file of agewise-s or agewise-m, whose first network they start as, or `FILE.onnx#2` its
            second; or "dlib", or a path that ends in `.dat`, for dlib's recognition network.
        split: of the store, by name; see `agewise_lab.training.splits`.
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
    consistency_weight: float = 0.0
    balance: float = 0.35
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    calm: float = 0.15
    second: AugmentConfig | None = None
    second_taught: Literal["first", "own"] = "first"
    mixup: float = 0.2
    mixup_alpha: float = 0.3
    ema: float = 0.998
    seed: int = 1
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    freeze: tuple[FreezeConfig, ...] = ()
    task_weights: Literal["fixed", "uncertainty"] = "fixed"
    views: Literal["both", "whole", "aligned"] = "both"
    precision: Literal["bf16-mixed", "16-mixed", "32-true"] = "bf16-mixed"
    clip: float = 5.0
    check_every: int = 2
    monitor: str = ""
    patience: int = 0
    start: str | None = None
    split: str = "hash"

    def __post_init__(self) -> None:
        if not self.nets:
            raise ValueError(f"{self.name}: a run trains at least one network, got none")
        if all(net.frozen is not None for net in self.nets):
            raise ValueError(f"{self.name}: a run trains at least one network, but all of its networks are frozen")
        seen: dict[str, NetConfig] = {}
        for net in self.nets:
            if net.name in seen:
                raise ValueError(f"two networks are named {net.name!r}: each needs a name of its own")
            if classes_of(net.architecture) != classes_of(self.nets[0].architecture):
                raise ValueError(f"{net.name}: all networks of a run have the same age classes")
            _check_teachers(net, seen)
            self._check_kind(net)
            seen[net.name] = net
        shares = [share for share, _ in self.sizes]
        if not shares or shares != sorted(set(shares)) or shares[-1] != 1.0:
            raise ValueError(f"the shares of sizes must rise and end at 1.0, got {self.sizes}")
        self._check_second()
        if self.epochs < 1 or self.batch < 1 or self.check_every < 1:
            raise ValueError(
                f"epochs, batch and check_every are 1 or more, got {self.epochs}, {self.batch} and {self.check_every}"
            )

    def _check_second(self) -> None:
        if self.consistency_weight < 0 or (self.consistency_weight > 0 and self.second is None):
            raise ValueError(
                f"{self.name}: consistency_weight is 0 or more, and weighs how far a face's two crops are apart; "
                f"got {self.consistency_weight} with second={self.second}"
            )
        if self.second_taught == "own" and self.second is None:
            raise ValueError(f"{self.name}: there is no second crop for second_taught='own': give the run a `second`")

    def _check_kind(self, net: NetConfig) -> None:
        by_name = isinstance(net.architecture, ModelConfig)
        if by_name and net.frozen is not None:
            raise ValueError(f"{net.name}: networks by name do not teach")
        if by_name and net.hint:
            raise ValueError(f"{net.name}: networks by name learn answers, not features; leave `hint` out")
        if by_name and self.second is not None:
            raise ValueError(f"{net.name}: networks by name learn from one crop of a face; leave `second` out")
        if not by_name and (self.freeze or self.task_weights != "fixed"):
            raise ValueError(f"{net.name}: freezing and learned task weights are for networks by name")

    @property
    def trained(self) -> tuple[NetConfig, ...]:
        """The networks that are not frozen."""
        return tuple(net for net in self.nets if net.frozen is None)

    @property
    def monitored(self) -> str:
        """The figure that decides; see `monitor`."""
        net = self.nets[-1]
        ageless = isinstance(net.architecture, ModelConfig) and net.architecture.age is None
        return self.monitor or f"{net.name}/whole_{'gender_error' if ageless else 'mae'}"

    @property
    def better(self) -> Literal["min", "max"]:
        """Whether the figure that decides is better when it is lower, as errors and losses are, or higher."""
        return "max" if self.monitored.endswith(("_cs5", "_gender")) else "min"

    def size_at(self, epoch: int) -> int:
        """Side of the crops in an epoch."""
        share = (epoch + 0.5) / self.epochs
        return next(side for until, side in self.sizes if share <= until)

    def augment_at(self, epoch: int) -> AugmentConfig:
        """Augmentation in an epoch."""
        return self.augment.weakened(self._strength_at(epoch))

    def second_at(self, epoch: int) -> AugmentConfig | None:
        """Augmentation of the second crops in an epoch: they are always moved as far."""
        return None if self.second is None else self.second.weakened(self._strength_at(epoch), moves=False)

    def _strength_at(self, epoch: int) -> float:
        left = (self.epochs - epoch - 0.5) / self.epochs
        calm = min(1.0, left / self.calm) if self.calm > 0 else 1.0
        return 1 / 3 + 2 / 3 * calm


def classes_of(architecture: CompactConfig | RecognitionConfig | ModelConfig) -> int:
    """Ages that a network tells apart; 101 for those by name, whose heads stand for themselves."""
    return 101 if isinstance(architecture, ModelConfig) else architecture.ages


def _check_teachers(net: NetConfig, before: Mapping[str, NetConfig]) -> None:
    for teacher in net.teachers:
        if teacher not in before:
            raise ValueError(f"{net.name}: teacher {teacher!r} must stand before it among {sorted(before)}")
        if isinstance(before[teacher].architecture, ModelConfig):
            raise ValueError(f"{net.name}: networks by name do not teach, so {teacher!r} cannot be its teacher")
