"""What a network has from other data than its own run's: written down when a run begins, for the card.

By the time that a network is released, what it started as and who taught it may be gone.
"""

from __future__ import annotations

import json
from pathlib import Path

from agewise.estimate import Estimator
from agewise_lab.training.config import TrainConfig
from agewise_lab.training.networks import is_dlibs, stored_network
from agewise_lab.training.teacher import checkpoint_of

_DLIBS = "begun as dlib's face recognition network, which learned identities from 3 million pictures, and no ages"


def origins_of_file(released: Path) -> tuple[str, ...]:
    """Those that a released file's card names."""
    return tuple(Estimator(released).card.training_data.split("; ")[1:])


def origins_of_run(run: Path) -> tuple[str, ...]:
    """Those that a run wrote down when it began; none of a run of before that was done, or without `run.json`."""
    path = run / "run.json"
    return tuple(json.loads(path.read_text()).get("origins", ())) if path.is_file() else ()


def origins(config: TrainConfig) -> tuple[str, ...]:
    """Those of a run's networks: of what they start as, and of their frozen teachers.

    Raises:
        FileNotFoundError: a run or file that the configuration names is not there.
    """
    stored = stored_network(config.start)
    if stored is not None:
        own = origins_of_file(stored.file)
    elif is_dlibs(config.start):
        own = (_DLIBS,)
    else:
        own = () if config.start is None else origins_of_run(checkpoint_of(config.start).parent)
    taught: list[str] = []
    for net in config.nets:
        if net.frozen is not None:
            file = Path(net.frozen)
            taught += origins_of_file(file) if file.suffix == ".onnx" else origins_of_run(checkpoint_of(file).parent)
    return tuple(dict.fromkeys([*own, *(f"taught by a network {origin}" for origin in taught)]))
