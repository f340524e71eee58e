"""Log-ratios of densities that are known by draws alone: the logit of a classifier.

Reference: Huszar 2017, arXiv 1702.08235; Mescheder, Nowozin & Geiger 2017, arXiv 1701.04722
(adaptive contrast); Sonderby et al. 2016, arXiv 1610.04490 (instance noise); Dumoulin et al. 2016,
arXiv 1606.00704 (the game); Donsker & Varadhan 1983 (the dual of the divergence).
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.streams import each_stream, first_keys, numbered
from tightbound.distributions.components import log_mean_exp
from tightbound.networks import flat
from tightbound.objectives.contract import Params
from tightbound.objectives.implicit.terms.abstract import (
    AbstractTerm,
    Batch,
    Sizes,
    Z,
    drawn,
    seen,
    shown,
)


class Classifier(AbstractTerm):
    """What learns to tell its first side (label 1) from its second (label 0)."""

    @abc.abstractmethod
    def both(self, aux: Any, params: Params, batch: Batch) -> tuple[Any, Any]:
        """The logits at draws of both sides."""

    def loss(self, aux: Any, params: Params, batch: Batch) -> Float[Array, ""]:
        """-E log D(first) - E log(1 - D(second))."""
        return _cross_entropy(*self.both(aux, params, batch))

    def info(self, aux: Any, params: Params, batch: Batch) -> dict[str, Float[Array, ""]]:
        """Its cross-entropy in nats (log 2 where it knows nothing) and its accuracy."""
        first, second = self.both(aux, params, batch)
        right = jnp.mean(jnp.where(first > 0, 1.0, 0.0)) + jnp.mean(jnp.where(second < 0, 1.0, 0.0))
        return {
            "classifier_loss": _cross_entropy(first, second) / 2,
            "classifier_accuracy": right / 2,
        }


def _cross_entropy(first: Float[Array, " n"], second: Float[Array, " n"]) -> Float[Array, ""]:
    """The sum of both sides' means, in nats."""
    return jnp.mean(jax.nn.softplus(-first)) + jnp.mean(jax.nn.softplus(second))


class Ratio(Classifier):
    """The logit of a classifier between draws of `first` (label 1) and of `second` (label 0).

    At its optimum it is the log-ratio of their densities. Both are named: "q" for (x, z) with z
    of q(z|x), "prior" for (x, z) with z of p(z), "joint" for (x, z) of the model, "independent"
    for x and z of the model, but not of each other. `sign` says how the term enters. With instance
    noise both are compared after noise of that standard deviation has been added to z (and to x,
    where the two differ in it).
    """

    first: str = eqx.field(static=True)
    second: str = eqx.field(static=True)
    sign: float = eqx.field(static=True)
    hidden: tuple[int, ...] = eqx.field(static=True)
    instance_noise: Float[Array, ""]
    sees_x: bool = eqx.field(static=True, default=True)

    def with_noise(self, noise: Float[Array, ""]) -> "Ratio":
        """The same with another instance noise."""
        return eqx.tree_at(lambda term: term.instance_noise, self, noise)

    def build(self, sizes: Sizes, key: PRNGKeyArray) -> Any:
        """The classifier."""
        return sizes.network(self.hidden, 1, key, x=self.sees_x, z=sizes.z)

    def logits(self, aux: Any, x: Float[Array, "n *item"], z: Any) -> Float[Array, " n"]:
        """The classifier's logit for each pair."""
        given = (lambda x, z: (seen(x), z)) if self.sees_x else (lambda x, z: (z,))
        return jax.vmap(lambda x, z: aux(*given(x, z))[0])(x, z)

    def both(self, aux: Any, params: Params, batch: Batch) -> tuple[Any, Any]:
        """The logits on both sides, of fresh draws of the model."""
        sides = []
        for i, name in enumerate((self.first, self.second)):
            x, z = drawn(name, params, batch, self._further(batch, i))
            x, z = self._noised(x, z, self._further(batch, i + 2))
            sides.append(self.logits(aux, x, z))
        return sides[0], sides[1]

    def climbed(self, aux: Any, params: Params, batch: Batch) -> Float[Array, " n"]:
        """The logit at q's own draws, with its sign."""
        x, z = self._noised(shown(params, batch), batch.z, self._further(batch, 2))
        return self.sign * self.logits(aux, x, z)

    def _further(self, batch: Batch, number: int) -> Key[Array, " n"]:
        return jax.vmap(lambda key: numbered(key, number))(batch.keys)

    def _noised(self, x: Float[Array, "n *item"], z: Any, keys: Key[Array, " n"]) -> Any:
        """The pair with instance noise; x too, where it comes from the model on one side."""
        if "joint" in (self.first, self.second):
            x, z = jax.vmap(self._add)((x, z), keys)
            return x, z
        return x, jax.vmap(self._add)(z, keys)

    def _add(self, value: Any, key: PRNGKeyArray) -> Any:
        leaves, tree = jax.tree.flatten(value)
        keys = first_keys(key, len(leaves))
        noised = [
            leaf + self.instance_noise * jax.random.normal(k, leaf.shape, leaf.dtype)
            for leaf, k in zip(leaves, keys, strict=True)
        ]
        return jax.tree.unflatten(tree, noised)


