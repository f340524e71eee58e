"""One line for each objective with each of its bounds and gradients: the laws run on all of them.

A new bound, gradient or objective is named here; `test_completeness.py` fails until it is. So are
likelihoods, networks and named data sets, for the laws in `test_parts.py`.
"""

from typing import Any, NamedTuple

import numpy as np

from tightbound import bounds, evidence, networks, objectives
from tightbound.data import Dataset
from tightbound.data.schema import Column, Schema
from tightbound.gradients import DoublyReparameterized, SingleSample, by_name
from tightbound.objectives import AbstractObjective
from tightbound.objectives.multisample.multisample import Multisample
from tightbound.objectives.registry import all_objectives
from tightbound.objectives.wake.sleep import Sleep
from tightbound.objectives.wrappers.map_estimate import MAP

K = 5
# Bounds see log-weights alone: several layers are for the gradients to get right.
ONE = (1,)


class Case(NamedTuple):
    """An objective, and what is true of it."""

    name: str
    """The objective's, or the class of a bound that no objective makes."""
    options: dict[str, Any]
    layers: tuple[int, ...] = (1, 2)
    """Numbers of stochastic layers for which it exists."""
    reference: str | None = None
    """The case whose gradient is the total derivative of the same bound; this one by default."""
    posterior_reference: str | None = None
    """The same for the posterior's part, where that follows another bound."""
    unbiased: bool = True
    """The gradient's mean is that of the reference."""
    exact: bool = True
    """At the exact posterior the bound is log p(x) for each draw."""
    vanishes: bool = False
    """At the exact posterior the posterior's gradient is zero for each draw."""

    @property
    def objective(self) -> AbstractObjective:
        if self.named:
            return getattr(objectives, self.name)(**self.options)
        options = {"gradient": "reparameterized", **self.options}
        k, gradient = options.pop("k"), by_name(options.pop("gradient"))
        return Multisample(self.name, getattr(bounds, self.name)(**options), gradient, k)

    @property
    def named(self) -> bool:
        """An objective of this name makes it."""
        return self.name in all_objectives()

    @property
    def total(self) -> bool:
        """The gradient is the total derivative of the reported bound."""
        of_itself = self.posterior_reference is None and "gradient" not in self.options
        return of_itself and not self.at_random and not isinstance(self.objective, Sleep | MAP)

    @property
    def weighs(self) -> bool:
        """The gradient is given by weights on all draws."""
        return isinstance(self.objective, Multisample) and not self.at_random

    @property
    def at_random(self) -> bool:
        """Draws to differentiate are chosen at random."""
        return isinstance(getattr(self.objective, "gradient", None), SingleSample)


