"""Training images a second: agewise's own loop beside a bare PyTorch loop over batches in memory; and augmentation.

    python benchmarks/training.py [--markdown] [--steps 6] [--rounds 3] [--only NAME …]

Both loops train the same network with the same losses, optimiser and precision, by turns in one process: agewise's goes
through Lightning, its loader with one worker, its logs and its averages; the bare one takes batches that lie ready.
Times are processor time of the training process, which other work on the machine stretches least; the worker's is told
apart as images a second that one core augments. Kornia is measured where it is installed. In the end the same steps
in two processes, one of which keeps the memory that it frees, as `agewise-lab train` does.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import common

# Recipe, pictures a step: so few of the large ones that a round takes seconds.
CASES = {
    "agewise-ssr": 64,
    "lmtcnn-1-1-fold-0": 16,
    "wideresnet-16-8": 8,
    "resnet-18": 8,
    "agewise-s": 64,
}
HEAD = ("network", "side", "batch", "agewise, images/s", "bare loop, images/s", "agewise : bare", "one core augments")


def crop_store(count: int) -> Any:
    """A store of smooth random crops of 160 pixels, in memory."""
    import cv2
    import numpy as np

    from agewise_lab.store.crops import CropStore

    rng = np.random.default_rng(0)
    crops = np.stack([cv2.resize(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8), (160, 160)) for _ in range(count)])
    return CropStore(
        whole=crops,
        aligned=crops,
        age_years=rng.integers(0, 100, count).astype(np.float32),
        is_female=(rng.random(count) < 0.5).astype(np.float32),
        group=np.zeros(count, dtype=np.int64),
        found=np.ones(count, dtype=bool),
        score=np.ones(count, dtype=np.float32),
        duplicate_group=np.arange(count),
        name=np.array([f"{i}.jpg" for i in range(count)]),
    )


def case(name: str, batch: int, steps: int) -> tuple[Any, Any]:
    """A recipe's run of a few small batches, and the crops for it."""
    from agewise_lab.recipes import find_recipe

    recipe = find_recipe(name)
    size = recipe.nets[-1].architecture.size
    config = dataclasses.replace(recipe, batch=batch, epochs=1, sizes=((1.0, size),), mixup=0.0, start=None, freeze=())
    return config, crop_store((steps + 2) * batch)


def agewise_seconds(config: Any, store: Any, steps: int) -> tuple[float, float]:
    """Processor time of a step in agewise's loop, its start and its first two steps left out: own, and the system's."""
    import lightning
    import numpy as np

    from agewise_lab.training import run
    from agewise_lab.training.module import AgeGenderModule

    class Clock(lightning.Callback):
        begin = end = os.times()

        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, i: int) -> None:
            if i == 2:
                self.begin = os.times()

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            self.end = os.times()

    clock = Clock()
    split = run.Split(np.arange((steps + 2) * config.batch), np.arange(0), np.arange(0))
    with tempfile.TemporaryDirectory() as folder:
        made = run._trainer(config, Path(folder), "cpu", 1, 1000, progress=False)
        made.callbacks[:] = [clock, *(c for c in made.callbacks if "Checkpoint" not in type(c).__name__)]
        module = AgeGenderModule(config, (steps + 2) * config.epochs)
        made.fit(module, run.CropData(store, split, config, workers=1))
    begin, end = clock.begin, clock.end
    return (end.user - begin.user) / steps, (end.system - begin.system) / steps


def bare_seconds(config: Any, store: Any, steps: int) -> float:
    """Processor time of a step of a plain loop over batches in memory."""
    import numpy as np
    import torch

    from agewise_lab.training.data import TrainBatches
    from agewise_lab.training.learners import Mixed, learner_of
    from agewise_lab.training.networks import make_network
    from agewise_lab.training.optimizers import make_optimizer
    from agewise_lab.training.run import precision_here

    batches = TrainBatches(store, np.arange((steps + 2) * config.batch), config, 0)
    ready = [batches[i] for i in range(steps + 2)]
    (of,) = config.nets
    net = make_network(of.architecture).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(torch.nn.ModuleDict({of.name: net}), [], config)
    learner = learner_of(of, config, None)
    begin = 0.0
    for i, batch in enumerate(ready):
        if i == 2:
            begin = time.process_time()
        image = batch["image"].float().div(255).contiguous(memory_format=torch.channels_last)
        emulated = precision_here(config.precision, "cpu") != config.precision
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.precision == "bf16-mixed" and not emulated):
            loss = learner.learn(net, Mixed(image, batch), 0.0, None).loss
        optimizer.zero_grad()
        loss.backward()
        if config.clip:
            torch.nn.utils.clip_grad_norm_(net.parameters(), config.clip)
        optimizer.step()
    return (time.process_time() - begin) / steps


def augment_rate(config: Any, store: Any, count: int = 96) -> float:
    """Images a second that one core augments as the recipe does."""
    import numpy as np

    from agewise_lab.training.augment import augment_crop

    rng = np.random.default_rng(0)
    size = config.sizes[-1][1]
    begin = time.process_time()
    for i in range(count):
        augment_crop(store.whole[i % len(store)], size, config.augment, rng)
    return count / (time.process_time() - begin)


