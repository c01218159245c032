"""One part: the values of a simple loop, whatever is wrong with a picture."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pyarrow", reason="the extra parquet")

import agewise
from agewise.analyzer import Analyzer
from agewise.bulk.job import Job, Part, make_part, reason_of
from agewise.errors import ModelError
from agewise.types import Detection

Loop = Callable[..., list[tuple[Any, ...]]]


def _rows(data: bytes) -> list[tuple[Any, ...]]:
    from pyarrow import parquet

    return [tuple(row.values()) for row in parquet.read_table(io.BytesIO(data)).to_pylist()]


@pytest.fixture
def astronauts(tmp_path: Path) -> list[str]:
    """Six pictures: the astronaut in sizes and lights of all sorts, two of her in one, and no face at all."""
    skimage = pytest.importorskip("skimage.data", reason="the extra lbp")
    face = skimage.astronaut()[:256, 96:352]
    pictures = [cv2.resize(face, (side, side)) for side in (120, 160, 200)]
    pictures += [np.ascontiguousarray(pictures[1][:, ::-1]), np.hstack([pictures[1], pictures[1]])]
    pictures += [np.full((90, 90, 3), 77, np.uint8)]
    paths = [str(tmp_path / f"{i}.png") for i in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    return paths


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_real_networks_give_what_a_simple_loop_gives(astronauts: list[str], loop: Loop, batch: int) -> None:
    analyzer = Analyzer(min_face=40, batch=batch)
    Path(astronauts[0]).with_name("bad.jpg").write_bytes(b"no picture")
    paths = [*astronauts[:3], str(Path(astronauts[0]).with_name("bad.jpg")), *astronauts[3:]]
    job = Job(min_face=40, batch=batch)
    rows = _rows(make_part(job, analyzer, Part(index=0, paths=tuple(paths))))
    expected = loop(Analyzer(min_face=40), paths)
    assert rows == expected
    assert len(rows) > len(paths), "two faces in one picture"
    assert sum(row[3] is None for row in rows) == 2, "no face, and no picture"


def test_pictures_are_told_before_they_are_touched_and_skipped_ones_are_not(
    job: Job, gray_pictures: Callable[..., Path], loop: Loop
) -> None:
    folder = gray_pictures(4)
    paths = tuple(str(folder / f"{i}.png") for i in range(4))
    told: list[int] = []
    rows = _rows(
        make_part(job, job.make_analyzer(), Part(index=0, paths=paths), skipped={2: "it kills"}, on_picture=told.append)
    )
    assert told == [0, 1, 3]
    expected = loop(job.make_analyzer(), paths)
    assert [rows[i] for i in (0, 1, 3)] == [expected[i] for i in (0, 1, 3)]
    assert (rows[2][0], rows[2][1:22]) == (paths[2], (None,) * 21)
    assert "it kills" in rows[2]


def test_a_picture_that_breaks_a_batch_harms_no_other(
    job: Job, gray_pictures: Callable[..., Path], loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = gray_pictures(4)
    paths = tuple(str(folder / f"{i}.png") for i in range(4))
    expected = loop(job.make_analyzer(), paths)
    analyzer = job.make_analyzer()
    crop = analyzer.estimator.crop

    def fail_on_the_third(image_rgb: np.ndarray, detection: Detection) -> np.ndarray:
        if image_rgb.shape[1] == 42:
            raise RuntimeError("odd")
        return crop(image_rgb, detection)

    monkeypatch.setattr(analyzer.estimator, "crop", fail_on_the_third)
    rows = _rows(make_part(job, analyzer, Part(index=0, paths=paths)))
    assert [rows[i] for i in (0, 1, 3)] == [expected[i] for i in (0, 1, 3)]
    assert rows[2][:3] == (paths[2], 42, 30)
    assert "unexpected RuntimeError: odd" in rows[2]


def test_the_faces_of_several_pictures_share_a_network_call(
    job: Job, gray_pictures: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = gray_pictures(7)
    analyzer = Analyzer(job.model, "none", batch=3)
    run, sizes = analyzer.estimator.run, []

    def count(crops: np.ndarray) -> Any:
        sizes.append(len(crops))
        return run(crops)

    monkeypatch.setattr(analyzer.estimator, "run", count)
    paths = tuple(str(folder / f"{i}.png") for i in range(7))
    make_part(Job(model=job.model, detector="none", batch=3), analyzer, Part(index=0, paths=paths))
    assert sizes == [3, 3, 1]


def test_after_a_death_each_picture_has_a_call_of_its_own(
    job: Job, gray_pictures: Callable[..., Path], loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = tuple(str(gray_pictures(3) / f"{i}.png") for i in range(3))
    analyzer = job.make_analyzer()
    events: list[object] = []
    run = analyzer.estimator.run

    def note(crops: np.ndarray) -> Any:
        events.append("call")
        return run(crops)

    monkeypatch.setattr(analyzer.estimator, "run", note)
    careful = dataclasses.replace(job, batch=1)
    rows = _rows(make_part(careful, analyzer, Part(index=0, paths=paths), on_picture=events.append))
    assert events == [0, "call", 1, "call", 2, "call"]
    assert rows == loop(job.make_analyzer(), paths)


def test_large_pictures_are_not_held_for_others(
    job: Job, gray_pictures: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agewise.bulk.job.HELD_BYTES", 5_000)
    folder = gray_pictures(4)
    analyzer = job.make_analyzer()
    seen: list[int] = []
    together = analyzer.estimator.predict_pictures

    def count(pictures: Sequence[Any]) -> Any:
        seen.append(len(pictures))
        return together(pictures)

    monkeypatch.setattr(analyzer.estimator, "predict_pictures", count)
    make_part(job, analyzer, Part(index=0, paths=tuple(str(folder / f"{i}.png") for i in range(4))))
    assert seen == [2, 2, 0], "3600 and 3690 bytes reach the limit together"


def test_relative_paths_start_from_the_folder_of_the_job(job: Job, gray_pictures: Callable[..., Path]) -> None:
    folder = gray_pictures(2)
    there = Job(model=job.model, detector="none", folder=str(folder))
    rows = _rows(make_part(there, job.make_analyzer(), Part(index=0, paths=("1.png", "missing.png"))))
    assert rows[0][:3] == ("1.png", 41, 30)
    assert rows[1][0] == "missing.png"
    assert str(folder) not in str(rows[1])


def test_another_model_file_is_refused(job: Job) -> None:
    other = Job(model=job.model, detector="none", model_sha256="0" * 64)
    with pytest.raises(ModelError, match="is another file here"):
        other.make_analyzer()


def test_reasons() -> None:
    assert reason_of(MemoryError(), "a") == "not enough memory for this picture"
    assert reason_of(KeyError("x"), "a") == "unexpected KeyError: 'x'"
    assert reason_of(agewise.AgewiseError("a.jpg: is broken"), "/b/a.jpg", "a.jpg") == "is broken"
