"""Detection rate of each detector, and what the whole chain's figures are beside `--detector none`.

    python benchmarks/accuracy.py --root UTKFACE_FOLDER --store CROP_STORE [--markdown]

Needs the extra `lab`, a copy of UTKFace, and the store of its crops that names the split (`agewise-lab data
build`). UTKFace's pictures are tight crops: for a detector each is padded by 30 % of replicated border, see
`agewise_lab.evaluation.run`, which does all of the work.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import common

# The smallest face looked for, where that is not the detector's own default. dlib's CNN enlarges a picture so that the
# smallest face is 80 pixels; in these pictures all are larger, and it takes a fifth of the time as they are.
MIN_FACE = {"dlib-cnn": 80, "dlib-cnn-68": 80}
HEAD = ("detector", "found", "MAE", "the same faces, none", "CS@5", "gender", "coverage", "notes")


def percent(share: float) -> str:
    """A share, 0 to 1, as a percentage; a dash for nothing."""
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"


def row(name: str, results: Any, whole: Any, notes: str) -> tuple[str, ...]:
    """A row of the table, `whole` being the results of the detector `none` on all pictures."""
    from agewise_lab.evaluation.run import summary

    found, same = summary(results), summary(whole.select(results.found))
    if not found["count"]:
        return (name, percent(0.0), *["–"] * 5, notes)
    years = (f"{found['mae']:.2f}", f"{same['mae']:.2f}")
    shares = (percent(found["cs5"]), percent(found["gender"]), percent(found["coverage"]))
    return (name, percent(found["found"]), *years, *shares, notes)


def sampled(records: Sequence[Any], size: int | None) -> Sequence[Any]:
    """The first `size` records of one random order, seed 0; all in their own order where there are no more."""
    if size is None or size >= len(records):
        return records
    import numpy as np

    return [records[i] for i in np.random.default_rng(0).permutation(len(records))[:size]]


def measure(arguments: argparse.Namespace) -> str:
    """The table, with what was measured on."""
    import agewise
    from agewise.detect.registry import detector_infos
    from agewise.engine import EngineConfig
    from agewise_lab.evaluation.run import part_of_store, run

    estimator = agewise.Estimator(arguments.model, engine_config=EngineConfig(threads=1))
    part = part_of_store(arguments.store, arguments.root, arguments.part)
    records = common.spread_out(sampled(part, arguments.sample), arguments.limit)
    whole = run(records, arguments.root, estimator)
    rows = [row("none", whole, whole, "the picture is the crop")]
    asked = arguments.detectors or [info.name for info in detector_infos() if info.name != "none"]
    reasons = {info.name: info.reason for info in detector_infos()}
    for name in asked:
        if reasons.get(name):  # yunet:PATH is no name of the list, so it has no reason
            print(f"{name}: left out, {reasons[name]}", flush=True)
            continue
        least = MIN_FACE.get(name)
        detector = agewise.make_detector(name, min_face=least, engine_config=EngineConfig(threads=1))
        begin = time.process_time()
        results = run(records, arguments.root, estimator, detector)
        took = (time.process_time() - begin) / len(records)
        notes = f"{1e3 * took:.0f} ms a picture" + (f"; faces from {least} px" if least else "")
        rows.append(row(name.partition(":")[0], results, whole, notes))
        print(f"{name}: done", flush=True)
    some = "" if len(records) == len(part) else f" (of {len(part)}, at random)"
    if arguments.limit is not None and len(records) < len(part):
        some = f" (of {len(part)}: a trial, not to be reported)"
    about = (
        f"{estimator.card.name} {estimator.card.version}, {len(records)} pictures{some} of UTKFace's {arguments.part} "
        "part; years; coverage of the 90 % interval. All but «found» is of the faces that the detector found. "
        "Times are the processor's, of all that is done with a picture."
    )
    return f"{common.machine('dlib-bin', 'scikit-image')}\n\n{about}\n\n{common.table(HEAD, rows)}"


def main() -> None:
    """Measure, print, and on demand write into README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="the folder of UTKFace's pictures")
    parser.add_argument("--store", type=Path, required=True, help="the crop store made of them")
    parser.add_argument("--model", default="agewise-s", help="a model's name, or an .onnx file with a card")
    parser.add_argument("--part", default="validation", choices=("validation", "holdout"))
    parser.add_argument("--detectors", nargs="+", metavar="NAME", help="by default all that are installed")
    parser.add_argument("--sample", type=int, metavar="N", help="only N pictures, drawn at random (seed 0)")
    parser.add_argument("--limit", type=int, metavar="N", help="only N pictures, to try the script")
    parser.add_argument("--markdown", action="store_true", help="also write the table into benchmarks/README.md")
    arguments = parser.parse_args()
    for name in ("limit", "sample"):
        if (number := getattr(arguments, name)) is not None and number < 1:
            parser.error(f"--{name} must be 1 or more")
    common.use_one_thread()
    text = measure(arguments)
    print(f"\n{text}")
    if arguments.markdown:
        common.write_section("accuracy", text)


if __name__ == "__main__":
    main()
