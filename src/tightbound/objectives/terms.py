"""The terms of an implicit objective: each gives one part of the log-ratio, or of its score.

What a posterior climbs is log p(x, z) - log q(z|x). A term contributes a part of it that is exact,
the logit of a classifier, or a function whose gradient with respect to z is a denoiser's score.

Reference: Huszar 2017, arXiv 1702.08235; Mescheder, Nowozin & Geiger 2017, arXiv 1701.04722
(adaptive contrast); Sonderby et al. 2016, arXiv 1610.04490 (instance noise, denoiser scores).
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.errors import UsageError
from tightbound.networks import Joined, flat
from tightbound.objectives.abstract import Parts

Z = Float[Array, "n z"]
WIDEST = 8.0
"""Largest log-standard deviation, of either sign, that a following normal may have."""


class Sizes(NamedTuple):
    """What auxiliary networks are built from: columns of x, and numbers in one z."""

    x: int
    z: int


class Batch(NamedTuple):
    """A minibatch, a draw of q for each datum, and how far apart such draws are."""

    x: Float[Array, "n d"]
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
    """The same mean and standard deviations for any x."""


class AbstractTerm(eqx.Module):
    """One part of log p(x, z) - log q(z|x)."""

    def with_noise(self, noise: Float[Array, ""]) -> "AbstractTerm":
        """The same with noise of another standard deviation, if it has any."""
        del noise
        return self

    def build(self, sizes: Sizes, key: PRNGKeyArray) -> Any:
        """The term's own network, if it has one."""
        del sizes, key

    def loss(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, ""]:
        """What the term's own network descends."""
        del aux, parts, batch
        return jnp.zeros([])

    @abc.abstractmethod
    def climbed(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, " n"]:
        """The term at each datum's draw, differentiable in z (and in the model, if it is exact)."""

    def info(self, aux: Any, parts: Parts, batch: Batch) -> dict[str, Float[Array, ""]]:
        """Numbers to watch, on draws that the network has not seen."""
        del aux, parts, batch
        return {}


class Exact(AbstractTerm):
    """log p(x|z) or log p(z) itself; of a prior with a score alone, that."""

    of: str = eqx.field(static=True)

    def climbed(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, " n"]:
        """The log-density in nats."""
        if self.of == "likelihood":
            return jax.vmap(parts.model.likelihood.log_prob)(batch.x, batch.z)
        prior = parts.model.prior
        if "density" in prior.offers:
            return jax.vmap(lambda z: prior.log_prob(z, None))(batch.z)
        score = jax.vmap(lambda z: prior.score(z, None))(batch.z)
        return jnp.sum(jax.lax.stop_gradient(score) * batch.z, axis=1)


class Ratio(AbstractTerm):
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
        n_x = sizes.x if self.sees_x else 0
        return Joined.glorot(n_x + sizes.z, self.hidden, 1, key=key)

    def logits(self, aux: Any, x: Float[Array, "n d"], z: Any) -> Float[Array, " n"]:
        """The classifier's logit for each pair."""
        shown = (lambda x, z: (seen(x), z)) if self.sees_x else (lambda x, z: (z,))
        return jax.vmap(lambda x, z: aux(*shown(x, z))[0])(x, z)

    def both(self, aux: Any, parts: Parts, batch: Batch) -> tuple[Any, Any]:
        """The logits on both sides, of fresh draws of the model."""
        sides = []
        for i, name in enumerate((self.first, self.second)):
            x, z = drawn(name, parts, batch, self._further(batch, i))
            x, z = self._noised(x, z, self._further(batch, i + 2))
            sides.append(self.logits(aux, x, z))
        return sides[0], sides[1]

    def loss(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, ""]:
        """-E log D(first) - E log(1 - D(second))."""
        first, second = self.both(aux, parts, batch)
        return jnp.mean(jax.nn.softplus(-first)) + jnp.mean(jax.nn.softplus(second))

    def climbed(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, " n"]:
        """The logit at q's own draws, with its sign."""
        x, z = self._noised(batch.x, batch.z, self._further(batch, 2))
        return self.sign * self.logits(aux, x, z)

    def info(self, aux: Any, parts: Parts, batch: Batch) -> dict[str, Float[Array, ""]]:
        """Its cross-entropy in nats (log 2 where it knows nothing) and its accuracy."""
        first, second = self.both(aux, parts, batch)
        loss = jnp.mean(jax.nn.softplus(-first)) + jnp.mean(jax.nn.softplus(second))
        right = jnp.mean(jnp.where(first > 0, 1.0, 0.0)) + jnp.mean(jnp.where(second < 0, 1.0, 0.0))
        return {"classifier_loss": loss / 2, "classifier_accuracy": right / 2}

    def _further(self, batch: Batch, number: int) -> Key[Array, " n"]:
        return jax.vmap(lambda key: jax.random.fold_in(key, number))(batch.keys)

    def _noised(self, x: Float[Array, "n d"], z: Any, keys: Key[Array, " n"]) -> Any:
        """The pair with instance noise; x too, where it comes from the model on one side."""
        if "joint" in (self.first, self.second):
            x, z = jax.vmap(self._add)((x, z), keys)
            return x, z
        return x, jax.vmap(self._add)(z, keys)

    def _add(self, value: Any, key: PRNGKeyArray) -> Any:
        leaves, tree = jax.tree.flatten(value)
        keys = jax.random.split(key, len(leaves))
        noised = [
            leaf + self.instance_noise * jax.random.normal(k, leaf.shape, leaf.dtype)
            for leaf, k in zip(leaves, keys, strict=True)
        ]
        return jax.tree.unflatten(tree, noised)


