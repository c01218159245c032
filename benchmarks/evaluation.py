"""Time and memory of a whole table of measures, with bootstrap intervals, from a large file of predictions.

    python benchmarks/evaluation.py [--faces 460000] [--markdown]

The file is made up, of the size of IMDB: errors drawn from a normal law, two sexes, five groups, 20,284 people. A new
process reads it and makes every measure of every subset; it does nothing else, so its peak memory is that of the work.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

HEAD = ("what", "faces", "wall", "processor", "peak memory", "notes")
PEOPLE = 20_284
_MOST_SECONDS, _MOST_GIB = 120, 4


def make(path: Path, faces: int, people: int) -> None:
    """Write predictions of made-up faces; `people` 0 leaves the subjects unknown."""
    import numpy as np

    from agewise_lab.evaluation.prediction_files import write_predictions
    from agewise_lab.evaluation.predictions import Predictions

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 101, faces).astype(np.float64)
    years = truth + rng.normal(0, 6, faces)
    width = rng.uniform(8, 14, faces)
    female = rng.random(faces) < 0.5
    columns = {
        "name": np.char.add("face ", np.arange(faces).astype(np.str_)),
        "truth": truth,
        "years": years,
        "std_years": width / 2,
        "low": years - width,
        "high": years + width,
        "is_female": female.astype(np.float64),
        "female_probability": np.clip(np.where(female, 0.8, 0.2) + rng.normal(0, 0.25, faces), 0.001, 0.999),
        "group": rng.choice(["Asian", "Black", "Indian", "White", "other"], faces),
    }
    if people:
        columns["subject"] = np.char.add("person ", rng.integers(0, people, faces).astype(np.str_))
    write_predictions(Predictions.of(columns), path)


def work(path: Path) -> None:
    """In the process of its own: print seconds and bytes as JSON."""
    import resource

    from agewise_lab.evaluation.prediction_files import read_predictions
    from agewise_lab.evaluation.scoring import figures_of

    wall, processor = time.perf_counter(), time.process_time()
    table = read_predictions(path)
    read = time.process_time() - processor
    figures = figures_of(table)
    made = {
        "wall": time.perf_counter() - wall,
        "processor": time.process_time() - processor,
        "read": read,
        "figures": len(figures),
        "subsets": len({figure.name for figure in figures}),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(made))


def row(folder: Path, faces: int, people: int) -> tuple[str, ...]:
    """Measure one file."""
    path = folder / f"{people}.parquet"
    make(path, faces, people)
    done = subprocess.run([sys.executable, __file__, "--work", str(path)], capture_output=True, text=True, check=True)
    got = json.loads(done.stdout)
    name = f"faces of {people:,} people" if people else "faces, people unknown"
    notes = f"of {got['subsets']} subsets, {got['figures']:,} figures, 1,000 rounds; reading {got['read']:.1f} s of it"
    return (
        name,
        f"{faces:,}",
        f"{got['wall']:.0f} s",
        f"{got['processor']:.0f} s",
        f"{got['peak'] / 2**30:.2f} GiB",
        notes,
    )


def main() -> None:
    """Measure, print, and on demand write into README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=460_000, help="how many")
    parser.add_argument("--markdown", action="store_true", help="also write the table into benchmarks/README.md")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    common.use_one_thread()
    if arguments.work is not None:
        work(arguments.work)
        return
    machine = common.machine("scipy", "pyarrow")
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(Path(folder), arguments.faces, people) for people in (0, PEOPLE)]
    goal = f"The goal: below {_MOST_SECONDS} s and {_MOST_GIB} GiB."
    text = f"{machine}\n\n{goal}\n\n{common.table(HEAD, rows)}"
    print(f"\n{text}")
    if arguments.markdown:
        common.write_section("evaluation", text)


if __name__ == "__main__":
    main()
