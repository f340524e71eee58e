"""What a folder of this package holds: parts are found by their files, and listed nowhere."""

import importlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]


class Place(NamedTuple):
    """A module of this package: its dotted name, and its file."""

    module: str
    path: Path

    @property
    def text(self) -> str:
        """The source."""
        return self.path.read_text(encoding="utf-8")

    def load(self) -> Any:
        """The module itself."""
        return importlib.import_module(self.module)


@cache
def places(folder: str) -> tuple[Place, ...]:
    """All modules of a folder and of the folders in it, in order; nothing is imported."""
    return tuple(
        Place(".".join(("tightbound", *path.relative_to(ROOT).with_suffix("").parts)), path)
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "__init__.py"
    )


def defined(folder: str, wanted: Callable[[Any], bool]) -> dict[str, Any]:
    """What the modules of a folder define themselves under public names, where it is wanted."""
    return {
        name: value
        for place in places(folder)
        for name, value in vars(place.load()).items()
        if not name.startswith("_")
        if getattr(value, "__module__", None) == place.module and wanted(value)
    }


def classes(folder: str, base: type) -> dict[str, type]:
    """The public classes of a kind that the modules of a folder define, by name."""
    return defined(folder, lambda value: isinstance(value, type) and issubclass(value, base))