class Game(Ratio):
    """A classifier against which both sides play: what they climb is its loss, labels swapped."""

    def climbed(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, " n"]:
        """log(1 - D) at q's draws and log D at the model's, which move too."""
        first, second = self.both(aux, parts, batch)
        return -jax.nn.softplus(first) - jax.nn.softplus(-second)


class AdaptiveRatio(AbstractTerm):
    """-log q(z|x) by way of a normal r(z|x) that follows q: -T(x, z) - log r(z|x).

    The classifier T compares q with r, in coordinates in which r is standard normal (Mescheder et
    al., adaptive contrast): unlike q and the prior, the two overlap however narrow q is.
    """

    hidden: tuple[int, ...] = eqx.field(static=True)

    def build(self, sizes: Sizes, key: PRNGKeyArray) -> Any:
        """The classifier."""
        return Joined.glorot(sizes.x + sizes.z, self.hidden, 1, key=key)

    def both(self, aux: Any, parts: Parts, batch: Batch) -> tuple[Any, Any]:
        """The logits at standardised draws of q and at standard normal ones."""
        del parts
        normal = jax.vmap(lambda key, u: jax.random.normal(key, u.shape, u.dtype))(
            batch.keys, batch.centre
        )
        return self._logits(aux, batch.x, _standard(batch)), self._logits(aux, batch.x, normal)

    def loss(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, ""]:
        """-E log D(q) - E log(1 - D(r))."""
        first, second = self.both(aux, parts, batch)
        return jnp.mean(jax.nn.softplus(-first)) + jnp.mean(jax.nn.softplus(second))

    def climbed(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, " n"]:
        """-T - log r at q's own draws."""
        u = _standard(batch)
        log_r = jnp.sum(jax.scipy.stats.norm.logpdf(u) - jnp.log(batch.scale), axis=1)
        return -self._logits(aux, batch.x, u) - log_r

    info = Ratio.info

    def _logits(self, aux: Any, x: Float[Array, "n d"], u: Z) -> Float[Array, " n"]:
        return jax.vmap(lambda x, u: aux(seen(x), u)[0])(x, u)


class Denoising(NamedTuple):
    """A denoiser's network, and the normal that it is relative to, unless that is q's."""

    network: Any
    moments: Any


