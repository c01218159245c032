"""IMDB of IMDB-WIKI: 460,723 pictures of 20,284 actors, labels crawled and noisy.

Rothe, Timofte, Van Gool: «DEX: Deep EXpectation of apparent age from a single image», ICCV workshops 2015.
The reader's rules are those of `_imdb_wiki`. Over half of the labels are said to be wrong or in doubt even
after the cleaning (stills of films, several people a picture): see `imdb_clean`.
"""

from __future__ import annotations

from pathlib import Path

from agewise_lab.datasets import _imdb_wiki
from agewise_lab.datasets.base import Access, Download, Facts, Listing

NAME = "imdb"
FACTS = Facts(
    title="IMDB",
    images="460,723",
    subjects="20,284",
    ages="0-100 after cleaning",
    labels="year of the photo less date of birth, crawled; gender; face scores",
    gender_coding="0 female, 1 male, NaN unknown",
    terms="academic research only; the pictures belong to their owners",
    access=Access.OPEN,
    url="https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/",
    paper="Rothe, Timofte, Van Gool: DEX: Deep EXpectation of apparent age from a single image, ICCVW 2015",
    protocol="none official; 80/20 at random in SSR-Net",
    used_for="first training of SSR-Net and of yu4u's WideResNet",
    downloads=(
        Download(file="imdb_crop.tar", url="https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/static/imdb_crop.tar"),
    ),
)
EXPECTED_LAYOUT = """
imdb_crop/
  imdb.mat
  00/ … 99/
    nm0000100_rm1024164608_1955-1-6_2003.jpg
"""


def read_records(root: Path, *, min_score: float = 1.0, whole: bool = False) -> Listing:
    """All rows of `imdb.mat`.

    Args:
        root: the folder `imdb_crop` (or `imdb`, of the whole pictures).
        min_score: the least face score of a record of use.
        whole: whether the folder holds the whole pictures: then records have boxes.

    Raises:
        LayoutError: the folder has no `imdb.mat`.
        ValueError: that file is not as it should be.
    """
    return _imdb_wiki.read(FACTS.title, EXPECTED_LAYOUT, root, "imdb", min_score=min_score, whole=whole)
