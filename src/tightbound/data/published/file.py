"""Published files, and the proof that some bytes are one of them."""

import gzip
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tightbound.core.errors import UsageError
from tightbound.data.dataset import UNVERIFIED

_GZIP = b"\x1f\x8b"
_KINDS = {32: "md5", 64: "sha256"}


@dataclass(frozen=True)
class File:
    """One published file.

    Attributes:
        name: Its name as published. It may also lie packed or unpacked (".gz" added or removed).
        url: Where it is published (http or https).
        digests: SHA-256 or MD5 in hexadecimal digits; one of them must fit the published bytes.
        plain: SHA-256 of the content of a published ".gz" file; "" where it is not known.
        also: Other names under which an accepted file may lie.
        values: For a file whose bytes vary while its values do not: takes the content and its
            place, gives the SHA-256 of the values, and `digests` are of those.
    """

    name: str
    url: str
    digests: tuple[str, ...]
    plain: str = ""
    also: tuple[str, ...] = ()
    values: Callable[[bytes, str], str] | None = None

    @property
    def candidates(self) -> list[str]:
        """Every name under which the file may lie, best first."""
        names = []
        for name in (self.name, *self.also):
            names += [name, name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"]
        return names


class Fetched(NamedTuple):
    """A file's place, its content (unpacked), and the SHA-256 that names it, or "unverified"."""

    where: str
    content: bytes
    checksum: str


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def identify(file: File, raw: bytes, where: str, *, verify: bool) -> Fetched:
    """Compares a file's bytes with what was published, then unpacks them.

    A ".gz" file that lies unpacked, and of whose content no digest is known, is "unverified": its
    parser still checks that header and length agree.

    Raises:
        UsageError: The digest differs (both are shown), or packed data are damaged.
    """
    packed = raw.startswith(_GZIP)
    published_packed = file.name.endswith(".gz")
    if verify and packed and published_packed:
        checksum = _accept([sha256(raw), _md5(raw)], file.digests, where)
        return Fetched(where, _unpack(raw, where), checksum)
    content = _unpack(raw, where) if packed else raw
    if not verify or (published_packed and not file.plain):
        return Fetched(where, content, UNVERIFIED)
    if file.values is not None:
        return Fetched(where, content, _accept([file.values(content, where)], file.digests, where))
    if published_packed:
        _accept([sha256(content)], (file.plain,), where)
        # the digest of the packed file: packed and unpacked copies carry one checksum
        return Fetched(where, content, file.digests[0])
    return Fetched(where, content, _accept([sha256(content), _md5(content)], file.digests, where))


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _accept(found: list[str], digests: tuple[str, ...], where: str) -> str:
    if set(found) & set(digests):
        return found[0]
    lengths = {len(digest) for digest in digests}
    got = " or ".join(f"{_KINDS[len(d)]} {d}" for d in found if len(d) in lengths)
    expected = " or ".join(f"{_KINDS[len(d)]} {d}" for d in digests)
    raise UsageError(
        f"{where}: expected {expected}, got {got}: damaged, incomplete or another file; "
        "get it again, or pass verify=False to take it unverified"
    )


def _unpack(raw: bytes, where: str) -> bytes:
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise UsageError(f"{where}: damaged or incomplete gzip data ({error})") from None
