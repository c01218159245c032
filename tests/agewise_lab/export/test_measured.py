"""A file that gets a new card: the same network, everything measured made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from agewise.card import ModelCard
from agewise.estimate import Estimator
from agewise.store import find_model
from agewise.types import Detection, UInt8Array
from agewise_lab.evaluation.halves import Held
from agewise_lab.export import measured as measured_module
from agewise_lab.export.measured import BARE, CHAIN, Remembering, _coverages, recard


@pytest.fixture(scope="module")
def few_degraded_copies() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measured_module, "_DEGRADED", 1)
        patch.setattr(measured_module, "_LEAST_HALF", 10)
        yield


@pytest.fixture(scope="module")
def recarded(
    tmp_path_factory: pytest.TempPathFactory,
    few_degraded_copies: None,
    pictures: SimpleNamespace,
    store_folder: Path,
) -> Path:
    output = tmp_path_factory.mktemp("recard") / "new.onnx"
    return recard("agewise-s", store_folder, pictures.root, output, final=True, date="2026-11-25")


@pytest.fixture(scope="module")
def card(recarded: Path) -> ModelCard:
    return Estimator(recarded).card


def test_the_network_stays_as_it_was(recarded: Path) -> None:
    old, new = onnx.load_from_string(find_model("agewise-s").data), onnx.load(recarded)
    for model in (old, new):
        del model.metadata_props[:]
    assert old == new


def test_what_is_measured_is_new_and_the_rest_stands(card: ModelCard) -> None:
    old = Estimator("agewise-s").card
    assert (card.name, card.version, card.input, card.crop, card.age) == (
        *(old.name, old.version, old.input, old.crop, old.age),
    )
    assert card.calibration is not None
    assert (card.calibration.faces, card.calibration.date) == (25, "2026-11-25")
    assert "25 near-duplicate-free validation images" in card.calibration.data
    assert {table.kind for table in card.calibration.intervals} == {
        *("label-conditional", "mondrian", "normalised", "plain")
    }
    assert card.quality is not None
    assert {(figure.data.split()[1], figure.protocol) for figure in card.figures} >= {
        (part, chain) for part in ("validation", "holdout") for chain in (BARE, CHAIN)
    }


def test_what_intervals_hold_is_stated_on_faces_that_they_were_not_made_on(card: ModelCard) -> None:
    coverages = [figure for figure in card.figures if "coverage" in figure.measure]
    assert {figure.measure for figure in coverages} >= {"coverage", "set_coverage"}
    for figure in coverages:
        assert "holdout" in figure.data or "calibrated on one and measured on the other" in figure.protocol


def test_the_worst_group_is_named_where_it_has_enough_faces() -> None:
    held = Held(
        kind="label-conditional",
        level=0.9,
        coverage={"all": 0.9, "female": 0.91, "male": 0.89, "age 9-12": 0.5},
        counts={"all": 240, "female": 120, "male": 100, "age 9-12": 20},
        width={"all": 20.0},
        deviation=0.01,
    )
    assert _coverages(held) == {
        "coverage": 0.9,
        "width": 20.0,
        "coverage of the worst group of 100 or more, male": 0.89,
    }


def test_a_picture_is_searched_once(clouds: Callable[..., UInt8Array]) -> None:
    class Counting:
        name = "counting"
        calls = 0

        def detect(self, image_rgb: UInt8Array) -> list[Detection]:
            self.calls += 1
            return [Detection((0.0, 0.0, float(image_rgb[0, 0, 0]) + 1, 1.0), 1.0)]

    inner = Counting()
    detector = Remembering(inner)
    first, second = clouds(1), clouds(2)
    found = [
        detector.detect(image) for image in (first, second, first.copy(), first[:, ::-1], first.reshape(32, 128, 3))
    ]
    assert inner.calls == 4
    assert found[0] == found[2]
    assert detector.name == "counting"
    found[0].clear()
    assert len(detector.detect(np.ascontiguousarray(first))) == 1, "what was handed out may be changed"
