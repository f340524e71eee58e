"""Named arrays and a JSON object in one safetensors file, with the SHA-256 of all of its bytes."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tightbound.core.digests.record import REMEDY, entry, parse
from tightbound.core.errors import UsageError
from tightbound.core.files import read_bytes, write_atomic

SCHEMA = 2
_BLANK = "0" * 64
# The last entry of our object, as it stands inside a string of the file's own JSON header.
_DIGEST = re.compile(rb'\\"sha256\\": \\"([0-9a-f]{64})\\"\}"')


def write_arrays(
    path: Path, kind: str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Writes arrays and metadata as one file of a kind in words, whole or not at all.

    Args:
        path: The file.
        kind: What it is, in words without an article.
        arrays: By name.
        metadata: Without the names "schema", "kind" and "sha256", which are ours.

    Raises:
        UsageError: The operating system refuses.
    """
    write_atomic(path, arrays_to_bytes(kind, arrays, metadata))


def arrays_to_bytes(
    kind: str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> bytes:
    """The content of the file that `write_arrays` writes."""
    dense = {
        name: np.ascontiguousarray(array).reshape(array.shape)  # which gives scalars an axis
        for name, array in arrays.items()
    }
    ours = {"schema": SCHEMA, "kind": kind, **metadata, "sha256": _BLANK}
    payload = save(dense, {"tightbound": json.dumps(ours, allow_nan=False)})
    found = _digest_place(payload)
    assert found is not None
    digest = _digest_without(payload, found).encode()
    return payload[: found[0]] + digest + payload[found[1] :]


def read_arrays(path: Path, kind: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads the arrays by name, and the metadata.

    Raises:
        UsageError: The file is missing, damaged in any bit, not one of ours, or of another kind.
    """
    return arrays_from_bytes(read_bytes(path, f"a {kind}"), path, kind)


def arrays_from_bytes(
    payload: bytes, path: Path | str, kind: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads what `arrays_to_bytes` gave; `path` is where it stood, for errors.

    Raises:
        UsageError: As for `read_arrays`.
    """
    place = _digest_place(payload)
    if place is not None and payload[slice(*place)].decode() != _digest_without(payload, place):
        raise UsageError(
            f"{path} is not a whole tightbound file: its bytes are not those of the SHA-256 that "
            f"was written with them; {REMEDY}"
        )
    try:
        arrays = load(payload)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is not a whole tightbound file: {error}; {REMEDY}") from error
    if place is None:
        raise UsageError(
            f"{path} was not written by tightbound, or by another version of it: it has no SHA-256"
        )
    header = json.loads(payload[8 : 8 + int.from_bytes(payload[:8], "little")])
    metadata = parse(header["__metadata__"]["tightbound"].encode(), path)
    schema = entry(metadata, path, "schema", int)
    if schema != SCHEMA:
        raise UsageError(f"{path} has schema {schema}, expected {SCHEMA}")
    if entry(metadata, path, "kind", str) != kind:
        raise UsageError(f"expected a {kind} at {path}, found a {metadata['kind']}")
    ours = ("schema", "kind", "sha256")
    return arrays, {name: metadata[name] for name in metadata if name not in ours}


def _digest_place(payload: bytes) -> tuple[int, int] | None:
    """Where the digest stands: the last one of the header."""
    header = payload[: 8 + int.from_bytes(payload[:8], "little")]
    found = list(_DIGEST.finditer(header))
    return found[-1].span(1) if found else None


def _digest_without(payload: bytes, place: tuple[int, int]) -> str:
    """SHA-256 of a file in which its digest is blank."""
    view = memoryview(payload)
    digest = hashlib.sha256(view[: place[0]])
    digest.update(_BLANK.encode())
    digest.update(view[place[1] :])
    return digest.hexdigest()


def digest_of(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of names, types, shapes and values, in whatever order they come."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(json.dumps([name, str(array.dtype), array.shape]).encode())
        digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()
