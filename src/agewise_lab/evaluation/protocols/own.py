"""Any labelled pictures: a table of paths and ages, or a folder whose names state the ages."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from agewise.types import Gender
from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.protocols.base import Fold, Plan, Protocol, Request, of_split, required

LAYOUT = """\
- ROOT is a .csv file, or a folder with labels.csv in it. Columns: path (below the folder) and age, or age_low and
  age_high; as one likes gender (female, male), group, subject, split, apparent_age, apparent_age_std; or
- ROOT is a folder of pictures that lie in folders named by their age (ROOT/17/a.jpg); or
- whose file names begin with the age and an underscore (ROOT/17_anything.jpg)."""

_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_AGE = re.compile(r"(\d{1,3}(?:\.\d+)?)(?:_.*)?")
_GENDERS = {"female": Gender.FEMALE, "f": Gender.FEMALE, "male": Gender.MALE, "m": Gender.MALE}
_OLDEST = 120.0


def folder_of(root: Path) -> Path:
    """The folder that records' paths start from."""
    return root.parent if root.is_file() else root


def read_records(root: Path) -> tuple[list[Record], dict[str, int]]:
    """The labelled pictures, and how many were left out for which reason.

    Raises:
        ValueError: a table without its columns, with an age that is none, or with a picture that is not there.
        FileNotFoundError: nothing labelled is at `root`.
    """
    table = root if root.is_file() else root / "labels.csv"
    if table.is_file():
        return _read_table(table), {}
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not there. Expected one of\n{LAYOUT}")
    records, left = [], 0
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() not in _PICTURES or not path.is_file():
            continue
        age = _age_of(path.relative_to(root))
        if age is None:
            left += 1
        else:
            records.append(Record(path.relative_to(root).as_posix(), age, None))
    if not records:
        raise FileNotFoundError(
            f"{root} holds no labelled picture ({left} whose names state no age). Expected\n{LAYOUT}"
        )
    return records, {"the name states no age": left} if left else {}


def _age_of(path: Path) -> float | None:
    """The age that a picture's folder or name states, or None."""
    for word in (path.parent.name, path.stem):
        match = _AGE.fullmatch(word)
        if match is not None and float(match[1]) <= _OLDEST and (word != path.stem or "_" in word):
            return float(match[1])
    return None


def _read_table(table: Path) -> list[Record]:
    with open(table, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        columns = {name.strip().lower() for name in rows.fieldnames or ()}
        if "path" not in columns or not ({"age"} <= columns or {"age_low", "age_high"} <= columns):
            found = ", ".join(sorted(columns)) or "none"
            raise ValueError(f"{table}: expected the columns path and age (or age_low and age_high), found {found}")
        records = []
        for number, row in enumerate(rows, start=2):
            values = {name.strip().lower(): (value or "").strip() for name, value in row.items() if name is not None}
            records.append(_record(values, f"{table}, row {number}"))
    if not records:
        raise ValueError(f"{table} has a heading and no rows")
    paths = [record.path for record in records]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ValueError(f"{table}: {twice} is there more than once")
    missing = [path for path in paths if not (table.parent / path).is_file()]
    if missing:
        raise ValueError(f"{table}: {len(missing)} pictures are not in {table.parent}, the first is {missing[0]}")
    return records


def _record(row: Mapping[str, str], where: str) -> Record:
    def number(name: str) -> float | None:
        text = row.get(name, "")
        if not text or text.lower() in ("nan", "na", "none"):
            return None
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= _OLDEST:
            raise ValueError(f"{where}: {name} must be a number from 0 to {_OLDEST:g}, got {text!r}")
        return value

    gender = row.get("gender", "").lower()
    if gender not in (*_GENDERS, "", "u", "unknown"):
        raise ValueError(f"{where}: gender must be female or male, or empty, got {gender!r}")
    low, high = number("age_low"), number("age_high")
    return Record(
        row["path"],
        number("age"),
        _GENDERS.get(gender),
        row.get("group") or None,
        age_range_years=None if low is None or high is None else (low, high),
        apparent_age_years=number("apparent_age"),
        apparent_std_years=number("apparent_age_std"),
        subject=row.get("subject") or None,
        split=row.get("split") or None,
    )


def one_split(request: Request) -> Plan:
    """Everything, or only what the table's column `split` calls test or validation."""
    if request.part == "all":
        return Plan(folds=(Fold(name="all", test=required(request.records, "own", request.records)),))
    test = required(of_split(request.records, request.part), f"own {request.part}", request.records)
    return Plan(folds=(Fold(name=request.part, test=test, train=of_split(request.records, "train")),))


PROTOCOLS = (
    Protocol(
        name="own",
        title="any labelled folder or table",
        reader="",
        source="yours",
        plan=one_split,
        parts=("all", "test", "validation"),
        headline=("mae", "cs5", "gender_accuracy"),
    ),
)
