"""`agewise-lab data`: data sets and databases."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agewise_lab.cli import datasets
from agewise_lab.cli._options import Root

if TYPE_CHECKING:
    from agewise_lab.datasets.base import Listing
    from agewise_lab.store.build import BuildReport
    from agewise_lab.store.leaks import Leaks

app = typer.Typer(no_args_is_help=True, help="Data sets and databases.")
datasets.register(app)

Database = Annotated[Path, typer.Argument(metavar="DB", help="A database, made by `agewise-lab data build`.")]


@app.command()
def build(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="A name from `agewise-lab data list`.")],
    root: Root,
    output: Annotated[Path, typer.Option(help="The database's folder; a build found there goes on.")],
    crops: Annotated[
        Literal["both", "aligned", "as-is"],
        typer.Option(help="as-is looks for no face; aligned drops those not found."),
    ] = "both",
    framing: Annotated[
        Literal["auto", "chip", "photo"],
        typer.Option(help="chip: each picture is a tight crop of its face. photo: the face is looked for."),
    ] = "auto",
    side: Annotated[int, typer.Option(help="Side of the stored crops, in pixels.")] = 160,
    min_score: Annotated[
        float | None, typer.Option(help="Drop faces not found with this score, 0 to 1, of agewise's own detector.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the data set's reader; may be repeated.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="FIELD=COLUMN,...", help="The columns of your own table (data set `own`).")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
    shard_rows: Annotated[int, typer.Option(min=1, help="Pictures a shard.")] = 1000,
) -> None:
    """Read a data set, find, align and cut its faces, and store them for training.

    What was interrupted goes on when the same command is given again; a finished database is left as it is.
    """
    from agewise_lab.datasets.registry import find_reader, parse_options, read
    from agewise_lab.store.build import build as build_database
    from agewise_lab.store.build import framing_of

    try:
        texts = [*(option or []), *([] if columns is None else [f"columns={columns}"])]
        options = parse_options(find_reader(dataset), texts)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    listing = read(dataset, root, options)
    _tell_listing(listing)
    begin = time.perf_counter()
    report = build_database(
        listing.records,
        root,
        output,
        dataset=dataset,
        framing=framing_of(listing.records) if framing == "auto" else framing,
        crops=crops,
        side=side,
        min_score=min_score,
        processes=processes,
        shard_rows=shard_rows,
        progress=_Progress(),
    )
    _tell_build(report, output, time.perf_counter() - begin)


class _Progress:
    """Records done, on standard error: on one line of a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._last = -10.0
        self._first = 0

    def __call__(self, done: int, total: int) -> None:
        passed = time.monotonic() - self._begin
        if self._last < 0:
            self._first = done
        a_second = (done - self._first) / max(passed, 1e-6)
        text = f"{done:,} of {total:,} records, {a_second:,.0f} a second"
        if sys.stderr.isatty():
            print(f"\r{text}", end="\n" if done == total else "", file=sys.stderr, flush=True)
        elif passed - self._last >= 5 or done == total:
            print(text, file=sys.stderr, flush=True)
            self._last = passed


def _tell_listing(listing: Listing) -> None:
    typer.echo(f"{len(listing.usable):,} records of use, {len(listing.dropped):,} dropped by the reader")
    for note in listing.notes:
        typer.echo(f"note: {note}")


def _tell_build(report: BuildReport, output: Path, seconds: float) -> None:
    """What was made, and every drop by reason."""
    manifest = report.manifest
    if not report.shards_made:
        typer.echo(f"{output} is finished already: nothing to do")
    size = sum(path.stat().st_size for path in output.rglob("*.parquet"))
    typer.echo(
        f"{manifest.rows:,} faces in {len(manifest.shards)} shards, {size / 1e6:,.0f} MB; "
        f"found by the detector: {manifest.found:,}; database {manifest.digest}"
    )
    if report.shards_made:
        typer.echo(f"made {report.shards_made} shards in {seconds:.1f} s")
    dropped = sum(manifest.dropped.values())
    named = f", each named in {output / 'drops.json'}" if dropped else ""
    typer.echo(f"dropped: {dropped:,}{named}")
    for reason, count in manifest.dropped.items():
        typer.echo(f"  {count:,}  {reason}")


