"""`agewise models` and `agewise detectors`."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agewise.store.models
from agewise.card import Calibration
from agewise.cli._cards import _intervals
from agewise.detect import DetectorInfo, detector_names
from agewise.engine import OnnxEngine
from agewise.estimate import Estimator
from agewise.store import embedded_files, list_models

Cli = Callable[..., Any]

needs_embedded = pytest.mark.skipif(
    not (Path(agewise.store.models.__file__).parents[1] / "weights" / "agewise-s.onnx").exists(),
    reason="the embedded model is not there yet",
)


@needs_embedded
@pytest.mark.parametrize("arguments", [["models"], ["models", "list"]])
def test_list(cli: Cli, arguments: list[str]) -> None:
    done = cli(*arguments)
    assert done.status == 0
    assert [row[0] for row in done.rows] == list(list_models())
    assert {len(row) for row in done.rows} == {6}
    name, _, size, _, licence, _ = done.rows[0]
    assert (name, licence) == ("agewise-s", "research only")
    assert "×" in size
    assert "non-commercial research only" in done.err


@needs_embedded
def test_list_tells_a_damaged_model(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [dataclasses.replace(entry, sha256="0" * 64) for entry in embedded_files()]
    monkeypatch.setattr(agewise.store.models, "embedded_files", lambda: tuple(entries))
    done = cli("models")
    assert (done.status, done.out) == (1, "")
    assert "agewise: agewise-s: the embedded file agewise-s.onnx is damaged" in done.err


def test_show_says_all_that_the_card_says(cli: Cli, onnx_path: Path) -> None:
    done = cli("models", "show", onnx_path)
    assert (done.status, done.err) == (0, "")
    labels = [line.split("  ")[0] for line in done.out.splitlines() if not line.startswith(" ")]
    assert labels == [
        *("Model", "File", "SHA-256", "Input", "Crop", "Age", "Gender", "Intervals", "Valid for"),
        *("Declines", "Verdicts", "Trained on", "Recipe", "Licences", "Figures", "Golden check"),
    ]
    text = " ".join(done.out.split())  # a space that holds together is one like any other here
    for part in (
        "Model tiny 1.0 the mean of the crop",
        "16×16 pixels, RGB; value = pixel / 255",
        "the face's box with a margin of 0 % on each side, widened to a square",
        "one number: output × 100 + 0 years",
        "probability of male and female",
        "90 % by estimated age, years: below 20: ±3, 20-60: ±5, from 60: ±8",
        "50 % by estimated age, years: all ages: ±2",
        "ages 0 to 100, faces from 24 pixels",
        "code: Apache-2.0 weights: CC0-1.0 data: none",
        "none; none: MAE 0.5 years",
        "crop of seed 7:",
    ):
        assert part in text
    assert "research" not in text


VERIFY = {
    "threshold": 18, "under": 40, "over": 60, "failed_under": 30, "failed_over": 3, "buffers": [7],
    "passed_under": [1], "passed_over": [45], "data": "a hundred faces",
}  # fmt: skip
CALIBRATION = {
    "data": "own photos",
    "served": "label-conditional",
    "faces": 120,
    "date": "2026-11-25",
    "intervals": [
        {"kind": "plain", "level": 0.9, "edges": [], "radii": [9], "counts": [120], "normalised": False},
        {
            "kind": "label-conditional", "level": 0.9, "edges": [18], "radii": [2, 3], "counts": [60, 60],
            "normalised": True, "spread_floor": 1,
        },
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"training_data": "UTKFace, train split"}, "UTKFace, which these weights were trained on, is for non-commerc"),
        ({"calibration": None}, "none: the model is not calibrated"),
        ({"figures": []}, "none measured"),
        (
            {"quality": None},
            "Declines smaller than 24 px, sharpness below 0.1, brightness below 0.1, more than 0.64",
        ),
        ({"quality": None}, "and ages it was not validated for (the library's thresholds: the card has none)"),
        ({"quality": {"max_interval_years": 33.5}}, "an interval wider than 33.5 years, and ages it was not validated"),
        ({}, "Verdicts no rates stated"),
        (
            {"verification": [VERIFY]},
            "over 18, challenge 25: of those under, 2.5 % (1 of 40) pass; of those over, 5.0 %",
        ),
        ({"verification": [VERIFY]}, "20.0 % (12 of 60) are unsure measured on a hundred faces"),
        ({"calibration": CALIBRATION}, "90 % by true age, × spread (no less than 1 years): below 18: ±2, from 18: ±3"),
        ({"calibration": CALIBRATION}, "not served: plain (--json shows them)"),
        ({"calibration": CALIBRATION}, "calibrated on own photos (120 faces, 2026-11-25)"),
        ({"crop": {"kind": "landmarks", "margin": 0.4, "square": False}}, "five landmarks brought to (0.295, 0.284)"),
        ({"crop": {"kind": "landmarks", "margin": 0.4, "square": False}}, "margin of 40 % on each side, stretched"),
        ({"input": {"size": 16, "scale": 1, "mean": [1, 2, 3], "std": [4, 5, 6]}}, "less the mean (1, 2, 3), by the"),
        ({"validity": {"age_years": [18, 60], "note": "Adults."}}, "ages 18 to 60, faces from 24 pixels. Adults."),
    ],
)
def test_show_in_other_words(
    cli: Cli, tmp_path: Path, make_onnx: Callable[..., bytes], changes: dict[str, Any], part: str
) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(make_onnx(**changes))
    assert part in " ".join(cli("models", "show", path).out.split())


@pytest.mark.parametrize(
    ("edges", "probabilities", "part"),
    [
        ([13], [0.815, 0.5], "sure from 82 % on under 13 years, always at 13 and more, where 90 % or more were right"),
        ([13, 65], [None, 0.5, 0.6], "sure never under 13 years, always at 13 to 65, from 60 % on at 65 and more, wh"),
        ([], [0.7], "; sure from 70 % on, where 90 % or more were right"),
    ],
)
def test_show_says_which_genders_are_sure(
    cli: Cli,
    tmp_path: Path,
    make_onnx: Callable[..., bytes],
    edges: list[float],
    probabilities: list[float | None],
    part: str,
) -> None:
    plain = Estimator(engine=OnnxEngine(make_onnx())).card.gender
    assert plain is not None
    table = {"right": 0.9, "edges": edges, "probabilities": probabilities, "counts": [9] * len(probabilities)}
    path = tmp_path / "other.onnx"
    path.write_bytes(make_onnx(gender=plain.model_dump() | {"sure": table | {"data": "a hundred faces"}}))
    assert part in " ".join(cli("models", "show", path).out.split())


@pytest.mark.parametrize(
    ("age", "part"),
    [
        ({"kind": "expectation", "output": "p", "class_ages": [0, 1, 2]}, "distribution over 3 ages, 0 to 2 years"),
        ({"kind": "bins", "output": "p", "bins": [[0, 2], [4, 6]]}, "distribution over 2 bins: 0-2, 4-6 years"),
        ({"kind": "soft-stagewise", "probs": ["p"], "deltas": ["d"], "etas": ["e"]}, "regression in 1 stages"),
    ],
)
def test_show_knows_every_decoding(
    cli: Cli, tmp_path: Path, make_onnx: Callable[..., bytes], age: dict[str, Any], part: str
) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(make_onnx(age=age))
    assert part in cli("models", "show", path).out


def test_show_as_json(cli: Cli, onnx_path: Path) -> None:
    card = json.loads(cli("models", "show", onnx_path, "--json").out)
    assert (card["name"], card["card_version"], card["input"]["size"]) == ("tiny", 1, 16)


@needs_embedded
def test_verify_all_on_hand(cli: Cli) -> None:
    done = cli("models", "verify")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split(":")[0] for line in lines] == [entry.name for entry in embedded_files()]
    for line, name in zip(lines, [entry.name for entry in embedded_files()], strict=True):
        good = "ok (checksum, card, golden check; " if name.startswith("agewise") else "ok (checksum"
        assert line.startswith(f"{name}: {good}"), line


def test_verify_files_goes_through_all(
    cli: Cli, tmp_path: Path, onnx_path: Path, make_onnx: Callable[..., bytes]
) -> None:
    wrong, text, missing = (tmp_path / name for name in ("wrong.onnx", "text.onnx", "missing.onnx"))
    golden = {"seed": 7, "age_years": 3.0, "age_std_years": 0.0, "probability_female": 0.5}
    wrong.write_bytes(make_onnx(golden=golden))
    text.write_bytes(b"text")
    done = cli("models", "verify", wrong, text, missing, onnx_path)
    assert done.status == 1
    assert done.out.startswith(f"{onnx_path}: ok (card, golden check; tiny 1.0, sha256 ")
    assert [line.split("FAILED")[0] for line in done.lines] == [f"agewise: {path}: " for path in (wrong, text, missing)]
    assert "does not answer as its card promises: age_years" in done.lines[0]


@needs_embedded
@pytest.mark.parametrize("kind", ["estimator", "detector"])
def test_verify_notices_a_changed_file(cli: Cli, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    import agewise.cli._cards

    entries = [entry for entry in embedded_files() if entry.kind == kind]
    if not entries:
        pytest.skip(f"no embedded {kind}")
    changed = dataclasses.replace(entries[0], sha256="0" * 64)
    for module in (agewise.store.models, agewise.cli._cards):
        monkeypatch.setattr(module, "embedded_files", lambda: (changed,))
    done = cli("models", "verify", changed.name)
    assert (done.status, done.out, len(done.lines)) == (1, "", 1)
    assert f"{changed.name}: FAILED: the embedded file {changed.file} is damaged" in done.err


def test_detectors(cli: Cli) -> None:
    done = cli("detectors")
    assert (done.status, done.err) == (0, "")
    assert [row[0] for row in done.rows] == list(detector_names())
    rows = {row[0]: row[1:] for row in done.rows}
    assert rows["mtcnn"][:2] == ["available", "yes"]
    assert rows["none"][:2] == ["available", "no"]
    assert "yunet:PATH" in rows["yunet"][0]


def test_detectors_that_lack_something_say_what_to_do(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import agewise.detect

    info = DetectorInfo("far", "sees far", True, "far", False, "needs far: pip install 'agewise[far]'")
    monkeypatch.setattr(agewise.detect, "detector_infos", lambda: (info,))
    assert cli("detectors").rows == [["far", "needs far: pip install 'agewise[far]'", "yes", "sees far"]]


@needs_embedded
def test_the_whole_way(cli: Cli, tmp_path: Path) -> None:
    """The embedded model, the default detector, a real face."""
    data = pytest.importorskip("skimage.data", reason="scikit-image has the picture")
    from PIL import Image

    path = tmp_path / "astronaut.png"
    Image.fromarray(data.astronaut()).save(path)
    done = cli("predict", path, "--json", "--draw", tmp_path / "drawn")
    (face,) = done.objects[0]["faces"]
    x0, y0, x1, y1 = face["box_xyxy"]
    assert 160 < x0 < 200 < x1 < 300
    assert 50 < y0 < 100 < y1 < 220
    low, high = face["age_interval_years"]
    assert 0 <= low <= face["age_years"] <= high
    assert os.listdir(tmp_path / "drawn") == ["astronaut.png"]


def test_sets_are_shown_beside_the_intervals() -> None:
    sets = [{"level": 0.9, "edges": [18], "masses": [0.8, 0.9], "counts": [60, 60]}]
    lines = _intervals(Calibration.model_validate(CALIBRATION | {"sets": sets}))
    assert ("", "highest-density set, 90 % by true age, mass: below 18: 0.8, from 18: 0.9") in lines
