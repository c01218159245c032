"""What a crop's mirror image, and a second network, would add: the table in docs/research/0002.

    python benchmarks/mirrored.py --store CROP_STORE [--models agewise-s agewise-m]

On the validation crops of a store, `whole` and `aligned`, shrunk to each network's size by the code that trains and
serves. Distributions and gender's probabilities are averaged, then decoded by agewise. Needs the extra `lab`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import common

HEAD = ("networks", "crops", "MAE", "gender")


def answers(estimator: Any, crops: Any) -> tuple[Any, Any]:
    """(probabilities over ages (n, ages), of «female» (n,)) of crops, 64 at a time."""
    import numpy as np

    parts = [estimator.run(crops[i : i + 64]) for i in range(0, len(crops), 64)]
    return np.concatenate([ages.probs_over_ages for ages, _ in parts]), np.concatenate([share for _, share in parts])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["agewise-s", "agewise-m"], help="with ages as distributions")
    arguments = parser.parse_args()
    common.use_one_thread()
    import numpy as np

    from agewise import Estimator, decode
    from agewise_lab.store.crops import open_store
    from agewise_lab.store.split import hash_split
    from agewise_lab.training.augment import NO_AUGMENTATION, augment_crop

    store = open_store(arguments.store)
    chosen = hash_split(store).validation
    truth, is_female, rng = store.age_years[chosen], store.is_female[chosen] > 0.5, np.random.default_rng(0)
    rows = []
    for kind in ("whole", "aligned"):
        every = []
        for name in arguments.models:
            estimator = Estimator(name)
            size = estimator.card.input.size
            crops = np.stack([augment_crop(getattr(store, kind)[i], size, NO_AUGMENTATION, rng) for i in chosen])
            both = [answers(estimator, crops), answers(estimator, np.ascontiguousarray(crops[:, :, ::-1]))]
            rows.append((name, kind, both[:1]))
            rows.append((f"{name}, mirrored too", kind, both))
            every += both
        rows.append((f"{' and '.join(arguments.models)}, mirrored too", kind, every))
    lines = []
    for name, kind, parts in rows:
        probs, female = (np.mean([part[k] for part in parts], axis=0) for k in (0, 1))
        years, _ = decode.expectation(probs, np.arange(probs.shape[1], dtype=float))
        right = ((female >= 0.5) == is_female).mean()
        lines.append((name, kind, f"{np.abs(years - truth).mean():.2f}", f"{100 * right:.1f} %"))
    print(f"{common.machine()}\n\n{len(chosen)} validation faces\n\n{common.table(HEAD, lines)}")


if __name__ == "__main__":
    main()
