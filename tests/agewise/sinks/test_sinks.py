from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import agewise.sinks.parquet_table
from agewise.errors import MissingExtraError, OutputError
from agewise.sinks import COLUMNS, ImageResult, check_sink, open_sink, to_object, to_records
from agewise.types import Detection, Face, Gender, Prediction

needs_pyarrow = pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="the extra parquet")
FORMATS = ["jsonl", "csv", pytest.param("parquet", marks=needs_pyarrow)]

FACE = Face(Detection((0.0, 1.0, 20.0, 31.0), 0.5), Prediction(30.0, 5.0, (20.0, 40.0), 0.9, Gender.MALE, 0.75))
RESULTS = [
    ImageResult("one face.jpg", 640, 480, (FACE,)),
    ImageResult("合影, 两.jpg", 640, 480, (FACE, FACE)),
    ImageResult('line\nbreak "and" quotes.jpg', 640, 480),
    ImageResult("broken.jpg", error="empty, 0 bytes"),
]


def read_back(path: Path) -> list[dict[str, Any]]:
    """The records of a table, typed; of JSON Lines its objects."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_bytes().decode().splitlines()]
    if path.suffix == ".parquet":
        from pyarrow import parquet

        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return rows
    cast = {"text": str, "whole": int, "number": float, "flag": lambda text: {"true": True, "false": False}[text]}
    table = csv.DictReader(io.StringIO(path.read_bytes().decode(), newline=""))
    return [{key: cast[COLUMNS[key]](value) if value else None for key, value in row.items()} for row in table]


def write(path: Path, results: list[ImageResult]) -> None:
    with open_sink(path) as sink:
        for result in results:
            sink.write(result)


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    write(path, RESULTS)
    if suffix == "jsonl":
        assert read_back(path) == [to_object(result) for result in RESULTS]
    else:
        records = [dict(zip(COLUMNS, record, strict=True)) for result in RESULTS for record in to_records(result)]
        assert read_back(path) == records
    assert os.listdir(tmp_path) == [path.name]


def test_csv_as_text(tmp_path: Path) -> None:
    write(tmp_path / "out.csv", RESULTS[:1])
    assert (tmp_path / "out.csv").read_bytes() == (
        b"source,width,height,face_index,x0,y0,x1,y1,detector_score,"
        b"eye_image_left_x,eye_image_left_y,eye_image_right_x,eye_image_right_y,nose_x,nose_y,"
        b"mouth_image_left_x,mouth_image_left_y,mouth_image_right_x,mouth_image_right_y,"
        b"age_years,age_std_years,age_interval_low,age_interval_high,gender,gender_probability,error,"
        b"answered,reasons,age_ranges,face_pixels,sharpness,brightness,clipped,"
        b"yaw_degrees,pitch_degrees,roll_degrees,cut,gender_sure\n"
        b"one face.jpg,640,480,0,0.0,1.0,20.0,31.0,0.5,,,,,,,,,,,30.0,5.0,20.0,40.0,male,0.75,,true,,,,,,,,,,,\n"
    )


@needs_pyarrow
def test_parquet_columns_are_typed_even_where_all_are_empty(tmp_path: Path) -> None:
    from pyarrow import parquet

    write(tmp_path / "out.parquet", [RESULTS[3]])
    types = {field.name: str(field.type) for field in parquet.read_schema(tmp_path / "out.parquet")}
    expected = {"text": "string", "whole": "int32", "number": "double", "flag": "bool"}
    assert types == {name: expected[kind] for name, kind in COLUMNS.items()}


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_results_give_an_empty_but_whole_file(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"out.{suffix}", [])
    assert read_back(tmp_path / f"out.{suffix}") == []


@pytest.mark.parametrize("suffix", ["JSONL", "Csv"])
def test_suffixes_in_any_case(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"out.{suffix}", RESULTS)
    assert (tmp_path / f"out.{suffix}").stat().st_size > 100


@pytest.mark.parametrize("name", ["out.txt", "out", "out.json", ".csv", "out.csv.gz"])
def test_an_unknown_suffix_is_refused_before_anything_is_touched(tmp_path: Path, name: str) -> None:
    for attempt in (lambda: check_sink(tmp_path / name), lambda: write(tmp_path / name, [])):
        with pytest.raises(OutputError, match=r"unknown suffix.*\.jsonl, \.csv, \.parquet"):
            attempt()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_what_was_there(tmp_path: Path, suffix: str, error: type[BaseException]) -> None:
    path = tmp_path / f"out.{suffix}"
    path.write_bytes(b"old")

    def fail() -> None:
        with open_sink(path) as sink:
            sink.write(RESULTS[0])
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]


def test_a_missing_folder_is_told_on_entering(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"), open_sink(tmp_path / "no" / "out.csv"):
        pytest.fail("entered")


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agewise.sinks.parquet_table.importlib.util, "find_spec", lambda _: None)
    for attempt in (lambda: check_sink(tmp_path / "a.parquet"), lambda: write(tmp_path / "a.parquet", [])):
        with pytest.raises(MissingExtraError, match=r"pip install 'agewise\[parquet\]'"):
            attempt()
    assert os.listdir(tmp_path) == []


@needs_pyarrow
def test_parquet_is_written_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import parquet

    monkeypatch.setattr(agewise.sinks.parquet_table, "ROWS_A_GROUP", 10)
    write(tmp_path / "out.parquet", [ImageResult(f"{i}.jpg", 1, 1, (FACE, FACE, FACE)) for i in range(9)])
    file = parquet.ParquetFile(tmp_path / "out.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [12, 12, 3]
    assert [row["face_index"] for row in file.read().to_pylist()] == [0, 1, 2] * 9


@pytest.mark.parametrize("suffix", FORMATS)
def test_memory_does_not_grow_with_the_results(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agewise.sinks.parquet_table, "ROWS_A_GROUP", 300)
    with open_sink(tmp_path / f"out.{suffix}") as sink:
        peaks = []
        for _ in range(2):
            tracemalloc.start()
            for _ in range(1_500):
                sink.write(RESULTS[0])
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 50_000


FULL_DISK = """
import resource, sys
from agewise.errors import OutputError
from agewise.sinks import ImageResult, open_sink
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with open_sink(sys.argv[1]) as sink:
        for i in range(20_000):
            sink.write(ImageResult(f"{i * 7919 % 10007}.jpg", i, i))
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=child_environment())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"cannot write {path}: File too large")
    assert os.listdir(tmp_path) == []


def child_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(agewise.__file__).resolve().parents[1])}
