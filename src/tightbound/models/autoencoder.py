"""The autoencoders of AEVB and IWAE: one or more stochastic layers over dense networks.

Kingma & Welling 2013, arXiv 1312.6114, section 3 and appendix C; Burda, Grosse & Salakhutdinov
2015, arXiv 1509.00519, section 5.1 and appendix C.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.data import DataLike, Dataset, as_table, check_values
from tightbound.distributions import (
    AbstractExplicit,
    Bernoulli,
    BottomLayer,
    DiagonalNormal,
    Layered,
    Standardized,
)
from tightbound.errors import UsageError, at_least
from tightbound.models.latents import check_latents, latent_conditional, latent_prior
from tightbound.models.model import Model
from tightbound.models.posteriors import posterior as noise_posterior
from tightbound.names import check_name
from tightbound.networks import MLP, Dense, Standardization, over_layers, standardizing
from tightbound.randomness import as_key, first_keys, stream, streams

LIKELIHOODS = {
    "bernoulli": "binary values; grey values are binarised first",
    "gaussian": "real values, standardised inside; linear means and predicted log-variances",
    "gaussian_unit_mean": "values in [0, 1]; means kept in (0, 1) by a sigmoid (AEVB's Frey faces)",
}
NOISE_DRIVEN = ("implicit", "semi_implicit")
Trunk = Callable[[Float[Array, " n_in"]], Float[Array, " n_out"]]


def autoencoder(
    data: Dataset | DataLike,
    *,
    latent: int | Sequence[int] = 50,
    hidden: Sequence[int] | Sequence[Sequence[int]] = (200, 200),
    layers: int = 1,
    likelihood: str = "bernoulli",
    activation: str = "tanh",
    posterior: str = "normal",
    prior: str | None = None,
    encoder: Trunk | None = None,
    decoder: Trunk | None = None,
    initial: float | None = None,
    key: int | PRNGKeyArray = 0,
) -> tuple[Model, Any]:
    """Builds a model p(x, z) and its posterior q(z|x) for a data set.

    Under "gaussian" the networks see each column standardised by the training data's mean and
    standard deviation, and the likelihood has the log-Jacobian of that: data, densities, draws and
    means are in the data's own units, and a fit does not depend on them.

    Args:
        data: A data set, or its training array of shape (n, d); sets the item size and, for the
            Bernoulli likelihood, the output bias logit(clip(mean, 0.001, 0.999)) per pixel; for
            the Gaussian one, how columns are standardised.
        latent: Size of each stochastic layer, bottom layer first. One number is the size of the
            top layer; every layer below it is twice as wide.
        hidden: Widths of the deterministic layers inside each conditional, bottom layer first.
            One sequence of numbers is that of the bottom layer; above it the widths halve.
        layers: Number of stochastic layers. `layers=2` with the other defaults is the 2-layer
            network of IWAE: 100 and 50 latent units, 200 and 100 deterministic ones.
        likelihood: "bernoulli", "gaussian" or "gaussian_unit_mean".
        activation: Name of the activation of the deterministic units.
        posterior: Family of q(z|x): one of the reparameterisation catalogue, such as "gamma"
            (`tightbound.distributions.FAMILIES`), or "bernoulli" for discrete latents. With
            several layers all conditionals are of this family. With one, "implicit" and
            "semi_implicit" make it a network driven by noise (`tb.posterior`), whose draws may
            lie anywhere.
        prior: Family of p(z), its standard member; "bernoulli" has learned logits. Left out it
            goes by the posterior: mostly the same family.
        encoder: Your own network in place of the bottom deterministic layers of q: any callable
            or Equinox module from one item of shape (d,), standardised under "gaussian", to
            features of shape (h,).
        decoder: Your own network in place of those of p(x|h_1): from (latent,) to (h,). Dense
            heads behind it give the parameters of the values, standardised under "gaussian".
        initial: Standard deviation of the normal from which the weights and biases of all dense
            layers are drawn, as in AEVB; left out, weights are Glorot's (Glorot & Bengio 2010),
            biases zero and the output bias of a Bernoulli likelihood as said above.
        key: Seed or key of the initialisation.

    Returns:
        `(model, posterior)`. With one layer z is an array of shape (latent,); with several it is
        a tuple of arrays, bottom layer first.

    Raises:
        UsageError: An unknown likelihood or family, a posterior whose draws may lie outside the
            prior's support, sizes that do not match `layers`, an `initial` that is not positive,
            or a column whose standard deviation single precision cannot reach.
    """
    train = as_table(data.train if isinstance(data, Dataset) else data, "the training data")
    check_name("likelihood", likelihood, tuple(LIKELIHOODS))
    latents, hiddens = _sizes(latent, hidden, layers)
    noise_driven = posterior in NOISE_DRIVEN
    if noise_driven and (layers > 1 or encoder is not None):
        raise UsageError(
            f"a posterior of the kind {posterior} has one layer and a network of its own: expected "
            "layers=1 and no encoder; build another with tightbound.distributions"
        )
    family = "normal" if noise_driven else posterior
    prior = check_latents(family, prior, latents)
    n_x = train.shape[1]
    root = stream(as_key(key), "autoencoder")
    keys = iter(first_keys(root, 2 * layers))

    units = Standardization.of(train) if likelihood == "gaussian" else None

    q, n_in = [], n_x
    for level, (size, widths) in enumerate(zip(latents, hiddens, strict=True)):
        own, seen_in = (encoder, units) if level == 0 else (None, None)
        q.append(_latent(family, n_in, widths, size, activation, own, next(keys), seen_in))
        n_in = size
    p: list[AbstractExplicit] = [latent_prior(prior, latents[-1])]
    for level in range(layers - 1, 0, -1):
        p.append(
            _latent(
                family,
                latents[level],
                hiddens[level][::-1],
                latents[level - 1],
                activation,
                None,
                next(keys),
            )
        )
    visible = _visible(
        likelihood, train, latents[0], hiddens[0][::-1], activation, decoder, next(keys)
    )
    visible = visible if layers == 1 else BottomLayer(visible)
    visible = visible if units is None else Standardized(visible, units)
    if layers == 1:
        model = Model(p[0], visible)
        parts = model, q[0]
        if noise_driven:
            drawn = {"hidden": hiddens[0], "activation": activation, "key": root}
            parts = model, noise_posterior(model, posterior, **drawn)
    else:
        model = Model(Layered(tuple(p), downwards=True), visible)
        parts = model, Layered(tuple(q), downwards=False)
    return parts if initial is None else _normally_drawn(parts, initial, root)


def _normally_drawn(
    parts: tuple[Model, Any], initial: float, key: PRNGKeyArray
) -> tuple[Model, Any]:
    if not initial > 0:
        raise UsageError(f"expected initial > 0, got {initial}")
    return over_layers(
        lambda layer, key: Dense(layer.weight, layer.bias, float(initial)).fresh(key=key),
        parts,
        stream(key, "autoencoder.initial"),
    )


def _sizes(latent: Any, hidden: Any, layers: int) -> tuple[list[int], list[tuple[int, ...]]]:
    """Sizes per layer, bottom layer first."""
    at_least(1, layers=layers)
    if isinstance(latent, int):
        latents = [latent * 2 ** (layers - 1 - level) for level in range(layers)]
    else:
        latents = [int(size) for size in latent]
    if all(isinstance(width, int) for width in hidden):
        # A width below one is refused below; halving makes none of the others so.
        hiddens = [tuple(min(w, max(1, w // 2**level)) for w in hidden) for level in range(layers)]
    else:
        hiddens = [tuple(int(w) for w in widths) for widths in hidden]
    for name, sizes in (("latent", latents), ("hidden", hiddens)):
        if len(sizes) != layers:
            raise UsageError(
                f"expected {layers} entries of {name} for layers={layers}, got {sizes}"
            )
    if min(latents) < 1 or any(w < 1 for widths in hiddens for w in widths):
        raise UsageError(f"expected sizes >= 1, got latent={latents}, hidden={hiddens}")
    return latents, hiddens


def _trunk(
    n_in: int,
    hidden: tuple[int, ...],
    activation: str,
    own: Trunk | None,
    key: PRNGKeyArray,
    units: Standardization | None = None,
) -> tuple[Trunk, int]:
    """A network of what is given, in units of its own, and the size of its output."""
    if own is None:
        network = MLP.glorot(n_in, hidden, activation=activation, key=key)
        return standardizing(network, units), (n_in, *hidden)[-1]
    shape = eqx.filter_eval_shape(own, jax.ShapeDtypeStruct((n_in,), jnp.float32)).shape
    if len(shape) != 1:
        raise UsageError(
            f"expected your network to map one item of shape ({n_in},) to a vector of features, "
            f"got an output of shape {shape}"
        )
    return standardizing(own, units), shape[0]


def _latent(
    family: str,
    n_in: int,
    hidden: tuple[int, ...],
    size: int,
    activation: str,
    own: Trunk | None,
    key: PRNGKeyArray,
    units: Standardization | None = None,
) -> AbstractExplicit:
    """A conditional of latent units."""
    if family == "normal":
        return _normal(n_in, hidden, size, activation, own, key, units)
    trunk_key, head_key = streams(key, "autoencoder.latent.trunk", "autoencoder.latent.heads")
    trunk, width = _trunk(n_in, hidden, activation, own, trunk_key, units)
    return latent_conditional(family, trunk, width, size, key=head_key)


def _normal(
    n_in: int,
    hidden: tuple[int, ...],
    size: int,
    activation: str,
    own: Trunk | None,
    key: PRNGKeyArray,
    units: Standardization | None = None,
    *,
    unit_mean: bool = False,
) -> DiagonalNormal:
    trunk_key, location_key, scale_key = streams(
        key, "autoencoder.trunk", "autoencoder.location", "autoencoder.scale"
    )
    trunk, width = _trunk(n_in, hidden, activation, own, trunk_key, units)
    location = Dense.glorot(width, size, key=location_key)
    return DiagonalNormal(trunk, location, Dense.glorot(width, size, key=scale_key), unit_mean)


def _visible(
    likelihood: str,
    train: Float[np.ndarray, "n d"],
    n_in: int,
    hidden: tuple[int, ...],
    activation: str,
    own: Trunk | None,
    key: PRNGKeyArray,
) -> AbstractExplicit:
    """The likelihood p(x|h_1); a Gaussian one is of standardised values."""
    n_x = train.shape[1]
    if likelihood != "bernoulli":
        unit_mean = likelihood == "gaussian_unit_mean"
        return _normal(n_in, hidden, n_x, activation, own, key, unit_mean=unit_mean)
    try:
        check_values(train, "unit", "the training data of a Bernoulli likelihood")
    except UsageError as error:
        raise UsageError(f"{error}; likelihood='gaussian' is for values like these") from None
    trunk_key, head_key = streams(key, "autoencoder.visible.trunk", "autoencoder.visible.head")
    trunk, width = _trunk(n_in, hidden, activation, own, trunk_key)
    head = Dense.glorot(width, n_x, key=head_key)
    mean = np.clip(train.mean(axis=0, dtype=np.float64), 0.001, 0.999)
    bias = jnp.asarray(np.log(mean) - np.log1p(-mean), dtype=jnp.float32)
    return Bernoulli(trunk, Dense(head.weight, bias))