class Denoiser(AbstractTerm):
    """The score of the density of noised draws, by denoising: a function with that gradient.

    With noise of standard deviation sigma * scale(x) in each direction the best denoiser F has
    (F(z, x) - z) / (sigma scale)^2 = d log (p * noise)(z|x), exactly and at any sigma; the scale is
    that of q, whosever draws are noised. The network gives that score relative to the one of a
    normal with the draws' own moments, which pulls back where the network has seen nothing. `of`
    names the draws: "q", "joint" (z of the model given its x) or "prior".
    """

    of: str = eqx.field(static=True)
    sign: float = eqx.field(static=True)
    hidden: tuple[int, ...] = eqx.field(static=True)
    sigma: Float[Array, ""]

    def with_noise(self, noise: Float[Array, ""]) -> "Denoiser":
        """The same at another sigma."""
        return eqx.tree_at(lambda term: term.sigma, self, noise)

    def build(self, sizes: Sizes, key: PRNGKeyArray) -> Denoising:
        """The network of the standardised z, and of x; of the prior, of the scale in its place."""
        first, second = jax.random.split(key)
        n_x = sizes.z if self.of == "prior" else sizes.x
        network = Joined.glorot(n_x + sizes.z, self.hidden, sizes.z, key=first)
        if self.of == "q":
            return Denoising(network, None)
        seen_x = 0 if self.of == "prior" else sizes.x
        return Denoising(network, Moments.build(Sizes(seen_x, sizes.z), self.hidden, second))

    def score(self, aux: Denoising, x: Float[Array, "n d"], z: Z, centre: Z, scale: Z) -> Z:
        """The score of the noised density, times q's scale."""
        own, given = (centre, scale), seen(x)
        if self.of == "joint":
            own = aux.moments.at(x)
        elif self.of == "prior":
            own, given = aux.moments.at(x[:, :0]), jnp.log(scale)
        spread = jnp.sqrt(own[1] ** 2 + (self.sigma * scale) ** 2)
        u = (z - own[0]) / spread
        return scale / spread * (jax.vmap(aux.network)(given, u) - u)

    def loss(self, aux: Denoising, parts: Parts, batch: Batch) -> Float[Array, ""]:
        """Mean of ||sigma s + eta||^2 over noise eta and -eta, which cancels most of its noise."""
        further = jax.vmap(lambda key: jax.random.split(key, 2))(batch.keys)
        x, z = drawn(self.of, parts, batch, further[:, 0])
        z = jax.vmap(flat)(z)
        # The scale belongs to the x that the draws come with.
        centre, scale = batch.moments(x) if self.of == "joint" else (batch.centre, batch.scale)
        eta = jax.vmap(lambda key, z: jax.random.normal(key, z.shape, z.dtype))(further[:, 1], z)
        losses = []
        for sign in (1.0, -1.0):
            noised = z + sign * self.sigma * scale * eta
            s = self.score(aux, x, noised, centre, scale)
            losses.append(jnp.mean(jnp.sum((self.sigma * s + sign * eta) ** 2, axis=1)))
        if aux.moments is not None:
            losses.append(2 * aux.moments.loss(x if self.of == "joint" else x[:, :0], z))
        return 0.5 * jnp.sum(jnp.stack(losses))

    def climbed(self, aux: Denoising, parts: Parts, batch: Batch) -> Float[Array, " n"]:
        """A function with the score as its gradient at the noised draws, zero in value."""
        z = jax.vmap(flat)(batch.z)
        fixed = jax.lax.stop_gradient(z)
        s = self.score(aux, batch.x, fixed, batch.centre, batch.scale) / batch.scale
        return self.sign * jnp.sum(jax.lax.stop_gradient(s) * (z - fixed), axis=1)


