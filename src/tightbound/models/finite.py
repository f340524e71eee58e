"""Models whose latent variable takes finitely many values: log p(x) as a sum over all of them.

log p(x) = log sum_s p(z_s) p(x|z_s), exact up to rounding. Dempster, Laird & Rubin 1977; Arthur &
Vassilvitskii 2007 for the first means of a mixture.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import Data
from tightbound.core.streams import as_key, stream, streams
from tightbound.data import DataLike, Dataset, as_table, check_amounts, check_values
from tightbound.distributions import (
    AbstractFinite,
    Bernoulli,
    BernoulliComponents,
    BernoulliPrior,
    Categorical,
    GaussianComponents,
)
from tightbound.distributions.finite import MAX_UNITS
from tightbound.likelihoods import TableComponents
from tightbound.models.model import Model
from tightbound.networks import MLP, Dense

FAMILIES = ("bernoulli", "categorical")
ENTRIES = 2**23
"""Most numbers that are held at once for data and all latent values."""


def check_finite(model: Model) -> AbstractFinite:
    """The model's prior, if its values can be enumerated.

    Raises:
        UsageError: The latent variable is continuous, or has too many values.
    """
    prior = model.prior
    if not isinstance(prior, AbstractFinite):
        raise UsageError(
            "the sum over latent values needs finitely many of them: expected a Categorical prior "
            f"or a BernoulliPrior, got {type(prior).__name__}; estimate log p(x) with tb.evaluate"
        )
    if prior.states > 2**MAX_UNITS:
        raise UsageError(
            f"expected at most {2**MAX_UNITS} latent values to enumerate ({MAX_UNITS} binary "
            f"units), got {prior.states}; estimate log p(x) with tb.evaluate"
        )
    return prior


def enumerated_log_joint(model: Model, x: Data) -> Float[Array, "n s"]:
    """Log p(x, z_s) in nats for every value of the latent variable, in the prior's order."""
    values = check_finite(model).enumerate()
    return jax.vmap(lambda x: jax.vmap(lambda z: model.log_joint(x, z))(values))(x)


def log_evidence(model: Model, x: Data) -> Float[Array, " n"]:
    """Log p(x) in nats per datum, all data at once."""
    return jax.nn.logsumexp(enumerated_log_joint(model, x), axis=1)


def responsibilities(model: Model, x: Data) -> Float[Array, "n s"]:
    """The exact posterior p(z_s|x) of every latent value; each row sums to one."""
    return jax.nn.softmax(enumerated_log_joint(model, x), axis=1)


