"""Room for compiled programs among the memory maps that a process may have.

On Linux these are 65,530 (`vm.max_map_count`). A program takes 3 to 30 of them, and one too many
ends the process within the compiler, without a word: a dozen tables of different shapes, fitted in
one process, come so far.
"""

import gc
from pathlib import Path
from typing import Any

import jax

MAPS = Path("/proc/self/maps")
LIMIT = Path("/proc/sys/vm/max_map_count")
OFTEN = 50
"""Programs after which maps are counted again, which takes up to 20 ms."""
SHARE = 0.75
"""Of the limit: what is beyond it is for programs that are held otherwise, and for other code."""


class Room:
    """Lets compiled programs go where they take too many maps: what is used again is recompiled."""

    def __init__(self) -> None:
        """Counts from now on."""
        self.compiled = 0
        jax.monitoring.register_event_duration_secs_listener(self._count)

    def _count(self, event: str, duration_secs: float, **_: Any) -> None:
        del duration_secs
        self.compiled += event.endswith("backend_compile_duration")

    def make(self) -> None:
        """To be called where no program is being traced or compiled."""
        if self.compiled < OFTEN:
            return
        self.compiled = 0
        if _used() > SHARE:
            jax.clear_caches()
            gc.collect()


def _used() -> float:
    """The share of the maps that are taken; 0 where there is no such limit."""
    try:
        return MAPS.read_bytes().count(b"\n") / int(LIMIT.read_text())
    except OSError:
        return 0.0


ROOM = Room()
"""That of the process."""
