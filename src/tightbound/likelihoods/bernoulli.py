"""Bernoulli likelihoods for binary values, or grey ones that are binarised.

Kingma & Welling 2013, arXiv 1312.6114, appendix C.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import streams
from tightbound.core.supports import UNIT
from tightbound.data import check_values
from tightbound.distributions import Bernoulli
from tightbound.likelihoods.registry import Likelihood
from tightbound.networks import Body, Dense


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
