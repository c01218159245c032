"""WIKI of IMDB-WIKI: 62,328 pictures from Wikipedia, labels crawled.

Rothe, Timofte, Van Gool: «DEX: Deep EXpectation of apparent age from a single image», ICCV workshops 2015.
The reader's rules are those of `_imdb_wiki`. There is no number for a person, so the name stands for it.
"""

from __future__ import annotations

from pathlib import Path

from agewise_lab.datasets import _imdb_wiki
from agewise_lab.datasets.base import Access, Download, Facts, Listing

NAME = "wiki"
FACTS = Facts(
    title="WIKI",
    images="62,328",
    subjects="up to 62,328; told apart by name only",
    ages="0-100 after cleaning",
    labels="year of the photo less date of birth, crawled; gender; face scores",
    gender_coding="0 female, 1 male, NaN unknown",
    terms="academic research only; the pictures belong to their owners",
    access=Access.OPEN,
    url="https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/",
    paper="Rothe, Timofte, Van Gool: DEX: Deep EXpectation of apparent age from a single image, ICCVW 2015",
    protocol="none official; 80/20 at random in SSR-Net",
    used_for="second training of SSR-Net, after IMDB",
    downloads=(
        Download(file="wiki_crop.tar", url="https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/static/wiki_crop.tar"),
    ),
)
EXPECTED_LAYOUT = """
wiki_crop/
  wiki.mat
  00/ … 99/
    10000217_1981-05-05_2009.jpg
"""


def read_records(root: Path, *, min_score: float = 1.0, whole: bool = False) -> Listing:
    """All rows of `wiki.mat`.

    Args:
        root: the folder `wiki_crop` (or `wiki`, of the whole pictures).
        min_score: the least face score of a record of use.
        whole: whether the folder holds the whole pictures: then records have boxes.

    Raises:
        LayoutError: the folder has no `wiki.mat`.
        ValueError: that file is not as it should be.
    """
    return _imdb_wiki.read(FACTS.title, EXPECTED_LAYOUT, root, "wiki", min_score=min_score, whole=whole)
