"""Models that others have trained, given by their log-joint as a plain function on arrays."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.core.errors import at_least
from tightbound.distributions import AbstractExplicit, NoPrior, from_functions
from tightbound.distributions.functions import called_for_one
from tightbound.models.model import Model


class _LessPrior(eqx.Module):
    """Log p(x|z) = log p(x, z) - log p(z), or the log-joint itself where no prior is known."""

    log_joint: Callable[..., Any]
    prior: AbstractExplicit

    def __call__(self, x: Any, z: Any) -> Float[Array, ""]:
        log_joint = called_for_one(self.log_joint, "log_joint(x, z)", x, z)
        log_prior = self.prior.log_prob(z, None)
        # Outside the prior's support both are -inf, and so must the difference be.
        return jnp.where(jnp.isneginf(log_prior), log_joint, log_joint - log_prior)


def from_log_joint(
    log_joint: Callable[..., Any],
    columns: int,
    *,
    prior: AbstractExplicit | None = None,
    sample: Callable[..., Any] | None = None,
    support: str = "real",
) -> Model:
    """Makes a model from log p(x, z), a function in `jax.numpy` of one datum and one draw.

    `tb.evaluate` and the jackknife need nothing else. A model whose prior and likelihood are
    known apart is `tb.Model(prior, tb.distributions.from_functions(...))`; see there for what
    functions may be, and what becomes of the arrays in them.

    Args:
        log_joint: (x, z) to log p(x, z) in nats, of shape (); x is of shape (columns,), and z as
            the posterior (or prior) draws it.
        columns: Number of columns of the data.
        prior: p(z), such as `tb.distributions.StandardNormal(5)`: the part of the log-joint that
            does not depend on x. Estimators that start at the prior need it, and say so.
        sample: (z, key) to one draw x of p(x|z); `tb.sandwich` needs it, and the prior.
        support: Where x lies: "binary", "unit", "positive" or "real". Grey values are binarised
            for "binary" as for a Bernoulli likelihood.

    Returns:
        A model for all of `tb.evidence`; its likelihood is the log-joint less the prior.

    Raises:
        UsageError: An unknown support, or columns < 1. When it is used: a log-joint that is no
            single number, or that JAX cannot trace.
    """
    at_least(1, columns=columns)
    prior = NoPrior() if prior is None else prior
    likelihood = from_functions(
        log_prob=_LessPrior(log_joint, prior), sample=sample, support=support, dim=columns
    )
    return Model(prior, likelihood)