class Game(Ratio):
    """A classifier against which both sides play: what they climb is its loss, labels swapped."""

    def climbed(self, aux: Any, params: Params, batch: Batch) -> Float[Array, " n"]:
        """log(1 - D) at q's draws and log D at the model's, which move too."""
        first, second = self.both(aux, params, batch)
        return -jax.nn.softplus(first) - jax.nn.softplus(-second)


class DualRatio(Ratio):
    """Donsker and Varadhan's representation of KL(first | second), at the classifier's logit.

    E_first T - log E_second e^T is at most the divergence and reaches it where T is the log-ratio,
    so that there no change of T changes it to first order. The mean logit alone has no such
    property: followed through the classifier's learning, it also moves the first side to where
    the classifier is slow, even from where both sides are equal.
    """

    def climbed(self, aux: Any, params: Params, batch: Batch) -> Float[Array, " n"]:
        """The representation at fresh draws of both sides, with its sign."""
        first, second = self.both(aux, params, batch)
        return self.sign * (first - log_mean_exp(second))


class AdaptiveRatio(Classifier):
    """-log q(z|x) by way of a normal r(z|x) that follows q: -T(x, z) - log r(z|x).

    The classifier T compares q with r, in coordinates in which r is standard normal (Mescheder et
    al., adaptive contrast): unlike q and the prior, the two overlap however narrow q is.
    """

    hidden: tuple[int, ...] = eqx.field(static=True)

    def build(self, sizes: Sizes, key: PRNGKeyArray) -> Any:
        """The classifier."""
        return sizes.network(self.hidden, 1, key, z=sizes.z)

    def both(self, aux: Any, params: Params, batch: Batch) -> tuple[Any, Any]:
        """The logits at standardised draws of q and at standard normal ones."""
        normal = jax.vmap(lambda key, u: jax.random.normal(key, u.shape, u.dtype))(
            each_stream(batch.keys, "ratio.contrast"), batch.centre
        )
        x = shown(params, batch)
        return self._logits(aux, x, _standard(batch)), self._logits(aux, x, normal)

    def climbed(self, aux: Any, params: Params, batch: Batch) -> Float[Array, " n"]:
        """-T - log r at q's own draws."""
        u = _standard(batch)
        log_r = jnp.sum(jax.scipy.stats.norm.logpdf(u) - jnp.log(batch.scale), axis=1)
        return -self._logits(aux, shown(params, batch), u) - log_r

    def _logits(self, aux: Any, x: Float[Array, "n *item"], u: Z) -> Float[Array, " n"]:
        return jax.vmap(lambda x, u: aux(seen(x), u)[0])(x, u)


def _standard(batch: Batch) -> Z:
    """The draws in coordinates in which the moments' normal is standard."""
    return (jax.vmap(flat)(batch.z) - batch.centre) / batch.scale
