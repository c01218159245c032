"""agewise-s, the embedded default, on UTKFace."""

from __future__ import annotations

from dataclasses import replace

from agewise_lab.architectures.compact import CompactConfig
from agewise_lab.recipes._parts import changed_net
from agewise_lab.training.augment import AugmentConfig
from agewise_lab.training.config import NetConfig, TrainConfig

S = CompactConfig(size=96, stem=16, widths=(32, 64, 112, 160), depths=(1, 1, 2, 1), first_stride=2, dropout=0.1)


def agewise_s() -> TrainConfig:
    """The run that made agewise-s 1. See docs/research/ for what it gave."""
    return TrainConfig(
        name="agewise-s",
        nets=(NetConfig(name="agewise-s", architecture=S, learning_rate=3e-3),),
        epochs=100,
        sizes=((0.35, 64), (0.65, 80), (1.0, 96)),
        augment=AugmentConfig(erase=0.2),
        mixup=0.0,
    )


def agewise_s_taught() -> TrainConfig:
    """The run that made agewise-s 2: a released network goes on, taught by several.

    Meant for `start=agewise-s.onnx --teacher agewise-m.onnx --distill 0.8 --one-answer` with version 1 of agewise-s and
    version 2 of agewise-m: docs/research/0004 says where they are.
    """
    return TrainConfig(
        name="agewise-s-taught",
        nets=(NetConfig(name="agewise-s", architecture=S, learning_rate=1.5e-3),),
        epochs=72,
        sizes=((1.0, 96),),
        augment=AugmentConfig(erase=0.2),
        mixup=0.5,
        expectation_weight=0.1,
        gender_weight=0.8,
        seed=11,
    )


def agewise_s_hinted() -> TrainConfig:
    """The run that made agewise-s 3: it goes on, taught by networks that know faces, by their features too.

    Meant for `start=RUN` of a shorter run of the same kind, and the teachers that docs/research/0007 names,
    `--distill 0.8 --one-answer`.
    """
    return replace(
        agewise_s_taught(),
        name="agewise-s-hinted",
        nets=(NetConfig(name="agewise-s", architecture=S, learning_rate=1.5e-3, hint=1.0),),
        epochs=36,
        check_every=4,
        seed=42,
    )


TEACHERS_VIEW = AugmentConfig(colour=0.5, grey=0.08, low_resolution=0.12, blur=0.08, noise=0.1, jpeg=0.2, erase=0.1)
"""What a teacher is to judge: faces moved as ever, and degraded less."""

SECOND_VIEW = AugmentConfig(
    flip=0.0,
    rotate_degrees=3.0,
    scale=0.05,
    shift=0.025,
    shear=0.02,
    blur=0.25,
    blur_sigma=(0.4, 3.0),
    dark=0.2,
    noise=0.2,
    erase=0.15,
)
"""What a student is to answer alike: moved as an unsteady detector moves a box, darker, more blurred."""


def steady(config: TrainConfig, *, name: str, epochs: int, seed: int) -> TrainConfig:
    """A run whose two crops of each face are to get one age, from one of a network that is taught."""
    return replace(
        config,
        name=name,
        start=None,
        epochs=epochs,
        augment=TEACHERS_VIEW,
        second=SECOND_VIEW,
        consistency_weight=0.3,
        gender_weight=1.5,
        check_every=3,
        seed=seed,
    )


def agewise_s_steady() -> TrainConfig:
    """A run whose two crops of each face are to get one age: agewise-s 3 goes on.

    Meant for `start=agewise-s.onnx` of version 3, and recognition-teacher as teacher, `--distill 0.8 --one-answer`:
    docs/research/0008 says where they are.
    """
    return steady(agewise_s_hinted(), name="agewise-s-steady", epochs=37, seed=71)


def agewise_s_112() -> TrainConfig:
    """The first half of the way to agewise-s 4: version 3 goes on, and sees 112 pixels in place of 96.

    Meant for `start=agewise-s.onnx` of version 3.0, and recognition-teacher as teacher, `--distill 0.8 --one-answer`:
    docs/research/0009 says where they are.
    """
    hinted = agewise_s_hinted()
    return replace(
        hinted,
        name="agewise-s-112",
        nets=changed_net(hinted, architecture=replace(S, size=112), learning_rate=1e-3),
        epochs=28,
        sizes=((1.0, 112),),
        calm=0.25,
        gender_weight=1.2,
        check_every=3,
        seed=81,
    )


LIGHTER_SECOND_VIEW = replace(
    SECOND_VIEW,
    colour=0.3,
    grey=0.0,
    low_resolution=0.1,
    blur=0.2,
    blur_sigma=(0.4, 2.5),
    dark=0.15,
    noise=0.1,
    jpeg=0.1,
    erase=0.05,
)
"""Moved as much as `SECOND_VIEW`, and spoilt less: agewise-s has little room."""


def agewise_s_112_steady() -> TrainConfig:
    """The second half: two crops of each face are to get one age.

    Meant for `start=RUN` of the first half, recognition-teacher and a run of recognition-teacher-on as teachers,
    `--distill 0.8 --one-answer`.
    """
    first = agewise_s_112()
    return replace(
        steady(first, name="agewise-s-112-steady", epochs=22, seed=83),
        nets=changed_net(first, learning_rate=7e-4),
        calm=0.3,
        second=LIGHTER_SECOND_VIEW,
        consistency_weight=0.5,
    )


SMALL_SECOND_VIEW = replace(
    LIGHTER_SECOND_VIEW,
    low_resolution=0.0,
    few_pixels=0.5,
    blur=0.35,
    blur_sigma=(0.4, 3.5),
    dark=0.2,
    noise=0.2,
    jpeg=0.3,
)
"""Half of the second crops are of few pixels, blurred and compressed as such; blur up to 3 % of the side."""


LIT_SECOND_VIEW = replace(SMALL_SECOND_VIEW, colour=0.4, uneven=0.35)
"""A third of them are lit from one side, too."""


def agewise_s_112_small() -> TrainConfig:
    """The third: half of the second crops are small faces, blurred and dark more often, and more.

    Meant for `start=RUN` of the second half, and its teachers.
    """
    before = agewise_s_112_steady()
    return replace(
        before,
        name="agewise-s-112-small",
        nets=changed_net(before, learning_rate=6e-4),
        epochs=24,
        calm=0.15,
        second=SMALL_SECOND_VIEW,
        seed=91,
    )


def agewise_s_112_small_on() -> TrainConfig:
    """The third for longer.

    Meant for `start=RUN` of the third, under recognition-teacher, a run of recognition-teacher-on and one of
    agewise-m-small-on.
    """
    return replace(agewise_s_112_small(), name="agewise-s-112-small-on", epochs=34, seed=112)


def agewise_s_112_lit() -> TrainConfig:
    """A run a third of whose second crops are lit from one side: agewise-s 4 goes on.

    Meant for `start=agewise-s.onnx` of version 4.2, under recognition-teacher and agewise-m 5.2: docs/research/0013.
    """
    return replace(agewise_s_112_small(), name="agewise-s-112-lit", epochs=30, second=LIT_SECOND_VIEW, seed=131)


def agewise_s_112_on() -> TrainConfig:
    """The first half for longer, under two teachers, gender counting more.

    Meant for `start=RUN` of the first half, and the teachers of the second.
    """
    first = agewise_s_112()
    return replace(
        first,
        name="agewise-s-112-on",
        nets=changed_net(first, learning_rate=8e-4),
        epochs=30,
        gender_weight=1.5,
        seed=92,
    )
