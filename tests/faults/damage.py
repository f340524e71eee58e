"""Kinds of damage to the bytes of a file, and things that stand where a file is expected."""

import os
import shutil
from pathlib import Path

import numpy as np


def damaged(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """A copy with one kind of damage, and the kind."""
    at = int(rng.integers(len(content)))
    if rng.integers(2):  # headers and directories stand at the ends
        ends = [rng.integers(min(128, len(content))), -1 - rng.integers(min(200, at + 1))]
        at = int(rng.choice(ends)) % len(content)
    kind = str(rng.choice(["bit", "byte", "cut", "hole", "insert", "zeros", "twice"]))
    broken = bytearray(content)
    if kind == "bit":
        broken[at] ^= 1 << int(rng.integers(8))
    elif kind == "byte":
        broken[at] = int(rng.choice([0, 255, 127, 128, rng.integers(256)]))
    elif kind == "cut":
        del broken[at:]
    elif kind == "hole":
        del broken[at : at + 1 + int(rng.integers(16))]
    elif kind == "insert":
        broken[at:at] = rng.bytes(1 + int(rng.integers(16)))
    elif kind == "zeros":
        size = min(1 + int(rng.integers(64)), len(content) - at)
        broken[at : at + size] = bytes(size)
    else:
        broken += content
    return kind, bytes(broken)


FOREIGN = {
    "empty": b"",
    "blank": b" \n" * 20,
    "nested": b"[" * 100_000,
    "nested objects": b'{"a":' * 50_000,
    "no UTF-8": b"\xff\xfe" * 40,
    "long integer": b'{"a": ' + b"9" * 5000 + b"}",
    "zip": b"PK\x03\x04\x33\x00" + bytes(40),
    "long header": (2**62).to_bytes(8, "little") + b"{}",
    "null": b"null",
}
"""Content that is none of ours."""
IN_PLACE = ("gone", "folder", "dangling link", "circle", "pipe", "device", "unreadable link")


def in_place(path: Path, kind: str) -> None:
    """Puts something else where the file stands."""
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind == "circle":
        path.symlink_to(path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "unreadable link":
        path.symlink_to("/proc/self/mem")


def remove(path: Path) -> None:
    """Takes away whatever stands there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
