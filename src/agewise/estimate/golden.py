"""A card that changes what a model answers needs new golden answers; this takes them."""

from __future__ import annotations

from agewise.card import CARD_KEY, Golden, ModelCard, synthetic_crop
from agewise.engine import OnnxEngine
from agewise.estimate.estimator import Estimator
from agewise.store.metadata import replace_metadata

_ANYTHING = 1e9  # years and shares: a tolerance that lets every answer pass


def with_golden(card: ModelCard, model: bytes, *, seed: int, tolerance: float = 0.02) -> ModelCard:
    """The card with the answers that the model gives under it to the synthetic crop of `seed`.

    Args:
        card: all but its golden check is right.
        model: the file's bytes; a card in them does not count.
        seed: of the synthetic crop.
        tolerance: of the new golden check.

    Raises:
        ModelError: the file is no network, or not the one that the card describes.
    """
    blank = Golden(
        seed=seed,
        age_years=0.0,
        age_std_years=0.0,
        probability_female=None if card.gender is None else 0.5,
        tolerance=_ANYTHING,
    )
    open_card = card.model_copy(update={"golden": blank})
    estimator = Estimator(engine=OnnxEngine(replace_metadata(model, {CARD_KEY: open_card.to_json()})))
    ages, female = estimator.run(synthetic_crop(seed, card.input.size)[None])
    golden = Golden(
        seed=seed,
        age_years=round(float(ages.mean_years[0]), 4),
        age_std_years=round(float(ages.std_years[0]), 4),
        probability_female=None if female is None else round(float(female[0]), 4),
        tolerance=tolerance,
    )
    return card.model_copy(update={"golden": golden})


def write_card(card: ModelCard, model: bytes, *, renew_golden: bool = False) -> bytes:
    """The file with another card: its golden answers taken anew, or else held to.

    Raises:
        ModelError: as `with_golden`.
        GoldenCheckError: the model does not give the card's golden answers.
    """
    if renew_golden:
        card = with_golden(card, model, seed=card.golden.seed, tolerance=card.golden.tolerance)
    written = replace_metadata(model, {CARD_KEY: card.to_json()})
    Estimator(engine=OnnxEngine(written))  # reads the card back and holds the file to it
    return written
