"""Freed memory stays with the process, if it is asked to keep it."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Pages that are fetched for a block of 64 MiB which was freed a moment before. A process of its own: it is for good.
PROGRAM = """
import resource, sys
import torch
from agewise_lab.training.memory import keep_freed_memory

done = keep_freed_memory() if sys.argv[1] == "keep" else None
fetched = []
for _ in range(30):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = torch.ones(16 << 20)
    del block
    fetched.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(done, sum(fetched[20:]))
"""


def _pages(what: str) -> tuple[str, int]:
    done, count = subprocess.run(
        [sys.executable, "-c", PROGRAM, what], capture_output=True, text=True, check=True
    ).stdout.split()
    return done, int(count)


def test_blocks_are_used_again_without_a_page_fetched() -> None:
    done, kept = _pages("keep")
    if done == "False":
        pytest.skip("a C library without mallopt")
    _, as_ever = _pages("leave")
    if as_ever == 0:
        pytest.skip("this system counts no pages")
    assert kept < as_ever / 10
