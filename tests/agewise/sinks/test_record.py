from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from agewise.sinks import RECORD_COLUMNS, Record
from agewise.sinks.record import from_line, from_row, to_line, to_row
from agewise.types import Detection, Gender

MakeRecord = Callable[..., Record]


def test_the_columns_hold_what_was_estimated(make: MakeRecord, noon: datetime) -> None:
    row = to_row(make(50, time=noon))
    assert list(row) == list(RECORD_COLUMNS)
    assert row == {
        "key": row["key"],
        "time": "2026-11-25T12:00:00.000250+00:00",
        "source": '合影, "two"\\n.mp4',
        "frame": 50,
        "seconds": 2.0,
        "track_id": 3,
        "x0": 0.125,
        "y0": -3.0,
        "x1": 20.5,
        "y1": 31.1235,
        "age_years": 31.4829,
        "age_interval_low": 24.25,
        "age_interval_high": 39.75,
        "interval_level": 0.9,
        "gender": "female",
        "gender_probability": 0.971235,
        "answered": True,
        "reasons": None,
        "model": "agewise-s",
        "model_sha256": "ab" * 32,
        "gender_sure": False,
    }


def test_no_picture_and_no_embedding(make: MakeRecord) -> None:
    assert {field.name for field in dataclasses.fields(Record)} == {
        *("key", "time", "source", "frame", "seconds", "track_id", "box", "age", "interval", "level", "gender"),
        *("probability", "answered", "reasons", "model", "model_sha256", "gender_sure"),
    }
    assert len(to_line(make(0))) < 600


def test_a_record_comes_back_from_its_line(make: MakeRecord) -> None:
    for record in (make(0), make(1), make(2, track_id=None, seconds=None)):
        assert from_line(to_line(record)) == record
    declined = make(1)
    assert declined.reasons == ("blurred, 0.05 < 0.10", "turned away (yaw 61° > 45°)"), "no reason holds the separator"
    assert make(0).gender is Gender.FEMALE


def test_the_key_is_that_of_what_was_looked_at(make: MakeRecord, noon: datetime) -> None:
    record = make(4)
    assert record.key == make(4).key, "whenever it is made"
    assert record.key == "15a41927b0d870a75773d2b5bbf7c85b9f9d0d84", "keys must not change between versions"
    elsewhere = Detection((5.0, 5.0, 9.0, 9.0), 0.5)
    assert make(4, detection=elsewhere).key == record.key, "the box of a track is no part of it"
    others = [
        make(5),
        make(4, source="other.mp4"),
        make(4, track_id=9),
        make(4, seconds=4.0),
        make(4, model_sha256="cd" * 32),
        make(4, time=noon),
        make(4, track_id=None),
        make(4, track_id=None, detection=elsewhere),
    ]
    assert len({record.key, *(other.key for other in others)}) == len(others) + 1


def test_time_is_utc(make: MakeRecord) -> None:
    east = datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))
    assert make(0, time=east).time == datetime(2026, 1, 1, tzinfo=UTC)
    assert make(0, time=east).time.tzinfo is UTC
    assert abs(make(0).time - datetime.now(UTC)) < timedelta(minutes=1)
    with pytest.raises(ValueError, match="needs its zone"):
        make(0, time=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("caf\udce9.jpg", "caf\\udce9.jpg"),
        ("a\nb\x00c\u2028", "a\\nb\\x00c\\u2028"),
        ("a\u00a0b\u3000c", "a\u00a0b\u3000c"),
    ],
)
def test_texts_are_what_every_sink_can_keep(make: MakeRecord, given: str, kept: str) -> None:
    assert make(0, source=given).source == kept


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"source": "a\nb"}, "one line"), ({"age": float("nan")}, "finite"), ({"box": (0, 0, 1, float("inf"))}, "finite")],
)
def test_records_are_checked(make: MakeRecord, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(make(0), **changes)


def test_what_is_no_record(make: MakeRecord) -> None:
    row = to_row(make(0))
    assert to_row(from_row(row | {"a later column": 1})) == row
    with pytest.raises(ValueError, match="not a record"):
        from_row({name: value for name, value in row.items() if name != "model"})
    for line in (b"[]", b"7", b"{", json.dumps(row | {"time": 3}).encode()):
        with pytest.raises(ValueError):  # noqa: PT011
            from_line(line)


def test_numbers_of_numpy_become_plain(make: MakeRecord) -> None:
    record = make(np.int64(3), track_id=np.int32(2), seconds=np.float32(0.5))
    assert to_row(record) == to_row(make(3, track_id=2, seconds=0.5)) | {"time": to_row(record)["time"]}
    assert from_line(to_line(record)) == record
