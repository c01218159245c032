"""What every network costs: parameters, multiply-adds, file size, time a face.

    python benchmarks/networks.py [NAME …] [--size 64] [--seconds 2]

All have the same heads (101 ages, two genders; SSR-Net its own) and fresh weights. Costs stand at the paper's own size
and at `--size`; the file and the times belong to `--size` (Inception-v3 needs 75 at least). Times are milliseconds of
one thread's processor time a face, the least of several calls, so that other work on the machine counts as little as
can be; for batches of 1 and of 64, in ONNX Runtime and in PyTorch. A Markdown table is printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import common

LEAST_SIZE = {"inception-v3": 75}
BATCHES = (1, 64)


def milliseconds(call: Callable[[], object], faces: int, seconds: float) -> float:
    """The least processor time of a call, a face: after one to warm up, for about `seconds`, two calls at least."""
    call()
    least, spent, calls = float("inf"), 0.0, 0
    while calls < 2 or (spent < seconds and calls < 200):
        begin = time.process_time()
        call()
        took = time.process_time() - begin
        least, spent, calls = min(least, took), spent + took, calls + 1
    return 1000 * least / faces


def row(name: str, size: int, seconds: float) -> str:
    """A line of the table."""
    import torch

    from agewise.engine import EngineConfig, OnnxEngine
    from agewise_lab.architectures.count import count_multiply_adds, count_parameters
    from agewise_lab.architectures.registry import build_backbone
    from agewise_lab.export.onnx_model import fold_batch_norms, to_onnx
    from agewise_lab.heads.build import build_net

    with torch.device("meta"):
        own = build_backbone(name)
        at_own = (own.input.size, count_parameters(own), count_multiply_adds(own))
    size = max(size, LEAST_SIZE.get(name, 0))
    heads = ("soft-stagewise", "soft-stagewise") if name == "ssrnet" else ("expectation", "two-way")
    net = build_net(name, age=heads[0], gender=heads[1], backbone_options={"size": size}).eval()
    data = to_onnx(net).SerializeToString()
    engine, folded = OnnxEngine(data, EngineConfig(threads=1)), fold_batch_norms(net)
    times = []
    for batch in BATCHES:
        image = torch.rand(batch, 3, size, size)
        array = image.numpy()
        times.append(milliseconds(lambda array=array: engine.run({"image": array}), batch, seconds))
        with torch.inference_mode():
            times.append(milliseconds(lambda image=image: folded(image), batch, seconds))
    costs = [f"{count_parameters(net) / 1e6:.3f}", f"{count_multiply_adds(net) / 1e6:.1f}", f"{len(data) / 1e6:.2f}"]
    mine = [f"{at_own[0]}", f"{at_own[1] / 1e6:.3f}", f"{at_own[2] / 1e6:.1f}", f"{size}"]
    return f"| {' | '.join([name, *mine, *costs, *(f'{t:.2f}' for t in times)])} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    common.use_one_thread()

    import torch

    from agewise_lab.architectures.registry import ARCHITECTURES

    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(common.machine("torch"))
    heads = "network | own size | M parameters | M multiply-adds | at | M parameters | M multiply-adds | MB"
    print(f"\n| {heads} | ORT 1 | torch 1 | ORT 64 | torch 64 |\n|{'---|' * 12}", flush=True)
    for name in arguments.names or ARCHITECTURES:
        print(row(name, arguments.size, arguments.seconds), flush=True)


if __name__ == "__main__":
    main()
