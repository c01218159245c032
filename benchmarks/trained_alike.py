"""Every network trained alike on UTKFace at 64×64, and what it then is worth on the validation part.

    python benchmarks/trained_alike.py --store STORE --output RUNS --epochs 2 [NAME …] [--part 0.1]

One recipe for all: AdamW, one cycle with a peak of 2e-3, batch 64, whole and aligned crops, agewise's augmentation, 101
ages and two genders (SSR-Net has its own heads). `--part` trains on a share of the training pictures. No network is at
its best so: the figures show that it learns, and how fast it does, not what it can reach. A run found in RUNS is not
repeated. A Markdown table is printed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import common

LEAST_SIZE = {"inception-v3": 75}


def row(name: str, store: Path, output: Path, epochs: int, part: float) -> str:
    """Train, unless it was done before, and give a line of the table."""
    from agewise_lab.store.crops import open_store
    from agewise_lab.store.split import hash_split
    from agewise_lab.training.config import HeadConfig, ModelConfig, NetConfig, TrainConfig
    from agewise_lab.training.record import ended
    from agewise_lab.training.run import train

    stagewise = name == "ssrnet"
    size = LEAST_SIZE.get(name, 64)
    model = ModelConfig(
        backbone=name,
        size=size,
        age=HeadConfig(name="soft-stagewise" if stagewise else "expectation"),
        gender=HeadConfig(name="soft-stagewise" if stagewise else "two-way"),
    )
    net = name.replace(".", "_")
    config = TrainConfig(
        name=f"alike-{net}",
        nets=(NetConfig(name=net, architecture=model, learning_rate=2e-3),),
        epochs=epochs,
        batch=64,
        sizes=((1.0, size),),
        mixup=0.0,
        ema=0.0,
        precision="32-true",
        check_every=epochs,
    )
    folder = output / f"{net}-{epochs}-{part:g}"
    spent = "–"
    if ended(folder) is None:
        opened = open_store(store, in_memory=True)
        split = hash_split(opened)
        fewer = dataclasses.replace(split, train=split.train[:: max(round(1 / part), 1)])
        begin = time.process_time()
        train(config, opened, fewer, folder, threads=1)
        spent = f"{(time.process_time() - begin) / 60:.1f}"
    about = json.loads((folder / "run.json").read_text())
    figures, seen = about["ended"]["figures"], about["count"][0]
    values = [figures[f"{net}/whole_{key}"] * factor for key, factor in (("mae", 1), ("cs5", 100), ("gender", 100))]
    return f"| {name} | {size} | {epochs} | {seen} | {values[0]:.2f} | {values[1]:.1f} | {values[2]:.1f} | {spent} |"


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--part", type=float, default=1.0)
    arguments = parser.parse_args()
    common.use_one_thread()

    from agewise_lab.architectures.registry import ARCHITECTURES

    print("| network | size | epochs | training pictures | MAE | CS@5 | gender | CPU minutes |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.names or ARCHITECTURES:
        print(row(name, arguments.store, arguments.output, arguments.epochs, arguments.part), flush=True)


if __name__ == "__main__":
    main()
