"""Named data sets: where their files are looked for, and how they are fetched."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tightbound.core.errors import UsageError
from tightbound.data.dataset import UNVERIFIED, Dataset
from tightbound.data.published.file import Fetched, File, identify, sha256


@dataclass(frozen=True)
class Published:
    """A named data set.

    Attributes:
        name: Its name for `load`, and of its folder.
        description: One line: items, values, origin.
        splits: The names of the splits offered; the first is what "default" stands for.
        likelihood: The likelihoods suited.
        read: Makes the data set out of the split's name and the files.
        files: What `read` gets, in this order; empty for an embedded data set.
    """

    name: str
    description: str
    splits: tuple[str, ...]
    likelihood: str
    read: Callable[[str, list[Fetched]], Dataset]
    files: tuple[File, ...] = ()


def combined(fetched: list[Fetched]) -> str:
    """One checksum for several files: SHA-256 of theirs, one after another."""
    checksums = [file.checksum for file in fetched]
    if UNVERIFIED in checksums:
        return UNVERIFIED
    return checksums[0] if len(checksums) == 1 else sha256("".join(checksums).encode())


def folders(name: str) -> list[Path]:
    """Where the files of a named data set may lie; downloads go to the first."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    roots = [Path(cache) / "tightbound"]
    if os.environ.get("TIGHTBOUND_DATA"):
        roots.insert(0, Path(os.environ["TIGHTBOUND_DATA"]))
    return [root / name for root in roots]


def find(file: File, places: list[Path]) -> Path | None:
    """Where the file lies under the best of its names; None where it lies nowhere."""
    paths = [place / name for name in file.candidates for place in places]
    return next((path for path in paths if path.is_file()), None)


def fetch(
    source: Published, *, path: str | os.PathLike[str] | None, download: bool, verify: bool
) -> list[Fetched]:
    """Finds the files of a data set, or downloads them; verified before anything is parsed.

    Args:
        source: The data set.
        path: Its folder, or a file of it; nowhere else is looked, and nothing downloaded.
        download: Whether files that are not on this machine are downloaded.
        verify: Whether files must have the published digests.

    Raises:
        UsageError: A file is missing, damaged or another one, or its download failed.
    """
    if path is None:
        places = folders(source.name)
    else:
        given, download = Path(path), False
        if given.is_file() and len(source.files) == 1:
            return [_identify(source.files[0], given, verify=verify)]
        places = [given.parent if given.is_file() else given]
    return [
        _fetch(source.name, file, places, download=download, verify=verify) for file in source.files
    ]


def _fetch(name: str, file: File, places: list[Path], *, download: bool, verify: bool) -> Fetched:
    found = find(file, places)
    if found is not None:
        return _identify(file, found, verify=verify)
    missing = (
        f"{name} needs the file {file.name}, which is not in {' nor in '.join(map(str, places))}"
    )
    if not download:
        raise UsageError(f"{missing}; put it there, it is published at {file.url}")
    from tightbound.data.published.download import DownloadError, get

    try:
        return get(file, places[0] / file.name, verify=verify)
    except DownloadError as error:
        raise UsageError(f"{missing}, and downloading {file.url} failed: {error}") from None


def _identify(file: File, path: Path, *, verify: bool) -> Fetched:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    return identify(file, raw, str(path), verify=verify)
