"""What the untouched features of dlib's face recognition network know of age and gender.

    python benchmarks/features.py --store CROP_STORE [--size 150] [--hidden 512] [--epochs 30] [--stages 7,10,13 ...]

The network is never trained: it sees each training face four times (both crops of the store, and their mirror images).
What stages of it give, averaged over all places, goes to a head that learns for some epochs, by the losses that train
agewise's networks; without a hidden layer (`--hidden 0`) it is linear. Measured on the validation faces: the median
age, crops `whole` and `aligned`, alone and with the mirror image. Stages are named by the blocks that end them, counted
from 1 as `RecognitionConfig.blocks` does. Needs the extras `lab` and `dlib`; ten minutes or so a size on one thread.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import common

HEAD = ("blocks", "whole: MAE", "CS@5", "gender", "mirrored too: MAE", "CS@5", "gender",
        "aligned: MAE", "CS@5", "gender", "mirrored too: MAE", "CS@5", "gender")  # fmt: skip
VIEWS = [(kind, mirrored) for kind in ("whole", "aligned") for mirrored in (False, True)]
FIRST = 7  # the first block that a stage may end with


def features_of(store: Any, chosen: Any, size: int) -> Any:
    """float16 (4 views, faces, 8 blocks, 256) of the store's faces `chosen`, in the order of `VIEWS`; zeros where a
    block has fewer channels.
    """
    import numpy as np
    import torch

    from agewise_lab.convert.dlib_net import read_trunk, recognition_file
    from agewise_lab.training.augment import NO_AUGMENTATION, augment_crop

    trunk = read_trunk(recognition_file())[0].eval().to(memory_format=torch.channels_last)
    stages: list[Any] = []

    def keep(_block: Any, _inputs: Any, x: Any) -> None:
        means = x.mean((2, 3))
        stages.append(torch.nn.functional.pad(means, (0, 256 - means.shape[1])).half())

    for block in trunk.blocks[FIRST - 1 :]:
        block.register_forward_hook(keep)
    rng, views = np.random.default_rng(0), []
    with torch.inference_mode():
        for kind, mirrored in VIEWS:
            parts = []
            for start in range(0, len(chosen), 128):
                faces = [getattr(store, kind)[i] for i in chosen[start : start + 128]]
                crops = np.stack([augment_crop(face, size, NO_AUGMENTATION, rng) for face in faces])
                seen = np.ascontiguousarray((crops[:, :, ::-1] if mirrored else crops).transpose(0, 3, 1, 2))
                stages.clear()
                trunk(torch.from_numpy(seen).float().div(255).contiguous(memory_format=torch.channels_last))
                parts.append(torch.stack(stages, 1))
            views.append(torch.cat(parts))
    return torch.stack(views)


def trained_head(features: Any, ages: Any, is_female: Any, hidden: int, epochs: int) -> Any:
    """A head on standardised features (views, faces, k), trained on one view of each face at a time, by chance."""
    import torch
    from torch import nn

    from agewise_lab.losses.label_distribution import gender_weight, label_distribution
    from agewise_lab.recipes import find_recipe
    from agewise_lab.training.learners import CompactLearner

    config = find_recipe("recognition-teacher")
    learner = CompactLearner(config.nets[-1], config)
    torch.manual_seed(0)
    width = features.shape[2]
    first = [nn.Dropout(0.3), nn.Linear(width, hidden), nn.ReLU()] if hidden else []
    head = nn.Sequential(*first, nn.Dropout(0.3), nn.Linear(hidden or width, 103))
    classes, gender = torch.arange(101.0), torch.stack([is_female, 1 - is_female], 1)
    optimizer = torch.optim.AdamW(head.parameters(), weight_decay=0.05)
    steps = epochs * (len(ages) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        place = step % (len(ages) // 128)
        if place == 0:
            order, view = torch.randperm(len(ages)), torch.randint(len(features), (len(ages),))
        i = order[place * 128 : place * 128 + 128]
        logits = head(features[view[i], i])
        labels = label_distribution(ages[i], classes), ages[i], gender[i], gender_weight(ages[i])
        loss = learner.loss((logits[:, :101], logits[:, 101:]), *labels, progress=1.0, teacher=None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.eval()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--size", type=int, default=150)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--stages", nargs="+", default=["13,14", "13", "7,10,12", "7,10,13", "7,10,13,14"])
    arguments = parser.parse_args()
    common.use_one_thread()
    import torch

    from agewise_lab.losses.label_distribution import median_age
    from agewise_lab.store.crops import open_store
    from agewise_lab.store.split import agreed_ages, hash_split

    store = open_store(arguments.store)
    split = hash_split(store)
    seen = {part: features_of(store, getattr(split, part), arguments.size) for part in ("train", "validation")}
    ages = torch.from_numpy(agreed_ages(store)[split.train]).float()
    is_female = torch.from_numpy(store.is_female[split.train]).float()
    truth = torch.from_numpy(store.age_years[split.validation]).float()
    said = torch.from_numpy(store.is_female[split.validation] > 0.5)
    lines = []
    for stages in arguments.stages:
        places = [int(block) - FIRST for block in stages.split(",")]
        train, validation = (seen[part][:, :, places].flatten(2).float() for part in ("train", "validation"))
        mean, spread = train.mean((0, 1)), train.std((0, 1)) + 1e-3
        head = trained_head((train - mean) / spread, ages, is_female, arguments.hidden, arguments.epochs)
        with torch.inference_mode():
            logits = head((validation - mean) / spread)
        probs, female = torch.softmax(logits[..., :101], 2), torch.softmax(logits[..., 101:], 2)[..., 0]
        row: list[str] = [stages]
        for first in (0, 2):
            for views in (slice(first, first + 1), slice(first, first + 2)):
                error = (median_age(probs[views].mean(0).log(), torch.arange(101.0)) - truth).abs()
                right = (female[views].mean(0) >= 0.5) == said
                row += [
                    f"{error.mean():.2f}",
                    f"{100 * (error <= 5).float().mean():.1f}",
                    f"{100 * right.float().mean():.1f}",
                ]
        lines.append(tuple(row))
    head_kind = f"a hidden layer of {arguments.hidden}" if arguments.hidden else "a linear head"
    about = f"{len(truth)} validation faces, crops of {arguments.size} px, {head_kind}, {arguments.epochs} epochs"
    print(f"{common.machine()}\n\n{about}\n\n{common.table(HEAD, lines)}")


if __name__ == "__main__":
    main()
