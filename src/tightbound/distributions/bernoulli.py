"""Bernoulli conditionals with network logits, and the Bernoulli prior.

Kingma & Welling 2013, arXiv 1312.6114, appendix C eq. 11, written in the logits. NumPyro's
density gives infinities outside {0, 1}, at a cost and against strict promotion; here values are
checked once, where data enter.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.data import check_values
from tightbound.distributions.abstract import AbstractExplicit
from tightbound.distributions.likelihood import Likelihood
from tightbound.errors import UsageError
from tightbound.items import One
from tightbound.networks import Body, Dense, Head, read
from tightbound.randomness import streams
from tightbound.supports import BINARY, UNIT


class Bernoulli(AbstractExplicit):
    """Independent pixels in {0, 1} with logits `head(trunk(given))`."""

    trunk: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    logits: Head

    @property
    def support(self) -> str:
        """Where values must lie."""
        return BINARY

    @property
    def reparameterized(self) -> bool:
        """Draws are discrete."""
        return False

    def sample(self, given: One, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw as floats in {0, 1}; not differentiable in the parameters."""
        return draw(self.mean(given), key=key)

    def log_prob(self, value: Float[Array, " dim"], given: One) -> Float[Array, ""]:
        """Log-mass in nats; `value` must be binary, which is checked where data enter."""
        return log_mass(value, self.logits(read(self.trunk, given)))

    def log_prob_each(self, value: Float[Array, " dim"], given: One) -> Float[Array, " dim"]:
        """Log-mass of each pixel in nats."""
        return log_mass_each(value, self.logits(read(self.trunk, given)))

    def mean(self, given: One) -> Float[Array, " dim"]:
        """The probabilities of a one."""
        return jax.nn.sigmoid(self.logits(read(self.trunk, given)))


def draw(p: Float[Array, " dim"], *, key: PRNGKeyArray) -> Float[Array, " dim"]:
    """Independent values in {0, 1} as floats, with probabilities p of a one."""
    return jnp.astype(jax.random.uniform(key, p.shape) < p, p.dtype)


def log_mass(value: Float[Array, " dim"], logits: Float[Array, " dim"]) -> Float[Array, ""]:
    """Log-mass of independent values in {0, 1}, in nats."""
    return jnp.sum(log_mass_each(value, logits))


def log_mass_each(
    value: Float[Array, " dim"], logits: Float[Array, " dim"]
) -> Float[Array, " dim"]:
    """Log-mass of each of them, in nats."""
    # softplus by hand: jax.nn.softplus does not fuse, and costs as much as a matrix product.
    # Half the sum, not max(logits, 0): its slope at zero would add up to 0 in place of 1/2.
    size = jnp.abs(logits)
    softplus = 0.5 * (logits + size) + jnp.log1p(jnp.exp(-size))
    return value * logits - softplus


def _of(body: Body, train: Float[np.ndarray, "n d"], key: PRNGKeyArray) -> Bernoulli:
    """A likelihood for binary or grey data; the bias of a dense head starts at their mean."""
    try:
        check_values(train, UNIT, "the training data of a Bernoulli likelihood", holes=True)
    except UsageError as error:
        raise UsageError(f"{error}; likelihood='gaussian' is for values like these") from None
    trunk_key, head_key = streams(key, "autoencoder.visible.trunk", "autoencoder.visible.head")
    trunk, (head,) = body.build({"the logits": train.shape[1]}, trunk_key, [head_key])
    if isinstance(head, Dense):
        mean = np.clip(np.nanmean(train, axis=0, dtype=np.float64), 0.001, 0.999)
        bias = jnp.asarray(np.log(mean) - np.log1p(-mean), dtype=jnp.float32)
        head = Dense(head.weight, bias)
    return Bernoulli(trunk, head)


LIKELIHOODS = {
    "bernoulli": Likelihood("binary values; grey values are binarised first", _of),
}