class Stein(AbstractTerm):
    """Minus the squared Langevin-Stein discrepancy, by the best of the network's functions."""

    hidden: tuple[int, ...] = eqx.field(static=True)
    norm: float = eqx.field(static=True)

    def build(self, sizes: Sizes, key: PRNGKeyArray) -> Any:
        """The test function, without its bound."""
        return Joined.glorot(sizes.x + sizes.z, self.hidden, sizes.z, activation="tanh", key=key)

    def function(self, aux: Any, x: Float[Array, " d"], z: Float[Array, " z"]) -> Any:
        """The test function f(x, z), shorter than `norm`."""
        h = aux(seen(x), z)
        return self.norm * h / jnp.sqrt(1 + jnp.sum(h**2))

    def operator(
        self, aux: Any, parts: Parts, x: Float[Array, " d"], z: Float[Array, " z"]
    ) -> Float[Array, ""]:
        """D log p(x, z) . f + div f, with the mean zero under p(z|x)."""
        f = lambda z: self.function(aux, x, z)  # noqa: E731
        return score(parts, x, z) @ f(z) + jnp.trace(jax.jacfwd(f)(z))

    def loss(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, ""]:
        """Minus the square, from two halves of the draws."""
        return -self._square(aux, parts, batch)

    def climbed(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, " n"]:
        """Minus the square, the same for every datum."""
        params, static = eqx.partition(parts.model, eqx.is_inexact_array)
        model = eqx.combine(jax.lax.stop_gradient(params), static)
        square = self._square(aux, parts._replace(model=model), batch)
        return jnp.broadcast_to(-square, batch.x.shape[:1])

    def _square(self, aux: Any, parts: Parts, batch: Batch) -> Float[Array, ""]:
        n = batch.x.shape[0]
        if n < 2:
            raise UsageError("opvi multiplies means of two halves: expected batch_size >= 2, got 1")
        each = jax.vmap(lambda x, z: self.operator(aux, parts, x, z))(batch.x, batch.z)
        return jnp.mean(each[: n // 2]) * jnp.mean(each[n // 2 :])


def score(parts: Parts, x: Float[Array, " d"], z: Float[Array, " z"]) -> Float[Array, " z"]:
    """The gradient of log p(x, z) with respect to z; a prior may have a score alone."""
    prior, likelihood = parts.model.prior, parts.model.likelihood
    of_likelihood = jax.grad(lambda z: likelihood.log_prob(x, z))(z)
    if "density" in prior.offers:
        return of_likelihood + jax.grad(lambda z: prior.log_prob(z, None))(z)
    return of_likelihood + prior.score(z, None)


def drawn(
    name: str, parts: Parts, batch: Batch, keys: Key[Array, " n"]
) -> tuple[Float[Array, "n d"], Any]:
    """Pairs (x, z) of a named distribution, one for each key."""
    if name == "q":
        return batch.x, batch.z
    if name == "prior":
        return batch.x, jax.vmap(lambda key: parts.model.prior.sample(None, key=key))(keys)
    x, z = jax.vmap(parts.model.sample)(keys)
    if name == "independent":
        z = jax.tree.map(lambda leaf: jnp.roll(leaf, 1, axis=0), z)
    return x, z


def _standard(batch: Batch) -> Z:
    """The draws in coordinates in which the moments' normal is standard."""
    return (jax.vmap(flat)(batch.z) - batch.centre) / batch.scale


class Moments(eqx.Module):
    """A normal r(z|x) that follows q(z|x): where its draws are and how far apart."""

    network: Joined

    @staticmethod
    def build(sizes: Sizes, hidden: tuple[int, ...], key: PRNGKeyArray) -> "Moments":
        """Starts at zero and one."""
        network = Joined.glorot(sizes.x, hidden, 2 * sizes.z, key=key)
        return Moments(eqx.tree_at(lambda n: n.head.weight, network, replace_fn=jnp.zeros_like))

    def parameters(self, x: Float[Array, " d"]) -> tuple[Float[Array, " z"], Float[Array, " z"]]:
        """Mean and log-standard deviations, these within a range that nothing can overflow."""
        location, raw = jnp.split(self.network(seen(x)), 2)
        return location, WIDEST * jnp.tanh(raw / WIDEST)

    def at(self, x: Float[Array, "n d"]) -> tuple[Z, Z]:
        """Means and standard deviations, as constants."""
        location, log_scale = jax.lax.stop_gradient(jax.vmap(self.parameters)(x))
        return location, jnp.exp(log_scale)

    def loss(self, x: Float[Array, "n d"], z: Any) -> Float[Array, ""]:
        """-E log r(z|x) at q's draws in nats."""
        z = jax.lax.stop_gradient(jax.vmap(flat)(z))
        location, log_scale = jax.vmap(self.parameters)(x)
        log_r = jax.scipy.stats.norm.logpdf((z - location) * jnp.exp(-log_scale)) - log_scale
        return -jnp.mean(jnp.sum(log_r, axis=1))


def seen(x: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
    """What the networks see of x: itself near zero, its logarithm far out, so that none is huge."""
    return jnp.arcsinh(x)
