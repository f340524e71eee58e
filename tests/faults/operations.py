"""What is killed, or has no room to write: every command that writes, and the download."""

import contextlib
import gzip
import hashlib
import http.server
import io
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np

from tests.faults.commands import Said, called
from tests.faults.workplace import FIT, RUN, UNFINISHED
from tightbound import data
from tightbound.core.digests.arrays import digest_of
from tightbound.core.errors import UsageError

NEW = Path("runs/new")


class Operation(NamedTuple):
    """Something that writes files."""

    name: str
    act: Callable[[], Said]
    place: Path
    """The folder that it may change."""


def _fit() -> Said:
    resume = ["--resume"] if (NEW / "config.toml").exists() else []
    return called(*FIT, "--name", NEW.name, *resume)


def _command(*arguments: object) -> Callable[[], Said]:
    return lambda: called(*arguments)


OPERATIONS = (
    Operation("fit", _fit, NEW),
    Operation("resume", _command("fit", "--resume", "--name", "u", "--json"), UNFINISHED),
    Operation("more", _command("fit", "--resume", "--name", "r", "--epochs", 3, "--json"), RUN),
    Operation("evaluate", _command("evaluate", "r", "--k", 10, "--key", 1, "--json"), RUN),
    Operation("batches", _command("evaluate", "r", "--k", 10, "--split", "validation"), RUN),
    Operation("overwrite", _command("evaluate", "r", "--k", 10, "--overwrite", "--json"), RUN),
    Operation("report", _command("report", "r"), RUN),
    Operation("sample", _command("sample", "r", "--n", 3), RUN),
    Operation("csv", _command("sample", "r", "--n", 3, "--out", "out.csv"), Path("out.csv")),
    Operation("reconstruct", _command("reconstruct", "r", "new.npy"), RUN),
    Operation("download", lambda: _download(), Path("cache")),
)
"""The commands, so made that they go on where they were killed."""


def _download() -> Said:
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # which a bar is drawn on
            ds = data.load("mnist")
    except UsageError as error:
        return Said(2, "", f"tightbound: {error}\n")
    return Said(0, digest_of({"train": ds.train, "test": ds.test}), "")


def _packed() -> dict[str, bytes]:
    """MNIST's four files, with few images."""
    rng = np.random.default_rng(7)
    contents = {
        "train-images-idx3-ubyte.gz": rng.integers(0, 256, size=(12, 28, 28)),
        "train-labels-idx1-ubyte.gz": np.arange(12) % 10,
        "t10k-images-idx3-ubyte.gz": rng.integers(0, 256, size=(3, 28, 28)),
        "t10k-labels-idx1-ubyte.gz": np.arange(3),
    }
    return {name: gzip.compress(_idx(array), mtime=0) for name, array in contents.items()}


def _idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@contextlib.contextmanager
def published() -> Iterator[None]:
    """A server on this machine gives what stands for MNIST."""
    packed = _packed()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = packed[self.path.lstrip("/")]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        source = data._SOURCES["mnist"]
        ours = tuple(
            replace(
                file,
                url=f"{base}/{file.name}",
                digests=(hashlib.sha256(packed[file.name]).hexdigest(),),
            )
            for file in source.files
        )
        try:
            with mock.patch.dict(data._SOURCES, {"mnist": replace(source, files=ours)}):
                yield
        finally:
            server.shutdown()
            thread.join()
