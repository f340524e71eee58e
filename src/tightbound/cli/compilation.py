"""Compiled programs kept from one command to the next, so that an equal command compiles nothing.

JAX's persistent cache neither checks its entries nor writes them whole: a damaged one is a warning
at each start or, where the compression has no checksum, another program. So each command gets a
folder of its own with the entries whose digest is right, and leaves what is new in the store by
renaming. Nothing here can make a command fail, and the numbers are those of a fresh compilation.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SWITCH = "TIGHTBOUND_COMPILATION_CACHE"
"""The environment variable that turns it off, with the value "off"."""
LARGEST = 200 * 10**6
"""Bytes of the store; the oldest entries go first."""
STALE = 7 * 24 * 3600
"""Seconds after which the folder of a command that was killed is removed."""
SUFFIX = "-cache"
"""How JAX names its entries: KEY-cache."""


@contextlib.contextmanager
def kept_compilations() -> Iterator[None]:
    """Within it, JAX looks compiled programs up in the user's cache folder.

    A cache that the user has configured for JAX stays as it is, and nothing is done.
    """
    store = None
    if os.environ.get(SWITCH) != "off" and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        store = _store()
    if store is None:
        yield
        return
    try:
        work = Path(tempfile.mkdtemp(prefix="work-", dir=store))
    except OSError:
        yield
        return
    family = _family()
    try:
        with contextlib.suppress(OSError):
            _checked_out(store, family, work)
        with _configured(work):
            yield
    finally:
        with contextlib.suppress(OSError):
            _checked_in(work, family, store)
        shutil.rmtree(work, ignore_errors=True)


def _store() -> Path | None:
    """The user's own folder, which nobody else may write: what lies in it will be executed."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        store = (Path(base) if base else Path.home() / ".cache") / "tightbound" / "xla"
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = store.stat()
    except (OSError, RuntimeError):
        return None
    theirs = hasattr(os, "getuid") and state.st_uid != os.getuid()
    return None if theirs or state.st_mode & 0o022 else store


def _family() -> str:
    """What sets programs apart beyond JAX's own key: the processor they were compiled for."""
    words = [platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        told = ("model name", "flags", "Features", "CPU part")
        words += sorted({line for line in lines if line.startswith(told)})
    return _digest("\n".join(words).encode())[:8]


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _checked_out(store: Path, family: str, work: Path) -> None:
    """Links the whole entries of the store into the command's folder; damaged ones are removed."""
    for entry in store.glob(f"{family}.*"):
        key, digest = _named(entry)
        with contextlib.suppress(OSError):
            if _digest(entry.read_bytes()) == digest:
                _link(entry, work / f"{key}{SUFFIX}")
            else:
                entry.unlink()


def _named(entry: Path) -> tuple[str, str]:
    """Key and digest of an entry FAMILY.KEY.DIGEST; a key may hold dots."""
    key, _, digest = entry.name.partition(".")[2].rpartition(".")
    return key, digest


def _link(entry: Path, target: Path) -> None:
    try:
        os.link(entry, target)
    except OSError:  # a file system without links
        shutil.copyfile(entry, target)


def _checked_in(work: Path, family: str, store: Path) -> None:
    """Moves new entries into the store, the oldest of which make room for them."""
    kept = {_named(entry)[0] for entry in store.glob(f"{family}.*")}
    for made in work.glob(f"*{SUFFIX}"):
        key = made.name.removesuffix(SUFFIX)
        if key not in kept:
            made.replace(store / f"{family}.{key}.{_digest(made.read_bytes())}")
    entries = sorted(
        ((e.stat().st_mtime, e.stat().st_size, e) for e in store.glob("*.*.*")), reverse=True
    )
    total = 0
    for _, size, entry in entries:
        total += size
        if total > LARGEST:
            entry.unlink(missing_ok=True)
    for folder in store.glob("work-*"):
        if folder.stat().st_mtime < time.time() - STALE:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _configured(work: Path) -> Iterator[None]:
    """JAX's settings for the time of the command."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    settings: dict[str, Any] = {
        "jax_compilation_cache_dir": str(work),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
        # They would write the folder's name into the programs, which changes with each command.
        "jax_persistent_cache_enable_xla_caches": "none",
    }
    before = {name: getattr(jax.config, name) for name in settings}
    if before["jax_compilation_cache_dir"]:
        yield
        return
    for name, value in settings.items():
        jax.config.update(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
