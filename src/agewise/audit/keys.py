"""The key of an audit log, and the hashes that are made with it and without."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path

import numpy as np

from agewise._files import shown
from agewise.card import ModelCard
from agewise.errors import OutputError
from agewise.types import UInt8Array

KEY_VARIABLE = "AGEWISE_AUDIT_KEY"
KEY_FILE_VARIABLE = "AGEWISE_AUDIT_KEY_FILE"
LEAST_KEY_BYTES = 16


def load_key() -> bytes | None:
    """The key from the environment, or None where neither variable is set.

    Raises:
        OutputError: the key file cannot be read, or the key is shorter than 16 bytes.
    """
    text, path = os.environ.get(KEY_VARIABLE), os.environ.get(KEY_FILE_VARIABLE)
    if text:
        key, where = text.encode("utf-8", "surrogateescape"), KEY_VARIABLE
    elif path:
        where = f"the key file {shown(path)}"
        try:
            key = Path(path).read_bytes().strip()
        except OSError as error:
            raise OutputError(f"cannot read {where} ({KEY_FILE_VARIABLE}): {error.strerror or error}") from error
    else:
        return None
    if len(key) < LEAST_KEY_BYTES:
        raise OutputError(
            f"the audit key in {where} has {len(key)} bytes, at least {LEAST_KEY_BYTES} are needed: "
            "make one with openssl rand -hex 32"
        )
    return key


def preprocessing_sha256(card: ModelCard) -> str:
    """SHA-256 of all that a card says of how its crops are cut and fed: its parts `crop` and `input` as JSON."""
    parts = card.model_dump(mode="json", include={"crop", "input"})
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def image_hmac_sha256(image_rgb: UInt8Array, key: bytes) -> str:
    """The keyed hash of an upright uint8 RGB picture (height, width, 3). See the text of `agewise.audit`."""
    height, width = image_rgb.shape[:2]
    digest = hmac.new(key, f"{height}x{width}:".encode(), "sha256")
    digest.update(np.ascontiguousarray(image_rgb).data)
    return digest.hexdigest()


def key_name(key: bytes) -> str:
    """Tells keys apart, and nothing of the key itself."""
    return hmac.digest(key, b"agewise audit: name of the key", "sha256").hex()[:16]


def seal(key: bytes, lines: int, last: str) -> str:
    """The seal of a head: only who has the key can make one for these lines."""
    return hmac.digest(key, f"agewise audit: {lines} lines, last {last}".encode(), "sha256").hex()