def row(name: str, batch: int, steps: int, rounds: int) -> list[str]:
    """A line of the table."""
    import torch

    torch.set_num_threads(1)
    config, store = case(name, batch, steps)
    (_, size), net = config.sizes[0], config.nets[-1]
    ours, bare = [], []
    for _ in range(rounds):
        ours.append(batch / sum(agewise_seconds(config, store, steps)))
        bare.append(batch / bare_seconds(config, store, steps))
    shares = [a / b for a, b in zip(ours, bare, strict=True)]
    return [
        net.name,
        str(size),
        str(batch),
        f"{statistics.median(ours):.1f}",
        f"{statistics.median(bare):.1f}",
        f"{statistics.median(shares):.2f} ({min(shares):.2f}–{max(shares):.2f})",
        f"{augment_rate(config, store):.0f}/s",
    ]


def augmentation_rows() -> list[list[str]]:
    """Images a second on one core: OpenCV a crop at a time as agewise does it, and kornia on batches of 128."""
    import cv2
    import numpy as np
    import torch

    from agewise_lab.training.augment import NO_AUGMENTATION, AugmentConfig, augment_crop

    crops, side = crop_store(128).whole, 64
    rng = np.random.default_rng(0)
    geometry = dataclasses.replace(NO_AUGMENTATION, flip=0.5, rotate_degrees=7.0, scale=0.07, shift=0.03, shear=0.03)
    ours = {
        "flip and affine": geometry,
        "flip, affine, brightness and contrast, erasing": dataclasses.replace(geometry, colour=1.0, erase=0.5),
        "all that agewise-s has": AugmentConfig(erase=0.2),
    }
    rates: dict[str, list[str]] = {}
    for what, config in ours.items():
        times = []
        for _ in range(5):
            begin = time.process_time()
            for crop in crops:
                augment_crop(crop, side, config, rng)
            times.append(time.process_time() - begin)
        rates[what] = [f"{len(crops) / min(times):.0f}"]
    try:
        import kornia.augmentation as kornia
    except ImportError:
        return [[what, *rate, "not installed"] for what, rate in rates.items()]
    affine = kornia.RandomAffine(20.0, (0.1, 0.1), (0.9, 1.1), 4.0, p=1.0)
    light = kornia.ColorJiggle(0.2, 0.2, 0.0, 0.0, p=1.0)
    theirs = {
        "flip and affine": [kornia.RandomHorizontalFlip(), affine],
        "flip, affine, brightness and contrast, erasing": [
            *(kornia.RandomHorizontalFlip(), affine, light, kornia.RandomErasing(p=0.5))
        ],
        "all that agewise-s has": [
            *(kornia.RandomHorizontalFlip(), affine, kornia.ColorJiggle(0.2, 0.2, 0.2, 0.05, p=0.7)),
            *(kornia.RandomGrayscale(p=0.12), kornia.RandomGaussianBlur((5, 5), (0.4, 1.8), p=0.15)),
            *(kornia.RandomGaussianNoise(std=0.03, p=0.15), kornia.RandomJPEG((15.0, 85.0), p=0.3)),
            kornia.RandomErasing(p=0.2),
        ],
    }
    small = np.stack([cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA) for crop in crops])
    batch = torch.from_numpy(small).permute(0, 3, 1, 2).float() / 255
    for what, steps in theirs.items():
        chain = torch.nn.Sequential(*steps)
        times = []
        with torch.inference_mode():
            for _ in range(5):
                begin = time.process_time()
                chain(batch)
                times.append(time.process_time() - begin)
        rates[what].append(f"{len(crops) / min(times):.0f}")
    return [[what, *rate] for what, rate in rates.items()]


def memory_rows(name: str, batch: int, steps: int, rounds: int) -> list[list[str]]:
    """Milliseconds of processor time a step, the program's own and the system's, by what becomes of freed memory."""
    rows = []
    for what, keep in (("left to glibc", ""), ("kept, as by agewise-lab train", "keep")):
        program = f"import training; training.steps_alone({name!r}, {batch}, {steps}, {keep!r})"
        times = []
        for _ in range(rounds):
            done = subprocess.run(
                [sys.executable, "-c", program], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
            )
            times.append([float(number) for number in done.stdout.split()[-2:]])
        own, systems = (statistics.median(column) for column in zip(*times, strict=True))
        rows.append([what, f"{1000 * own:.0f}", f"{1000 * systems:.0f}"])
    return rows


def steps_alone(name: str, batch: int, steps: int, keep: str) -> None:
    """Print seconds a step of this process: the program's own, the system's. A process of its own does it."""
    import torch

    from agewise_lab.training.memory import keep_freed_memory

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if keep:
        keep_freed_memory()
    print(*agewise_seconds(*case(name, batch, steps), steps))


def main() -> None:
    """Measure, print, and with --markdown write the tables into README.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(CASES))
    options = parser.parse_args()
    common.use_one_thread()
    common.warn_if_busy()
    warnings.simplefilter("ignore")
    about = common.machine("torch", "lightning", "kornia")
    rows = []
    for name in options.only:
        rows.append(row(name, CASES[name], options.steps, options.rounds))
        print("\t".join(rows[-1]), file=sys.stderr, flush=True)
    augmentation = augmentation_rows()
    text = "\n\n".join(
        [
            f"{about}; processor time of the training process",
            common.table(HEAD, rows),
            "Freed memory, agewise-s, 128 crops a step:",
            common.table(
                ("memory that is freed", "own, ms a step", "system's, ms a step"),
                memory_rows("agewise-s", 128, options.steps, options.rounds),
            ),
            common.table(("augmentation to 64 pixels", "OpenCV, images/s", "kornia, images/s"), augmentation),
        ]
    )
    print(text)
    if options.markdown:
        common.write_section("training", text)


if __name__ == "__main__":
    main()
