"""The ELBO of a semi-implicit posterior, which has no density, between two bounds.

With log h(z|x) replaced by the log-mean density of components, z ~ q(z|epsilon_0, x):
lower: epsilon_0 is one of the K + 1 components; upper: K components of fresh noise alone.

Reference: Yin & Zhou 2018, arXiv 1805.11183 (surrogate lower bound, and the upper one of their
code); Molchanov et al. 2019, arXiv 1810.02789 (both as a sandwich).
Bias: the lower bound rises and the upper one falls with K, both to the ELBO. The upper one is the
looser, by many nats where none of K components is near a draw of another.
"""

import math
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data, One
from tightbound.core.streams import item_keys, stream, streams
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional, AbstractSemiImplicit
from tightbound.distributions.components import fresh_noise, log_components
from tightbound.evidence.batches import (
    Batch,
    mean,
    prepared,
    stderr_of_draws,
    stderr_of_mean,
)
from tightbound.evidence.execution import Execution, ExecutionSettings, per_device
from tightbound.models.model import Model
from tightbound.models.weights import split_each

AT_ONCE = 50_000
"""Components of all data and draws together that are held at once by default."""


class SemiImplicitSandwich(NamedTuple):
    """Bounds on the ELBO of q per datum in nats; arrays of shape (n,) on the host.

    For a `Target` the ELBO is log Z - KL(q || p): where Z is 1, KL(q || p) is between -upper and
    -lower.
    """

    lower: Float[np.ndarray, " n"]
    """Also a lower bound on log p(x)."""
    upper: Float[np.ndarray, " n"]
    """Of the ELBO, and none on log p(x)."""
    stderr_lower: Float[np.ndarray, " n"]
    stderr_upper: Float[np.ndarray, " n"]
    gap: Float[np.ndarray, " n"]
    """Upper less lower."""
    stderr_gap: Float[np.ndarray, " n"]
    """Smaller than both others together, since the bounds share their draws."""
    k: int
    """Components of the upper bound; the lower one has one more."""
    draws: int
    """Draws of z per datum."""
    binarisation: str
    seconds: float

    def mean(self, name: str) -> float:
        """Mean over the data of "lower", "upper" or "gap", in nats."""
        return mean(getattr(self, name))

    def stderr_draws(self, name: str) -> float:
        """Standard error of that mean from the finite number of draws."""
        return stderr_of_draws(getattr(self, f"stderr_{name}"))

    def stderr_data(self, name: str) -> float:
        """Standard error of that mean from the finite number of data; NaN for one datum."""
        return stderr_of_mean(getattr(self, name))

    def summary(self) -> str:
        """Both bounds and their gap in a few lines."""
        n = len(self.lower)
        shown = {
            name: f"{self.mean(name):.3f} ± {self.stderr_draws(name):.3f}"
            for name in ("lower", "upper", "gap")
        }
        return "\n".join(
            [
                f"ELBO of q in nats per datum (n={n}; binarisation: {self.binarisation}): "
                f"from {shown['lower']} to {shown['upper']}, gap {shown['gap']}",
                f"  {self.k} fresh components, {self.draws} draws of z for each datum; "
                "standard errors from the draws",
            ]
        )


