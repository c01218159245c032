"""Prediction tables as files: Parquet of ours, whole, and CSV or Parquet of anybody's, by the columns' names.

A foreign table needs a name or path a face, and an age or a class; `NAMES` says what the columns may be
called. Numbers may be missing: empty, `nan`, `null` or `NA`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from agewise._files import atomic_write
from agewise_lab.evaluation.predictions import (
    COLUMNS,
    FLAGS,
    NUMBERS,
    WHOLE,
    WORDS,
    Predictions,
    Provenance,
    duplicate_names,
)

if TYPE_CHECKING:
    import pyarrow

NAMES: dict[str, tuple[str, ...]] = {
    "name": ("name", "path", "file", "filename", "image", "source", "input"),
    "truth": ("truth", "age", "true_age", "real_age", "label"),
    "apparent": ("apparent", "apparent_age", "apparent_age_avg"),
    "apparent_std": ("apparent_std", "apparent_age_std"),
    "years": ("years", "age_years", "predicted_age", "pred_age", "prediction", "predicted"),
    "std_years": ("std_years", "age_std_years"),
    "low": ("low", "age_interval_low"),
    "high": ("high", "age_interval_high"),
    "is_female": ("is_female", "true_gender", "sex"),
    "group": ("group", "race", "ethnicity"),
    "subject": ("subject", "person", "identity"),
    "split": ("split", "fold"),
    "class_id": ("class_id", "predicted_class"),
}
"""What a foreign column may be called, in any case; the columns that are not here, by their own name only.

