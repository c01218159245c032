"""What each network of the embedded models is worth alone and with others, and what the way of decoding adds.

    python benchmarks/members.py --store CROP_STORE [--models agewise-s agewise-m FILE.onnx ...] [--largest 4]

All networks of the files are read back, one that is in two files once. On the validation crops of a store, `whole` and
`aligned`, made by the code that trains and serves: each network, all combinations of up to `--largest`, and each of
those with the mirror images too. Distributions and gender's probabilities are averaged, then decoded in three ways: the
mean, the mean rounded to a whole year, and the median, which is one. Needs the extra `lab`.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import common

HEAD = (
    "networks", "sees", "crops", "MAE: mean", "rounded", "median", "CS@5: mean", "rounded", "median", "gender",
)  # fmt: skip


def networks(models: list[str]) -> dict[str, Any]:
    """Each network of the files once, by the file's name and its place in it."""
    import onnx
    import torch

    from agewise.store import find_model
    from agewise_lab.architectures.stored import compact_nets_of
    from agewise_lab.training.teacher import shape_of

    found: dict[str, Any] = {}
    for model in models:
        file = onnx.load_from_string(find_model(model).data)
        for k, net in enumerate(compact_nets_of(file, shape_of(model))):
            weight = net.age.weight
            if not any(
                weight.shape == other.age.weight.shape and torch.allclose(weight, other.age.weight, atol=1e-5)
                for other in found.values()
            ):
                found[f"{Path(model).stem}/{k + 1}"] = net.eval().to(memory_format=torch.channels_last)
    return found


def answers(net: Any, crops: Any) -> tuple[Any, Any]:
    """(probabilities over ages (n, ages), of «female» (n,)) of crops uint8 RGB (n, size, size, 3)."""
    import numpy as np
    import torch

    ages, females = [], []
    with torch.inference_mode():
        for start in range(0, len(crops), 64):
            part = np.ascontiguousarray(crops[start : start + 64].transpose(0, 3, 1, 2))
            age, gender = net(torch.from_numpy(part).float().div(255).contiguous(memory_format=torch.channels_last))
            ages.append(torch.softmax(age, 1).double().numpy())
            females.append(torch.softmax(gender, 1)[:, 0].double().numpy())
    return np.concatenate(ages), np.concatenate(females)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["agewise-s", "agewise-m"], help="of the compact family")
    parser.add_argument("--largest", type=int, default=4, help="networks of a combination")
    arguments = parser.parse_args()
    common.use_one_thread()
    import numpy as np

    from agewise import decode
    from agewise_lab.store.crops import open_store
    from agewise_lab.store.split import hash_split
    from agewise_lab.training.augment import NO_AUGMENTATION, augment_crop

    store = open_store(arguments.store)
    chosen = hash_split(store).validation
    truth, is_female, rng = store.age_years[chosen], store.is_female[chosen] > 0.5, np.random.default_rng(0)
    nets = networks(arguments.models)
    lines = []
    for kind in ("whole", "aligned"):
        seen: dict[tuple[str, bool], Any] = {}
        for name, net in nets.items():
            size = net.config.size
            crops = np.stack([augment_crop(getattr(store, kind)[i], size, NO_AUGMENTATION, rng) for i in chosen])
            for mirrored in (False, True):
                seen[name, mirrored] = answers(net, crops[:, :, ::-1] if mirrored else crops)
        for count in range(1, min(arguments.largest, len(nets)) + 1):
            for group in itertools.combinations(nets, count):
                for sees in ("the crop", "both"):
                    views = (False,) if sees == "the crop" else (False, True)
                    parts = [seen[name, view] for name in group for view in views]
                    probs, female = (np.mean([part[k] for part in parts], axis=0) for k in (0, 1))
                    classes = np.arange(probs.shape[1], dtype=float)
                    mean = decode.expectation(probs, classes)[0]
                    errors = [
                        np.abs(years - truth) for years in (mean, np.floor(mean + 0.5), decode.median(probs, classes))
                    ]
                    lines.append(
                        (" + ".join(group), sees, kind, *(f"{error.mean():.2f}" for error in errors),
                         *(f"{100 * (error <= 5).mean():.1f}" for error in errors),
                         f"{100 * ((female >= 0.5) == is_female).mean():.1f}")
                    )  # fmt: skip
    print(f"{common.machine()}\n\n{len(chosen)} validation faces\n\n{common.table(HEAD, lines)}")


if __name__ == "__main__":
    main()
