"""One JSON object a line, each with a SHA-256 of itself and of all lines before it."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tightbound.core.digests.record import parse
from tightbound.core.errors import UsageError
from tightbound.core.files import read_bytes

START = ""
"""What stands in place of a digest before the first line."""
_LINE = re.compile(rb'(.*, "sha256": ")([0-9a-f]{64})"\}')
_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Lines(NamedTuple):
    """What a file of lines holds."""

    records: list[dict[str, Any]]
    text: str
    """The whole lines as they stand in the file."""
    digest: str
    """That of the last line, after which a next one goes on."""


def to_line(record: Mapping[str, Any], after: str) -> tuple[str, str]:
    """A line of JSON, and its digest; floats round-trip to the last bit.

    Args:
        record: Not empty; numbers that are not finite are written as words.
        after: The digest of the line before, `START` before the first.
    """
    before = json.dumps(spelled(record), allow_nan=False)[:-1] + ', "sha256": "'
    digest = hashlib.sha256((after + before).encode()).hexdigest()
    return f'{before}{digest}"}}\n', digest


def read_lines(path: Path, at_most: int | None = None) -> Lines:
    """Reads the first lines, or all; a last one that is torn is left out.

    Raises:
        UsageError: The first line that is not as it was written, by its number; or that the file
            cannot be read.
    """
    pieces = read_bytes(path, "a file of records").split(b"\n")
    last, whole = pieces[-1], pieces[:-1][:at_most]
    match = _LINE.match(last)
    # A line is written with its end in one piece: what was torn off one stops before that.
    asked = at_most is None or len(pieces) <= at_most
    if asked and match is not None and match.end() < len(last):
        whole.append(last)
    records: list[dict[str, Any]] = []
    digest = START
    for number, line in enumerate(whole, start=1):
        match = _LINE.fullmatch(line)
        found = None
        if match is not None:
            digest = hashlib.sha256(digest.encode() + match.group(1)).hexdigest()
            found = match.group(2).decode()
        if found != digest or match is None:
            raise UsageError(
                f"{path} line {number} is damaged: expected a record with the SHA-256 of itself "
                "and of the lines before it; take the file from a copy, or fit again under "
                "another name"
            )
        record = parse(line, f"{path} line {number}")
        del record["sha256"]
        records.append(unspelled(record))
    return Lines(records, "".join(f"{line.decode()}\n" for line in whole), digest)


def spelled(value: Any) -> Any:
    """The same value with words in place of numbers that are not finite, which JSON lacks."""
    if isinstance(value, Mapping):
        return {name: spelled(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [spelled(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    return value


def unspelled(value: Any) -> Any:
    """The value that `spelled` wrote."""
    if isinstance(value, dict):
        return {name: unspelled(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [unspelled(entry) for entry in value]
    return _WORDS.get(value, value) if isinstance(value, str) else value
