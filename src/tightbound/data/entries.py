"""Entries of a file of settings, checked one by one, with errors that name file and key."""

from collections.abc import Iterable
from typing import Any

from tightbound.core.errors import UsageError, unknown


def check_keys(entries: dict[str, Any], known: Iterable[str], what: str) -> None:
    """Refuses keys that are none of those known."""
    for name in entries:
        if name not in known:
            raise UsageError(f"{what}: {unknown('key', name, known)}")


def checked(entries: dict[str, Any], name: str, kinds: Any, what: str) -> Any:
    """The entry of a name, which must be of one of some types."""
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if name not in entries:
        raise UsageError(f"{what}: expected the key {name}")
    if type(entries[name]) not in kinds:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise UsageError(f"{what}: expected {name} as {wanted}, got {entries[name]!r:.60}")
    return entries[name]


def texts_of(entries: dict[str, Any], name: str, what: str) -> tuple[str, ...]:
    """A list of texts that differ."""
    texts = entries[name]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UsageError(f"{what}: expected {name} as a list of texts, got {texts!r:.60}")
    if len(set(texts)) < len(texts):
        raise UsageError(f"{what}: expected {name} that differ, got {texts!r:.60}")
    return tuple(texts)
