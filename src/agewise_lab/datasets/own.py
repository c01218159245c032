"""Any folder or table of the user's own.

Three ways to say what the labels are:

- `table`: a CSV, TSV or Parquet file with a row a face, and `columns`, which says which column holds which
  field: `path=file,age=years,gender=sex`. Fields: path, age, gender, group, subject, split, age_low and
  age_high (a class of ages, both ends included), apparent_age, apparent_std, x0, y0, x1, y1 (the face's box in
  pixels). Without `columns`, columns that are named like fields are taken.
- `pattern`: where the labels stand in a picture's path: `{age}/{any}.jpg` for subfolders as labels,
  `{age}_{gender}_{any}` for names. `{age}` is a number, `{gender}` a word or letter, `{subject}`, `{group}` and
  `{split}` any text without a slash, `{any}` anything at all. It must fit the whole path below the root; a
  pattern without an ending stands for all of pictures'.
- neither: the pattern `{age}/{any}`.

Gender is f, m, female or male, in any case. Other words, and numbers above all, mean something else in each
data set: `female` and `male` say what they are here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agewise._files import shown
from agewise.errors import unknown_name
from agewise.types import Gender
from agewise_lab.datasets import _tables
from agewise_lab.datasets._collect import UNREADABLE_NAME, Collector
from agewise_lab.datasets._folders import require_folder, walk_pictures, wrong_layout
from agewise_lab.datasets.base import Access, Facts, Listing

NAME = "own"
FACTS = Facts(
    title="Your own",
    images="any",
    subjects="any",
    ages="any",
    labels="what your table, folders or file names say",
    gender_coding="f, m, female, male, or as the options female= and male= say",
    terms="yours to know",
    access=Access.YOURS,
    url="",
    how_to_get="--option table=FILE --columns path=…,age=…, or --option pattern='{age}/{any}'",
    paper="",
    protocol="yours",
    used_for="training and measuring on pictures like those that a model will meet",
)
EXPECTED_LAYOUT = """
FOLDER/
  labels.csv        path,age,gender …      with table=labels.csv
or FOLDER/
  26/ 27/ …         the age                with pattern={age}/{any}
    photo.jpg
or FOLDER/
  26_f_0001.jpg                            with pattern={age}_{gender}_{any}
"""
FIELDS = (
    *("path", "age", "gender", "group", "subject", "split", "age_low", "age_high"),
    *("apparent_age", "apparent_std", "x0", "y0", "x1", "y1"),
)
UNKNOWN_GENDER = "its gender is neither the word for female nor that for male"
BAD_RANGE = "a class of ages without two ends, or with its ends exchanged"

_PLACES = {
    "age": r"(?P<age>\d{1,3}(?:\.\d+)?)",
    "gender": r"(?P<gender>[^/_]+?)",
    "subject": r"(?P<subject>[^/]+?)",
    "group": r"(?P<group>[^/]+?)",
    "split": r"(?P<split>[^/]+?)",
    "any": r".*?",
}


def compile_pattern(pattern: str) -> re.Pattern[str]:
    r"""A pattern as a regular expression for a whole path.

    >>> match = compile_pattern("{age}_{gender}_{any}").fullmatch("26_f_0001.jpg")
    >>> match["age"], match["gender"]
    ('26', 'f')

    Raises:
        ValueError: no `{age}` in it, a place twice, or an unknown place.
    """
    parts = re.split(r"\{(\w*)\}", pattern)
    names = parts[1::2]
    for name in names:
        if name not in _PLACES:
            raise ValueError(unknown_name("place in the pattern", name, _PLACES))
        if name != "any" and names.count(name) > 1:
            raise ValueError(
                f"pattern {pattern!r}: {{{name}}} stands there twice; use {{any}} for what does not matter"
            )
    if "age" not in names:
        raise ValueError(f"pattern {pattern!r} has no {{age}}; expected something like {{age}}/{{any}}")
    body = "".join(_PLACES[part] if i % 2 else re.escape(part) for i, part in enumerate(parts))
    return re.compile(body if re.search(r"\.\w+$", parts[-1]) else body + r"(?:\.\w+)?")


def parse_columns(text: str) -> dict[str, str]:
    """Fields to columns, from `path=file,age=years`.

    >>> parse_columns("path=file, age=years")
    {'path': 'file', 'age': 'years'}

    Raises:
        ValueError: not of this form, or an unknown field.
    """
    columns = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        field, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column:
            raise ValueError(f"columns must read path=COLUMN,age=COLUMN,…, got {part!r}")
        if field not in FIELDS:
            raise ValueError(unknown_name("field", field, FIELDS))
        columns[field] = column
    return columns


def read_records(
    root: Path,
    *,
    table: Path | None = None,
    columns: Mapping[str, str] | str | None = None,
    pattern: str | None = None,
    female: str | None = None,
    male: str | None = None,
) -> Listing:
    """All rows of the table, or all pictures whose path fits the pattern.

    Args:
        root: the folder that paths start from.
        table: a .csv, .tsv or .parquet file, from here or from the root.
        columns: field → column, or the same as text.
        pattern: where the labels stand in a path; not together with `table`.
        female: the word for female, besides f and female.
        male: the word for male, besides m and male.

    Raises:
        LayoutError: `root` is no folder, or no picture in it fits the pattern.
        FileNotFoundError: no such table.
        ValueError: options that do not go together, an unknown field or place, or a missing column.
    """
    if table is not None and pattern is not None:
        raise ValueError("a table and a pattern: give one of them")
    if columns is not None and table is None:
        raise ValueError("columns belong to a table: name it too (table=FILE)")
    if (female is None) != (male is None):
        raise ValueError("give the words for both, female and male, or for neither")
    require_folder(FACTS.title, root)
    words = _Words(female, male)
    if table is not None:
        named = parse_columns(columns) if isinstance(columns, str) else dict(columns or {})
        return _read_table(root, table, named, words)
    return _read_paths(root, pattern or "{age}/{any}", words)


class _Words:
    """What the words for gender mean."""

    def __init__(self, female: str | None, male: str | None) -> None:
        self._own = {}
        if female is not None and male is not None:
            self._own = {female.strip().lower(): Gender.FEMALE, male.strip().lower(): Gender.MALE}
            if len(self._own) < 2:
                raise ValueError(f"female and male are the same word, {female!r}")

    def read(self, text: str | None) -> tuple[Gender | None, str | None]:
        """(gender, why the record is of no use): an empty field is an unknown gender, another word is a mistake."""
        word = (text or "").strip().lower()
        if word in self._own:
            return self._own[word], None
        found = _tables.gender(word)
        unknown = word in ("", "u", "unknown", "nan", "none", "na", "-1")
        return found, None if found is not None or unknown else UNKNOWN_GENDER


def _read_paths(root: Path, pattern: str, words: _Words) -> Listing:
    compiled = compile_pattern(pattern)
    collector = Collector(root)
    known = 0
    for path in walk_pictures(root):
        match = compiled.fullmatch(path)
        if match is None:
            collector.add(path, None, None, dropped=UNREADABLE_NAME)
            continue
        known += 1
        found = match.groupdict()
        gender, dropped = words.read(found.get("gender"))
        rest = {key: found.get(key) for key in ("subject", "group", "split")}
        collector.add(path, float(found["age"]), gender, dropped=dropped, **rest)
    if not known:
        raise wrong_layout(FACTS.title, root, EXPECTED_LAYOUT, f"no picture's path fits the pattern {pattern}")
    return collector.listing()


def _parquet_rows(path: Path) -> tuple[list[str], Iterator[dict[str, str]]]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    names = [str(name).strip().lower() for name in file.schema_arrow.names]

    def rows() -> Iterator[dict[str, str]]:
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                values = ("" if value is None else str(value).strip() for value in row.values())
                yield dict(zip(names, values, strict=True))

    return names, rows()


def _open_table(path: Path) -> tuple[list[str], Iterator[dict[str, str]]]:
    """(names of the columns in lower case, rows)."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return _parquet_rows(path)
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    names = _tables.header(path, delimiter)
    return names, _tables.read_rows(path, [], delimiter)