def items_at_once(model: Model, width: int) -> int:
    """Number of data whose sums over all latent values fit into memory together."""
    return max(1, ENTRIES // (check_finite(model).states * numbers_of_each(model, width)))


def numbers_of_each(model: Model, width: int) -> int:
    """What a datum takes for one latent value: of a full covariance a matrix of its own."""
    matrices = isinstance(model.likelihood, GaussianComponents | TableComponents)
    return width**2 if matrices else width


def gaussian_mixture(
    data: Dataset | DataLike, *, components: int, key: int | PRNGKeyArray = 0
) -> Model:
    """A mixture of Gaussians with full covariances, to be fitted by `tb.em` or `tb.fit`.

    All components start with equal weights and the covariance of the data (its diagonal raised by
    a millionth of the mean variance), at means that are spread over the data: each is a datum,
    drawn with probability proportional to the squared distance to the nearest mean so far, in
    units of each column's standard deviation (k-means++).

    Args:
        data: A data set, or its training array of shape (n, d).
        components: Number K of Gaussians.
        key: Seed or key of the draws of the means.

    Returns:
        `Model(Categorical, GaussianComponents)`; it has no posterior: pass `None` to `tb.fit`.

    Raises:
        UsageError: Fewer data than components, or data without spread.
    """
    train = _train(data, components)
    centred = np.asarray(train, np.float64) - train.mean(axis=0, dtype=np.float64)
    covariance = centred.T @ centred / len(train)
    variance = float(np.trace(covariance)) / train.shape[1]
    if not variance > 0:
        raise UsageError("expected data with some spread to place Gaussians in, got equal rows")
    covariance += 1e-6 * variance * np.eye(train.shape[1])
    chosen = spread(
        centred / np.sqrt(np.diag(covariance)),
        np.ones(len(train)),
        components,
        stream(as_key(key), "gaussian_mixture.spread"),
    )
    likelihood = GaussianComponents.from_covariances(
        jnp.asarray(train[chosen], jnp.float32),
        jnp.repeat(jnp.asarray(covariance, jnp.float32)[None], components, axis=0),
    )
    return Model(Categorical(jnp.zeros(components)), likelihood)


def bernoulli_mixture(
    data: Dataset | DataLike, *, components: int, key: int | PRNGKeyArray = 0
) -> Model:
    """A mixture of products of Bernoullis, to be fitted by `tb.em` or `tb.fit`.

    All components start with equal weights, and each with probabilities half-way between the mean
    of the data (within 0.001 of neither 0 nor 1) and a datum; the data are drawn as for
    `gaussian_mixture`.

    Args:
        data: A data set, or its training array of shape (n, d) with values in [0, 1].
        components: Number K of components.
        key: Seed or key of the draws of the data.

    Returns:
        `Model(Categorical, BernoulliComponents)`; it has no posterior: pass `None` to `tb.fit`.

    Raises:
        UsageError: Fewer data than components, or values outside [0, 1].
    """
    train = _train(data, components)
    check_values(train, "unit", "the training data of a Bernoulli likelihood")
    values = np.asarray(train, np.float64)
    of_spread = stream(as_key(key), "bernoulli_mixture.spread")
    chosen = spread(values, np.ones(len(values)), components, of_spread)
    logits = _logits(0.5 * (values[chosen] + values.mean(axis=0)))
    return Model(Categorical(jnp.zeros(components)), BernoulliComponents(logits))


def finite_autoencoder(
    data: Dataset | DataLike,
    *,
    latent: int = 8,
    family: str = "bernoulli",
    hidden: Sequence[int] = (200, 200),
    activation: str = "tanh",
    key: int | PRNGKeyArray = 0,
) -> Model:
    """A network p(x|z) over binary pixels whose latent values can be enumerated.

    Args:
        data: A data set, or its training array of shape (n, d) with values in [0, 1]; sets the
            item size and the output bias, as for `tb.autoencoder`.
        latent: Number of binary units J (2^J values, J at most 16), or of categories K.
        family: "bernoulli" (independent units) or "categorical" (one-hot).
        hidden: Widths of the deterministic layers from z to x.
        activation: Name of the activation of the deterministic units.
        key: Seed or key of the initialisation (Glorot & Bengio 2010; zero biases).

    Returns:
        The model, with a learnable prior that starts uniform. It has no posterior: train it with
        `tb.fit(model, None, x, objective=tb.objectives.exact())`, or pass a posterior of yours.

    Raises:
        UsageError: An unknown family, sizes below one, or too many latent values.
    """
    train = _train(data, 1)
    check_values(train, "unit", "the training data of a Bernoulli likelihood")
    if family not in FAMILIES:
        raise UsageError(f"expected a family out of {', '.join(FAMILIES)}, got {family!r}")
    if latent < 1 or any(width < 1 for width in hidden):
        raise UsageError(f"expected sizes >= 1, got latent={latent}, hidden={tuple(hidden)}")
    trunk_key, head_key = streams(as_key(key), "finite.trunk", "finite.head")
    trunk = MLP.glorot(latent, tuple(hidden), activation=activation, key=trunk_key)
    head = Dense.glorot((latent, *hidden)[-1], train.shape[1], key=head_key)
    bias = _logits(train.mean(axis=0, dtype=np.float64))
    prior = (BernoulliPrior if family == "bernoulli" else Categorical)(jnp.zeros(latent))
    model = Model(prior, Bernoulli(trunk, Dense(head.weight, bias)))
    check_finite(model)
    return model


def _train(data: Dataset | DataLike, components: int) -> Float[np.ndarray, "n d"]:
    if isinstance(data, Dataset):
        check_amounts(data.schema, "a finite model")
    train = as_table(data.train if isinstance(data, Dataset) else data, "the training data")
    if not 1 <= components <= len(train):
        raise UsageError(
            f"expected components between 1 and {len(train)}, the number of data, got {components}"
        )
    return train


def _logits(p: Float[np.ndarray, "*s"]) -> Float[Array, "*s"]:
    """Logits of probabilities that are kept away from 0 and 1."""
    p = np.clip(p, 0.001, 0.999)
    return jnp.asarray(np.log(p) - np.log1p(-p), jnp.float32)


def spread(
    x: Float[np.ndarray, "n d"], weights: Float[np.ndarray, " n"], count: int, key: PRNGKeyArray
) -> list[int]:
    """Rows that are far apart, on the host, of those that have weight: k-means++ seeding.

    Reference: Arthur & Vassilvitskii 2007, SODA, section 2.2.
    """
    chosen, distance = [], np.ones(len(x))
    for uniform in np.asarray(jax.random.uniform(key, (count,)), np.float64):
        total = np.cumsum(distance * weights)
        if not total[-1] > 0:  # fewer different rows than are asked for
            total = np.cumsum(weights)
        row = int(np.searchsorted(total, uniform * total[-1], side="right"))
        chosen.append(min(row, len(x) - 1))
        to_last = np.sum((x - x[chosen[-1]]) ** 2, axis=1)
        distance = to_last if len(chosen) == 1 else np.minimum(distance, to_last)
    return chosen
