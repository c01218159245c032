"""A record: what was estimated of one face, flat, with a key, ready for a file, a database or an object store.

It holds no picture and no embedding. The key is made of what was looked at and by which model, so that the same
record sent twice is known to be the same: sinks may get it more than once, and it does no harm.
"""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agewise.sinks.result import Kind, Value
from agewise.types import Box, Detection, Gender, Prediction

RECORD_COLUMNS: dict[str, Kind] = {
    "key": "text",
    "time": "text",
    "source": "text",
    "frame": "whole",
    "seconds": "number",
    "track_id": "whole",
    "x0": "number",
    "y0": "number",
    "x1": "number",
    "y1": "number",
    "age_years": "number",
    "age_interval_low": "number",
    "age_interval_high": "number",
    "interval_level": "number",
    "gender": "text",
    "gender_probability": "number",
    "answered": "flag",
    "reasons": "text",
    "model": "text",
    "model_sha256": "text",
    "gender_sure": "flag",
}
"""The columns of flat records, in order. `time` is ISO 8601 in UTC; `reasons` are joined by "; "."""

_KEY_DIGITS = 40
_CONTROLS = {"Cc", "Zl", "Zp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was estimated of one face. `make_record` makes one with its key.

    Args:
        key: 40 hexadecimal digits; the same for the same face of the same source under the same model.
        time: when the estimate was made, or the picture taken; UTC.
        source: a path, an address or a name; one line of text.
        frame: number of the frame, from 0; None for a photo, or for a whole track.
        seconds: from the start of the source; None for a photo.
        track_id: of `agewise.track`, or None.
        box: (x0, y0, x1, y1) in pixels of the upright frame, to 4 decimals like all numbers here.
        age: in years.
        interval: (low, high) in years, or None.
        level: the share of faces that such intervals hold, or None without one.
        gender: the likelier label, or None.
        probability: of `gender`, 0.5 to 1, or None.
        answered: whether the model stands by the estimate.
        reasons: why it does not; one line each.
        model: its name.
        model_sha256: of its file.
        gender_sure: whether the model stands by `gender`, or None.

    Raises:
        ValueError: a time without its zone, text with line breaks or other control characters, numbers that are
            not finite.
    """

    key: str
    time: datetime
    source: str
    frame: int | None
    seconds: float | None
    track_id: int | None
    box: Box
    age: float
    interval: tuple[float, float] | None
    level: float | None
    gender: Gender | None
    probability: float | None
    answered: bool
    reasons: tuple[str, ...]
    model: str
    model_sha256: str
    gender_sure: bool | None = None

    def __post_init__(self) -> None:
        if self.time.tzinfo is None:
            raise ValueError(f"the time of a record needs its zone, got {self.time.isoformat()}; give one in UTC")
        object.__setattr__(self, "time", self.time.astimezone(UTC))
        for text in (self.key, self.source, self.model, self.model_sha256, *self.reasons):
            if text != _plain(text):
                raise ValueError(f"texts of a record are one line without control characters, got {text!r}")
        numbers = (*self.box, self.age, *(self.interval or ()), self.seconds, self.level, self.probability)
        if not all(number is None or math.isfinite(number) for number in numbers):
            raise ValueError(f"numbers of a record must be finite, got {numbers}")


def make_record(
    *,
    source: str,
    frame: int | None,
    seconds: float | None,
    track_id: int | None,
    detection: Detection,
    prediction: Prediction,
    model: str,
    model_sha256: str,
    time: datetime | None = None,
) -> Record:
    """The record of one face, its texts made one line each, its numbers rounded.

    Args:
        source: see `Record`. The key rests on it: a camera's source must name the session too
            (`camera 0, 2026-11-25T12:00:00Z`), or give `time`, since frames and tracks count anew in each.
        frame: see `Record`.
        seconds: see `Record`.
        track_id: see `Record`.
        detection: where the face is; its box belongs to the key only where there is no track.
        prediction: what the model says.
        model: its name.
        model_sha256: of its file, hexadecimal.
        time: when the picture was taken; it belongs to the key. By default now, which does not, so that a second
            run over the same file gives the same keys.

    Raises:
        ValueError: see `Record`.
    """
    source = _plain(source)
    x0, y0, x1, y1 = (round(number, 4) for number in detection.box_xyxy)
    box = (x0, y0, x1, y1)
    frame = None if frame is None else int(frame)  # of numpy, perhaps, which JSON does not take
    track_id = None if track_id is None else int(track_id)
    seconds = None if seconds is None else round(float(seconds), 6)
    taken = None if time is None else _iso(time)
    parts = [source, frame, seconds, track_id, None if track_id is not None else box, model_sha256, taken]
    interval, probability = prediction.age_interval_years, prediction.gender_probability
    return Record(
        key=hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_KEY_DIGITS],
        time=time or datetime.now(UTC),
        source=source,
        frame=frame,
        seconds=seconds,
        track_id=track_id,
        box=box,
        age=round(float(prediction.age_years), 4),
        interval=None if interval is None else (round(float(interval[0]), 4), round(float(interval[1]), 4)),
        level=None if prediction.interval_level is None else float(prediction.interval_level),
        gender=prediction.gender,
        probability=None if probability is None else round(float(probability), 6),
        answered=prediction.answered,
        reasons=tuple(_plain(reason).replace("; ", ", ") for reason in prediction.reasons),
        model=_plain(model),
        model_sha256=model_sha256,
        gender_sure=prediction.gender_sure,
    )


def to_row(record: Record) -> dict[str, Value]:
    """A record by the names of `RECORD_COLUMNS`: plain values, None for what is not there."""
    interval = record.interval or (None, None)
    values: tuple[Value, ...] = (
        *(record.key, _iso(record.time), record.source, record.frame, record.seconds, record.track_id),
        *(*record.box, record.age, *interval, record.level),
        *(None if record.gender is None else record.gender.value, record.probability),
        *(record.answered, "; ".join(record.reasons) or None, record.model, record.model_sha256),
        record.gender_sure,
    )
    return dict(zip(RECORD_COLUMNS, values, strict=True))


def from_row(row: Mapping[str, Any]) -> Record:
    """The record of a row as `to_row` makes it; columns beyond its own are let be.

    Raises:
        ValueError: a column is missing, or holds what it cannot.
    """
    try:
        low, high, gender, reasons = (
            row[name] for name in ("age_interval_low", "age_interval_high", "gender", "reasons")
        )
        return Record(
            key=row["key"],
            time=datetime.fromisoformat(row["time"]),
            source=row["source"],
            frame=row["frame"],
            seconds=row["seconds"],
            track_id=row["track_id"],
            box=(row["x0"], row["y0"], row["x1"], row["y1"]),
            age=row["age_years"],
            interval=None if low is None else (low, high),
            level=row["interval_level"],
            gender=None if gender is None else Gender(gender),
            probability=row["gender_probability"],
            answered=row["answered"],
            reasons=tuple(reasons.split("; ")) if reasons else (),
            model=row["model"],
            model_sha256=row["model_sha256"],
            gender_sure=row["gender_sure"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a record ({type(error).__name__}: {error}): {str(row)[:120]}") from error


def to_line(record: Record) -> bytes:
    """One line of JSON Lines, UTF-8, with a line feed at its end: the columns of `to_row` as one object."""
    return json.dumps(to_row(record), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def from_line(line: bytes) -> Record:
    """The record of a line as `to_line` makes it.

    Raises:
        ValueError: not such a line.
    """
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError(f"not a record: {line[:120]!r}")
    return from_row(row)


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _plain(text: str) -> str:
    """Text as every sink can keep it: surrogates and control characters, line breaks too, as escapes."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _CONTROLS else char for char in text
    )
