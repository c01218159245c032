"""`agewise-lab data list`, `download` and `check`: what sets there are, where to get them, what a folder holds."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agewise_lab.cli import formats
from agewise_lab.cli._options import Root

if TYPE_CHECKING:
    from agewise_lab.datasets.base import Facts, Listing, Reader
    from agewise_lab.datasets.record import Record

Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="A name from `agewise-lab data list`.")]
Options = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="An option of the reader; may be repeated.")
]
Columns = Annotated[
    str | None, typer.Option(metavar="FIELD=COLUMN,...", help="The columns of your own table (data set `own`).")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("list")(list_)
    app.command()(download)
    app.command()(check)
    app.command("import")(formats.import_)
    app.command()(formats.export)


def _find(name: str) -> Reader:
    from agewise_lab.datasets.registry import find_reader

    try:
        return find_reader(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


# ---------------------------------------------------------------- list


def list_(
    dataset: Annotated[str | None, typer.Argument(metavar="[DATASET]", help="Show this one whole.")] = None,
) -> None:
    """List the data sets, or show one: size, ages, terms, where to get it, how the folder must look."""
    from agewise_lab.datasets.base import Access
    from agewise_lab.datasets.registry import READERS

    if dataset is not None:
        typer.echo(_describe(_find(dataset)), nl=False)
        return
    how = {Access.OPEN: "download", Access.PAGE: "by hand", Access.FORM: "form to sign", Access.YOURS: "yours"}
    rows = [
        (name, facts.images, facts.ages, facts.terms, f"{how[facts.access]} {facts.url}".strip(), facts.used_for)
        for name, facts in ((reader.NAME, reader.FACTS) for reader in READERS.values())
    ]
    _write_table(("Name", "Images", "Ages", "Terms", "Where", "Used for"), rows)


def _write_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal; elsewhere fields with tabs between them, without headings."""
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, show_lines=True)
    for i, heading in enumerate(headings):
        table.add_column(heading, no_wrap=i == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(file=sys.stdout, highlight=False, markup=False, emoji=False).print(table)


def _describe(reader: Reader) -> str:
    from agewise_lab.datasets.registry import options_of

    facts = reader.FACTS
    pairs = [
        ("Images", facts.images),
        ("Subjects", facts.subjects),
        ("Ages", facts.ages),
        ("Labels", facts.labels),
        ("Gender", facts.gender_coding),
        ("Terms", facts.terms),
        ("Where", facts.url),
        ("How", _how(facts)),
        ("Paper", facts.paper),
        ("Protocol", facts.protocol),
        ("Used for", facts.used_for),
    ]
    options = [
        f"{name}={'' if option.default is None else option.default}" for name, option in options_of(reader).items()
    ]
    if options:
        pairs.append(("Options", "--option " + " --option ".join(options)))
    text = f"{facts.title} ({reader.NAME})\n\n" + "".join(_paragraph(*pair) for pair in pairs if pair[1])
    return f"{text}\nThe folder must look like this:\n\n{textwrap.indent(reader.EXPECTED_LAYOUT.strip(), '  ')}\n"


def _how(facts: Facts) -> str:
    """How to come by it, with what is known of the files."""
    files = [
        f"{file.file}, sha256 {file.sha256} ({file.sha256_from})" if file.sha256 else f"{file.file}, no checksum stated"
        for file in facts.downloads
    ]
    return "; ".join(filter(None, [facts.access.value, facts.how_to_get, *files]))


def _paragraph(label: str, text: str) -> str:
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    indent = " " * 10
    lines = textwrap.wrap(
        text, max(width - 1, 40), initial_indent=label.ljust(10), subsequent_indent=indent, break_on_hyphens=False
    )
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- download


class _Bar:
    """How far a download is, on standard error: a line that is written over on a terminal, else a line each tenth."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told = -1
        self.used = False

    def __call__(self, done: int, total: int | None) -> None:
        step = done * 10 // total if total else done // 100_000_000
        terminal = sys.stderr.isatty()
        if step == self._told and not terminal:
            return
        self._told = step
        self.used = True
        of = f" of {total / 1e6:,.1f} MB ({done / total:.0%})" if total else " MB"
        text = f"{self._name}: {done / 1e6:,.1f}{of}"
        print(f"\r{text}" if terminal else text, end="" if terminal else "\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.used and sys.stderr.isatty():
            print(file=sys.stderr)


def download(
    dataset: Dataset,
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the archives go; made if it is not there.")],
) -> None:
    """Fetch a data set's archives, where anyone may; a download that broke goes on when called again.

    Nothing is unpacked. Where the owners want a form signed, or offer no direct link, this says so and where,
    with the exit status 1.
    """
    from agewise_lab.datasets.base import Access
    from agewise_lab.datasets.download import fetch

    facts = _find(dataset).FACTS
    if facts.access is not Access.OPEN:
        reason = {Access.FORM: "a form must be signed", Access.PAGE: "there is no direct link to fetch it by"}
        where = f": {facts.url}" if facts.url else ""
        typer.echo(f"agewise-lab: {facts.title}: {reason.get(facts.access, 'it is yours')}{where}", err=True)
        typer.echo(f"  {facts.how_to_get}", err=True)
        typer.echo(f"  terms: {facts.terms}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{facts.title}: {facts.terms} ({facts.url})", err=True)
    output.mkdir(parents=True, exist_ok=True)
    for file in facts.downloads:
        bar = _Bar(file.file)
        try:
            done = fetch(file, output, progress=bar)
        finally:
            bar.close()
        what = "was there" if done.was_there else "fetched"
        check = f"as stated ({file.sha256_from})" if done.checked else "recorded; nobody states one to check against"
        typer.echo(f"{done.path}: {what}; sha256 {done.sha256}, {check}")


# ---------------------------------------------------------------- check


def check(
    dataset: Dataset,
    root: Root,
    option: Options = None,
    columns: Columns = None,
    examples: Annotated[int, typer.Option(min=0, help="How many of each kind of drop to name.")] = 3,
) -> None:
    """Read a folder as `data build` would, and count what is in it: by split and gender, and drops by reason."""
    from agewise_lab.datasets.registry import parse_options, read

    reader = _find(dataset)
    try:
        options = parse_options(reader, [*(option or []), *([] if columns is None else [f"columns={columns}"])])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    listing = read(dataset, root, options)
    for line in _count_lines(listing, examples):
        typer.echo(line)


def _count_lines(listing: Listing, examples: int) -> Iterator[str]:
    usable = listing.usable
    yield f"{len(listing.records):,} records, {len(usable):,} of use, {len(listing.dropped):,} dropped"
    yield from _by_split(usable)
    yield from _ages(usable)
    subjects = {record.subject for record in usable} - {None}
    if subjects:
        yield f"subjects: {len(subjects):,}"
    groups = Counter(record.group or "unknown" for record in usable)
    if set(groups) - {"unknown"}:
        yield "groups: " + ", ".join(f"{name} {count:,}" for name, count in groups.most_common())
    for reason, count in listing.drops_by_reason().items():
        yield f"dropped: {count:,}  {reason}"
        named = [record.path for record in listing.dropped if record.dropped == reason][:examples]
        yield from (f"  {path!r}" for path in named)
    for note in listing.notes:
        yield f"note: {note}"


def _by_split(usable: Sequence[Record]) -> Iterator[str]:
    """A table with tabs: a line a split, a column a gender."""
    genders = ("female", "male", "unknown")
    counts = Counter((r.split or "no split", r.gender.value if r.gender else "unknown") for r in usable)
    splits = sorted({split for split, _ in counts})
    rows = {split: [counts[split, gender] for gender in genders] for split in splits}
    if len(rows) > 1:
        rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    yield "\t".join(["split", "records", *genders])
    for name, numbers in rows.items():
        yield "\t".join([name, *(f"{n:,}" for n in (sum(numbers), *numbers))])


def _ages(usable: Sequence[Record]) -> Iterator[str]:
    ages = sorted(record.age_years for record in usable if record.age_years is not None)
    if ages:
        yield f"ages: {ages[0]:g} to {ages[-1]:g}, median {ages[len(ages) // 2]:g}, {len(ages):,} known"
    classes = Counter(record.age_range_years for record in usable if record.age_range_years is not None)
    if classes:
        yield "classes of ages: " + ", ".join(f"{low:g}-{high:g} {n:,}" for (low, high), n in sorted(classes.items()))
