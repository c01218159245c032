"""agewise-m, the larger embedded network, and the teacher of agewise-s, on UTKFace."""

from __future__ import annotations

from dataclasses import replace

from agewise_lab.architectures.compact import CompactConfig
from agewise_lab.architectures.recognition import RecognitionConfig
from agewise_lab.recipes._parts import changed_net
from agewise_lab.recipes.agewise_s import LIT_SECOND_VIEW, SMALL_SECOND_VIEW, steady
from agewise_lab.training.augment import AugmentConfig
from agewise_lab.training.config import NetConfig, TrainConfig

M = CompactConfig(size=96, stem=32, widths=(64, 128, 224, 320), depths=(1, 1, 2, 1), first_stride=2, dropout=0.2)
RECOGNITION = RecognitionConfig(size=112, blocks=12)


def agewise_m() -> TrainConfig:
    """The run that made agewise-m 1: four times the weights of agewise-s. See docs/research/ for what it gave."""
    return TrainConfig(
        name="agewise-m",
        nets=(NetConfig(name="agewise-m", architecture=M, learning_rate=2.5e-3),),
        epochs=90,
        sizes=((0.4, 64), (0.75, 80), (1.0, 96)),
        weight_decay=0.05,
        augment=AugmentConfig(erase=0.3),
        mixup=0.4,
    )


def agewise_m_recognition() -> TrainConfig:
    """A network that knows faces, 1 of 3: twelve blocks of dlib's recognition network, trained on.

    Meant for `--teacher agewise-m.onnx --distill 0.4 --one-answer` with version 3 of agewise-m. It needs the extra
    `dlib`, which brings the weights that it starts with. See docs/research/0006 for what it gave.
    """
    return TrainConfig(
        name="agewise-m-recognition",
        nets=(NetConfig(name="agewise-m", architecture=RECOGNITION, learning_rate=2e-3, trunk_rate=0.05),),
        start="dlib",
        epochs=6,
        sizes=((1.0, 112),),
        weight_decay=0.05,
        augment=AugmentConfig(erase=0.2),
        mixup=0.3,
        ema=0.99,
        expectation_weight=0.1,
        gender_weight=0.8,
        check_every=1,
        seed=31,
    )


def agewise_m_recognition_on() -> TrainConfig:
    """A network that knows faces, 2 of 3: a hidden layer on the first run's convolutions, some of which stand still.

    Meant for `start=RUN` of the first one, and the same teacher.
    """
    first = agewise_m_recognition()
    net = NetConfig(
        name="agewise-m", architecture=replace(RECOGNITION, still=3, hidden=512), learning_rate=1e-3, trunk_rate=0.1
    )
    return replace(
        first,
        name="agewise-m-recognition-on",
        nets=(net,),
        start="runs/agewise-m-recognition",
        epochs=14,
        check_every=3,
        seed=32,
    )


def agewise_m_recognition_calm() -> TrainConfig:
    """A network that knows faces, 3 of 3: the hidden layer, the heads and the last block, on pictures hardly changed.

    Meant for `start=RUN` of the second one, without a teacher.
    """
    second = agewise_m_recognition_on()
    return replace(
        second,
        name="agewise-m-recognition-calm",
        nets=changed_net(second, architecture=replace(RECOGNITION, still=11, hidden=512), learning_rate=3e-4),
        start="runs/agewise-m-recognition-on",
        epochs=3,
        augment=AugmentConfig().weakened(1 / 3),
        mixup=0.0,
        seed=33,
    )


_MILDER = AugmentConfig(
    rotate_degrees=5.0,
    scale=0.05,
    shift=0.02,
    shear=0.02,
    colour=0.45,
    grey=0.08,
    low_resolution=0.15,
    blur=0.1,
    noise=0.1,
    jpeg=0.2,
    erase=0.15,
)


def recognition_teacher() -> TrainConfig:
    """A network that knows faces, as large as its weights were made for: to teach agewise-s 3 and agewise-m 4.

    All of dlib's recognition network, at its own 150 pixels, with a hidden layer; labels alone teach it.
    """
    net = NetConfig(
        name="agewise-m",
        architecture=RecognitionConfig(size=150, blocks=14, still=3, hidden=512),
        learning_rate=1.5e-3,
        trunk_rate=0.1,
    )
    return replace(
        agewise_m_recognition(),
        name="recognition-teacher",
        nets=(net,),
        epochs=18,
        sizes=((1.0, 150),),
        augment=_MILDER,
        calm=0.3,
        ema=0.995,
        check_every=2,
        seed=51,
    )


