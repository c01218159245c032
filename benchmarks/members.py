"""What each network of the embedded models is worth alone and with others, and what the way of decoding adds.

    python benchmarks/members.py --store CROP_STORE [--models agewise-s agewise-m FILE.onnx RUN ...] [--largest 4]
        [--adjust 0.15]

All networks of the files are read back, one that is in two files once; of a run the averaged weights of its last
network, as far as it got. On the validation crops of a store, `whole` and
`aligned`, made by the code that trains and serves: each network, all combinations of up to `--largest`, and each of
those with the mirror images too. Distributions and gender's probabilities are averaged, then decoded in three ways: the
mean, the mean rounded to a whole year, and the median, which is one. "alike" is the median's error where all decades of
age (80 and more as one) and both labels count alike: UTKFace has many at 26 and few at 60, users' photos may not.
`--adjust` takes a share of the training ages' frequency out of each network (agewise_lab/export/adjust.py). Needs the
extra `lab`.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import common

HEAD = (
    "networks", "sees", "crops", "MAE: mean", "rounded", "median", "alike", "CS@5: mean", "rounded", "median", "gender",
)  # fmt: skip


def networks(models: list[str]) -> dict[str, Any]:
    """Each network of the files and runs once, by its file's name and its place in it, or its run's."""
    import torch

    found: dict[str, Any] = {}
    for model in models:
        for k, net in enumerate(_of_run(Path(model)) if (Path(model) / "run.json").is_file() else _of_file(model)):
            weight = net.age.weight
            if not any(
                weight.shape == other.age.weight.shape and torch.allclose(weight, other.age.weight, atol=1e-5)
                for other in found.values()
            ):
                found[f"{Path(model).stem}/{k + 1}"] = net.eval().to(memory_format=torch.channels_last)
    return found


def _of_file(model: str) -> list[Any]:
    import onnx

    from agewise.store import find_model
    from agewise_lab.architectures.stored import stored_nets_of
    from agewise_lab.training.teacher import shape_of

    return stored_nets_of(onnx.load_from_string(find_model(model).data), shape_of(model))


def _of_run(folder: Path) -> list[Any]:
    import json

    from agewise_lab.export.release import load_net
    from agewise_lab.training.config import TrainConfig
    from agewise_lab.training.plain import from_plain

    net = from_plain(TrainConfig, json.loads((folder / "run.json").read_text())["config"]).nets[-1]
    return [load_net(folder / "last.ckpt", net.name, net.architecture)]


def network(model: str) -> Any:
    """The only network of a file or a run."""
    (net,) = networks([model]).values()
    return net


def served_crops(store: Any, kind: str, rows: Any, size: int) -> Any:
    """Stored crops, "whole" or "aligned", as a network of that size sees them: uint8 RGB (n, size, size, 3)."""
    import numpy as np

    from agewise_lab.training.augment import NO_AUGMENTATION, augment_crop

    rng = np.random.default_rng(0)  # drawn from, and without effect
    return np.stack([augment_crop(getattr(store, kind)[i], size, NO_AUGMENTATION, rng) for i in rows])


def decades(ages: Any) -> Any:
    """The decade of each age, int (n,), 80 and more as one."""
    import numpy as np

    return np.minimum(ages // 10, 8).astype(int)


def alike(classes: Any, is_female: Any) -> Any:
    """Weights (n,), summing to 1, under which all classes of age and both labels that occur count alike."""
    import numpy as np

    cells = 2 * classes + is_female
    share = np.bincount(cells)[cells]
    return 1 / share / (1 / share).sum()


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
    parser.add_argument("--models", nargs="+", default=["agewise-s", "agewise-m"], help="with agewise's two heads")
    parser.add_argument("--largest", type=int, default=4, help="networks of a combination")
    parser.add_argument("--adjust", type=float, default=0.0, help="share of the ages' frequency, 0 to 1")
    arguments = parser.parse_args()
    common.use_one_thread()
    import numpy as np

    from agewise import decode
    from agewise_lab.export.adjust import adjusted
    from agewise_lab.store.crops import open_store
    from agewise_lab.store.split import agreed_ages, hash_split

    store = open_store(arguments.store)
    split = hash_split(store)
    chosen = split.validation
    truth, is_female = store.age_years[chosen], store.is_female[chosen] > 0.5
    learned = agreed_ages(store)[split.train].astype(np.float64)
    nets = {name: adjusted(net, learned, arguments.adjust) for name, net in networks(arguments.models).items()}
    weights = alike(decades(truth), is_female)
    lines = []
    for kind in ("whole", "aligned"):
        seen: dict[tuple[str, bool], Any] = {}
        for name, net in nets.items():
            crops = served_crops(store, kind, chosen, net.config.size)
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
                         f"{weights @ errors[-1]:.2f}",
                         *(f"{100 * (error <= 5).mean():.1f}" for error in errors),
                         f"{100 * ((female >= 0.5) == is_female).mean():.1f}")
                    )  # fmt: skip
    print(f"{common.machine()}\n\n{len(chosen)} validation faces\n\n{common.table(HEAD, lines)}")


if __name__ == "__main__":
    main()
