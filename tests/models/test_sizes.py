"""Sizes are whole numbers and keys are seeds or keys, wherever one is taken."""

import jax
import numpy as np
import pytest
from tests.oracles import linear_gaussian

from tightbound import objectives
from tightbound.core.errors import UsageError, at_least
from tightbound.core.streams import as_key
from tightbound.diagnostics import active_units, kl_on_grid
from tightbound.evidence import (
    AMIS,
    DMPMC,
    FAB,
    PMC,
    adaptive,
    annealed,
    draws,
    evaluate,
    exact,
    hmc_density,
    jackknife,
    prior_sampling,
    sandwich,
)

WRONG = (1.5, 2.0, True, np.True_, np.inf, np.nan, "3", None, np.float32(2), [2])
MODEL = linear_gaussian.one_layer_model()
X = np.zeros((3, 4), np.float32)
PRIOR = MODEL.prior


def plainly(function):
    """A function without the tests' own checks of types, as users call it."""
    return getattr(function, "__wrapped__", function)


def evaluated(**sizes):
    return plainly(evaluate)(MODEL, PRIOR, X, **sizes)


SIZES = {
    "k": lambda n: evaluated(k=n),
    "chunk": lambda n: evaluated(k=20, chunk=n),
    "batch_size": lambda n: evaluated(k=20, batch_size=n),
    "temperatures": lambda n: evaluated(k=20, temperatures=n),
    "chains": lambda n: evaluated(k=20, temperatures=3, chains=n),
    "temperatures ": lambda n: plainly(annealed)(MODEL, X, temperatures=n),
    "pilot": lambda n: plainly(annealed)(MODEL, X, pilot=n),
    "leapfrog": lambda n: plainly(annealed)(MODEL, X, leapfrog=n),
    "points": lambda n: plainly(exact)(MODEL, X, points=n),
    "batch_size ": lambda n: plainly(exact)(MODEL, X, batch_size=n),
    "order": lambda n: plainly(jackknife)(MODEL, PRIOR, X, order=n),
    "k ": lambda n: plainly(prior_sampling)(MODEL, X, k=n),
    "n": lambda n: plainly(draws)(MODEL, PRIOR, X, n=n),
    "n ": lambda n: plainly(sandwich)(MODEL, n=n),
    "transitions": lambda n: plainly(hmc_density)(MODEL, X, transitions=n),
    "batch_size  ": lambda n: plainly(adaptive)(MODEL, X, batch_size=n),
    "each": lambda n: plainly(AMIS)(each=n),
    "rounds": lambda n: plainly(PMC)(rounds=n),
    "warmup": lambda n: plainly(DMPMC)(warmup=n),
    "layers": lambda n: plainly(FAB)(layers=n),
    "draws": lambda n: plainly(active_units)(MODEL, PRIOR, X, draws=n),
    "points ": lambda n: plainly(kl_on_grid)(X, lambda z: z[0], low=0, high=1, points=n),
    "k  ": lambda n: plainly(objectives.iwae)(k=n),
}


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")  # NumPy's scalars
@pytest.mark.parametrize("name", SIZES)
def test_a_size_is_a_whole_number(name):
    optional = name.startswith(("chunk", "batch_size", "points")) or name in ("temperatures", "k")
    for wrong in WRONG:
        if wrong is None and optional:
            continue
        with pytest.raises(UsageError, match=f"expected {name.strip()} to be a whole number"):
            SIZES[name](wrong)
    with pytest.raises(UsageError, match=f"expected {name.strip()} >= "):
        SIZES[name](-1)


def test_whole_numbers_of_numpy_are_taken():
    assert at_least(1, k=np.int64(3), n=np.uint8(2), m=np.array(4)) == (3, 2, 4)
    assert all(type(n) is int for n in at_least(0, k=np.int32(3)))
    same = [
        evaluated(k=k, chunk=chunk, batch_size=size, key=key)
        for k, chunk, size, key in (
            (30, 7, 2, 3),
            (np.int64(30), np.int32(7), np.uint8(2), np.int64(3)),
        )
    ]
    np.testing.assert_array_equal(same[0].log_evidence, same[1].log_evidence)
    assert plainly(AMIS)(each=np.int64(20)).words == AMIS(each=20).words


def test_a_key_is_a_seed_or_a_key():
    for seed in (3, np.int64(3), np.uint32(3), jax.numpy.int32(3), jax.random.key(3)):
        np.testing.assert_array_equal(jax.random.key_data(as_key(seed)), [0, 3])
    for wrong in (-1, 2**32, 2**70, np.int64(-5)):
        with pytest.raises(UsageError, match=f"expected key from 0 to 4294967295, got {wrong}"):
            as_key(wrong)
    for wrong in (1.5, True, "3", None, np.nan):
        with pytest.raises(UsageError, match="expected key to be a whole number or a key"):
            as_key(wrong)
    with pytest.raises(UsageError, match=r"raw bits.*use jax.random.key"):
        as_key(jax.random.PRNGKey(3))
    with pytest.raises(UsageError, match=r"one key, got an array of keys of shape \(2,\)"):
        as_key(jax.random.split(jax.random.key(0)))
    with pytest.raises(UsageError, match="expected key from 0"):
        evaluated(k=20, key=-1)
