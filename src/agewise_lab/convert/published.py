"""The published networks that agewise can convert, each with what its card says.

Their authors state: images are BGR, 0 to 255, not normalised; a face's box with a margin of 40 % on each side,
stretched to a square. IMDB-WIKI's coding of gender is 0 female, 1 male; the MORPH2 file of SSR-Net has it the other way
round, as has UTKFace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agewise.card import GenderSpec, Golden, Licences, ModelCard, Validity
from agewise.errors import unknown_name
from agewise.estimate.golden import write_card
from agewise.imaging.crop import CropSpec
from agewise.types import Gender
from agewise_lab.architectures.base import AgeGenderNet
from agewise_lab.convert.keras_h5 import KerasWeights, read_weights
from agewise_lab.convert.nets import (
    FEMALE_MALE,
    MALE_FEMALE,
    SideBySide,
    densenet,
    is_ssrnet_gender,
    mobilenet,
    ssrnet_age,
    ssrnet_gender,
    wideresnet,
)
from agewise_lab.export.onnx_model import store_as_int8, to_onnx, with_card

_RESEARCH = "published for research; the authors state no licence for the weights, the data ask for research use only"
_GOLDEN_SEED = 20261123


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One published network.

    Args:
        build: makes it of the file's weights.
        summary: what it is.
        data: what it learned from.
        ages: the least and the largest age of these data.
        code: licence of the authors' code.
        margin: of the crop, on each side.
    """

    build: Callable[[KerasWeights], AgeGenderNet]
    summary: str
    data: str
    ages: tuple[float, float]
    code: str = "Apache-2.0"
    margin: float = 0.4


_DATA: dict[str, tuple[str, tuple[float, float]]] = {
    "imdb": ("IMDB-WIKI, the IMDB part", (0.0, 100.0)),
    "wiki": ("IMDB-WIKI, the WIKI part, after IMDB", (0.0, 100.0)),
    "morph2": ("MORPH2, after IMDB-WIKI", (16.0, 77.0)),
    "megaage-asian": ("MegaAge-Asian", (0.0, 70.0)),
}

GENDER_ORDERS: dict[str, tuple[Gender, Gender]] = {"imdb": FEMALE_MALE, "wiki": FEMALE_MALE, "morph2": MALE_FEMALE}
"""What 0 and 1 of SSR-Net's gender files mean, by their data."""

_GENDER_FILES = {
    "e295148efe9c282a27ebd69a64f6495b1b280728141047866ff81001089b1767": "imdb",
    "da8f77eadb15653360bde466691eb77516e4c5e0ba5b603959b4c27aa86eeff5": "morph2",
    "2d15bfa72869526d1e2b80385157e34a55fb5a4b184bbac5ea56d623141d7e8c": "wiki",
}


def _catalogue() -> dict[str, Published]:
    found: dict[str, Published] = {}
    for data, (text, ages) in _DATA.items():
        summary = "SSR-Net (IJCAI 2018): age by soft stagewise regression from a 64 px face"
        found[f"ssrnet-{data}"] = Published(build=ssrnet_age, summary=summary, data=text, ages=ages)
    builders: dict[str, Callable[[KerasWeights], AgeGenderNet]] = {
        "mobilenet-0.25": partial(mobilenet, alpha=0.25),
        "mobilenet-0.5": partial(mobilenet, alpha=0.5),
        "densenet-13": partial(densenet, depth=13),
        "densenet-19": partial(densenet, depth=19),
    }
    for name, build in builders.items():
        for data in ("imdb", "wiki", "morph2"):
            text, ages = _DATA[data]
            summary = f"{name}, a baseline of SSR-Net's study: age by regression from a 64 px face"
            found[f"{name}-{data}"] = Published(build=build, summary=summary, data=text, ages=ages)
    for data, order, text, margin in (
        ("imdb-wiki", FEMALE_MALE, "IMDB-WIKI", 0.4),
        ("utkface", MALE_FEMALE, "UTKFace, cropped tight", 0.0),
    ):
        found[f"wideresnet-16-8-{data}"] = Published(
            build=partial(wideresnet, order=order),
            summary="Wide residual network of age-gender-estimation (yu4u): age and gender from a 64 px face",
            data=text,
            ages=(0.0, 100.0),
            code="MIT",
            margin=margin,
        )
    return found


