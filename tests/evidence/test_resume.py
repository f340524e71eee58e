"""Long evaluations go on where they were killed, and devices share them, without a change."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.laws import runs
from tests.laws.runs import EXACT, WRONG
from tightbound.core.errors import UsageError
from tightbound.evidence import annealed, evaluate, resume
from tightbound.evidence.batches import Progress

MODEL, POSTERIOR = runs.parts_of(EXACT, 1).model, runs.parts_of(WRONG, 1).posterior
X = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)


class Killed(BaseException):
    """What a kill looks like from inside."""


def evaluated(**options):
    return evaluate(MODEL, POSTERIOR, X, k=50, batch_size=2, **options)


def by_annealing(**options):
    return annealed(MODEL, X, temperatures=4, chains=3, leapfrog=2, batch_size=2, **options)


@pytest.mark.parametrize(
    "estimate", [evaluated, pytest.param(by_annealing, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("batches", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 5))])
def test_goes_on_to_the_same_bits(estimate, batches, tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "SECONDS", 0.0)
    path, whole, seen = tmp_path / "part.npz", estimate(), []
    advance = Progress.advance

    def kill(self, note=""):
        seen.append(note)
        if len(seen) == batches:
            raise Killed
        advance(self, note)

    monkeypatch.setattr(Progress, "advance", kill)
    with pytest.raises(Killed):
        estimate(resume=path)
    assert path.exists()
    monkeypatch.setattr(Progress, "advance", lambda self, note="": seen.append(note))
    again = estimate(resume=path)
    # Five batches in all; the last is always made anew.
    assert len(seen) - batches == 5 - min(batches, 4)
    assert not path.exists()
    for name in ("log_evidence", "stderr", "ess"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))


def test_another_evaluation_is_refused_and_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "SECONDS", 0.0)
    monkeypatch.setattr(Progress, "advance", lambda self, note="": (_ for _ in ()).throw(Killed))
    path = tmp_path / "part.npz"
    with pytest.raises(Killed):
        evaluated(resume=path)
    before = path.read_bytes()
    for options in ({"key": 1}, {"chunk": 10}):
        with pytest.raises(UsageError, match="is from another evaluation"):
            evaluated(resume=path, **options)
    with pytest.raises(UsageError, match="is from another evaluation"):
        by_annealing(resume=path)
    assert path.read_bytes() == before
    path.write_bytes(before[:200])
    with pytest.raises(UsageError, match="damaged|truncated|whole|readable"):
        evaluated(resume=path)
    with pytest.raises(UsageError, match=r"expected a file \.npz"):
        evaluated(resume=tmp_path / "part.json")


SHARED = """
import jax, numpy as np
from tests.evidence.test_resume import MODEL, POSTERIOR, X, by_annealing
from tightbound.evidence import evaluate
assert jax.device_count() == 2
found = [evaluate(MODEL, POSTERIOR, X, k=50).log_evidence, by_annealing().log_evidence]
np.save({path!r}, np.stack(found))
"""


@pytest.mark.slow
def test_devices_share_the_data(tmp_path):
    path = tmp_path / "found.npy"
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    subprocess.run(
        [sys.executable, "-c", SHARED.format(path=str(path))],
        check=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"XLA_FLAGS": flags},
    )
    alone = [evaluate(MODEL, POSTERIOR, X, k=50).log_evidence, by_annealing().log_evidence]
    np.testing.assert_allclose(np.load(path), np.stack(alone), atol=1e-4)