def semi_implicit_sandwich(
    model: Model,
    posterior: AbstractConditional,
    x: DataLike | None = None,
    *,
    k: int = 1000,
    draws: int = 1000,
    **execution: Unpack[ExecutionSettings],
) -> SemiImplicitSandwich:
    """Bounds the ELBO of a semi-implicit q(z|x) from below and above; nats.

    Each draw has k fresh noises of its own, so that draws are independent and the standard errors
    hold; both bounds use the same draws. Draws are taken in turn, in chunks of 50,000 components:
    memory is constant in them, but for two numbers a draw.

    Args:
        model: p(x, z), or a `Target`.
        posterior: A semi-implicit q(z|x).
        x: Data of shape (n, d); none for a `Target`.
        k: Fresh components per draw.
        draws: Draws of z per datum, at least 2.
        execution: `key`, `binarize`, `batch_size` (by default 50,000 components together),
            `progress` and `resume`: see `tb.evidence.Execution`.

    Raises:
        UsageError: A posterior that is not semi-implicit, a model without log p(x, z), k < 1,
            draws < 2, or data as for `tb.evaluate`.
    """
    run = Execution.of(semi_implicit_sandwich, execution, without=("chunk", "keep"))
    if not isinstance(posterior, AbstractSemiImplicit):
        raise UsageError(
            "the sandwich is for a q(z|x) with an explicit layer given noise: expected a "
            f"semi-implicit posterior, got {type(posterior).__name__}; the ELBO of one with a "
            "density is that of tb.evaluate"
        )
    for slot in ("prior", "likelihood"):
        part = getattr(model, slot)
        if "density" not in part.offers:
            raise UsageError(
                f"the sandwich needs log p(x, z): expected a {slot} with a density, got "
                f"{type(part).__name__}"
            )
    (k,) = at_least(1, k=k)
    (draws,) = at_least(2, draws=draws)
    data = prepared(model, x, run.binarize, run.key)
    at_once = per_device(AT_ONCE, of_each=k)
    batch_size = at_once if run.batch_size is None else run.batch_size
    chunk = max(1, AT_ONCE // (k * min(batch_size, data.n)))

    def one_batch(values: Data, items: Int[Array, " b"]) -> Batch:
        keys = item_keys(stream(data.noise_key, "semi_implicit_sandwich.draws"), items)
        keys = split_each(keys, draws)
        lower, upper = _both(model, posterior, values, keys, k, chunk)
        undefined = jnp.sum(jnp.isnan(lower) | jnp.isnan(upper), axis=1)
        return Batch((lower, upper), undefined)

    lower, upper = run.over(one_batch, data, doing="bounding", at_once=at_once)
    lower, upper = lower.astype(np.float64), upper.astype(np.float64)
    between = upper - lower
    means = [np.mean(values, axis=1) for values in (lower, upper, between)]
    errors = [
        np.std(values, axis=1, ddof=1) / math.sqrt(draws) for values in (lower, upper, between)
    ]
    return SemiImplicitSandwich(
        lower=means[0],
        upper=means[1],
        stderr_lower=errors[0],
        stderr_upper=errors[1],
        gap=means[2],
        stderr_gap=errors[2],
        k=k,
        draws=draws,
        binarisation=data.once,
        seconds=run.seconds,
    )


@filter_jit
def _both(
    model: Model,
    posterior: AbstractSemiImplicit,
    x: Data,
    keys: Key[Array, "n draws"],
    k: int,
    chunk: int,
) -> tuple[Float[Array, "n draws"], Float[Array, "n draws"]]:
    """Lower and upper bound of each draw in nats."""

    def one(x: One, key: PRNGKeyArray) -> tuple[Any, Any]:
        mixing_key, z_key, fresh_key = streams(
            key,
            "semi_implicit_sandwich.mixing",
            "semi_implicit_sandwich.z",
            "semi_implicit_sandwich.fresh",
        )
        own = posterior.sample_mixing(x, key=mixing_key)
        z = posterior.sample_given(own, x, key=z_key)
        fresh = fresh_noise(posterior, x, fresh_key, k)
        without = jax.nn.logsumexp(log_components(posterior, z, fresh, x))
        having = jnp.logaddexp(without, posterior.log_prob_given(z, own, x))
        log_joint = model.log_joint(x, z)
        return log_joint - having + math.log(k + 1), log_joint - without + math.log(k)

    lower, upper = jax.lax.map(
        lambda keys: jax.vmap(one)(x, keys), jnp.swapaxes(keys, 0, 1), batch_size=chunk
    )
    return lower.T, upper.T
