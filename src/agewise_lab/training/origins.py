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


def origins_of(source: Path) -> tuple[str, ...]:
    """Those that a released file's card names, or that a run, given by its folder or a checkpoint, wrote down.

    None of a run of before that was done, or of a checkpoint without its `run.json`.

    Raises:
        FileNotFoundError: nothing is there.
    """
    if source.suffix == ".onnx":
        return tuple(Estimator(source).card.training_data.split("; ")[1:])
    path = checkpoint_of(source).parent / "run.json"
    return tuple(json.loads(path.read_text()).get("origins", ())) if path.is_file() else ()


def origins(config: TrainConfig) -> tuple[str, ...]:
    """Those of a run's networks: of what they start as, and of their frozen teachers.

    Raises:
        FileNotFoundError: a run or file that the configuration names is not there.
    """
    stored = stored_network(config.start)
    if is_dlibs(config.start):
        own: tuple[str, ...] = (_DLIBS,)
    elif config.start is None:
        own = ()
    else:
        own = origins_of(Path(config.start) if stored is None else stored.file)
    taught = [origin for net in config.nets if net.frozen is not None for origin in origins_of(Path(net.frozen))]
    return tuple(dict.fromkeys([*own, *(f"taught by a network {origin}" for origin in taught)]))