@app.command()
def split(
    database: Database,
    by: Annotated[
        Literal["hash", "random", "stratified", "subject", "official"],
        typer.Option(help="stratified: like ages and genders in all parts. subject: nobody on two sides."),
    ] = "hash",
    name: Annotated[str | None, typer.Option(help="The split's name in the database; by default as --by.")] = None,
    fractions: Annotated[
        str, typer.Option(metavar="TRAIN,VALIDATION,HOLDOUT", help="Shares that make one.")
    ] = "0.86,0.07,0.07",
    seed: Annotated[int, typer.Option(help="Of the order in which faces are dealt out.")] = 0,
    folds: Annotated[int | None, typer.Option(help="Cross-validation: this many splits, NAME-0 and on.")] = None,
    fold: Annotated[int | None, typer.Option(help="The fold to hold out (official).")] = None,
    subjects_together: Annotated[bool, typer.Option("--subjects-together", help="Nobody on two sides.")] = False,
    ignore_duplicates: Annotated[
        bool, typer.Option("--ignore-duplicates", help="Let near-duplicates cross: only to show how that flatters.")
    ] = False,
) -> None:
    """Split a database and store the split under a name; near-duplicates stay together."""
    from agewise_lab.store.saved_splits import make_splits

    try:
        shares = tuple(float(share) for share in fractions.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"fractions are three numbers with commas between, got {fractions!r}") from error
    saved = make_splits(
        database,
        by=by,
        name=name or by,
        fractions=shares,
        seed=seed,
        folds=folds,
        fold=fold,
        subjects=subjects_together or by == "subject",
        duplicates=not ignore_duplicates,
    )
    for one in saved:
        counts = ", ".join(f"{part} {count:,}" for part, count in one.about["counts"].items())
        typer.echo(f"{one.name}\t{one.split.digest}\t{counts}")
        if one.about["left_out"]:
            typer.echo(f"  left out: {one.about['left_out']:,} faces that are in no part, or near-duplicates of one")


@app.command()
def leaks(
    databases: Annotated[list[Path], typer.Argument(metavar="DB", help="Databases; the same photo may be in two.")],
    split_name: Annotated[str | None, typer.Option("--split", help="A stored split that all of them have.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write leaks.html with the faces there; never commit it.")
    ] = None,
    most: Annotated[int, typer.Option(min=0, help="How many disagreeing groups to list.")] = 20,
) -> None:
    """Report near-duplicates and people that cross a split, and duplicates that disagree.

    Without --split one database is looked at for disagreements, and of several each counts as a side. The exit
    status is 1 where something crosses, else 0.
    """
    from agewise_lab.store.leak_pictures import write_pictures
    from agewise_lab.store.leaks import find_leaks

    found = find_leaks(databases, split_name)
    _tell_leaks(found, most)
    if pictures is not None:
        typer.echo(f"written: {write_pictures(found, pictures)}")
    if found.crosses:
        raise typer.Exit(1)


def _tell_leaks(found: Leaks, most: int) -> None:
    from agewise_lab.store.leak_pictures import label

    faces = found.faces
    typer.echo(f"{len(faces):,} faces; {found.grouped:,} in {found.groups:,} groups of near-duplicates")
    ages = sum(conflict.span_years > 0 for conflict in found.conflicts)
    genders = sum(conflict.genders_differ for conflict in found.conflicts)
    typer.echo(f"groups that disagree: {ages:,} in age, {genders:,} in gender")
    for conflict in found.conflicts[:most]:
        members = ", ".join(f"{faces.name[row]} ({label(faces, row)})" for row in conflict.members[:6])
        more = len(conflict.members) - 6
        typer.echo(f"  {conflict.span_years:g} years: {members}{f' and {more} more' if more > 0 else ''}")
    if len(found.conflicts) > most:
        typer.echo(f"  … and {len(found.conflicts) - most:,} more (--most)")
    for crossing in found.crossings:
        typer.echo(_crossing_line(crossing))
    if found.crossings:
        typer.echo("something crosses" if found.crosses else "nothing crosses")


def _crossing_line(crossing: Any) -> str:
    share = crossing.touched / crossing.faces if crossing.faces else 0.0
    line = (
        f"{crossing.kind}s: {crossing.touched:,} of {crossing.faces:,} {crossing.measured} faces ({share:.1%}) "
        f"have one in {crossing.trained}"
    )
    if crossing.kind == "subject" or not crossing.touched:
        return line
    return (
        f"{line}; of these {crossing.other_age:,} ({crossing.other_age / crossing.touched:.0%}) with another age "
        f"label, {crossing.other_gender:,} with another gender"
    )


@app.command()
def report(
    database: Database,
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="For report.html and its pictures; never commit it.")],
    model: Annotated[
        str | None, typer.Option(help="Also show the labels farthest from this model's estimate, e.g. agewise-s.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the faces that are shown at random.")] = 0,
) -> None:
    """Write one HTML file that shows a database: counts, plots, drops, duplicates, faces."""
    from agewise_lab.store.look import write_look

    typer.echo(f"written: {write_look(database, output, model=model, seed=seed)}")
