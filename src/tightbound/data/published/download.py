"""Downloads published files: whole and verified, or not at all."""

import http.client
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from tightbound.core.errors import UsageError
from tightbound.core.files import write_atomic
from tightbound.data.published.file import Fetched, File, identify

_TIMEOUT = 30.0  # seconds without an answer
_CHUNK = 1 << 16


class DownloadError(Exception):
    """Nothing came, or not all of it; says why."""


def get(file: File, target: Path, *, verify: bool) -> Fetched:
    """Downloads a file and keeps it; nothing is written before it is complete and verified.

    Raises:
        DownloadError: No answer, or fewer bytes than announced with nothing to verify them by.
        UsageError: The bytes are not those published (nothing is kept), or cannot be written.
    """
    body, announced = _receive(file.url)
    size = f"{len(body):,} bytes" if announced is None else f"{len(body):,} of {announced:,} bytes"
    fetched = identify(file, body, f"{file.url} (nothing kept of {size})", verify=verify)
    if announced not in (None, len(body)):
        raise DownloadError(f"only {size} came")
    try:
        write_atomic(target, body)
    except UsageError as error:
        raise UsageError(f"{error}: set TIGHTBOUND_DATA to a folder of yours") from None
    return fetched._replace(where=str(target))


def _receive(url: str) -> tuple[bytes, int | None]:
    """The body, and its length as announced."""
    _check_scheme(url)
    request = urllib.request.Request(url, headers={"User-Agent": "tightbound"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            _check_scheme(response.url)  # redirections may lead anywhere
            return _read_with_progress(response, url.rsplit("/", 1)[-1])
    except urllib.error.HTTPError as error:
        error.close()
        raise DownloadError(f"the server answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise DownloadError(str(error.reason)) from None
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(str(error) or type(error).__name__) from None


def _check_scheme(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"expected an http or https address, got {url}")


def _read_with_progress(response: http.client.HTTPResponse, label: str) -> tuple[bytes, int | None]:
    from rich import progress
    from rich.console import Console

    length = response.headers.get("Content-Length", "")
    announced = int(length) if length.isdigit() else None
    body = bytearray()
    with progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task(label, total=announced)
        while chunk := response.read(_CHUNK):
            body += chunk
            bar.update(task, completed=len(body))
    return bytes(body), announced
