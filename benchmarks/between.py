"""What weights between a file, or a run, and the run that went on from it give, on clear faces and on spoilt ones.

    python benchmarks/between.py --store CROP_STORE --base FILE.onnx|FOLDER --run FOLDER [--shares 0 0.2 0.4 0.6 1]

On the validation part, its stored whole and aligned crops; no file is written. *jitter* is the mean change of the age
when each edge of the crop is moved by up to 5 % of its side, *dark* and *blur* are years more of error at a quarter of
the light with noise of 3 of 255, and under a Gaussian blur of 2.5 % of the side; the three on every second face.
`agewise-lab release --base` makes the file of one share. Needs the extra `lab`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import common
import members

HEAD = ("share of the run", "crops", "MAE", "alike", "CS@5", "gender", "from 13 on", "jitter", "dark", "blur")


def spoilt(crop: Any, how: str, rng: Any) -> Any:
    """A stored crop in little light, or blurred; else as it is."""
    import numpy as np

    from agewise_lab.evaluation.degrade import blur

    if how == "dark":
        noise = rng.normal(0, 3, crop.shape)
        return np.clip(crop * 0.25 + noise, 0, 255).astype(np.uint8)
    if how == "blur":
        return blur(crop, share=0.025)
    return crop


def cut(crop: Any, size: int, share: float, rng: Any) -> Any:
    """A stored crop scaled to the network's size, its edges moved by up to a share of its side and made square."""
    import numpy as np

    from agewise.imaging.crop import warp_crop

    x0, y0, x1, y1 = np.array([0, 0, 1, 1]) + rng.uniform(-share, share, 4)
    side, x, y = (x1 - x0 + y1 - y0) / 2, (x0 + x1) / 2, (y0 + y1) / 2
    a = 1 / (side * crop.shape[0])
    return warp_crop(crop, np.array([[a, 0, 0.5 - x / side], [0, a, 0.5 - y / side]]), size)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--base", required=True, help="a released file, or a run's folder")
    parser.add_argument("--run", required=True, help="folder of the run that went on from it")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.2, 0.4, 0.6, 1.0])
    arguments = parser.parse_args()
    common.use_one_thread()
    import numpy as np

    from agewise import decode
    from agewise_lab.export.between import between
    from agewise_lab.store.crops import open_store
    from agewise_lab.store.split import hash_split

    store = open_store(arguments.store)
    chosen = hash_split(store).validation
    truth, is_female = store.age_years[chosen], store.is_female[chosen] > 0.5
    weights = members.alike(members.decades(truth), is_female)
    base, run = members.network(arguments.base), members.network(arguments.run)
    crops: dict[tuple[str, str], Any] = {}
    for kind in ("whole", "aligned"):
        for how in ("clear", "jitter", "dark", "blur"):
            rng, step = np.random.default_rng(5), 1 if how == "clear" else 2
            share = 0.05 if how == "jitter" else 0.0
            crops[kind, how] = np.stack(
                [cut(spoilt(getattr(store, kind)[i], how, rng), base.config.size, share, rng) for i in chosen[::step]]
            )
    lines = []
    for share in arguments.shares:
        net = between(base, run, share)
        for kind in ("whole", "aligned"):
            ages, females = {}, {}
            for how in ("clear", "jitter", "dark", "blur"):
                probs, females[how] = members.answers(net, crops[kind, how])
                ages[how] = decode.median(probs, np.arange(probs.shape[1], dtype=float))
            error, right = np.abs(ages["clear"] - truth), (females["clear"] >= 0.5) == is_female
            more = {how: np.abs(ages[how] - truth[::2]).mean() - error[::2].mean() for how in ("dark", "blur")}
            lines.append(
                (f"{share:g}", kind, f"{error.mean():.2f}", f"{weights @ error:.2f}",
                 f"{100 * (error <= 5).mean():.1f}",
                 f"{100 * right.mean():.1f}", f"{100 * right[truth >= 13].mean():.1f}",
                 f"{np.abs(ages['jitter'] - ages['clear'][::2]).mean():.2f}", f"{more['dark']:+.2f}",
                 f"{more['blur']:+.2f}")
            )  # fmt: skip
            print(lines[-1], flush=True)
    print(f"{common.machine()}\n\n{len(chosen)} validation faces\n\n{common.table(HEAD, lines)}")


if __name__ == "__main__":
    main()
