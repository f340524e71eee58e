"""Bernoulli likelihoods for binary values, or grey ones that are binarised.

Kingma & Welling 2013, arXiv 1312.6114, appendix C.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import streams
from tightbound.core.supports import BINARY, UNIT, Support
from tightbound.data import check_values
from tightbound.distributions import Bernoulli
from tightbound.distributions.bernoulli import draw, log_mass_each
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values, like
from tightbound.networks import Body, Dense, Fixed, Piece, Shifted


def _of(body: Body, train: Float[np.ndarray, "n d"], key: PRNGKeyArray) -> Bernoulli:
    """A likelihood for binary or grey data; the bias of a dense head starts at their mean."""
    try:
        check_values(train, UNIT, "the training data of a Bernoulli likelihood", holes=True)
    except UsageError as error:
        raise UsageError(f"{error}; likelihood='gaussian' is for values like these") from None
    trunk_key, head_key = streams(key, "autoencoder.visible.trunk", "autoencoder.visible.head")
    trunk, (head,) = body.build({"the logits": train.shape[1]}, trunk_key, [head_key])
    mean = np.clip(np.nanmean(train, axis=0, dtype=np.float64), 0.001, 0.999)
    logits = (np.log(mean) - np.log1p(-mean)).astype(np.float32)
    if isinstance(head, Dense):
        head = Dense(head.weight, jnp.asarray(logits))
    elif isinstance(head, Piece) and body.own is None:
        head = Shifted(head, Fixed.of(logits))
    return Bernoulli(trunk, head)


class BernoulliColumns(AbstractUnivariate):
    """1 with probability sigmoid(l + a), with l of the training column and a free number a."""

    logit: Fixed
    """l."""

    @property
    def size(self) -> int:
        """A."""
        return 1

    @property
    def levels(self) -> int:
        """Two."""
        return 2

    @property
    def supports(self) -> tuple[Support, ...]:
        """0 or 1."""
        return (BINARY,) * self.logit.bits.shape[0]

    @property
    def centre_is(self) -> str:
        """The more probable level."""
        return "mode"

    def log_probs(self, free: Free) -> Float[Array, "m levels"]:
        """Log-mass of 0 and of 1 in nats."""
        logit = self._logit(free)
        return jnp.stack([jax.nn.log_sigmoid(-logit), jax.nn.log_sigmoid(logit)], axis=1)

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-mass in nats."""
        return log_mass_each(values, self._logit(free))

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """0 or 1, as floats."""
        return draw(jax.nn.sigmoid(self._logit(free)), key=key)

    def mean(self, free: Free) -> Values:
        """The more probable of 0 and 1."""
        return (self._logit(free) > 0).astype(free.dtype)

    def _logit(self, free: Free) -> Values:
        return like(self.logit, free) + free[:, 0]


def _columns(part: Part) -> BernoulliColumns:
    part.check(BINARY)
    known = (~np.isnan(part.values)).sum(axis=0)
    share = (np.nansum(part.values, axis=0) + 0.5) / (known + 1.0)
    return BernoulliColumns(Fixed.of(np.log(share) - np.log1p(-share)))


LIKELIHOODS = {
    "bernoulli": Likelihood(
        "binary values; grey values are binarised first", _of, univariate=_columns
    ),
}
