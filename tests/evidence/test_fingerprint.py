"""A file of unfinished results belongs to one model, also where a closure is all that there is."""

import os
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from numpyro import distributions as dist

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.distributions import StandardNormal
from tightbound.evidence import batches, resume
from tightbound.evidence.fingerprint import fingerprint
from tightbound.models import from_log_joint

AT = jnp.array([0.5, -1.0])
X = np.random.default_rng(0).standard_normal((6, 2)).astype(np.float32)
PRIOR = StandardNormal(2)


class Killed(BaseException):
    """What a kill looks like from inside."""


def near(place):
    """One of two closures that hold the same arrays."""
    return lambda x, z: PRIOR.log_prob(z) - 0.5 * jnp.sum((x - z - place) ** 2)


def nearer(place):
    return lambda x, z: PRIOR.log_prob(z) - jnp.sum((x - z - place) ** 2)


def far_mode(height):
    """The same at every draw of N(0, 1) in single precision: the other mode adds exactly 0."""

    def log_joint(x, z):
        first = PRIOR.log_prob(z) - 0.5 * jnp.sum((x - z) ** 2)
        return jnp.logaddexp(first, height + PRIOR.log_prob(z - 50.0))

    return log_joint


def observed(scale):
    def model(y):
        mean = numpyro.sample("mean", dist.Normal(0.0, scale))
        numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)

    return tb.from_numpyro(model, jnp.array([0.3, 0.9]))


def of(function, *shapes):
    return fingerprint(function, *(jnp.zeros(shape) for shape in shapes))


def test_functions_that_differ_anywhere_differ():
    both = (2,), (2,)
    prints = [
        of(function, *both)
        for function in (
            near(AT), nearer(AT), near(AT + 1e-6), near(AT[::-1]), far_mode(-1.0), far_mode(0.0),
            lambda x, z: jnp.sum(x - z), lambda x, z: jnp.sum(z - x),
            lambda x, z: jnp.sum(x) + 1.0, lambda x, z: jnp.sum(x) + 2.0,
            jax.jit(lambda x, z: jnp.sum(x) * AT), jax.jit(lambda x, z: jnp.sum(x) * (AT + 1)),
        )
    ]  # fmt: skip
    assert len({*prints}) == len(prints)
    assert of(near(AT), *both) == of(near(jnp.array([0.5, -1.0])), *both)
    assert of(jnp.sum, (2,)) != of(jnp.sum, (3,))
    sites = [of(observed(s).log_joint, (0,), (1,)) for s in (1.0, 2.0, 1.0)]
    assert sites[0] == sites[2] != sites[1]


def outside(function):
    """By a call of Python, of which a trace says nothing."""
    return lambda z: jax.pure_callback(function, jax.ShapeDtypeStruct((), jnp.float32), z)


def test_what_calls_python_is_told_by_its_values():
    at = jnp.arange(1.0, 7.0).reshape(3, 2)

    def rows(function):
        return fingerprint(jax.jit(lambda z: jax.lax.map(outside(function), z)), at)

    first, same, other = (lambda z: z.sum(), lambda z: z.sum(), lambda z: z.max())
    assert rows(first) == rows(same) != rows(other)
    random = np.random.default_rng(0)
    assert rows(lambda z: np.float32(random.random())) != rows(
        lambda z: np.float32(random.random())
    )

    def printing(z):
        jax.debug.print("{}", z[0])
        return jnp.sum(z)

    assert of(printing, (2,)) == of(printing, (2,))


class Normal(StandardNormal):
    """A proposal that is told from another one by a static field alone."""

    wide: float = eqx.field(static=True, default=1.0)

    def sample(self, given=None, *, key):
        return self.wide * super().sample(given, key=key)

    def log_prob(self, value, given=None):
        return super().log_prob(value / self.wide, given) - self.dim * np.log(self.wide)


def estimates():
    """Each estimator that goes on, as (of a log-joint, of a proposal) with a path."""
    short = {"batch_size": 2, "progress": False}
    return {
        "evaluate": lambda f, q, **how: tb.evaluate(
            from_log_joint(f, 2, prior=PRIOR), q, X, k=20, **short, **how
        ),
        "jackknife": lambda f, q, **how: tb.evidence.jackknife(
            from_log_joint(f, 2, prior=PRIOR), q, X, k=20, **short, **how
        ),
        "annealed": lambda f, q, **how: tb.evidence.annealed(
            from_log_joint(f, 2, prior=PRIOR), X, start=q, temperatures=3, chains=2, leapfrog=2,
            **short, **how,
        ),
        "adaptive": lambda f, q, **how: tb.evidence.adaptive(
            from_log_joint(f, 2, prior=PRIOR), X, start=q,
            method=tb.evidence.PMC(particles=10, rounds=3, warmup=1), **short, **how,
        ),
        "hmc_density": lambda f, q, **how: tb.evidence.hmc_density(
            from_log_joint(f, 2, prior=q), X, chains=12, transitions=4, leapfrog=2, **short, **how
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["evaluate", *(pytest.param(n, marks=pytest.mark.slow) for n in [*estimates()][1:])]
)
def test_rows_of_another_closure_are_never_returned(name, tmp_path, monkeypatch):
    estimate, path = estimates()[name], tmp_path / "part.npz"
    monkeypatch.setattr(resume, "SECONDS", 0.0)
    whole = estimate(near(AT), Normal(2))
    with monkeypatch.context() as patched:
        patched.setattr(batches.Progress, "advance", _kill)
        with pytest.raises(Killed):
            estimate(near(AT), Normal(2), resume=path)
    for other in ((nearer(AT), Normal(2)), (near(AT), Normal(2, wide=2.0))):
        with pytest.raises(UsageError, match="is from another evaluation"):
            estimate(*other, resume=path)
    again = estimate(near(jnp.array([0.5, -1.0])), Normal(2), resume=path)
    assert not path.exists()
    np.testing.assert_array_equal(again.log_evidence, whole.log_evidence)
    np.testing.assert_array_equal(again.stderr, whole.stderr)


def _kill(self, note=""):
    raise Killed


def test_a_target_has_a_fingerprint_too(tmp_path):
    target = tb.Target(lambda z: -0.5 * jnp.sum(z**2), 2)
    path = tmp_path / "part.npz"
    found = tb.evaluate(target, PRIOR, k=30, resume=path)
    assert found.log_evidence == tb.evaluate(target, PRIOR, k=30).log_evidence
    assert not path.exists()


SHOWN = """
from tests.evidence.test_fingerprint import AT, near, observed, of
print(of(near(AT), (2,), (2,)).hex(), of(observed(1.0).log_joint, (0,), (1,)).hex())
"""


@pytest.mark.slow
def test_it_is_the_same_in_another_process():
    shown = subprocess.run(
        [sys.executable, "-c", SHOWN],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONHASHSEED": "12345"},
    ).stdout.split()
    here = of(near(AT), (2,), (2,)), of(observed(1.0).log_joint, (0,), (1,))
    assert shown == [one.hex() for one in here]
