"""Foreign programs on the same pictures: a command that gets a list of pictures and writes a table of ages."""

from __future__ import annotations

import csv
import dataclasses
import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agewise.errors import AgewiseError
from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.prediction_files import read_predictions
from agewise_lab.evaluation.predictions import NUMBERS, Predictions, Provenance, face_names, labels_of

_PREDICTED = ("years", "std_years", "low", "high", "female_probability", "class_id", "answered", "reasons")
_MOST_SHOWN = 800


class ForeignProgramError(AgewiseError, ValueError):
    """A foreign program failed, or did not write what it should."""


@dataclass(frozen=True)
class ForeignProgram:
    """A program that is run by a template of its command line.

    Args:
        template: `{input}` stands for a CSV file with one column, `path`: absolute paths of pictures. `{folder}`
            for a folder of links to them, `0000000.jpg` and so on. `{output}` for the CSV file that it must
            write; its columns are told in `agewise_lab.evaluation.prediction_files`, and it names pictures by the path
            that it was given or by the link's name. A picture without a row is a face that was not found. No
            shell is involved. `NAME=TEMPLATE` names the program; else the template's first word does.

    Raises:
        ValueError: the template lacks {output}, or both {input} and {folder}.
    """

    template: str

    def __post_init__(self) -> None:
        if "{output}" not in self.template or not any(part in self.template for part in ("{input}", "{folder}")):
            raise ValueError(
                f"a command needs {{output}}, and {{input}} or {{folder}}, got {self.template!r}; "
                'for example "foreign --list {input} --csv {output}"'
            )

    @property
    def name(self) -> str:
        """What the program is called in tables."""
        named, found, _ = self.template.partition("=")
        if found and named and not any(sign in named for sign in " {/\"'"):
            return named
        return Path(shlex.split(self.template)[0]).name

    @property
    def _command(self) -> list[str]:
        named, _, rest = self.template.partition("=")
        return shlex.split(rest if named == self.name else self.template)

    def __call__(self, records: Sequence[Record], root: Path, splits: Sequence[str]) -> Predictions:
        """Its predictions of the records.

        Raises:
            ForeignProgramError: it cannot be started, fails, writes no table, or names pictures that it was not given.
        """
        several = len(records) - len({record.path for record in records})
        if several:
            raise ForeignProgramError(
                f"{self.name} is given pictures and cannot know which face is meant; {several} labelled faces share a "
                "picture with another: give its predictions as a file with --predictions instead"
            )
        with tempfile.TemporaryDirectory(prefix="agewise-") as name:
            folder = Path(name)
            given = _lay_out(records, root, folder)
            places = {"{input}": folder / "input.csv", "{folder}": folder / "pictures", "{output}": folder / "out.csv"}
            words = self._command
            for mark, path in places.items():
                words = [word.replace(mark, str(path)) for word in words]
            self._run(words)
            if not places["{output}"].is_file():
                raise ForeignProgramError(f"{self.name} ended well but wrote nothing to {{output}}")
            try:
                table = read_predictions(places["{output}"])
            except ValueError as error:
                raise ForeignProgramError(f"what {self.name} wrote cannot be used: {error}") from error
        return _joined(table, records, splits, given, self.name)

    def _run(self, words: Sequence[str]) -> None:
        try:
            done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
        except OSError as error:
            raise ForeignProgramError(f"cannot start {words[0]}: {error.strerror}") from error
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip())[-_MOST_SHOWN:]
            raise ForeignProgramError(f"{self.name} ended with status {done.returncode}:\n{said}")


def _lay_out(records: Sequence[Record], root: Path, folder: Path) -> dict[str, int]:
    """Write the list and the links; gives each name that a program may use for a picture, and its place."""
    pictures = folder / "pictures"
    pictures.mkdir()
    names: dict[str, int] = {}
    with open(folder / "input.csv", "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path"])
        for place, record in enumerate(records):
            path = os.path.abspath(root / record.path)
            link = pictures / f"{place:07d}{Path(path).suffix.lower()}"
            link.symlink_to(path)
            rows.writerow([path])
            names |= {path: place, str(link): place, link.name: place}
    return names


def _joined(
    table: Predictions, records: Sequence[Record], splits: Sequence[str], given: dict[str, int], program: str
) -> Predictions:
    unknown = [str(name) for name in table.name if str(name) not in given]
    if unknown:
        raise ForeignProgramError(
            f"{program} names {len(unknown)} pictures that it was not given, the first is {unknown[0]}: expected the "
            "paths of {input}, or the names in {folder}"
        )
    places = np.array([given[str(name)] for name in table.name], dtype=np.int64)
    if len(np.unique(places)) < len(places):
        raise ForeignProgramError(f"{program} names a picture twice")
    columns = labels_of(records)
    columns["split"] = np.asarray(splits, dtype=np.str_)
    for column in _PREDICTED:
        values = getattr(table, column)
        nothing = np.nan if column in NUMBERS else {"class_id": -1, "answered": False, "reasons": ""}[column]
        whole = np.full(len(records), nothing, dtype=values.dtype)
        whole[places] = values
        columns[column] = whole
    stated = Provenance(model=program, crop="the program's own")
    return Predictions.of(columns, provenance=stated)


def with_labels(table: Predictions, records: Sequence[Record], splits: Sequence[str]) -> Predictions:
    """Somebody's predictions with the labels of a data set's records, joined by name; the records' order.

    Raises:
        ValueError: not one name of the table is a record's.
    """
    by_name = {str(name): place for place, name in enumerate(table.name)}
    rows = [by_name.get(name, -1) for name in face_names(records)]
    places = np.array(rows, dtype=np.int64)
    if not (places >= 0).any():
        raise ValueError(
            f"no face of the predictions is in the data set: they are named like {next(iter(by_name), 'nothing')}, the "
            f"data set's like {records[0].path if records else 'nothing'}"
        )
    chosen = table.select(np.maximum(places, 0))
    absent = places < 0
    labels = labels_of(records) | {"split": np.asarray(splits, dtype=np.str_)}
    blank: dict[str, np.ndarray] = {}
    for column in _PREDICTED:
        values = getattr(chosen, column)
        nothing = np.nan if column in NUMBERS else {"class_id": -1, "answered": False, "reasons": ""}[column]
        blank[column] = np.where(absent, nothing, values).astype(values.dtype)
    quality = {name: np.where(absent, np.nan, values) for name, values in chosen.quality.items()}
    return dataclasses.replace(chosen, **labels, **blank, found=chosen.found & ~absent, quality=quality)
