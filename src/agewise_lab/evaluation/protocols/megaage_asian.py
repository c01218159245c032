"""MegaAge-Asian: the official test part, by cumulative accuracy within 3, 5 and 7 years: CA(n) is CS@n."""

from __future__ import annotations

from agewise_lab.evaluation.protocols.base import Protocol
from agewise_lab.evaluation.protocols.official import official_part

PROTOCOLS = (
    Protocol(
        name="megaage-asian",
        title="MegaAge-Asian, official test: CA(3), CA(5), CA(7), the same as CS@3, 5, 7",
        reader="megaage_asian",
        source="Zhang, Liu, Li, Loy: Quantifying Facial Age by Posterior of Age Comparisons, BMVC 2017",
        plan=official_part("MegaAge-Asian test", "test"),
        headline=("cs3", "cs5", "cs7", "mae"),
    ),
)
