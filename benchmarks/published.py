"""Published weights, converted, on UTKFace: do they give the errors that they gave in their own systems?

    python benchmarks/published.py --weights ../shared/weights --root ../shared/data/utkface --models OUT [--every 5]

Each picture is padded by a margin with replicated borders and resized to the network's input, by agewise's own crop.
The converted files are written to OUT, and used again where they are there. `--every N` takes each Nth picture. The MAE
is in years, gender in % right; pictures of all ages are counted. A Markdown table is printed.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import common
from agewise._files import atomic_write
from agewise.engine import EngineConfig, OnnxEngine
from agewise.estimate import Estimator
from agewise.imaging import read_image
from agewise.imaging.crop import CropSpec, crop_face
from agewise.types import Detection, Gender
from agewise_lab.convert.published import convert
from agewise_lab.datasets.utkface import read_records

BATCH = 256


@dataclass(frozen=True)
class Case:
    """One published file, or an age file with a gender file."""

    name: str
    file: str
    gender: str | None = None


SSRNET = (
    Case("ssrnet-imdb", "ssrnet/age_imdb.h5", "ssrnet/gender_imdb.h5"),
    Case("ssrnet-wiki", "ssrnet/age_wiki.h5", "ssrnet/gender_wiki.h5"),
    Case("ssrnet-morph2", "ssrnet/age_morph2.h5", "ssrnet/gender_morph2.h5"),
    Case("ssrnet-megaage-asian", "ssrnet/age_megaage_asian.h5"),
)
BASELINES = tuple(
    Case(f"{net}-{data}", f"baselines/{file}_{data}.h5")
    for net, file in (
        ("mobilenet-0.25", "mobilenet_reg_0.25_64"),
        ("mobilenet-0.5", "mobilenet_reg_0.5_64"),
        ("densenet-13", "densenet_reg_13_64"),
        ("densenet-19", "densenet_reg_19_64"),
    )
    for data in ("imdb", "wiki", "morph2")
)


def padded_crops(root: Path, every: int, margin: float) -> tuple[npt.NDArray[np.uint8], list[float], list[bool]]:
    """Crops uint8 RGB (n, 64, 64, 3), ages, and whether they are labelled female."""
    records = read_records(root).records[::every]
    crops = np.empty((len(records), 64, 64, 3), np.uint8)
    spec = CropSpec(kind="box", margin=margin, square=False)
    for i, record in enumerate(records):
        image = read_image(root / record.path)
        height, width = image.shape[:2]
        crops[i] = crop_face(image, Detection(box_xyxy=(0.0, 0.0, width, height), score=1.0), spec, 64)
    return crops, [r.age_years for r in records], [r.gender is Gender.FEMALE for r in records]


def model(case: Case, weights: Path, folder: Path) -> bytes:
    """The converted file, made now or before."""
    path = folder / f"{case.name}.onnx"
    if not path.is_file():
        data = convert(weights / case.file, case.name, gender=weights / case.gender if case.gender else None)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as stream:
            stream.write(data)
    return path.read_bytes()


def row(case: Case, data: bytes, margin: float, faces: tuple[npt.NDArray[np.uint8], list[float], list[bool]]) -> str:
    """A line of the table."""
    crops, ages, female = faces
    estimator = Estimator(engine=OnnxEngine(data, EngineConfig(threads=1)), batch=BATCH)
    parts = [estimator.run(crops[i : i + BATCH]) for i in range(0, len(crops), BATCH)]
    error = np.concatenate([estimates.years for estimates, _ in parts]) - np.asarray(ages)
    right = "–"
    if case.gender:
        probability = np.concatenate([share for _, share in parts if share is not None])
        right = f"{100 * np.mean((probability >= 0.5) == np.asarray(female)):.1f}"
    cells = (case.name, f"{len(data) / 1e6:.2f}", f"{margin:.0%}", len(crops), f"{np.abs(error).mean():.2f}")
    return (
        f"| {' | '.join(map(str, cells))} | {error.mean():+.2f} | {100 * np.mean(np.abs(error) <= 5):.1f} | {right} |"
    )


def main() -> None:
    """Convert, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--margins", type=float, nargs="+", default=[0.3, 0.4])
    parser.add_argument("--only", choices=["ssrnet", "baselines"])
    arguments = parser.parse_args()
    common.use_one_thread()
    cases = [*(SSRNET if arguments.only != "baselines" else ()), *(BASELINES if arguments.only != "ssrnet" else ())]
    print(
        "| network | MB | margin | faces | MAE | bias | within 5 | gender |\n|---|---|---|---|---|---|---|---|",
        flush=True,
    )
    for margin in arguments.margins:
        faces = padded_crops(arguments.root, arguments.every, margin)
        for case in cases:
            print(row(case, model(case, arguments.weights, arguments.models), margin, faces), flush=True)


if __name__ == "__main__":
    main()
