"""A density whose integral is known, posed twice: for tightbound, and as prior and likelihood.

Nested samplers take a map from the unit cube to the parameters (the prior) and a likelihood; they
are written once, for NumPy and for JAX alike (`xp`). What tightbound takes is written as a user
would write it, on its own; a test holds both against each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import special

import tightbound as tb
from benchmarks.evidence.priors import Prior

Rows = Float[np.ndarray, "*batch dim"]
"""Points, one or many: the last axis is a parameter's number."""
LogLikelihood = Callable[[Any, ModuleType], Any]
"""Points of shape (*batch, dim), and `numpy` or `jax.numpy`, to nats of shape (*batch,)."""
Values = Callable[[tb.Model, Any], Any]
"""tightbound's model and one z of it to the parameters of the peers."""


@dataclass(frozen=True)
class Problem:
    """One of the benchmark's densities."""

    name: str
    prior: Prior
    likelihoods: Sequence[LogLikelihood]
    """One; of a model with data, one for each datum, whose mean log-evidence is asked."""
    log_z: float
    """Exact, in nats: log Z, or the mean of log p(x) over the data."""
    known: str
    """How it is known, in words."""
    model: Callable[[], tuple[tb.Model, Float[np.ndarray, "n d"] | None]]
    """What tightbound is given: a target or a model, and the model's data."""
    values: Values
    smooth: bool
    """One mode, and tails like a normal's or lighter."""
    held: bool
    """Never looked at while defaults are tuned."""

    @property
    def dim(self) -> int:
        """Parameters (of a model with data, latents of one datum)."""
        return self.prior.dim


def functions(xp: ModuleType) -> Any:
    """Special functions that go with `numpy` or `jax.numpy`."""
    return special if xp is np else jax.scipy.special


def as_it_is(model: tb.Model, z: Any) -> Any:
    """The parameters are tightbound's z itself."""
    del model
    return z


def of_sites(model: tb.Model, z: Any) -> Any:
    """The parameters are the values of a NumPyro model's sites, one after another."""
    assert isinstance(model, tb.models.NumPyroTarget)
    values = model.constrain(z)
    return jnp.concatenate([jnp.ravel(values[name]) for name in model.sites])