CASES = {
    # No draws and no posterior: its laws stand in tests/finite/.
    "exact": Case("exact", {}, layers=()),
    "elbo-A": Case("elbo", {"samples": K}),
    "elbo-A-stl": Case(
        "elbo", {"samples": K, "gradient": "stl"}, reference="elbo-A", vanishes=True
    ),
    "elbo-A-dreg": Case(
        "elbo", {"samples": K, "gradient": "dreg"}, reference="elbo-A", vanishes=True
    ),
    "elbo-A-single": Case("elbo", {"samples": K, "gradient": "single_sample"}, reference="elbo-A"),
    "elbo-A-score": Case(
        "elbo", {"samples": K, "gradient": "score_function"}, layers=ONE, reference="elbo-A"
    ),
    "elbo-A-vimco": Case("elbo", {"samples": K, "gradient": "vimco"}, reference="elbo-A"),
    "elbo-B": Case(
        "elbo", {"estimator": "B", "samples": K}, layers=(1,), reference="elbo-A", exact=False
    ),
    "iwae": Case("iwae", {"k": K}),
    "iwae-stl": Case(
        "iwae", {"k": K, "gradient": "stl"}, reference="iwae", unbiased=False, vanishes=True
    ),
    "iwae-dreg": Case("iwae", {"k": K, "gradient": "dreg"}, reference="iwae", vanishes=True),
    "iwae-single": Case("iwae", {"k": K, "gradient": "single_sample"}, reference="iwae"),
    "iwae-dreg@4": Case(
        "iwae",
        {"k": K, "gradient": SingleSample(DoublyReparameterized(), draws=4)},
        reference="iwae",
        vanishes=True,
    ),
    "iwae-score": Case("iwae", {"k": K, "gradient": "score_function"}, reference="iwae"),
    "iwae-score-cv": Case(
        "iwae", {"k": K, "gradient": "score_function_cv"}, layers=ONE, reference="iwae"
    ),
    "iwae-vimco": Case("iwae", {"k": K, "gradient": "vimco"}, reference="iwae"),
    "iwae-wake": Case("iwae", {"k": K, "gradient": "wake"}, reference="iwae", unbiased=False),
    "iwae-wake-dreg": Case(
        "iwae",
        {"k": K, "gradient": "wake_dreg"},
        reference="iwae",
        posterior_reference="iwae-wake",
        vanishes=True,
    ),
    "iwae-6": Case("iwae", {"k": 6}),
    "miwae": Case("miwae", {"m": 3, "k": 2}),
    "miwae-dreg": Case(
        "miwae", {"m": 3, "k": 2, "gradient": "dreg"}, layers=ONE, reference="miwae", vanishes=True
    ),
    "miwae-vimco": Case(
        "miwae", {"m": 3, "k": 2, "gradient": "vimco"}, layers=ONE, reference="miwae"
    ),
    "piwae": Case(
        "piwae", {"m": 3, "k": 2}, layers=ONE, reference="iwae-6", posterior_reference="miwae"
    ),
    "piwae-dreg": Case(
        "piwae",
        {"m": 3, "k": 2, "gradient": "dreg"},
        reference="iwae-6",
        posterior_reference="miwae",
        vanishes=True,
    ),
    "ciwae": Case("ciwae", {"k": K, "beta": 0.3}, layers=ONE),
    "ciwae-dreg": Case(
        "ciwae",
        {"k": K, "beta": 0.3, "gradient": "dreg"},
        layers=ONE,
        reference="ciwae",
        vanishes=True,
    ),
    "ciwae-score": Case(
        "ciwae", {"k": K, "beta": 0.3, "gradient": "score_function"}, layers=ONE, reference="ciwae"
    ),
    "vr": Case("vr", {"k": K, "alpha": 0.5}, layers=ONE),
    "vr-dreg": Case(
        "vr", {"k": K, "alpha": 0.5, "gradient": "dreg"}, layers=ONE, reference="vr", vanishes=True
    ),
    "vr-below-zero": Case("vr", {"k": K, "alpha": -1.0}, layers=ONE),
    "vr-below-zero-dreg": Case(
        "vr",
        {"k": K, "alpha": -1.0, "gradient": "dreg"},
        layers=ONE,
        reference="vr-below-zero",
        vanishes=True,
    ),
    "jvi-1": Case("jvi", {"k": K, "order": 1}, layers=ONE),
    "jvi-1-dreg": Case(
        "jvi",
        {"k": K, "order": 1, "gradient": "dreg"},
        layers=ONE,
        reference="jvi-1",
        vanishes=True,
    ),
    "jvi-2": Case("jvi", {"k": K, "order": 2}, layers=ONE),
    "jvi-2-dreg": Case(
        "jvi",
        {"k": K, "order": 2, "gradient": "dreg"},
        layers=ONE,
        reference="jvi-2",
        vanishes=True,
    ),
    "jvi-1-vimco": Case(
        "jvi", {"k": K, "order": 1, "gradient": "vimco"}, layers=ONE, reference="jvi-1"
    ),
    "combined": Case(
        "combined", {"k": K}, layers=ONE, reference="iwae", posterior_reference="elbo-A"
    ),
    "combined-stl": Case(
        "combined",
        {"k": K, "gradient": "stl"},
        reference="iwae",
        posterior_reference="elbo-A",
        vanishes=True,
    ),
    "wake-sleep": Case("wake_sleep", {"samples": K}, reference="elbo-A", unbiased=False),
    "rws": Case("rws", {"k": K}, reference="iwae", posterior_reference="iwae-wake", layers=ONE),
    "rws-both": Case("rws", {"k": K, "phi": "both"}, reference="iwae", unbiased=False, layers=ONE),
    # For models known by draws: tests/objectives/test_npe.py.
    "npe": Case("npe", {}, layers=()),
    "schedule": Case("schedule", {"stages": [(objectives.iwae(K), 3)]}, reference="iwae"),
    "annealed": Case("annealed", {"epochs": 4, "samples": K, "start": 1.0}, reference="elbo-A"),
    # Their laws stand in tests/objectives/test_free_bits.py, tests/training/test_mcem.py and
    # tests/objectives/test_full_vb.py.
    "free-bits": Case("free_bits", {}, layers=()),
    # Its laws stand in tests/models/test_labelled.py.
    "m2": Case("m2", {}, layers=()),
    "mcem": Case("mcem", {}, layers=()),
    "full-vb": Case("full_vb", {"objective": objectives.elbo(samples=K), "n": 10}, layers=()),
    # Of implicit parts: their laws stand in tests/objectives/implicit/.
    "pc-adv": Case("pc_adv", {}, layers=()),
    "jc-adv": Case("jc_adv", {}, layers=()),
    "jc-adv-rmd": Case("jc_adv_rmd", {}, layers=()),
    "pc-den": Case("pc_den", {}, layers=()),
    "jc-den": Case("jc_den", {}, layers=()),
    "hybrid": Case("hybrid", {}, layers=()),
    "ali": Case("ali", {}, layers=()),
    "opvi": Case("opvi", {}, layers=()),
    "amortized-map": Case("amortized_map", {}, layers=()),
    # For mixtures: tests/models/test_proposals.py.
    "stratified": Case("stratified", {"samples": 2}, layers=()),
    # For sequences: tests/objectives/test_fivo.py.
    "fivo": Case("fivo", {"k": K}, layers=()),
    # For semi-implicit posteriors: tests/semi_implicit/.
    "sivi": Case("sivi", {"k": K}, layers=()),
    "uivi": Case("uivi", {}, layers=()),
    "dsivi": Case("dsivi", {"k": K, "prior_k": K}, layers=()),
    "iwhvi": Case("iwhvi", {"k": K}, layers=()),
    "map": Case(  # Its model part has a reference of its own, in tests/training/test_map.py.
        "map_estimate",
        {"objective": objectives.elbo(samples=K), "n": 10},
        layers=(),
    ),
}

