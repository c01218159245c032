"""`agewise annotate` with worker processes against a simple loop over one Analyzer, on the same photos.

    python benchmarks/bulk.py [--images 5000] [--processes 2] [--rounds 1] [--folder PICTURES] [--markdown]

Both write Parquet, and the values are compared cell by cell. Times go from the call to the last file, the loading of
networks and the start of workers included. CPU time, of all processes, says what a busy machine hides: with as many
cores as processes and nothing else to do, the time of a run is about its CPU time by the number of processes.
Of a folder, so many pictures are taken at even steps of its listing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import common

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "utkface"


class Took(NamedTuple):
    """One round: seconds of either way, by the clock and of all CPUs, the rows, and in how many they differ."""

    loop_s: float
    loop_cpu_s: float
    bulk_s: float
    bulk_cpu_s: float
    rows: int
    different: int


def chosen(folder: Path, count: int) -> list[str]:
    """So many pictures of a folder, at even steps."""
    from agewise.sources import list_sources

    paths = [source.path for source in list_sources([folder]).sources]
    if len(paths) < count:
        raise SystemExit(f"{folder} holds {len(paths)} pictures, {count} were asked for: give --images or --folder")
    return list(common.spread_out(paths, count))


def simple_loop(paths: Sequence[str], file: Path) -> float:
    """Seconds of a loop over one Analyzer with one thread, into a Parquet file."""
    begin = time.perf_counter()
    from agewise import Analyzer
    from agewise.sinks import ImageResult, open_sink

    analyzer = Analyzer()
    with open_sink(file) as sink:
        for path in paths:
            image = analyzer.read(path)
            sink.write(ImageResult(path, image.shape[1], image.shape[0], tuple(analyzer.analyze(image))))
    return time.perf_counter() - begin


def bulk(paths: Sequence[str], folder: Path, processes: int) -> float:
    """Seconds of `annotate`."""
    begin = time.perf_counter()
    from agewise.bulk import annotate

    summary = annotate(paths, folder, processes=processes)
    assert summary is not None
    assert summary.pictures == len(paths), summary
    return time.perf_counter() - begin


def compare(file: Path, folder: Path) -> tuple[int, int]:
    """Rows, and how many of them are not the same in all columns."""
    from pyarrow import concat_tables, parquet

    one: list[Any] = parquet.read_table(file).to_pylist()
    other = concat_tables([parquet.read_table(part) for part in sorted(folder.glob("part-*.parquet"))]).to_pylist()
    return len(one), abs(len(one) - len(other)) + sum(a != b for a, b in zip(one, other, strict=False))


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])


def one_round(paths: Sequence[str], processes: int) -> Took:
    """Both ways, and the comparison."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begin = cpu_seconds()
        loop_s = simple_loop(paths, folder / "loop.parquet")
        middle = cpu_seconds()
        bulk_s = bulk(paths, folder / "bulk", processes)
        end = cpu_seconds()
        return Took(loop_s, middle - begin, bulk_s, end - middle, *compare(folder / "loop.parquet", folder / "bulk"))


def main() -> None:
    """Measure, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--markdown", action="store_true", help="write the table into README.md")
    options = parser.parse_args()
    common.use_one_thread()
    common.warn_if_busy()
    where, cores = common.machine("pyarrow"), os.cpu_count()
    paths = chosen(options.folder, options.images)
    with tempfile.TemporaryDirectory() as name:  # imports, and the file cache of what is loaded
        simple_loop(paths[:20], Path(name) / "warm.parquet")
    took = [one_round(paths, options.processes) for _ in range(options.rounds)]
    cells = [
        (
            str(i + 1),
            str(options.images),
            f"{options.images / one.loop_s:.1f}",
            f"{options.images / one.bulk_s:.1f}",
            f"{one.loop_s / one.bulk_s:.2f}",
            f"{1e3 * one.loop_cpu_s / options.images:.1f}",
            f"{1e3 * one.bulk_cpu_s / options.images:.1f}",
            f"{one.different} of {one.rows}",
        )
        for i, one in enumerate(took)
    ]
    several = f"{options.processes} processes, images/s"
    cpu = ("loop, CPU ms an image", "processes, CPU ms an image")
    names = ("round", "photos", "loop, images/s", several, "ratio", *cpu, "rows that differ")
    text = f"{common.table(names, cells)}\n\n{where} a process; {cores} cores in all"
    print(text)
    if options.markdown:
        common.write_section("bulk", text)


if __name__ == "__main__":
    main()
