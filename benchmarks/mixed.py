"""FairFace's nine age classes on scenes in which all varies at once: faces small, turned, dim, blurred, compressed.

    python benchmarks/mixed.py --store CROP_STORE --root UTKFACE_FOLDER [--models agewise-s agewise-m FILE.onnx RUN ...]
        [--base FILE.onnx|RUN --run RUN --shares 0.3 0.7] [--adjust 0 0.2 0.4] [--scenes 2] [--limit N] [--markdown]

Photos of users differ in many ways at once, and hold more children and old people than UTKFace. So each labelled face
of the validation part is composed into pictures as `benchmarks/scenes.py` does it, each with size, rotation, light,
blur, noise and compression drawn at random; and the figures are of a set in which all nine classes (0-2, 3-9, 10-19,
..., 70 and more) and both labels of gender count alike. *bins* is the share of faces in the right class, *one-off* in
it or its neighbour. The default detector finds each picture's face once, for all networks. *bare* are the same faces'
stored aligned crops. Classes are of UTKFace's labels, and the faces of UTKFace: neither is what FairFace would give.

`--adjust` takes shares of the training ages' frequency out (agewise_lab/export/adjust.py). Needs the extra `lab`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import common
import members
import scenes

HEAD = ("network", "adjusted", "faces", "MAE", "alike", "bins", "one-off", "gender, alike", "CS@5")


def any_scene(rng: Any) -> scenes.Scene:
    """A scene drawn at random: sizes evenly on a logarithmic scale, half of them blurred, a third of them dim."""
    return scenes.Scene(
        side=round(math.exp(rng.uniform(math.log(36), math.log(240)))),
        degrees=float(min(abs(rng.normal(0, 12)), 40)),
        gain=float(rng.uniform(0.3, 1)) if rng.random() < 1 / 3 else 1.0,
        blur=float(rng.uniform(0, 0.03)) if rng.random() < 0.5 else 0.0,
        noise=float(rng.uniform(0, 8)),
        quality=int(rng.integers(30, 96)),
    )


def composed(
    paths: list[str], rows: Sequence[int], sizes: set[int], count: int, seed: int
) -> tuple[list[int], dict[int, Any]]:
    """Which of `rows`, places in `paths`, each found face shows; crops by their size, uint8 RGB (n, size, size, 3)."""
    import numpy as np

    import agewise
    from agewise.imaging import read_image
    from agewise.imaging.crop import CropSpec, crop_face

    detector, found = agewise.make_detector("mtcnn"), []
    crops: dict[int, list[Any]] = {size: [] for size in sizes}
    for row in rows:
        rng, chip = np.random.default_rng((seed, row)), read_image(paths[row])
        for _ in range(count):
            scene = any_scene(rng)
            picture, centre = scenes.compose(chip, scene, rng)
            face = scenes.nearest(detector.detect(picture), centre, scene.side)
            if face is not None:
                found.append(row)
                for size in sizes:
                    crops[size].append(crop_face(picture, face, CropSpec(), size))
    return found, {size: np.stack(some) for size, some in crops.items()}


def figures(probs: Any, female: Any, truth: Any, is_female: Any) -> tuple[str, ...]:
    """The columns from MAE on; probabilities (n, ages) and (n,), ages in years (n,), labels bool (n,)."""
    import numpy as np

    from agewise import decode
    from agewise_lab.evaluation.protocols.fairface import CLASSES

    years = decode.median(probs, np.arange(probs.shape[1], dtype=float))
    error, wanted = np.abs(years - truth), CLASSES.of_years(truth)
    off = np.abs(CLASSES.of_years(years) - wanted)
    weights = members.alike(wanted, is_female)
    shares = (off == 0, off <= 1, (female >= 0.5) == is_female)
    return (
        f"{error.mean():.2f}", f"{weights @ error:.2f}", *(f"{100 * weights @ share:.1f}" for share in shares),
        f"{100 * (error <= 5).mean():.1f}",
    )  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True, help="the folder of UTKFace's pictures")
    parser.add_argument("--models", nargs="*", default=["agewise-s", "agewise-m"], help="with agewise's two heads")
    parser.add_argument("--base", help="a released file, or a run's folder")
    parser.add_argument("--run", help="folder of the run that went on from it")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.5, 1.0], help="of the run")
    parser.add_argument("--adjust", type=float, nargs="+", default=[0.0], help="shares of the ages' frequency, 0 to 1")
    parser.add_argument("--scenes", type=int, default=2, metavar="N", help="pictures of each face")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N faces, evenly over the ages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markdown", action="store_true", help="also write the table into benchmarks/README.md")
    arguments = parser.parse_args()
    if (arguments.base is None) != (arguments.run is None):
        parser.error("--base and --run go together")
    common.use_one_thread()
    import numpy as np

    from agewise_lab.export.adjust import adjusted
    from agewise_lab.export.between import between
    from agewise_lab.store.crops import open_store
    from agewise_lab.store.split import agreed_ages, hash_split

    nets = members.networks(arguments.models)
    if arguments.base is not None:
        base, run = members.network(arguments.base), members.network(arguments.run)
        name = f"{Path(arguments.base).stem} to {Path(arguments.run).stem}"
        nets |= {f"{name}, {share:g}": between(base, run, share) for share in arguments.shares}
    store = open_store(arguments.store)
    split = hash_split(store)
    learned = agreed_ages(store)[split.train].astype(np.float64)
    by_age = split.validation[np.argsort(store.age_years[split.validation], kind="stable")]
    chosen = common.spread_out(by_age.tolist(), arguments.limit)
    sizes = {net.config.size for net in nets.values()}
    paths = [str(arguments.root / name) for name in store.name]
    found, crops = composed(paths, chosen, sizes, arguments.scenes, arguments.seed)
    bare = {size: members.served_crops(store, "aligned", chosen, size) for size in sizes}
    lines = []
    for name, net in nets.items():
        for share in arguments.adjust:
            other = adjusted(net, learned, share)
            for kind, rows, seen in (("bare", chosen, bare), ("composed", found, crops)):
                answers = members.answers(other, seen[net.config.size])
                numbers = figures(*answers, store.age_years[rows], store.is_female[rows] > 0.5)
                lines.append((name, f"{share:g}", kind, *numbers))
    made = len(chosen) * arguments.scenes
    about = f"{len(chosen)} faces of UTKFace's validation part, {made} pictures, {100 * len(found) / made:.1f} % found."
    text = f"{common.machine()}\n\n{about}\n\n{common.table(HEAD, lines)}"
    print(text)
    if arguments.markdown:
        common.write_section("mixed", text)


if __name__ == "__main__":
    main()
