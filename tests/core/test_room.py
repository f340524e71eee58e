"""A process that compiles on and on keeps to its share of memory maps, and its numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

from tightbound.core import room
from tightbound.core.compilation import jit

PROGRAMS = 150


def used():
    return room.MAPS.read_bytes().count(b"\n")


@pytest.mark.skipif(not room.MAPS.exists(), reason="this system counts no memory maps")
def test_programs_go_before_maps_run_out(monkeypatch, tmp_path):
    limit, most = tmp_path / "limit", used() + 100
    limit.write_text(str(int(most / room.SHARE)))
    double = jit(lambda x: jnp.sum(2 * x))
    cleared = []
    monkeypatch.setattr(room.jax, "clear_caches", lambda: cleared.append(used()))
    for n in range(1, PROGRAMS):
        double(np.ones(n, np.float32))
    assert cleared == []  # 65,530 are far away
    monkeypatch.undo()
    monkeypatch.setattr(room, "LIMIT", limit)
    for n in range(PROGRAMS, 5 * PROGRAMS):
        assert double(np.ones(n, np.float32)) == 2 * n
    # Each takes two maps or more: without room they would be four times as many by now.
    assert used() < most + 3 * PROGRAMS


def test_a_system_without_such_a_limit_has_room(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "LIMIT", tmp_path / "none")
    assert room._used() == 0
