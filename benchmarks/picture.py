"""Accuracy against size against speed, as a picture: agewise's models and what else there is, on the same faces.

    python benchmarks/picture.py --store CROP_STORE --root ../shared/data/utkface --output docs/images/models.png
        [--converted FOLDER] [--face-api FOLDER]

On the validation part of a crop store, each picture given whole. `--converted` holds published weights that
`benchmarks/published.py` or `agewise-lab convert` made (they get the border of 30 % that they were trained with);
`--face-api` is where npm installed face-api (see `face_api.mjs`), which runs by its own code. The time is of one face
on one thread, scaling and decoding included, taken by turns; face-api's own clock gives its time, resizing included.
agewise's models were chosen on these very faces, by their epoch and calibration; face-api was probably trained on
many of them.
Labels are whole years, and an answer in whole years has eleven of them within five years, one between two years has
ten: so CS@5 stands twice, once with all answers rounded.
Needs the extra `lab`.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import common
from agewise.detect.none import WholePicture
from agewise.engine import EngineConfig, OnnxEngine
from agewise.estimate import Estimator
from agewise.imaging import read_image
from agewise.imaging.crop import CropSpec, crop_face
from agewise.store import find_model, list_models
from agewise.types import Detection, Gender
from agewise_lab.datasets.record import Record
from agewise_lab.evaluation.run import part_of_store

BORDER = CropSpec(kind="box", margin=0.3, square=False)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One model of the picture."""

    name: str
    ours: bool
    megabytes: float
    milliseconds: float
    mae: float
    within_5: float
    within_5_whole: float
    gender: float | None


def point(
    name: str,
    years: npt.NDArray[np.floating],
    female: npt.NDArray[np.floating] | None,
    truth: list[Record],
    **about: float | bool,
) -> Point:
    """The figures of one model's answers."""
    label = np.array([record.age_years for record in truth])
    error = np.abs(years - label)
    right = None
    if female is not None:
        right = 100 * float(np.mean((female >= 0.5) == np.array([record.gender is Gender.FEMALE for record in truth])))
    return Point(
        name=name,
        mae=float(error.mean()),
        within_5=100 * float(np.mean(error <= 5)),
        within_5_whole=100 * float(np.mean(np.abs(np.floor(years + 0.5) - label) <= 5)),
        gender=right,
        **about,  # type: ignore[arg-type]
    )


def answers(
    estimator: Estimator, root: Path, truth: list[Record], *, ours: bool
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating] | None]:
    """Ages, and probabilities of «female» or None, of all faces."""
    whole, crops = WholePicture(), []
    for record in truth:
        image = read_image(root / record.path)
        if ours:
            crops.append(estimator.crop(image, whole.detect(image)[0]))
        else:
            height, width = image.shape[:2]
            box = Detection(box_xyxy=(0.0, 0.0, width, height), score=1.0)
            crops.append(crop_face(image, box, BORDER, estimator.card.input.size))
    parts = [estimator.run(np.stack(crops[i : i + 128])) for i in range(0, len(crops), 128)]
    females = [share for _, share in parts if share is not None]
    return np.concatenate([ages.years for ages, _ in parts]), np.concatenate(females) if females else None


def face_api(folder: Path, root: Path, truth: list[Record]) -> Point:
    """face-api's AgeGenderNet, by its own code in Node."""
    with tempfile.TemporaryDirectory() as place:
        given, got = Path(place, "in.csv"), Path(place, "out.csv")
        given.write_text("path\n" + "".join(f"{(root / record.path).resolve()}\n" for record in truth))
        script = Path(__file__).with_name("face_api.mjs")
        done = subprocess.run(
            ["node", script, given, got], check=True, capture_output=True, text=True,
            env=os.environ | {"NODE_PATH": str(folder / "node_modules")},
        )  # fmt: skip
        rows = list(csv.DictReader(got.open()))
    found = re.search(r"median ([\d.]+) ms", done.stderr)
    assert found, done.stderr
    model = folder / "node_modules/@vladmandic/face-api/model/age_gender_model.bin"
    return point(
        "face-api", np.array([float(row["age_years"]) for row in rows]),
        np.array([float(row["female_probability"]) for row in rows]), truth,
        ours=False, megabytes=model.stat().st_size / 1e6, milliseconds=float(found[1]),
    )  # fmt: skip


