"""Whether parts take data with missing values or conditions: found by asking them for one datum."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tightbound.core.errors import UsageError
from tightbound.core.items import Datum, One
from tightbound.data import Source
from tightbound.distributions import AbstractConditional
from tightbound.models.bayesian import Bayesian, plug_in
from tightbound.models.model import Model
from tightbound.models.shapes import item_shape, like_condition, like_z


def check_model(model: Model | Bayesian, data: Source) -> None:
    """Refuses a likelihood without a marginal of the values that are there, or without the c.

    Raises:
        UsageError: What it lacks.
    """
    if _plain(data):
        return
    plain = plug_in(model)
    z = like_z(plain)
    _asked(
        lambda: eqx.filter_eval_shape(plain.log_joint, _datum(plain, data), z),
        f"the model's {type(plain.likelihood).__name__}",
        data,
        "a likelihood that is given tightbound.core.items.Given(z, condition)",
    )


def check_posterior(
    model: Model | Bayesian, posterior: AbstractConditional | None, data: Source
) -> None:
    """Refuses a posterior that cannot be given such a datum.

    Raises:
        UsageError: What such a posterior is given, and what it did with it.
    """
    if posterior is None or _plain(data):
        return
    _asked(
        lambda: eqx.filter_eval_shape(
            lambda x, key: posterior.sample(x, key=key),
            _datum(plug_in(model), data),
            jax.random.key(0),
        ),
        type(posterior).__name__,
        data,
        "a posterior that takes tightbound.core.items.Datum(x, observed, condition) in place of an "
        "array x (tightbound.networks.read(network, given) gives a network its values)",
    )


def _asked(ask: Callable[[], Any], name: str, data: Source, expected: str) -> None:
    try:
        ask()
    except UsageError:
        raise
    except Exception as error:  # the parts' own code runs here
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        have = " and ".join(
            what for what, there in (("missing values", data.missing),
                                     ("conditions", data.conditions is not None)) if there
        )  # fmt: skip
        raise UsageError(
            f"data have {have}, and {name} fails with them: expected {expected}: {reason}"
        ) from error


def _plain(data: Source) -> bool:
    return not data.missing and data.conditions is None


def _datum(model: Model, data: Source) -> One:
    shape = item_shape(model)
    observed = jnp.ones(shape, bool) if data.missing else None
    return Datum(jnp.zeros(shape), observed, like_condition(model))
