"""The posterior of an autoencoder that infers its layers from the top one down."""

from collections.abc import Sequence

from jaxtyping import PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import numbered, stream, streams
from tightbound.distributions import TopDown
from tightbound.models.latents import latent_conditional
from tightbound.networks import Body, Features, Maps, Standardization, Trunk, Whole, viewing


def top_down(
    family: str,
    bottom: Body,
    latents: Sequence[int],
    hiddens: Sequence[tuple[int, ...]],
    view: Standardization | Features | None,
    key: PRNGKeyArray,
    *,
    maps: Maps | None = None,
) -> TopDown:
    """A posterior with features that go up, of widths `hiddens`, and layers that come down.

    Args:
        family: Of all conditionals.
        bottom: What the network of the datum is made from.
        latents: Sizes of the layers, bottom layer first.
        hiddens: Widths of the networks, bottom layer first. Those that put features and the layer
            above together have the last of them.
        view: What the bottom network sees of a datum.
        key: Of the first weights.
        maps: What layers that are maps are made for; all networks are then convolutional.

    Raises:
        UsageError: A `Whole` network, which gives no features, or widths that are none.
    """
    if isinstance(bottom.own, Whole):
        raise UsageError(
            "inference='top_down' needs features of a datum: expected an encoder without "
            "tb.networks.Whole around it"
        )
    if maps is None and bottom.own is None and not all(hiddens):
        raise UsageError("inference='top_down' needs hidden widths for each layer, got none")
    up: list[Trunk] = []
    conditionals, body = [], bottom
    for level, (size, widths) in enumerate(zip(latents, hiddens, strict=True)):
        trunk_key, key_of_level = streams(numbered(key, level), "top_down.up", "top_down.down")
        trunk, _ = body.build({}, trunk_key, [])
        width = body.width(trunk)
        up.append(trunk)
        top = level == len(latents) - 1
        n_in = width if top else width + latents[level + 1]
        if maps is None:
            merged = Body(n_in, () if top else widths[-1:], bottom.activation)
        else:
            merged = Body(n_in, (), images=maps.between(level, features=True))
        conditionals.append(latent_conditional(family, merged, size, key=key_of_level))
        if not top:
            above = stream(key_of_level, "top_down.above")
            own = None if maps is None else maps.levels[level + 1].encoder(width, key=above)
            body = Body(width, hiddens[level + 1], bottom.activation, own)
    if view is not None:
        up[0] = viewing(up[0], view)
    return TopDown(tuple(conditionals), tuple(up))
