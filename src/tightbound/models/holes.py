"""Whether parts take data with missing values: found by asking them for one, before all else."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tightbound.core.errors import UsageError
from tightbound.core.items import Datum
from tightbound.distributions import AbstractConditional
from tightbound.models.bayesian import Bayesian, plug_in
from tightbound.models.model import Model
from tightbound.models.shapes import item_shape, like_z


def check_likelihood(model: Model | Bayesian) -> None:
    """Refuses a likelihood without a marginal of the values that are there.

    Raises:
        UsageError: What it lacks.
    """
    plain = plug_in(model)
    eqx.filter_eval_shape(lambda x, z: plain.log_likelihood(x, z), _datum(plain), like_z(plain))


def check_posterior(model: Model | Bayesian, posterior: AbstractConditional | None) -> None:
    """Refuses a posterior that cannot be given a datum with missing values.

    Raises:
        UsageError: What such a posterior is given, and what it did with it.
    """
    if posterior is None:
        return
    try:
        eqx.filter_eval_shape(
            lambda x, key: posterior.sample(x, key=key), _datum(plug_in(model)), jax.random.key(0)
        )
    except UsageError:
        raise
    except Exception as error:  # the posterior's own code runs here
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise UsageError(
            f"data have missing values, and {type(posterior).__name__} fails with them: expected a "
            "posterior that takes tightbound.items.Datum(x, observed) in place of an array x "
            f"(tightbound.networks.read(network, given) gives a network its values): {reason}"
        ) from error


def _datum(model: Model) -> Any:
    shape = item_shape(model)
    return Datum(jnp.zeros(shape), jnp.ones(shape, bool))
