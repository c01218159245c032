"""The metadata of an ONNX file, changed without the package `onnx`: every other byte stays as it was.

An ONNX file is one protocol-buffer message, `ModelProto` (onnx.proto, IR version 3 and later). Its field 14,
`metadata_props`, repeats `StringStringEntryProto`: key in field 1, value in field 2. On the wire a message is a row of
fields, each a tag (number · 8 + wire type, as a varint) and a payload; a reader takes them in any order. So the
entries of keys that change are left out, all other fields are copied byte by byte, and the new entries come last.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agewise.errors import ModelError

_METADATA_PROPS = 14
_KEY, _VALUE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT = 10  # bytes; 64 bits have no more


def read_metadata(model: bytes) -> dict[str, str]:
    """The key-value pairs of an ONNX file; of a key that comes twice, the last.

    Raises:
        ModelError: not a protocol-buffer message.
    """
    found: dict[str, str] = {}
    for number, _, payload, _ in _fields(model):
        if number == _METADATA_PROPS and payload is not None:
            key, value = _entry(model[slice(*payload)])
            found[key] = value
    return found


def replace_metadata(model: bytes, changes: Mapping[str, str]) -> bytes:
    """The file with some metadata set: all other bytes as they were and in their order, the changed entries at the end.

    Args:
        model: a whole ONNX file.
        changes: keys and their new values; other keys keep theirs.

    Raises:
        ModelError: not a protocol-buffer message.
    """
    kept: list[bytes] = []
    for number, start, payload, end in _fields(model):
        if number == _METADATA_PROPS and payload is not None and _entry(model[slice(*payload)])[0] in changes:
            continue
        kept.append(model[start:end])
    for key, value in changes.items():
        entry = _string(_KEY, key) + _string(_VALUE, value)
        kept.append(_varint(_METADATA_PROPS << 3 | _BYTES) + _varint(len(entry)) + entry)
    return b"".join(kept)


def _fields(message: bytes) -> Iterator[tuple[int, int, tuple[int, int] | None, int]]:
    """(number, start, start and end of the payload where it has a length, end) of each field of a message."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _read_varint(message, at)
        number, wire = tag >> 3, tag & 7
        payload = None
        if wire == _VARINT:
            _, at = _read_varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        elif wire == _BYTES:
            length, at = _read_varint(message, at)
            payload = (at, at + length)
            at += length
        else:
            raise _broken(start, f"wire type {wire}")
        if number == 0 or at > len(message):
            raise _broken(start, "field 0" if number == 0 else "a field that goes beyond the end")
        yield number, start, payload, at


def _entry(message: bytes) -> tuple[str, str]:
    """The key and value of one entry; what is not there is empty, as protocol buffers have it."""
    parts = {_KEY: "", _VALUE: ""}
    for number, start, payload, _ in _fields(message):
        if number in parts and payload is not None:
            try:
                parts[number] = message[slice(*payload)].decode()
            except UnicodeDecodeError as error:
                raise _broken(start, "text that is not UTF-8") from error
    return parts[_KEY], parts[_VALUE]


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, least first, and the place after it."""
    value = 0
    for i, byte in enumerate(message[at : at + _MOST_VARINT]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise _broken(at, "a number without an end")


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _string(number: int, text: str) -> bytes:
    data = text.encode()
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _broken(at: int, what: str) -> ModelError:
    return ModelError(f"the file is no ONNX model: {what} at byte {at}; give a whole .onnx file")
