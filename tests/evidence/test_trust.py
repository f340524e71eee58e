"""How often "trust" is wrong, of annealed chains, of chains in reverse, and of HMC's density.

"Trust" promises 0.1 nats in 99 of 100 cases, so that of m estimates that are trusted no more than
m / 100 may be wrong. A count is compared at LIMIT standard errors above that (false alarms below
1e-6 each, were the rule at its limit); the keys are fixed. That something is trusted is asked too.
"""

import jax
import numpy as np
import pytest

from tests.evidence.mixtures import (
    PROBLEMS,
    model,
    normals,
    start,
    student,
    two_normals,
)
from tests.ztest import LIMIT
from tightbound.evidence import annealed, hmc_density, reverse_annealed
from tightbound.evidence.annealing.hmc_density import MOST_DIMENSIONS
from tightbound.evidence.estimate import weighed
from tightbound.evidence.terms import BACKWARDS, CHAINS, POSTERIOR
from tightbound.evidence.verdict import BIAS, WORDS, judge_alone

EVEN, ODD, ALL = slice(0, None, 2), slice(1, None, 2), slice(None)
"""Of the problems, each of which has programs of its own to compile; halves have all kinds."""
FEW = (normals(2, 0.3, 0.8), student(2, 4, 1.2))


def forwards(problem, keys, chains, temperatures):
    x = np.zeros((keys, 1), np.float32)
    how = {"temperatures": temperatures, "chains": chains, "leapfrog": 5, "key": chains}
    return annealed(model(problem), x, start=start(problem), **how), CHAINS


def backwards(problem, keys, chains, temperatures):
    x = np.zeros((keys, 1), np.float32)
    z = problem.exact(np.random.default_rng(chains + temperatures), keys).astype(np.float32)
    how = {"temperatures": temperatures, "chains": chains, "leapfrog": 5, "key": chains}
    return reverse_annealed(model(problem), x, z, start=start(problem), **how), BACKWARDS


def by_hmc(problem, keys, chains, transitions):
    x = np.zeros((keys, 1), np.float32)
    how = {"chains": chains, "transitions": transitions, "leapfrog": 10}
    return hmc_density(model(problem), x, **how), POSTERIOR


def counted(way, problems, keys, number, steps):
    """How many estimates are trusted, of how many, and how many of them are wrong."""
    trusted = wrong = 0
    for problem in problems:
        found, terms = way(problem, keys, number, steps)
        word = np.array(
            judge_alone(
                weighed(found.draws, found.stderr, found.diagnostics, found.rounding), terms
            )
        )
        error = found.log_evidence.astype(np.float64) - problem.log_z
        trusted += np.sum(word == WORDS[0])
        wrong += np.sum((word == WORDS[0]) & ~(np.abs(error) <= BIAS))
    return trusted, wrong


@pytest.fixture
def forgotten():
    """A process may hold so many compiled programs and no more: each problem has its own."""
    yield
    jax.clear_caches()


def seldom(wrong, trusted):
    return wrong <= 0.01 * trusted + LIMIT * np.sqrt(max(0.01 * 0.99 * trusted, 1))


@pytest.mark.slow
@pytest.mark.stat
def test_trust_in_annealed_chains_is_right():
    trusted, wrong = counted(forwards, FEW, 60, 32, 30)
    assert seldom(wrong, trusted)
    assert trusted > 10


@pytest.mark.slow
@pytest.mark.stat
def test_trust_in_chains_that_go_backwards_is_right():
    trusted, wrong = counted(backwards, FEW, 50, 64, 30)
    assert seldom(wrong, trusted)
    assert trusted > 5


@pytest.mark.slow
@pytest.mark.stat
@pytest.mark.parametrize("temperatures", [1, 2])
def test_chains_that_remember_their_common_start_are_not_trusted(temperatures):
    # By their spread half of those that would be trusted are wrong.
    assert counted(backwards, FEW, 50, 64, temperatures) == (0, 0)


@pytest.mark.slow
@pytest.mark.stat
def test_trust_in_the_density_of_draws_by_hmc_is_right():
    apart = (two_normals(1, 2.5, 1.5),)
    # A few transitions leave chains in the mode that they began in.
    assert counted(by_hmc, apart, 50, 200, 2) == (0, 0)
    trusted, wrong = counted(by_hmc, apart, 50, 200, 25)
    assert seldom(wrong, trusted)
    assert trusted > 5


@pytest.mark.slow
@pytest.mark.stat
@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(
    ("way", "chains", "temperatures", "of"),
    [(forwards, 8, 30, EVEN), (forwards, 64, 10, ALL), (backwards, 16, 30, ODD),
     (backwards, 64, 3, EVEN), (backwards, 64, 100, ODD)],
)  # fmt: skip
def test_trust_is_right_on_every_problem(way, chains, temperatures, of):
    trusted, wrong = counted(way, PROBLEMS[of], 150, chains, temperatures)
    assert seldom(wrong, trusted)
    if temperatures == 100:
        assert trusted > 150


@pytest.mark.slow
@pytest.mark.stat
@pytest.mark.usefixtures("forgotten")
def test_trust_in_hmc_is_right_on_every_problem():
    problems = [p for p in PROBLEMS if p.dim <= MOST_DIMENSIONS]
    trusted, wrong = counted(by_hmc, problems, 60, 200, 50)
    assert seldom(wrong, trusted)
    assert trusted > 0
