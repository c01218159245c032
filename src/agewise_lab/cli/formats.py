"""`agewise-lab data import` and `data export`: the files of other systems, in and out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

if TYPE_CHECKING:
    from agewise.types import UInt8Array
    from agewise_lab.datasets.formats.crops import LabelledCrops

Format: TypeAlias = Literal["yu4u-mat", "ssrnet-npz"]
FormatOption = Annotated[Format, typer.Option("--format", help="yu4u's .mat, or SSR-Net's .npz.")]
Code: TypeAlias = Literal["male-is-1", "female-is-1"]


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file of the other system.")],
    format_: FormatOption,
    output: Annotated[Path, typer.Option(help="The database's folder; an import found there goes on.")],
    gender_code: Annotated[
        Code | None,
        typer.Option(help="What the numbers for gender mean: male-is-1 in IMDB and WIKI, female-is-1 in UTKFace."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="The data set's name in the database; by default the file's word for it.")
    ] = None,
    side: Annotated[int | None, typer.Option(help="Side of the stored crops; by default the file's.")] = None,
) -> None:
    """Make a database of another system's file of crops. They are stored as they are; no face is looked for."""
    from agewise_lab.datasets.formats import ssrnet_npz, yu4u_mat
    from agewise_lab.datasets.formats.crops import GenderCode
    from agewise_lab.store.build import build_from_arrays

    code = None if gender_code is None else GenderCode(gender_code)
    crops = yu4u_mat.read(file, code) if format_ == yu4u_mat.NAME else ssrnet_npz.read(file, code)
    name = dataset or crops.source or file.stem
    report = build_from_arrays(crops.images_rgb, crops.records, output, dataset=name, side=side or crops.side)
    typer.echo(f"{output}: {report.manifest.rows:,} of {len(crops.records):,} crops of {file}, data set {name!r}")
    for reason, count in report.manifest.dropped.items():
        typer.echo(f"  dropped: {count:,}  {reason}")


def export(
    database: Annotated[Path, typer.Argument(metavar="DB", help="A database, made by `agewise-lab data build`.")],
    format_: FormatOption,
    output: Annotated[Path, typer.Option(help="The file to write.")],
    side: Annotated[int, typer.Option(min=1, help="Side of the crops there, in pixels.")] = 64,
    crop: Annotated[
        Literal["whole", "aligned"], typer.Option(help="aligned: as agewise aligns faces, where one was found.")
    ] = "whole",
    gender_code: Annotated[
        Code, typer.Option(help="What the numbers for gender shall mean; both systems' networks take 1 for male.")
    ] = "male-is-1",
    db: Annotated[str, typer.Option(help="The data set's name in a .mat file.")] = "agewise",
) -> None:
    """Write a database's crops as another system's file: those that have an age and a gender, ages in whole years."""
    from agewise_lab.datasets.formats import ssrnet_npz, yu4u_mat
    from agewise_lab.datasets.formats.crops import GenderCode

    crops, rows = _read_database(database, crop, side)
    code = GenderCode(gender_code)
    if format_ == yu4u_mat.NAME:
        count = yu4u_mat.write(output, crops, db=db, code=code)
    else:
        count = ssrnet_npz.write(output, crops, code=code)
    typer.echo(f"{output}: {count:,} of {rows:,} faces, {side} pixels, {code}")
    if count < rows:
        typer.echo(f"  left out: {rows - count:,} without an age or a gender")


def _read_database(database: Path, crop: str, side: int) -> tuple[LabelledCrops, int]:
    """(the faces that have an age and a gender, how many faces there are)."""
    from agewise.types import Gender
    from agewise_lab.datasets.formats.crops import LabelledCrops, resized
    from agewise_lab.datasets.record import Record
    from agewise_lab.store.database import read_faces

    columns = read_faces(database).select(["name", "age_years", "gender"]).to_pydict()
    rows = list(zip(*columns.values(), strict=True))
    kept = [age is not None and gender is not None for _, age, gender in rows]
    records = tuple(
        Record(name, age, Gender(gender)) for (name, age, gender), keep in zip(rows, kept, strict=True) if keep
    )
    images = resized(_pictures(database, crop, kept), len(records), side)
    return LabelledCrops(images, records), len(rows)


def _pictures(database: Path, crop: str, kept: list[bool]) -> Iterator[UInt8Array]:
    """The kept faces' crops, one after the other: a database may be larger than memory."""
    from agewise_lab.store.database import read_pictures
    from agewise_lab.store.schema import decode

    columns = ("whole",) if crop == "whole" else ("aligned", "whole")
    for row, keep in zip(read_pictures(database, columns), kept, strict=True):
        if keep:
            # Where no face was found, or the whole picture was not kept, the other stands for it.
            data = next((row[column] for column in columns if row[column] is not None), None)
            if data is None:
                raise ValueError(f"{database} has no crops {crop!r}: choose the other (--crop)")
            yield decode(data)
