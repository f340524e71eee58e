"""Every wrapper around every kind of objective: what it keeps and tells comes through whole.

An objective of each kind takes two steps by itself and inside of each wrapper, from one start and
with one set of keys. A prior on the parameters adds its own gradient and nothing else; a q(theta)
without width is the plug-in model; a schedule of one stage is that stage.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.cases import CASES
from tests.laws.runs import QUICK
from tightbound.core.errors import UsageError
from tightbound.core.items import Items
from tightbound.core.streams import first_keys, numbered
from tightbound.distributions import AbstractExplicit, SemiImplicit
from tightbound.models import bayesian
from tightbound.objectives import Params, full_vb, map_estimate, schedule
from tightbound.objectives.registry import all_objectives
from tightbound.objectives.wrappers.schedule import Schedule

N = 4
"""Training data, and those of a minibatch."""
SCALE = 2.0
"""Standard deviation of the priors on the parameters."""
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
SERIES = X[:, :, None]
"""The same as series of single numbers, for models of sequences."""
COMPOSED = [name for name, entry in all_objectives().items() if entry.about.requires is None]


class _Mixed(AbstractExplicit):
    """The standard normal layer of a semi-implicit prior, around its noise."""

    @property
    def support(self):
        return "real"

    def sample(self, given, *, key):
        return given + jax.random.normal(key, given.shape)

    def log_prob(self, value, given):
        return jnp.sum(jax.scipy.stats.norm.logpdf(value - given))

    def mean(self, given):
        return given


def _autoencoder(kind, **options):
    options = {"latent": 2, "hidden": (3,), "likelihood": "gaussian", "key": 1} | options
    return Params(*tb.autoencoder(X, posterior=kind, **options))


@functools.cache
def parts():
    """Parts of every kind, for the first of which an objective is tried that suits it."""
    semi = _autoencoder("semi_implicit")
    finite = tb.models.gaussian_mixture(X, components=2, key=0)
    return (
        _autoencoder("normal"),
        semi,
        _autoencoder("implicit"),
        Params(finite, None),
        Params(tb.Model(SemiImplicit(_Mixed(), 2), semi.model.likelihood), semi.posterior),
        Params(semi.model, tb.posterior(semi.model, "mixture", hidden=(3,), key=1)),
        Params(*tb.models.labelled(X, 2, latent=1, hidden=(3,), likelihood="gaussian", key=1)),
        Params(*tb.sequence_model(SERIES, latent=2, hidden=3, likelihood="gaussian", key=1)),
    )


def suited(objective):
    for these in parts():
        try:
            objective.check(these)
        except UsageError:
            continue
        return these
    raise AssertionError(f"no parts suit {objective.description}")


def one_of_each():
    """The first case of each function that makes objectives, those around others left out."""
    first = {case.name: name for name, case in reversed(CASES.items())}
    return sorted(case for name, case in first.items() if name not in COMPOSED)


def one_of_each_kind():
    """Of those the first of each class and its terms: `iwae` for all bounds of log-weights."""
    first = {}
    for name in sorted(one_of_each(), key=lambda name: name != "iwae"):
        o = CASES[name].objective
        terms = tuple(type(term) for term in getattr(o, "terms", ()))
        first.setdefault((type(o), terms), name)
    return sorted(first.values())


# Others take half a minute each to compile.
every_objective = pytest.mark.parametrize(
    "name",
    [n if n == "iwae" else pytest.param(n, marks=pytest.mark.slow) for n in one_of_each_kind()],
)


def two_steps(objective, parts, x):
    """Both steps on a leading axis, what is kept after them, and the bound then."""
    key = jax.random.key(3)
    if not isinstance(objective, Schedule):  # which gives its first stage the first of its keys
        key = numbered(key, 0)
    start = objective.init(parts, N, key)
    arrays, rest = eqx.partition(start, eqx.is_array)

    def one(arrays, key):
        state = eqx.combine(arrays, rest)
        step, state = objective.step(parts, state, Items.of(x), first_keys(key, N))
        return eqx.filter((state, step), eqx.is_array)

    arrays, steps = jax.lax.scan(one, arrays, first_keys(jax.random.key(4), 2))
    state = eqx.combine(arrays, rest)
    bound = objective.bound(parts, state, Items.of(x), first_keys(jax.random.key(5), N))
    return steps, arrays, bound


def flat(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def same(one, other, tolerance=1e-5):
    for a, b in zip(flat(one), flat(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def plus_normal(grads, parts):
    """Gradients with those of the prior N(0, SCALE^2) over n = N data added."""
    learned = eqx.filter(parts, eqx.is_inexact_array)
    return jax.tree.map(lambda g, p: g + p[None] / SCALE**2 / N, grads, learned)


@functools.cache
def ran(name):
    """Of the objective by itself and in each wrapper: steps, what is kept, the bound."""
    bare = CASES[name].objective
    plain = suited(bare)
    x = jnp.asarray(SERIES if plain.model.prior.sees_data else X)
    certain = plain._replace(model=bayesian(plain.model, scale=SCALE, sigma=1e-20))
    ways = {
        "bare": (bare, plain),
        "map": (map_estimate(bare, n=N, scale=SCALE), plain),
        "vb": (full_vb(bare, n=N), certain),
        "schedule": (schedule([(bare, 3)]), plain),
    }
    for objective, these in ways.values():
        objective.check(these)
    learned = {way: eqx.partition(these, eqx.is_array) for way, (_, these) in ways.items()}

    def all_ways(arrays, x):
        return {
            way: two_steps(ways[way][0], eqx.combine(arrays[way], rest), x)
            for way, (_, rest) in learned.items()
        }

    arrays = {way: array for way, (array, _) in learned.items()}
    return jax.jit(all_ways, compiler_options=QUICK)(arrays, x), ways


@every_objective
def test_a_prior_on_the_parameters_adds_its_gradient_alone(name):
    found, ways = ran(name)
    (bare, kept, bound), (around, kept_too, bound_too) = found["bare"], found["map"]
    same(kept, kept_too)
    same(bound, bound_too)
    same((bare.bound, bare.info), (around.bound, around.info))
    same(plus_normal(bare.grads, ways["bare"][1]), around.grads, 1e-4)


@every_objective
def test_a_schedule_of_one_stage_is_that_stage(name):
    found, _ = ran(name)
    same(found["bare"], found["schedule"])


@every_objective
def test_parameters_without_width_are_the_plug_in_model(name):
    if name == "fivo":
        pytest.skip("which particles are chosen hinges on rounding")
    found, ways = ran(name)
    (bare, kept, bound), (around, kept_too, bound_too) = found["bare"], found["vb"]
    kl = ways["vb"][1].model.kl() / N
    same(kept, kept_too)
    same(bound - kl, bound_too, 1e-4)
    same((bare.bound - kl, bare.info), (around.bound, around.info), 1e-4)
    same(plus_normal(bare.grads, ways["bare"][1]).model, around.grads.model.mean, 1e-4)
    same(bare.grads.posterior, around.grads.posterior, 1e-4)


@pytest.mark.parametrize("name", one_of_each())
def test_wrappers_say_what_the_objective_says(name):
    bare = CASES[name].objective
    for around in (map_estimate(bare, n=N), full_vb(bare, n=N), schedule([(bare, 3)])):
        assert around.updates == bare.updates
        assert around.requires == bare.requires
        assert around.draws == bare.draws
        assert around.at(2).reports == bare.at(2).reports
        assert around.warning({"classifier_accuracy": 1.0}) == bare.warning(
            {"classifier_accuracy": 1.0}
        )
