"""What terms share: what they see of a minibatch, and the draws that they compare."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.streams import stream
from tightbound.distributions.contracts import prior_given
from tightbound.models.standardization import inside
from tightbound.networks import Images, Joined, OnPart, over_layers, read
from tightbound.objectives.contract import Params

Z = Float[Array, "n z"]


class Sizes(NamedTuple):
    """What auxiliary networks are built from: numbers of x that networks see, and of one z."""

    x: int
    z: int
    encoder: Any = None
    """What makes features of x for the posterior, if anything does: of its kind are those here."""
    images: Images | None = None
    """What networks of z are made for, where z is an image."""

    def network(
        self, hidden: tuple[int, ...], n_out: int, key: PRNGKeyArray, *, x: bool = True, z: int = 0
    ) -> Joined:
        """A network of x, if it sees it, and of `z` numbers behind, by features of x where q's is.

        Their layers are drawn anew: nothing is shared with the posterior.
        """
        n_x, features_key = self.x if x else 0, stream(key, "terms.encoder")
        if x and self.encoder is not None:
            drawn = lambda layer, key: layer.fresh(key=key)  # noqa: E731
            encoder = over_layers(drawn, self.encoder, features_key)
        elif not x and self.images is not None:
            encoder, n_x, z = self.images.encoder(z, key=features_key), z, 0
        else:
            return Joined.glorot(n_x + z, hidden, n_out, key=key)
        like = jax.ShapeDtypeStruct((n_x,), jnp.float32)
        features = eqx.filter_eval_shape(lambda seen: read(encoder, seen), like).size
        network = Joined.glorot(features + z, hidden, n_out, key=key)
        return Joined(OnPart(network.trunk, encoder, 0, n_x), network.head)


class Batch(NamedTuple):
    """A minibatch, a draw of q for each datum, and how far apart such draws are."""

    x: Float[Array, "n *item"]
    z: Any
    """Draws z of q(z|x), one for each datum, as the model takes them."""
    centre: Z
    scale: Z
    """Mean and standard deviations of q(z|x), as the moments have it; constants."""
    keys: Key[Array, " n"]
    """For all further draws."""
    noise: Z
    """Standard normal noise, of which a term's share may have been added to z."""
    moments: Callable[[Float[Array, "n d"]], tuple[Z, Z]]
    """The same mean and standard deviations for any x, as networks are shown it."""


class AbstractTerm(eqx.Module):
    """One part of log p(x, z) - log q(z|x)."""

    def with_noise(self, noise: Float[Array, ""]) -> "AbstractTerm":
        """The same with noise of another standard deviation, if it has any."""
        del noise
        return self

    def build(self, sizes: Sizes, key: PRNGKeyArray) -> Any:
        """The term's own network, if it has one."""
        del sizes, key

    def loss(self, aux: Any, params: Params, batch: Batch) -> Float[Array, ""]:
        """What the term's own network descends."""
        del aux, params, batch
        return jnp.zeros([])

    @abc.abstractmethod
    def climbed(self, aux: Any, params: Params, batch: Batch) -> Float[Array, " n"]:
        """The term at each datum's draw, differentiable in z (and in the model, if it is exact)."""

    def info(self, aux: Any, params: Params, batch: Batch) -> dict[str, Float[Array, ""]]:
        """Numbers to watch, on draws that the network has not seen."""
        del aux, params, batch
        return {}


def drawn(
    name: str, params: Params, batch: Batch, keys: Key[Array, " n"]
) -> tuple[Float[Array, "n d"], Any]:
    """Pairs (x, z) of a named distribution, one for each key; x standardised as for networks."""
    if name == "q":
        return shown(params, batch), batch.z
    if name == "prior":
        prior = params.model.prior
        z = jax.vmap(lambda x, key: prior.sample(prior_given(prior, x), key=key))(batch.x, keys)
        return shown(params, batch), z
    x, z = jax.vmap(params.model.sample)(keys)
    if name == "independent":
        z = jax.tree.map(lambda leaf: jnp.roll(leaf, 1, axis=0), z)
    return inside(params.model, x), z


def shown(params: Params, batch: Batch) -> Float[Array, "n d"]:
    """The minibatch's x, standardised where the model does so."""
    return inside(params.model, batch.x)


def seen(x: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
    """What networks see of a standardised x: itself near zero, its logarithm far out."""
    return jnp.arcsinh(x)