def _choose_columns(path: Path, names: list[str], wanted: dict[str, str]) -> dict[str, str]:
    """Field → column; those named by the user must be there, others are taken where they are named like a field."""
    chosen = {field: column.lower() for field, column in wanted.items()}
    missing = [column for field, column in wanted.items() if chosen[field] not in names]
    if missing:
        raise ValueError(f"{shown(path)}: no column {', '.join(missing)}; its columns are {', '.join(names) or 'none'}")
    for field in FIELDS:
        if field not in chosen and field in names and not wanted:
            chosen[field] = field
    if "path" not in chosen or not {"age", "age_low", "apparent_age"} & set(chosen):
        raise ValueError(
            f"{shown(path)}: say which columns hold the path and the age (columns path=COLUMN,age=COLUMN); "
            f"its columns are {', '.join(names) or 'none'}"
        )
    return chosen


def _read_table(root: Path, table: Path, wanted: dict[str, str], words: _Words) -> Listing:
    path = table if table.is_file() else root / table
    if not path.is_file():
        raise FileNotFoundError(f"no table at {shown(table)}, neither from here nor in {shown(root)}")
    names, rows = _open_table(path)
    chosen = _choose_columns(path, names, wanted)
    has_box = {"x0", "y0", "x1", "y1"} <= set(chosen)
    collector = Collector(root)
    for row in rows:
        field = {name: row.get(column, "") for name, column in chosen.items()}
        gender, dropped = words.read(field.get("gender"))
        range_years, bad_range = _range(field)
        box = _tables.box(*(field[side] for side in ("x0", "y0", "x1", "y1"))) if has_box else None
        fields: dict[str, Any] = {key: field.get(key) or None for key in ("group", "subject", "split")}
        fields["apparent_age_years"] = apparent = _tables.number(field.get("apparent_age"))
        fields["apparent_std_years"] = _tables.number(field.get("apparent_std"))
        fields |= {"age_range_years": range_years, "box_xyxy": box, "key": box, "needs_age": apparent is None}
        collector.add(field["path"], _tables.number(field.get("age")), gender, dropped=dropped or bad_range, **fields)
    return collector.listing()


def _range(field: Mapping[str, str]) -> tuple[tuple[float, float] | None, str | None]:
    low, high = _tables.number(field.get("age_low")), _tables.number(field.get("age_high"))
    if low is None and high is None:
        return None, None
    if low is None or high is None or not 0 <= low <= high:
        return None, BAD_RANGE
    return (low, high), None