ESTIMATORS = {
    "AIS": {"temperatures": 100, "chains": 16},
    "AdaptiveSampling": {"method": evidence.AMIS(each=50, rounds=3)},
    "Exact": {},
    "HMCDensity": {"chains": 30, "transitions": 10},
    "JackknifeSampling": {"k": 50, "order": 2},
    "ParticleFilter": {"particles": 50, "filters": 16},
    "PriorSampling": {"k": 500},
}
"""One line for each estimator of evidence that is a value, with settings."""

MIXED = (
    Column("height", "real"),
    Column("income", "positive"),
    Column("visits", "count"),
    Column("colour", "category", levels=("red", "green", "blue")),
    Column("grade", "ordinal", levels=("low", "middle", "high", "top")),
    Column("member", "binary", levels=("no", "yes")),
    Column("share", "bounded", low=0.0, high=1.0),
)
"""A column of each kind."""


UNIFORM_TABLE = np.random.default_rng(0).random((40, 36)).astype(np.float32)


def mixed_table(u):
    """A data set with a column of each kind, from uniform values of at least 7 columns."""
    of_kind = (
        lambda u: 4 * u - 2, np.exp, lambda u: np.floor(9 * u**3), lambda u: np.floor(3 * u),
        lambda u: np.floor(4 * u), np.round, lambda u: u,
    )  # fmt: skip
    x = np.stack([f(u[:, i]) for i, f in enumerate(of_kind)], axis=1).astype(np.float32)
    return table_of(x, Schema(MIXED))


def table_of(x, schema):
    """A data set of rows that a schema is for."""
    return Dataset(
        name="mixed", train=x, validation=x[:5], test=x[5:10], shape=x.shape[1:], units="real",
        split="none", checksum="unverified", columns=schema.names, schema=schema,
    )  # fmt: skip


LIKELIHOODS = {
    "bernoulli": np.round,
    "beta": lambda u: u,
    "categorical": lambda u: np.floor(3 * u),
    "cauchy": lambda u: 4 * u - 2,
    "chi_squared": np.exp,
    "columns": mixed_table,
    "discretised_logistic_mixture": lambda u: np.floor(9 * u),
    "discretised_logistic": lambda u: np.floor(9 * u),
    "erlang": np.exp,
    "exponential": np.exp,
    "f": np.exp,
    "gamma": np.exp,
    "gaussian": lambda u: 4 * u - 2,
    "gaussian_column": lambda u: 4 * u - 2,
    "gaussian_fixed(scale=0.5)": lambda u: 4 * u - 2,
    "gaussian_scalar": lambda u: 4 * u - 2,
    "gaussian_unit_mean": lambda u: u,
    "gompertz": np.exp,
    "gumbel": lambda u: 4 * u - 2,
    "laplace": lambda u: 4 * u - 2,
    "log_normal": np.exp,
    "logistic": lambda u: 4 * u - 2,
    "negative_binomial": lambda u: np.floor(9 * u**3),
    "ordinal": lambda u: np.floor(4 * u),
    "pareto": np.exp,
    "poisson": lambda u: np.floor(4 * u),
    "rayleigh": np.exp,
    "reciprocal": np.exp,
    "student_t": lambda u: 4 * u - 2,
    "triangular": lambda u: 4 * u - 2,
    "uniform": lambda u: 4 * u - 2,
    "weibull": np.exp,
    "zero_inflated_negative_binomial": lambda u: np.floor(8 * np.maximum(u - 0.5, 0)),
    "zero_inflated_poisson": lambda u: np.floor(8 * np.maximum(u - 0.5, 0)),
}
"""For each likelihood of `tb.autoencoder`, from uniform values to values that it is for.

A likelihood with options stands as a call; `columns` has a data set with a schema.
"""

NETWORKS = {
    "perceptron": lambda key: networks.MLP.glorot(2, (3, 6), key=key),
    "squashed": lambda key: networks.Squashed(networks.MLP.glorot(2, (6,), key=key)),
    "convolutional": lambda key: networks.Whole(
        networks.Images.of((6, 6), (3,)).decoder(2, 36, inside=False, key=key)
    ),
}
"""From a key to a decoder of 2 latents: to 6 features, or as `Whole` to 36 parameters."""

SOURCES = (
    "binarized_mnist",
    "caltech101_silhouettes",
    "digits",
    "fashion_mnist",
    "frey_faces",
    "jsb_chorales",
    "mnist",
    "omniglot",
)
"""The named data sets."""
