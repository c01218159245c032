"""Settings changed by name: what they reach, and what is said where they reach nothing."""

from __future__ import annotations

import pytest

from agewise_lab.recipes import find_recipe
from agewise_lab.training.config import ModelConfig, TrainConfig
from agewise_lab.training.overrides import lines_of, override


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("epochs=3", lambda c: c.epochs == 3),
        ("ema=0", lambda c: c.ema == 0.0 and isinstance(c.ema, float)),
        ("augment.flip=0.25", lambda c: c.augment.flip == 0.25),
        ("augment.spread=uniform", lambda c: c.augment.spread == "uniform"),
        ("nets.0.learning_rate=1e-4", lambda c: c.nets[0].learning_rate == 1e-4),
        ("nets.agewise-ssr.learning_rate=1e-4", lambda c: c.nets[0].learning_rate == 1e-4),
        ("sizes=[[0.5, 48], [1.0, 64]]", lambda c: c.sizes == ((0.5, 48), (1.0, 64))),
        ("schedule.milestones=[0.5]", None),
        ("start=runs/a", lambda c: c.start == "runs/a"),
        (
            "nets.0.architecture.age.options.lambda_d=0.5",
            lambda c: c.nets[0].architecture.age.options == {"lambda_d": 0.5},
        ),
        ("nets.0.architecture.gender=null", lambda c: c.nets[0].architecture.gender is None),
        ('freeze=[{"until": 1, "parts": ["stem"]}]', lambda c: c.freeze[0].parts == ("stem",)),
    ],
)
def test_what_a_change_reaches(change: str, read: object) -> None:
    config = find_recipe("agewise-ssr")
    if read is None:  # the whole run has to make sense
        with pytest.raises(ValueError, match="milestones belong to the schedule 'step'"):
            override(config, [change])
        return
    changed = override(config, [change])
    assert isinstance(changed, TrainConfig)
    assert read(changed)  # type: ignore[operator]


def test_several_changes_are_taken_together() -> None:
    changed = override(find_recipe("agewise-ssr"), ["schedule.name=step", "schedule.milestones=[0.5]", "epochs=2"])
    assert (changed.schedule.milestones, changed.epochs) == ((0.5,), 2)


def test_nothing_changes_nothing_and_what_is_shown_is_read() -> None:
    config = find_recipe("lmtcnn-2-1-fold-0")
    assert override(config, []) == config
    assert override(config, lines_of(config)) == config
    assert isinstance(config.nets[0].architecture, ModelConfig)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epoch=3", "unknown setting 'epoch': did you mean 'epochs'"),
        ("augment.flp=0", "unknown setting 'augment.flp': did you mean 'augment.flip'"),
        ("nets.1.name=x", "unknown setting 'nets.1.name': did you mean 'nets.0.name'"),
        ("epochs", "expected key=value, got 'epochs'"),
        ("=3", "expected key=value"),
        ("epochs=many", "config.epochs: expected int, got 'many'"),
        ("epochs=1.5", "config.epochs: expected int, got 1.5"),
        ("epochs=0", "epochs, batch and check_every are 1 or more"),
        ("augment.spread=wide", "expected one of normal, uniform, got 'wide'"),
        ("epochs.deep=3", "epochs is one value, not a group of settings"),
        ("optimizer=3", "expected settings of name, momentum"),
    ],
)
def test_changes_that_make_no_sense(change: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        override(find_recipe("agewise-ssr"), [change])
