"""Text whose last line is the SHA-256 of the lines before it, as a comment."""

import hashlib
import re
from pathlib import Path

from tightbound.core.digests.record import check_digest
from tightbound.core.errors import UsageError
from tightbound.core.files import read_bytes

_END = re.compile(rb"# sha256: ([0-9a-f]{64})\n\Z")


def sealed(text: str) -> str:
    """The text with its digest below it; it ends with a line break."""
    return f"{text}# sha256: {hashlib.sha256(text.encode()).hexdigest()}\n"


def read_sealed(path: Path, kind: str) -> str:
    """Reads what `sealed` gave.

    Args:
        path: The file.
        kind: What is expected in it, in words with an article, for errors.

    Raises:
        UsageError: No such file, or a byte that is not as it was written.
    """
    payload = read_bytes(path, kind)
    end = _END.search(payload)
    if end is None:
        what = "empty" if not payload.strip() else "damaged, edited, or of another version"
        raise UsageError(
            f"{path} is {what}: expected {kind} with its SHA-256 in the last line; take it from a "
            "copy, and give changes as flags"
        )
    check_digest(path, payload[: end.start()], end.group(1).decode())
    return payload[: end.start()].decode()