def recognition_teacher_on() -> TrainConfig:
    """It goes on, gender counting twice as much: beside the first, a second teacher of agewise-s 4 and agewise-m 5.

    Meant for `start=RUN`, or file, of recognition-teacher.
    """
    first = recognition_teacher()
    return replace(
        first,
        name="recognition-teacher-on",
        nets=changed_net(first, learning_rate=1e-3, trunk_rate=0.15),
        start="runs/recognition-teacher",
        mixup=0.5,
        gender_weight=1.6,
        check_every=3,
        seed=53,
    )


def agewise_m_taught() -> TrainConfig:
    """The run that made agewise-m 4: twelve blocks of recognition-teacher at 128 pixels, taught by it and another.

    Meant for `start=RUN` of recognition-teacher and the teachers that docs/research/0007 names, `--distill 0.7
    --one-answer`.
    """
    net = NetConfig(
        name="agewise-m",
        architecture=RecognitionConfig(size=128, blocks=12, still=3, hidden=512, dropout=0.2),
        learning_rate=1e-3,
        trunk_rate=0.2,
        hint=1.0,
    )
    return replace(
        recognition_teacher(),
        name="agewise-m-taught",
        nets=(net,),
        start="runs/recognition-teacher",
        epochs=20,
        sizes=((1.0, 128),),
        augment=replace(
            _MILDER, rotate_degrees=7.0, scale=0.07, shift=0.03, colour=0.7, low_resolution=0.25, erase=0.2
        ),
        mixup=0.5,
        ema=0.997,
        check_every=3,
        seed=61,
    )


def agewise_m_steady() -> TrainConfig:
    """A run whose two crops of each face are to get one age: agewise-m 4 goes on.

    Meant for `start=agewise-m.onnx` of version 4, and recognition-teacher as teacher, `--distill 0.7 --one-answer`:
    docs/research/0008 says where they are.
    """
    return steady(agewise_m_taught(), name="agewise-m-steady", epochs=17, seed=72)


def agewise_m_taught_on() -> TrainConfig:
    """The run that made agewise-m 5: version 4.1 goes on, on pictures some of which are dark or blurred more.

    Meant for `start=agewise-m.onnx` of version 4.1, recognition-teacher and a run of recognition-teacher-on as
    teachers, `--distill 0.7 --one-answer`: docs/research/0009 says where they are.
    """
    taught = agewise_m_taught()
    return replace(
        taught,
        name="agewise-m-taught-on",
        nets=changed_net(taught, learning_rate=8e-4),
        start=None,
        augment=replace(taught.augment, dark=0.1, blur_sigma=(0.4, 2.5)),
        gender_weight=1.6,
        seed=82,
    )


def agewise_m_small() -> TrainConfig:
    """A run half of whose second crops are small faces, blurred and dark more often, and more: agewise-m 5 goes on.

    Meant for `start=RUN` of agewise-m-taught-on, and its teachers: docs/research/0010 says where they are.
    """
    taught = agewise_m_taught()
    return replace(
        steady(taught, name="agewise-m-small", epochs=8, seed=93),
        nets=changed_net(taught, learning_rate=6e-4),
        calm=0.15,
        second=SMALL_SECOND_VIEW,
    )


def agewise_m_small_on() -> TrainConfig:
    """That run goes on, for longer.

    Meant for `start=RUN` of agewise-m-small, and its teachers: docs/research/0011 says where they are.
    """
    before = agewise_m_small()
    return replace(before, name="agewise-m-small-on", nets=changed_net(before, learning_rate=8e-4), epochs=18, seed=94)


def agewise_m_lit() -> TrainConfig:
    """A run a third of whose second crops are lit from one side: agewise-m 5 goes on.

    Meant for `start=agewise-m.onnx` of version 5.2, under recognition-teacher and that version: docs/research/0013.
    """
    before = agewise_m_small_on()
    return replace(before, name="agewise-m-lit", epochs=20, second=LIT_SECOND_VIEW, seed=132)