PUBLISHED: dict[str, Published] = _catalogue()


def find_published(name: str) -> Published:
    """A published network by name.

    Raises:
        ValueError: no such network; the message lists them.
    """
    if name not in PUBLISHED:
        raise ValueError(unknown_name("published network", name, PUBLISHED))
    return PUBLISHED[name]


def gender_data(file: Path) -> str:
    """Which data one of SSR-Net's published gender files was trained on, by its checksum.

    Raises:
        ValueError: another file.
    """
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest not in _GENDER_FILES:
        raise ValueError(
            f"{file} is none of SSR-Net's published gender files, so what its 0 and 1 mean is unknown: say it by "
            f"--gender-data {' or '.join(GENDER_ORDERS)}"
        )
    return _GENDER_FILES[digest]


def read_net(file: Path, name: str) -> AgeGenderNet:
    """The network `name` with the weights of `file`, in evaluation mode.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such network, or the file is not this network's.
    """
    published = find_published(name)
    weights = KerasWeights(read_weights(file), str(file))
    if is_ssrnet_gender(weights):
        raise ValueError(
            f"{file} estimates gender alone, and a model of agewise needs an age: convert an age file, and add this "
            f"one by --gender {file}"
        )
    return published.build(weights)


def read_gender_net(file: Path, data: str | None = None) -> AgeGenderNet:
    """An SSR-Net of gender.

    Args:
        file: of the weights.
        data: one of `GENDER_ORDERS`; by default told by the file's checksum.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an SSR-Net of gender, or unknown data.
    """
    weights = KerasWeights(read_weights(file), str(file))
    if not is_ssrnet_gender(weights):
        raise ValueError(f"{file} is no gender file of SSR-Net")
    data = data or gender_data(file)
    if data not in GENDER_ORDERS:
        raise ValueError(unknown_name("gender data", data, GENDER_ORDERS))
    return ssrnet_gender(weights, GENDER_ORDERS[data])


def card_of(net: AgeGenderNet | SideBySide, name: str) -> ModelCard:
    """The card of a converted network, its golden check still open."""
    published = find_published(name)
    age = net.heads[0].decoding
    gender = next((head.decoding for head in net.heads if isinstance(head.decoding, GenderSpec)), None)
    return ModelCard(
        name=name,
        version="1.0",
        summary=published.summary,
        input=net.input.spec(),
        crop=CropSpec(kind="box", margin=published.margin, square=False),
        age=age,
        gender=gender,
        calibration=None,
        validity=Validity(age_years=published.ages, min_face_pixels=40, note=f"Trained on {published.data}."),
        training_data=published.data,
        recipe="published weights, converted by agewise-lab convert",
        licences=Licences(code=published.code, weights=_RESEARCH, data=f"{published.data}: research only"),
        golden=Golden(
            seed=_GOLDEN_SEED,
            age_years=0.0,
            age_std_years=0.0,
            probability_female=None if gender is None else 0.5,
            tolerance=1e9,
        ),
    )


def convert(
    file: Path, name: str, *, gender: Path | None = None, gender_from: str | None = None, int8: bool = False
) -> bytes:
    """Published weights → an `.onnx` file with its card and its golden check.

    Args:
        file: as Keras saved it.
        name: one of `PUBLISHED`.
        gender: an SSR-Net gender file, to stand beside an SSR-Net of age.
        gender_from: its data, see `read_gender_net`.
        int8: store large weights as int8.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such network, or a file is not this network's.
    """
    net: Any = read_net(file, name)
    if gender is not None:
        if not name.startswith("ssrnet-"):
            raise ValueError(f"only SSR-Net has its gender in a file of its own; {name} takes no --gender")
        net = SideBySide(net, read_gender_net(gender, gender_from))
    model = to_onnx(net)
    if int8:
        model = store_as_int8(model)
    card = card_of(net, name)
    return write_card(card, with_card(model, card), renew_golden=True)
