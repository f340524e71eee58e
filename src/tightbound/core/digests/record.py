"""One JSON object in a file, with its kind, its version and the SHA-256 of what stands before."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tightbound.core.errors import UsageError
from tightbound.core.files import read_bytes, write_atomic

VERSION = 1
REMEDY = "take it from a copy, or delete it and have it written again"
_END = re.compile(rb',\n "sha256": "([0-9a-f]{64})"\n\}\n\Z')
_LONGEST = 19
"""Digits of the largest integer of 64 bits."""


def write_record(path: Path, kind: str, record: Mapping[str, Any]) -> None:
    """Writes an object, whole or not at all; numbers that are not finite become null.

    Raises:
        UsageError: The operating system refuses.
    """
    whole = {"kind": kind, "version": VERSION, **finite(record)}
    before = json.dumps(whole, indent=1, allow_nan=False)[: -len("\n}")].encode()
    digest = hashlib.sha256(before).hexdigest()
    write_atomic(path, before + f',\n "sha256": "{digest}"\n}}\n'.encode())


def read_record(path: Path, kind: str) -> dict[str, Any]:
    """Reads what `write_record` wrote, without its kind, version and digest.

    Raises:
        UsageError: No such file, a byte that is not as it was written, another kind or version.
    """
    payload = read_bytes(path, f"a record ({kind})")
    end = _END.search(payload)
    if end is None:
        what = "empty" if not payload.strip() else "damaged, or not written by this version"
        raise UsageError(
            f"{path} is {what}: expected a record ({kind}) with its SHA-256 at the end; {REMEDY}"
        )
    check_digest(path, payload[: end.start()], end.group(1).decode())
    record = parse(payload, path)
    found = (entry(record, path, "kind", str), entry(record, path, "version", int))
    if found != (kind, VERSION):
        raise UsageError(
            f"{path}: expected a record of kind {kind!r}, version {VERSION}, got kind "
            f"{found[0]!r}, version {found[1]}"
        )
    return {name: record[name] for name in record if name not in ("kind", "version", "sha256")}


def check_digest(path: Path, content: bytes, expected: str) -> None:
    """Refuses content of another SHA-256 than was written beside it."""
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise UsageError(
            f"{path} is damaged: expected SHA-256 {expected}, got {found}, so that it is not as "
            f"it was written; {REMEDY}"
        )


def parse(text: bytes, what: Path | str) -> dict[str, Any]:
    """A JSON object without NaN, infinities, or integers beyond 64 bits.

    Raises:
        UsageError: Anything else, with the reason.
    """
    try:
        found = json.loads(
            text.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except RecursionError:
        raise UsageError(f"{what} is damaged: its JSON is nested too deeply; {REMEDY}") from None
    except ValueError as error:
        raise UsageError(f"{what} is damaged: no JSON ({error}); {REMEDY}") from None
    if not isinstance(found, dict):
        raise UsageError(
            f"{what} is damaged: expected a JSON object, got a {type(found).__name__}; {REMEDY}"
        )
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _LONGEST:
        raise ValueError(f"an integer has {len(digits.lstrip('-'))} digits")
    return int(digits)


def entry(record: Mapping[str, Any], path: Path | str, name: str, *kinds: type) -> Any:
    """An entry of a record that must be there and be of one of some types.

    Raises:
        UsageError: It is missing or of another type.
    """
    value = record.get(name, _MISSING)
    if type(value) not in kinds:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        got = "none" if value is _MISSING else f"{type(value).__name__} {str(value)[:40]!r}"
        raise UsageError(f"{path} is damaged: expected {name!r} to be {wanted}, got {got}")
    return value


_MISSING = object()


def finite(record: Any) -> Any:
    """The same record with None in place of numbers that are not finite."""
    if isinstance(record, Mapping):
        return {name: finite(value) for name, value in record.items()}
    if isinstance(record, list | tuple):
        return [finite(value) for value in record]
    if isinstance(record, float) and not math.isfinite(record):
        return None
    return record
