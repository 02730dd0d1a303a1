"""Damage to small files, as power losses, full disks, other versions and hands leave it."""

import json
from collections.abc import Iterator
from typing import Any

DEEP = 100_000
VALUES: tuple[Any, ...] = (
    None, True, -1, 0.5, 10**400, float("inf"), float("nan"), "", "\0", "\ud800", "../x", [], [[]], {}, {"a": None},
)  # fmt: skip
"""What a value is replaced by."""


def damaged(content: bytes) -> Iterator[bytes]:
    """A file's content cut, overwritten, replaced by other JSON, and with every value in turn missing or another."""
    yield from (b"", content[: len(content) // 2], bytes(100), b"\xff\xfe\x00{", b"[]", b"null", b"7", b'"text"', b"{}")
    yield from (b"[" * DEEP, b'{"a":' * DEEP, b'{"a":' + b"[" * DEEP, b"1" * 5000)
    record = json.loads(content)
    for path in _paths(record):
        yield _changed(record, path, None, missing=True)
        yield from (_changed(record, path, value) for value in VALUES)
    yield json.dumps(record | {"other": 1}).encode()
    twice = json.dumps(record)[:-1] + "," + json.dumps(dict.fromkeys(record))[1:]
    yield twice.encode()


def damaged_arrays(content: bytes) -> Iterator[bytes]:
    """The content of a file of arrays cut, overwritten, and with every byte in turn another."""
    yield from (b"", content[: len(content) // 2], content[:-1], content + b"\0", bytes(100), b"text")
    for place in range(len(content)):
        yield content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]


def _paths(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to all values, but to no more than two of a list."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for name, each in items:
        yield from _paths(each, (*path, name))


def _changed(record: dict[str, Any], path: tuple[Any, ...], value: object, *, missing: bool = False) -> bytes:
    changed = json.loads(json.dumps(record))
    holder = changed
    for name in path[:-1]:
        holder = holder[name]
    if missing:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return json.dumps(changed).encode()
