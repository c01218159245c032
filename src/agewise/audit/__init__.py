"""A log that shows what was decided and that nobody changed it: hash-chained JSON Lines, no pixels.

Each line holds its number and the SHA-256 of the line before (its bytes without the line feed; 64 zeros for the
first). Beside the log stands `FILE.head` with the number of lines and the hash of the last one, sealed with the
key (HMAC-SHA256). `verify` finds from the chain any line that was changed, lost, added or moved inside the log, and
from the head what was cut off or changed at its end. What it cannot find:

- without the head, lines that were cut off at the end, or a change of the very last line;
- without the key, a log and a head that were both made anew by somebody who knows this format;
- with the key on the same machine, what somebody did who could read the key, too. Keep the last hash that
  `agewise audit verify` prints somewhere else from time to time: it vouches for all lines up to it.

A picture is known by its keyed hash: HMAC-SHA256 over its height and width ("HEIGHTxWIDTH:") and its upright RGB
pixels. The key is at least 16 bytes, from the environment: `AGEWISE_AUDIT_KEY` holds it as text, or
`AGEWISE_AUDIT_KEY_FILE` names a file that holds it. Only who has the key can tell whether a given picture is meant.
"""

from __future__ import annotations

from agewise.audit.check import AuditCheck, head_path, verify
from agewise.audit.keys import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    LEAST_KEY_BYTES,
    image_hmac_sha256,
    load_key,
    preprocessing_sha256,
)
from agewise.audit.log import AuditedModel, AuditLog

__all__ = [
    "KEY_FILE_VARIABLE",
    "KEY_VARIABLE",
    "LEAST_KEY_BYTES",
    "AuditCheck",
    "AuditLog",
    "AuditedModel",
    "head_path",
    "image_hmac_sha256",
    "load_key",
    "preprocessing_sha256",
    "verify",
]
