"""The autoencoders of AEVB and IWAE: one or more stochastic layers over dense networks.

Kingma & Welling 2013, arXiv 1312.6114, section 3 and appendix C; Burda, Grosse & Salakhutdinov
2015, arXiv 1509.00519, section 5.1 and appendix C.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import PRNGKeyArray

from tightbound.core.calls import Call
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Datum
from tightbound.core.names import INFERENCES, NETWORKS, check_name
from tightbound.core.streams import as_key, first_keys, stream
from tightbound.data import DataLike, Dataset, as_values, check_amounts, check_values
from tightbound.distributions import (
    AbstractExplicit,
    BottomLayer,
    Layered,
)
from tightbound.likelihoods import (
    AS_LEVELS,
    Columns,
    Standardized,
    Table,
    checked,
)
from tightbound.models.latents import (
    FLOW,
    check_latents,
    check_pseudo_inputs,
    latent_conditional,
    latent_prior,
)
from tightbound.models.model import Model
from tightbound.models.posteriors import posterior as noise_posterior
from tightbound.models.sharing import tied
from tightbound.models.top_down import top_down
from tightbound.models.visible import visible_law
from tightbound.networks import (
    Body,
    Features,
    Images,
    Maps,
    Standardization,
    Trunk,
    Whole,
    over_layers,
    reshaped,
    viewing,
)

NOISE_DRIVEN = ("implicit", "semi_implicit")
USUAL_HIDDEN = (200, 200)


def autoencoder(
    data: Dataset | DataLike,
    *,
    latent: int | Sequence[int] = 50,
    hidden: Sequence[int] | Sequence[Sequence[int]] | None = None,
    layers: int = 1,
    network: str = "dense",
    inference: str | None = None,
    likelihood: str | Mapping[str, str] = "bernoulli",
    activation: str | None = None,
    posterior: str = "normal",
    prior: str | None = None,
    encoder: Trunk | None = None,
    decoder: Trunk | None = None,
    initial: float | None = None,
    condition: int = 0,
    key: int | PRNGKeyArray = 0,
) -> tuple[Model, Any]:
    """Builds a model p(x, z) and its posterior q(z|x) for a data set.

    Under "gaussian" the networks see each column standardised by the training data's mean and
    standard deviation, and the likelihood has the log-Jacobian of that: data, densities, draws and
    means are in the data's own units, and a fit does not depend on them.

    Args:
        data: A data set, or its training array of shape (n, d), NaN where values are missing;
            items of another shape, such as images (n, 8, 8), are laid out as rows. Sets the item
            size; for the Bernoulli likelihood the output bias logit(clip(mean, 0.001, 0.999)) per
            pixel; for the Gaussian one, how columns are standardised.
        latent: Size of each stochastic layer, bottom layer first. One number is the size of the
            top layer; every layer below it is twice as wide.
        hidden: Widths of the deterministic layers inside each conditional, bottom layer first.
            One sequence of numbers is that of the bottom layer; above it the widths halve. Left out
            they are 200 and 200. Of network="conv" those of the bottom layer are channels: of the
            image halved once, twice and so on.
        layers: Number of stochastic layers. `layers=2` with the other defaults is the 2-layer
            network of IWAE: 100 and 50 latent units, 200 and 100 deterministic ones.
        network: "dense" or, for images, "conv": the networks between x and the bottom layer are
            convolutional ones with residual blocks, and the decoder gives the parameters of each
            pixel itself (`tightbound.networks.Images`). The item's shape says height, width and
            channels. "ladder" is convolutional throughout: each stochastic layer is a map at half
            the size of what is below it, `latent` counts the latents of each of its positions, and
            `hidden` has an entry of channels for each layer (64 if left out;
            `tightbound.networks.Maps`).
        inference: Of several layers: "bottom_up", q(h_1|x) q(h_2|h_1) ..., as in IWAE, or
            "top_down", q(h_L|x) ... q(h_1|h_2, x), beside features of x that go up
            (`tightbound.distributions.TopDown`), as in ladder variational autoencoders. Left out it
            is "top_down" for network="ladder", which has no other, and "bottom_up" else.
        likelihood: "bernoulli", "gaussian", "gaussian_unit_mean" or another of
            `tightbound.likelihoods.likelihoods()`, with its options if it has some, as
            "gaussian_fixed(scale=0.1)". Of a data set with a schema, "columns" takes the likelihood
            of each column's kind, and {"age": "gamma"} another one for some columns. Under all but
            the first three, networks see features (`tightbound.networks.Features`).
        activation: Name of the activation of the deterministic units; left out it is "tanh", and
            of convolutional networks "silu".
        posterior: Family of q(z|x): one of the reparameterisation catalogue, such as "gamma"
            (`tightbound.distributions.FAMILIES`), or "bernoulli" for discrete latents. With
            several layers all conditionals are of this family; "flow" (spline couplings given
            features of x, `tightbound.distributions.SplineFlow`) is one for those of q, those of p
            being normal. With one layer "implicit" and "semi_implicit" make it a network driven by
            noise (`tb.posterior`) and, of images with network="conv", of convolutional features;
            draws may lie anywhere.
        prior: Family of p(z) (of several layers p(h_L)), its standard member, or as
            "normal(learned=True)" one with learned parameters; "mixture(components=50)" is a
            learned mixture of normals, "vamp(components=50)" one of the posterior at pseudo-inputs
            (`tightbound.distributions.VampPrior`), and "bernoulli" has learned logits. Left out it
            goes by the posterior: mostly the same family.
        encoder: Your own network in place of the bottom deterministic layers of q: any callable
            or Equinox module from one item, of the shape that items of `data` have and
            standardised under "gaussian" (under likelihoods of columns, their `Features`), to
            features of shape (h,). Dense heads stand behind it, one per parameter of q.
            `tb.networks.Whole(network)` has none: the network gives the parameters itself, for a
            normal q the means and the log-scales.
        decoder: Your own network in place of those of p(x|h_1): from (latent,) to (h,), or as
            `Whole` to the parameters of the likelihood: d logits for "bernoulli", d means and d
            log-scales of standardised values for "gaussian", in any shape. Their biases are then
            the network's own.
        initial: Standard deviation of the normal from which the weights and biases of all dense
            layers are drawn, as in AEVB; left out, weights are Glorot's (Glorot & Bengio 2010),
            biases zero and the output bias of a Bernoulli likelihood as said above.
        condition: How many numbers c come with each datum (`tb.source(model, x, conditions=...)`):
            the model is then p(x|z, c), and the posterior q(z|x, c). Their bottom networks see c
            behind what else they are given; one of your own does as
            `tb.networks.WithCondition(network)`, or reads it itself as an `AbstractReader`.
        key: Seed or key of the initialisation.

    Returns:
        `(model, posterior)`. With one layer z is an array of shape (latent,); with several it is
        a tuple of arrays, bottom layer first.

    Raises:
        UsageError: An unknown likelihood or family, a posterior whose draws may lie outside the
            prior's support, sizes that do not match `layers`, items that are no images for
            network="conv", a network of your own that does not fit, an `initial` that is not
            positive, or a column whose standard deviation single precision cannot reach.
    """
    table, shape = _values(data)
    train = table.values
    if encoder is not None and len(shape) > 1:
        encoder = reshaped(encoder, shape)
    calls = (
        {name: checked(asked) for name, asked in likelihood.items()}
        if isinstance(likelihood, Mapping)
        else checked(likelihood)
    )
    if isinstance(calls, Call) and calls.name not in AS_LEVELS:
        check_amounts(table.schema, repr(calls.name))
    (condition,) = at_least(0, condition=condition)
    check_name("network", network, NETWORKS)
    inference = inference or ("top_down" if network == "ladder" else "bottom_up")
    check_name("inference", inference, INFERENCES)
    activation = activation or ("tanh" if network == "dense" else "silu")
    item = data.shape if isinstance(data, Dataset) else shape
    images = maps = None
    if network == "ladder":
        maps = _maps(item, latent, hidden, layers, activation, inference, decoder)
        latents, hiddens, images = maps.sizes, [()] * layers, maps.levels[0]
    else:
        latents, hiddens = _sizes(latent, USUAL_HIDDEN if hidden is None else hidden, layers)
    if network == "conv":
        images = Images.of(item, None if hidden is None else hiddens[0], activation)
    noise_driven = posterior in NOISE_DRIVEN
    if noise_driven and layers > 1:
        raise UsageError(
            f"a posterior of the kind {posterior} has one layer: expected layers=1, got {layers}"
        )
    family = "normal" if noise_driven else posterior
    # Of a flow the other way, p(h_1|h_2), is normal.
    downwards = "normal" if family == FLOW else family
    if family == FLOW and (network == "ladder" or isinstance(encoder, Whole)):
        raise UsageError(
            "posterior='flow' is made of features of a datum: expected network='dense' or 'conv', "
            "and no encoder that gives parameters itself (tb.networks.Whole)"
        )
    above = check_latents(downwards, prior, latents)
    root = stream(as_key(key), "autoencoder")
    keys = first_keys(root, 2 * layers)

    # The bottom network of p has the last of the keys, and may say what those of q see.
    body = Body(latents[0], hiddens[0][::-1], activation, decoder, condition, images=images)
    made = visible_law(calls, body, table, keys[-1])
    visible, view, seen = made.law, made.view, made.seen
    if images is not None and encoder is None:
        holes = not isinstance(visible, Columns) and bool(np.isnan(train).any())
        how = {"condition": condition, "masked": holes, "key": stream(root, "autoencoder.conv")}
        encoder = images.encoder(seen, **how)

    bottom = Body(seen, hiddens[0], activation, encoder, condition, _with_condition)
    if layers > 1 and inference == "top_down":
        down = stream(root, "autoencoder.top_down")
        q = top_down(family, bottom, latents, hiddens, view, down, maps=maps)
    else:
        q = _bottom_up(family, bottom, latents, hiddens, view, keys[:layers])
    check_pseudo_inputs(above, view, condition=condition, noise_driven=noise_driven)
    prior_key = stream(root, "autoencoder.prior")
    p: list[AbstractExplicit] = [latent_prior(above, latents[-1], q, train, key=prior_key)]
    for level in range(layers - 1, 0, -1):
        body = Body(latents[level], hiddens[level][::-1], activation)
        if maps is not None:
            body = body._replace(images=maps.between(level - 1, features=False))
        p.append(latent_conditional(downwards, body, latents[level - 1], key=keys[-1 - level]))
    visible = visible if layers == 1 else BottomLayer(visible)
    visible = visible if made.units is None else Standardized(visible, made.units)
    top = p[0] if layers == 1 else Layered(tuple(p), downwards=True)
    model = Model(top, visible, condition=condition)
    if noise_driven:
        # Of convolutional networks `hidden` says the channels.
        widths = {} if images is not None else {"hidden": hiddens[0]}
        how = {"activation": activation, "encoder": encoder, "key": root, **widths}
        q = noise_posterior(model, posterior, **how)
    parts = model, q
    return parts if initial is None else _normally_drawn(parts, initial, root)


def _bottom_up(
    family: str,
    bottom: Body,
    latents: list[int],
    hiddens: list[tuple[int, ...]],
    view: Standardization | Features | None,
    keys: Any,
) -> AbstractExplicit:
    """q(h_1|x) q(h_2|h_1) ..., or q(z|x) alone."""
    q, body = [], bottom
    for level, (size, widths) in enumerate(zip(latents, hiddens, strict=True)):
        body = body if level == 0 else Body(latents[level - 1], widths, bottom.activation)
        q.append(latent_conditional(family, body, size, key=keys[level]))
    if view is not None:
        q[0] = eqx.tree_at(lambda q: q.trunk, q[0], viewing(q[0].trunk, view))
    return q[0] if len(q) == 1 else Layered(tuple(q), downwards=False)


def _maps(
    item: tuple[int, ...],
    latent: int | Sequence[int],
    hidden: Any,
    layers: int,
    activation: str,
    inference: str,
    decoder: Trunk | None,
) -> Maps:
    """What the networks of a ladder are made for.

    Raises:
        UsageError: Sizes that do not fit, inference from below, or a decoder of one's own.
    """
    if layers < 2 or inference != "top_down" or decoder is not None:
        raise UsageError(
            "network='ladder' has maps between all of its layers: expected layers >= 2, "
            "inference='top_down' and no decoder of your own; for one layer use network='conv'"
        )
    each = [latent] * layers if isinstance(latent, int) else latent
    channels, _ = _sizes(each, [()] * layers, layers)
    widths = None if hidden is None else tuple(hidden)
    if widths is not None and not all(isinstance(width, int) and width > 0 for width in widths):
        raise UsageError(
            f"network='ladder' takes one number of channels for each layer, got hidden={hidden}"
        )
    return Maps.of(item, channels, widths, activation)


def _with_condition(x: Any, condition: Any) -> Datum:
    """What an encoder is given."""
    return Datum(x, condition=condition)


def _values(data: Dataset | DataLike) -> tuple[Table, tuple[int, ...]]:
    """The training data as rows, whose columns must each have a value, and the shape of an item.

    Raises:
        UsageError: No table of numbers, or a column that is missing altogether.
    """
    of = data if isinstance(data, Dataset) else None
    found = as_values(data if of is None else of.train, "the training data")
    schema = None if of is None else of.schema
    check_values(found.x, "real", "the training data", found.columns, holes=True)
    values = found.x.reshape(len(found.x), -1)
    missing = np.isnan(values).all(axis=0)
    if missing.any():
        raise UsageError(
            f"the training data: column {int(np.argmax(missing))} (counted from 0) has no value "
            "at all: leave it out"
        )
    names = found.columns if of is None else of.columns
    return Table(values, tuple(names), schema), found.x.shape[1:]


def _normally_drawn(
    parts: tuple[Model, Any], initial: float, key: PRNGKeyArray
) -> tuple[Model, Any]:
    if not initial > 0:
        raise UsageError(f"expected initial > 0, got {initial}")
    model, posterior = over_layers(
        lambda layer, key: layer.of_spread(float(initial), key=key),
        parts,
        stream(key, "autoencoder.initial"),
    )
    return tied(model, posterior), posterior


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
