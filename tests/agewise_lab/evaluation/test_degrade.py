"""Degraded copies: each does what its name says, and they go along the whole chain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agewise.detect import make_detector
from agewise.estimate import Estimator
from agewise.types import UInt8Array
from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.degrade import (
    DEGRADATIONS,
    blur,
    cut,
    light,
    measured,
    run_degraded,
    shrink,
    spread_out,
    tilt,
)


def test_each_degradation_by_hand(clouds: Callable[..., UInt8Array]) -> None:
    image = clouds(1, 80)
    assert shrink(image, share=0.25).shape == (20, 20, 3)
    assert shrink(image, share=0.001).shape == (1, 1, 3)
    assert (light(image, gain=2.0) == np.minimum(image.astype(int) * 2, 255)).all()
    assert (
        np.abs(np.diff(blur(image, share=0.1).astype(int), axis=0)).max()
        < np.abs(np.diff(image.astype(int), axis=0)).max()
    )
    assert cut(image, share=0.5).shape == (80, 80 - 40, 3)
    assert (cut(image, share=0.5) == image[:, 40:]).all(), "15 of padding, and half of 50"
    assert np.abs(tilt(image, degrees=90).astype(int) - np.rot90(image, -1)).max() <= 1, "clockwise"


def test_names_and_kinds() -> None:
    assert next(iter(DEGRADATIONS)) == "clean"
    assert {name.split()[0] for name in DEGRADATIONS} == {
        "clean",
        "shrink",
        "blur",
        "darken",
        "brighten",
        "tilt",
        "cut",
    }


def test_records_are_spread_evenly() -> None:
    records = [Record(f"{i}.jpg", float(i), None) for i in range(101)]
    assert [record.path for record in spread_out(records, 5)] == ["0.jpg", "25.jpg", "50.jpg", "75.jpg", "100.jpg"]
    assert spread_out(records[:3], 5) == records[:3]


def test_copies_go_along_the_whole_chain(tmp_path: Path, chip: UInt8Array, write_jpeg: Callable[..., None]) -> None:
    write_jpeg(tmp_path / "face.jpg", chip)
    names = ("clean", "shrink 48", "blur 2 %", "darken 0.25", "tilt 20", "cut 30 %")
    chosen = {name: DEGRADATIONS[name] for name in names} | {"gone": lambda image: image[:4, :4] * 0}
    estimator = Estimator(answer_all=True)
    copies = list(run_degraded([Record("face.jpg", 41.0, None)], tmp_path, estimator, make_detector("mtcnn"), chosen))
    by_name = dict(zip(chosen, copies, strict=True))
    assert [copy.found for copy in copies] == [True] * 6 + [False]
    sharp, pixels, bright, roll, beyond = (
        dict(zip(chosen, measured(copies, name), strict=True))
        for name in ("sharpness", "face_pixels", "brightness", "roll_degrees", "cut")
    )
    assert sharp["blur 2 %"] < sharp["shrink 48"] < sharp["clean"]
    assert pixels["shrink 48"] == pytest.approx(pixels["clean"] * 0.24, rel=0.1)
    assert bright["darken 0.25"] == pytest.approx(bright["clean"] / 4, rel=0.1)
    assert roll["tilt 20"] - roll["clean"] == pytest.approx(20, abs=3)
    assert beyond["cut 30 %"] > beyond["clean"]
    assert np.isnan(sharp["gone"])
    assert 0 <= by_name["clean"].error < 60
    assert by_name["clean"].width > 0
    assert np.isnan(by_name["gone"].error)
