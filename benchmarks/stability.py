"""How far an age moves when the picture or the place of the face changes a little.

    python benchmarks/stability.py --root UTKFACE_FOLDER --store CROP_STORE [--limit 300] [--markdown]

Needs the extra `lab`, a copy of UTKFace, and the store of its crops that names the split. Each picture is taken in two
ways: whole as the crop, and padded as a stand-in for a photo, with the landmarks of the detector mtcnn.
`agewise_lab.evaluation.stability` does all of the work.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import common

DOCUMENT = Path(__file__).parents[1] / "docs" / "evaluation-measures.md"
HEAD = ("change", "level", "whole: mean change", "signed", "MAE", "aligned: mean change", "signed", "MAE")


def pictures(records: Sequence[Any], root: Path, detector: Any) -> Iterator[tuple[Any, Any]]:
    """Pictures with their faces; without a detector the whole picture is the face."""
    from agewise.detect import make_detector
    from agewise.imaging import read_image
    from agewise_lab.evaluation.run import most_central
    from agewise_lab.store.crops import padded

    whole = make_detector("none")
    for record in records:
        image = read_image(root / record.path)
        if detector is None:
            yield image, whole.detect(image)[0]
            continue
        image = padded(image)
        face = most_central(image, detector.detect(image))
        assert face is not None
        yield image, face


def found(records: Sequence[Any], root: Path, detector: Any) -> list[Any]:
    """The records whose face the detector finds: both ways are measured on the same faces."""
    from agewise.imaging import read_image
    from agewise_lab.store.crops import padded

    return [record for record in records if detector.detect(padded(read_image(root / record.path)))]


def measure(arguments: argparse.Namespace) -> str:
    """The tables, with what was measured on."""
    import numpy as np

    import agewise
    from agewise.engine import EngineConfig
    from agewise_lab.evaluation.measures import noise_over_jitter
    from agewise_lab.evaluation.perturbations import FAMILIES
    from agewise_lab.evaluation.run import part_of_store
    from agewise_lab.evaluation.stability import jittered_ages, key_points, stability

    estimator = agewise.Estimator(arguments.model, engine_config=EngineConfig(threads=1))
    detector = agewise.make_detector("mtcnn", engine_config=EngineConfig(threads=1))
    part = part_of_store(arguments.store, arguments.root, arguments.part)
    chosen = common.spread_out(part, arguments.limit)
    records = found(chosen, arguments.root, detector)
    truths = np.array([record.age_years for record in records])
    curves, notes = [], []
    for name, finder in (("whole", None), ("aligned", detector)):
        points = stability(estimator, pictures(records, arguments.root, finder), truths)
        curves.append(points)
        ages = jittered_ages(estimator, pictures(records, arguments.root, finder))
        said = ", ".join(
            f"{point.family} {point.level:g}: {point.change:.2f} [{point.change_low:.2f}, {point.change_high:.2f}]"
            for point in key_points(points)
        )
        noise = noise_over_jitter(ages)
        notes.append(
            f"{name}: mean change in years, with its 95 % interval, {said}; MAE of the pictures as they are "
            f"{points[0].mae - points[0].mae_change:.2f}; noise over 10 jitters of 5 %, mean standard deviation "
            f"{noise.std:.2f}, largest range {noise.largest_range:.1f}."
        )
        print(f"{name}: done", flush=True)
    titles = {family.name: family.title for family in FAMILIES}
    rows = [
        (titles[whole.family], f"{whole.level:g}", *cells(whole), *cells(aligned))
        for whole, aligned in zip(*curves, strict=True)
    ]
    about = (
        f"{estimator.card.name} {estimator.card.version}, {len(records)} of {len(chosen)} pictures, spread over "
        f"UTKFace's {arguments.part} part by age (those whose face mtcnn finds when padded); all in years."
    )
    return "\n\n".join([common.machine(), about, *notes, common.table(HEAD, rows)])


def cells(point: Any) -> tuple[str, str, str]:
    """Mean change, mean signed change, MAE."""
    return f"{point.change:.2f}", f"{point.signed:+.2f}", f"{point.mae:.2f}"


def main() -> None:
    """Measure, print, and on demand write into docs/evaluation-measures.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="the folder of UTKFace's pictures")
    parser.add_argument("--store", type=Path, required=True, help="the crop store made of them")
    parser.add_argument("--model", default="agewise-s", help="a model's name, or an .onnx file with a card")
    parser.add_argument("--part", default="validation", choices=("validation", "holdout"))
    parser.add_argument("--limit", type=int, default=300, metavar="N", help="how many pictures")
    parser.add_argument(
        "--markdown", action="store_true", help="also write the tables into docs/evaluation-measures.md"
    )
    arguments = parser.parse_args()
    if arguments.limit < 1:
        parser.error("--limit must be 1 or more")
    common.use_one_thread()
    text = measure(arguments)
    print(f"\n{text}")
    if arguments.markdown:
        common.write_section("stability", text, DOCUMENT)


if __name__ == "__main__":
    main()