`gender` (female, male, f, m) is the label, unless `gender_probability` or `predicted_gender` is there as well:
then it is the prediction, as `agewise predict` writes it. `predicted_gender` may hold words too.
"""
QUALITY = (
    *("detector_score", "face_pixels", "sharpness", "brightness", "clipped"),
    *("yaw_degrees", "pitch_degrees", "roll_degrees", "cut"),
)
"""Foreign columns that are taken as they are, as `agewise predict` writes them; and all that begin with `quality_`."""
_KEY = b"agewise_predictions"
_VERSION = 1
_QUALITY = "quality_"
_FEMALE, _MALE = ("female", "f", "woman", "1", "1.0"), ("male", "m", "man", "0", "0.0")


def write_predictions(table: Predictions, path: Path) -> None:
    """Write a table as Parquet, with its provenance in the file's metadata.

    Raises:
        OutputError: the file cannot be written.
    """
    import pyarrow
    from pyarrow import parquet

    columns = {name: pyarrow.array(getattr(table, name)) for name in COLUMNS}
    columns |= {_QUALITY + name: pyarrow.array(values) for name, values in table.quality.items()}
    if table.probs_over_ages is not None:
        flat = pyarrow.array(np.ascontiguousarray(table.probs_over_ages).ravel())
        columns["probs_over_ages"] = pyarrow.FixedSizeListArray.from_arrays(flat, table.probs_over_ages.shape[1])
    stated = {
        "version": _VERSION,
        "provenance": dataclasses.asdict(table.provenance),
        "class_years": None if table.class_years is None else table.class_years.tolist(),
    }
    whole = pyarrow.table(columns).replace_schema_metadata({_KEY: json.dumps(stated).encode()})
    with atomic_write(path) as file:
        parquet.write_table(whole, file, compression="zstd")


def read_predictions(path: Path) -> Predictions:
    """Read a table: `.parquet` or `.csv`, ours or anybody's.

    Raises:
        ValueError: another suffix, no table, columns that are missing, values that are none, or a face named twice.
        OSError: the file cannot be read.
    """
    import pyarrow
    from pyarrow import parquet

    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path}: predictions are read from .csv or .parquet, got {suffix!r}")
    try:
        whole = parquet.read_table(path) if suffix == ".parquet" else _read_csv(path)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path} cannot be read as {suffix[1:]}: {error}") from error
    stated = (whole.schema.metadata or {}).get(_KEY)
    try:
        if stated is not None:
            return _ours(whole, json.loads(stated))
        table = _foreign({name: whole[name] for name in whole.column_names})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    twice = duplicate_names(table)
    if twice:
        raise ValueError(f"{path}: {len(twice)} faces are named twice, the first is {twice[0]}")
    return table


def _read_csv(path: Path) -> pyarrow.Table:
    import pyarrow
    from pyarrow import csv

    with open(path, "rb") as file:
        heading = file.readline().decode("utf-8-sig", "replace").strip()
    words = {*WORDS, *(name for ours in WORDS for name in NAMES.get(ours, ())), "gender", "predicted_gender"}
    as_text = {name: pyarrow.string() for name in heading.replace('"', "").split(",") if name.strip().lower() in words}
    nothing = ["", "nan", "NaN", "NAN", "null", "NULL", "NA", "None"]
    return csv.read_csv(
        path,
        convert_options=csv.ConvertOptions(column_types=as_text, null_values=nothing, strings_can_be_null=True),
    )


def _ours(whole: pyarrow.Table, stated: Mapping[str, Any]) -> Predictions:
    if stated["version"] != _VERSION:
        raise ValueError(f"predictions of version {stated['version']}, expected {_VERSION}: make them again")
    missing = [name for name in COLUMNS if name not in whole.column_names]
    if missing:
        raise ValueError(f"the columns {', '.join(missing)} are missing: make the predictions again")
    probs = None
    if stated["class_years"] is not None:
        flat = whole["probs_over_ages"].combine_chunks().flatten()
        probs = flat.to_numpy(zero_copy_only=False).reshape(len(whole), -1)
    provenance = stated["provenance"]
    return Predictions.of(
        {name: _values(name, whole[name]) for name in COLUMNS},
        probs_over_ages=probs,
        class_years=stated["class_years"],
        quality={
            name.removeprefix(_QUALITY): _numbers(name, whole[name])
            for name in whole.column_names
            if name.startswith(_QUALITY)
        },
        provenance=Provenance(**provenance | {"notes": tuple(provenance["notes"])}),
    )


def _foreign(columns: Mapping[str, pyarrow.ChunkedArray]) -> Predictions:
    by_name = {name.strip().lower(): name for name in columns}
    taken: dict[str, npt.NDArray[Any]] = {}
    for ours in COLUMNS:
        given = next((by_name[name] for name in NAMES.get(ours, (ours,)) if name in by_name), None)
        if given is not None and ours != "is_female":
            taken[ours] = _values(ours, columns[given])
    if "name" not in taken:
        raise ValueError(f"no column names the faces: expected one of {', '.join(NAMES['name'])}")
    if "years" not in taken and "class_id" not in taken:
        raise ValueError(f"no column holds the predicted age: expected one of {', '.join(NAMES['years'])} or class_id")
    empty = taken["name"] == ""
    if empty.any():
        raise ValueError(f"row {int(empty.argmax()) + 2} has no name")
    _take_genders(taken, columns, by_name)
    quality = {
        name.removeprefix(_QUALITY): _numbers(name, columns[real])
        for name, real in by_name.items()
        if name.startswith(_QUALITY)
    }
    quality |= {name: _numbers(name, columns[by_name[name]]) for name in QUALITY if name in by_name}
    return Predictions.of(taken, quality=quality)


def _take_genders(
    taken: dict[str, npt.NDArray[Any]], columns: Mapping[str, pyarrow.ChunkedArray], by_name: Mapping[str, str]
) -> None:
    """Labels and predictions of gender, in whichever of the ways that `NAMES` tells."""
    predicted = by_name.get("predicted_gender")
    probability = by_name.get("gender_probability")
    label = next((by_name[name] for name in NAMES["is_female"] if name in by_name), None)
    if predicted is None and probability is not None:
        predicted = by_name.get("gender")
    elif label is None:
        label = by_name.get("gender")
    if label is not None:
        taken["is_female"] = _genders(label, columns[label])
    if "female_probability" not in taken and predicted is not None:
        female = _genders(predicted, columns[predicted])
        if probability is not None:
            share = _numbers(probability, columns[probability])
            female = np.where(female == 1, share, np.where(female == 0, 1 - share, np.nan))
        taken["female_probability"] = female


def _genders(name: str, column: pyarrow.ChunkedArray) -> npt.NDArray[np.float64]:
    words = np.char.lower(np.char.strip(_words(column)))
    female, male, unknown = np.isin(words, _FEMALE), np.isin(words, _MALE), np.isin(words, ("", "u", "unknown"))
    odd = ~(female | male | unknown)
    if odd.any():
        row = int(odd.argmax())
        raise ValueError(f"column {name}, row {row + 2}: expected female or male, got {str(words[row])!r}")
    return np.where(female, 1.0, np.where(male, 0.0, np.nan))


def _values(name: str, column: pyarrow.ChunkedArray) -> npt.NDArray[Any]:
    if name in WORDS:
        return _words(column)
    numbers = _numbers(name, column)
    if name in FLAGS:
        return numbers == 1
    if name in WHOLE:
        return np.where(np.isnan(numbers), -1, numbers).astype(np.int64)
    assert name in NUMBERS
    return numbers


def _words(column: pyarrow.ChunkedArray) -> npt.NDArray[np.str_]:
    import pyarrow
    from pyarrow import compute

    return np.array(compute.fill_null(column.cast(pyarrow.string()), "").to_pylist(), dtype=np.str_)


def _numbers(name: str, column: pyarrow.ChunkedArray) -> npt.NDArray[np.float64]:
    import pyarrow
    from pyarrow import compute

    if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
        for row, text in enumerate(column.to_pylist()):
            try:
                float(text or 0)
            except ValueError:
                raise ValueError(f"column {name}, row {row + 2}: expected a number, got {text!r}") from None
        # Infinite by its text, or quoted: numbers all the same.
    numbers = compute.fill_null(column.cast(pyarrow.float64()), float("nan")).to_numpy()
    infinite = np.isinf(numbers)
    if infinite.any():
        raise ValueError(f"column {name}, row {int(infinite.argmax()) + 2}: expected a finite number")
    return np.asarray(numbers, dtype=np.float64)
