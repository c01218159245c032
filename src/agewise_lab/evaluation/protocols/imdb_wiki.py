"""WIKI as the test of models trained on IMDB, and IMDB-clean's own test part."""

from __future__ import annotations

from agewise_lab.evaluation.protocols.base import Protocol
from agewise_lab.evaluation.protocols.official import every_picture, official_part

PROTOCOLS = (
    Protocol(
        name="imdb-wiki",
        title="trained on IMDB, tested on all of WIKI that the cleaning keeps",
        reader="wiki",
        source="Rothe, Timofte, Van Gool: DEX, IJCV 2018, for the data; SSR-Net's study for the direction",
        plan=every_picture(
            "WIKI",
            "labels come from dates on web pages and are wrong at times; the reader's cleaning decides what is kept",
        ),
        headline=("mae", "cs5", "gender_accuracy"),
    ),
    Protocol(
        name="imdb-clean",
        title="IMDB-Clean, official test",
        reader="imdb_clean",
        source="Lin et al.: FP-Age: Leveraging Face Parsing Attention for Facial Age Estimation, IEEE TIP 2022",
        plan=official_part("IMDB-Clean test", "test"),
        headline=("mae", "cs5", "gender_accuracy"),
    ),
)
