"""Protobuf's wire format, as far as caffemodels and ONNX files need it: a sequence of numbered fields.

>>> list(read_fields(memoryview(integer(3, 300) + delimited(1, b"name")), iter(range(9))))
[(3, 0, 300), (1, 2, <memory at ...>)]

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from posecv.errors import ModelError

__all__ = ["BYTES", "VARINT", "delimited", "integer", "opening", "read_fields", "read_varint", "varint"]

VARINT, BYTES = 0, 2
FIXED = {1: 8, 5: 4}  # wire type -> bytes


def read_fields(data: memoryview, budget: Iterator[int]) -> Iterator[tuple[int, int, Any]]:
    """Number, wire type and value (int or bytes) of each field; the length of `budget` limits the number of fields.

    Raises
    ------
    ModelError
        If the bytes are not in this format or end early, or there are more fields than the budget allows.
    """
    at = 0
    while at < len(data):
        if next(budget, None) is None:
            raise ModelError("it has more fields than any network")
        start = at
        key, at = read_varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = read_varint(data, at)
            yield number, wire, value
        elif wire in (BYTES, *FIXED):
            size, at = (FIXED[wire], at) if wire in FIXED else read_varint(data, at)
            if size > len(data) - at:
                raise ModelError(f"it ends early: a field of {size} bytes has {len(data) - at}")
            yield number, wire, data[at : at + size]
            at += size
        else:
            raise ModelError(f"byte {start} starts no field: the file is of another kind, or damaged")


def read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read a number of up to 64 bits, seven per byte; return it and the position after it."""
    value = 0
    for shift, byte in enumerate(data[at : at + 10]):
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            return value & (1 << 64) - 1, at + shift + 1
    raise ModelError("it ends early, inside a number" if len(data) - at < 10 else "a number has more than 64 bits")


def integer(number: int, value: int) -> bytes:
    """A field that holds a number of up to 64 bits, which may be negative."""
    return varint(number << 3 | VARINT) + varint(value & (1 << 64) - 1)


def delimited(number: int, content: bytes) -> bytes:
    """A field that holds bytes: text, values or a message."""
    return opening(number, len(content)) + content


def opening(number: int, size: int) -> bytes:
    """The header before the `size` bytes of a field that holds bytes."""
    return varint(number << 3 | BYTES) + varint(size)


def varint(value: int) -> bytes:
    """Write a number, seven bits per byte."""
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])