def _radius(one: Point) -> float:
    """Of a model's dot, in points: its area grows as the time does."""
    return 8 * one.milliseconds**0.5


def draw(points: list[Point], faces: int, output: Path) -> None:
    """Size across, error up, time as the area of the dots."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8.4, 5), layout="constrained")
    for one in points:
        colour = "#0b6e4f" if one.ours else "#8a8d91"
        axes.scatter(one.megabytes, one.mae, s=math.pi * _radius(one) ** 2, color=colour, alpha=0.75, linewidths=0)
        gender = "" if one.gender is None else f", gender {one.gender:.1f} %"
        below = one.name in ("face-api", "agewise-ssr")  # each would cover the other one's dot
        axes.annotate(
            f"{one.name}\n{one.milliseconds:.2g} ms{gender}", (one.megabytes, one.mae),
            xytext=(0, -_radius(one) - 22) if below else (_radius(one) + 3, 6 if one.ours else -4),
            ha="center" if below else "left",
            textcoords="offset points", fontsize=8, color=colour, fontweight="bold" if one.ours else "normal",
        )  # fmt: skip
    axes.set(xscale="log", xlabel="size of the file, MB", ylabel="mean absolute error, years", xlim=(0.12, 12))
    axes.set_xticks([0.2, 0.5, 1, 2, 5, 10], ["0.2", "0.5", "1", "2", "5", "10"])
    axes.set_ylim(min(one.mae for one in points) - 1.4, max(one.mae for one in points) + 1)
    axes.set_title(f"{faces:,} UTKFace validation faces; area of a dot: time of a face, one thread", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=130)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--converted", type=Path)
    parser.add_argument("--face-api", type=Path)
    arguments = parser.parse_args()
    common.use_one_thread()
    truth = list(part_of_store(arguments.store, arguments.root, "validation"))
    files = {name: find_model(name).data for name in list_models()}
    ours = set(files)
    files |= (
        {path.stem: path.read_bytes() for path in sorted(arguments.converted.glob("*.onnx"))}
        if arguments.converted
        else {}
    )
    config = EngineConfig(threads=1)
    estimators = {name: Estimator(engine=OnnxEngine(data, config)) for name, data in files.items()}
    crops = {name: np.zeros((1, e.card.input.size, e.card.input.size, 3), np.uint8) for name, e in estimators.items()}
    times = common.sample({name: (lambda n=name: estimators[n].run(crops[n])) for name in estimators}, seconds=3.0)
    points = []
    for name, estimator in estimators.items():
        years, female = answers(estimator, arguments.root, truth, ours=name in ours)
        points.append(
            point(
                name, years, female, truth,
                ours=name in ours, megabytes=len(files[name]) / 1e6, milliseconds=1e3 * statistics.median(times[name]),
            )
        )  # fmt: skip
    if arguments.face_api:
        points.append(face_api(arguments.face_api, arguments.root, truth))
    draw(points, len(truth), arguments.output)
    lines = [
        (p.name, f"{p.megabytes:.2f}", f"{p.milliseconds:.2f}", f"{p.mae:.2f}", f"{p.within_5:.1f} %",
         f"{p.within_5_whole:.1f} %", "–" if p.gender is None else f"{p.gender:.1f} %")
        for p in sorted(points, key=lambda p: p.mae)
    ]  # fmt: skip
    print(
        common.machine(),
        common.table(("model", "MB", "ms a face", "MAE", "CS@5", "in whole years", "gender"), lines),
        sep="\n\n",
    )


if __name__ == "__main__":
    sys.exit(main())
