"""Objectives with an inner problem: networks beside q that learn a log-ratio, or its score.

In each step the inner problem goes on from where it stood, by an adjoint's number of steps and on
fresh draws; then the posterior climbs, through its own draws z, the sum of the terms.

Reference: Huszar 2017, arXiv 1702.08235; Mescheder, Nowozin & Geiger 2017, arXiv 1701.04722.
Bias: the learned log-ratio is behind q by the inner problem's error. No reported number is a bound
on log p(x): judge by `tb.evaluate` and `tb.evidence.annealed`.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.adjoints import AbstractAdjoint, Inner
from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Items
from tightbound.core.streams import each_stream, first_keys, numbered, streams
from tightbound.distributions.restoration import BlockMeans, Projected
from tightbound.models.shapes import like_z
from tightbound.models.standardization import inside, seen_width
from tightbound.networks import Images, features_of_part, flat
from tightbound.objectives.compatibility import check_requires
from tightbound.objectives.contract import AbstractObjective, Params, Requires, Step
from tightbound.objectives.implicit.terms import (
    AbstractTerm,
    Batch,
    Classifier,
    Denoiser,
    Moments,
    Sizes,
)

SEPARATED = 0.98
"""A classifier that is right so often tells its two sides apart, and its logit is a guess."""
EPS_ROOT = 1e-10
"""Keeps the inner optimiser's square root differentiable where a gradient is zero."""


def called(name: str, **options: Any) -> str:
    """The call of an objective with these options; the sizes among them are checked.

    Raises:
        UsageError: Fewer than one inner step, a rate that is not positive, or no hidden layers.
    """
    at_least(1, inner=options["inner"])
    if not options["rate"] > 0:
        raise UsageError(f"expected rate > 0, got {options['rate']}")
    hidden = options["hidden"]
    if not hidden or not all(isinstance(n, int) and n >= 1 for n in hidden):
        raise UsageError(f"expected hidden as widths >= 1 such as (128, 128), got {hidden!r}")
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in options.items())})"


class Noise(NamedTuple):
    """A standard deviation that falls geometrically over the first epochs of a run."""

    start: float
    end: float
    epochs: int

    def at(self, epoch: int) -> Float[Array, ""]:
        """Its value in an epoch, counted from 0."""
        if self.start == self.end:
            return jnp.asarray(self.end, jnp.float32)
        share = min(1.0, epoch / self.epochs)
        return jnp.asarray(self.start * (self.end / self.start) ** share, jnp.float32)

    @staticmethod
    def of(value: float | tuple[float, float, int], name: str, *, zero: bool) -> "Noise":
        """A constant, or a start, an end and a number of epochs.

        Raises:
            UsageError: Something else, or numbers outside their range.
        """
        whole = (value, value, 1) if isinstance(value, int | float) else tuple(value)
        good = len(whole) == 3 and all(isinstance(number, int | float) for number in whole)
        constant_zero = zero and good and whole[0] == whole[1] == 0
        if not (constant_zero or (good and min(whole[:2]) > 0 and whole[2] >= 1)):
            raise UsageError(
                f"expected {name} > 0{', or 0 for none,' if zero else ''} or a triple (start, end, "
                f"epochs) of positive numbers, got {value!r}"
            )
        return Noise(float(whole[0]), float(whole[1]), int(whole[2]))


class Aux(NamedTuple):
    """The networks of an inner problem."""

    terms: tuple[Any, ...]
    moments: Moments | None


class Nested(AbstractObjective):
    """A sum of terms, some of which learn beside q what they contribute."""

    call: str = eqx.field(static=True)
    terms: tuple[AbstractTerm, ...]
    adjoint: AbstractAdjoint
    needs: Requires = eqx.field(static=True)
    rate: float = eqx.field(static=True)
    moments: tuple[int, ...] | None = eqx.field(static=True, default=None)
    """Hidden widths of the normal that follows q, if there is one."""
    noise: Noise = eqx.field(static=True, default=Noise(0.0, 0.0, 1))
    """Of the denoisers, or the instance noise of the classifiers."""

    @property
    def kind(self) -> str:
        """No bound."""
        return "none"

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return self.call

    @property
    def requires(self) -> Requires:
        """What the terms need."""
        return self.needs

    @property
    def sigma(self) -> Float[Array, ""] | None:
        """Noise that is added to the draws, in units of q's standard deviations."""
        return next((term.sigma for term in self.terms if isinstance(term, Denoiser)), None)

    def at(self, epoch: int) -> "Nested":
        """The same with the noise of an epoch, counted from 0."""
        terms = tuple(term.with_noise(self.noise.at(epoch)) for term in self.terms)
        return eqx.tree_at(lambda o: o.terms, self, terms)

    def check(self, params: Params) -> None:
        """Needs what `requires` says."""
        check_requires(self, params)

    def init(self, params: Params, n: int, key: PRNGKeyArray) -> Inner:
        """Fresh networks and their optimiser."""
        aux = eqx.filter(self._build(params, key), eqx.is_inexact_array)
        with jax.numpy_dtype_promotion("standard"):
            return Inner(aux, jax.tree.map(jnp.asarray, self._optimizer().init(aux)))

    def step(
        self, params: Params, state: Inner, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, Inner]:
        """The inner steps, and the gradient of the terms at fresh draws."""
        x = items.x
        arrays, static = eqx.partition(params, eqx.is_inexact_array)
        rest = self._static(params)

        def inner_loss(arrays: Any, aux: Any, number: Int[Array, ""]) -> Float[Array, ""]:
            whole = eqx.combine(aux, rest)
            at = eqx.combine(arrays, static)
            fresh = jax.vmap(lambda key: numbered(key, number))(each_stream(keys, "nested.inner"))
            batch = self._batch(whole, at, x, fresh)
            losses = [
                term.loss(own, at, batch) for term, own in zip(self.terms, whole.terms, strict=True)
            ]
            if whole.moments is not None:
                losses.append(whole.moments.loss(inside(params.model, x), batch.z))
            return jnp.sum(jnp.stack(losses))

        def outer_loss(arrays: Any) -> tuple[Float[Array, ""], Any]:
            inner = self.adjoint.solve(inner_loss, arrays, state, self._optimizer())
            whole, at = eqx.combine(inner.aux, rest), eqx.combine(arrays, static)
            batch = self._noised(self._batch(whole, at, x, keys))
            climbed = self._climbed(whole, at, batch)
            reported = self._reported(whole, at, batch, climbed)
            return -jnp.mean(climbed), (reported, self._info(whole, at, batch), inner)

        grads, (reported, info, inner) = jax.grad(outer_loss, has_aux=True)(arrays)
        return Step(grads, reported, info), jax.lax.stop_gradient(inner)

    def bound(
        self, params: Params, state: Inner, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The sum of the terms at fresh draws, with the networks as they are; no bound."""
        whole = eqx.combine(state.aux, self._static(params))
        batch = self._noised(self._batch(whole, params, items.x, keys))
        return self._reported(whole, params, batch, self._climbed(whole, params, batch))

    @filter_jit
    def classified(
        self, params: Params, state: Inner, x: Float[Array, "n *item"], keys: Key[Array, " n"]
    ) -> list[tuple[Float[Array, " n"], Float[Array, " n"]]]:
        """The logits of each classifier at fresh draws of its first and its second side."""
        whole = eqx.combine(state.aux, self._static(params))
        batch = self._batch(whole, params, x, keys)
        return [
            term.both(own, params, batch)
            for term, own in zip(self.terms, whole.terms, strict=True)
            if isinstance(term, Classifier)
        ]

    def warning(self, info: dict[str, float]) -> str | None:
        """Says so where a classifier separates its two sides."""
        accuracy = info.get("classifier_accuracy", 0.0)
        if accuracy < SEPARATED:
            return None
        return (
            f"{self.call}: the classifier tells q and its contrast apart in {accuracy:.1%} of the "
            "draws, so that its log-ratio is a guess; try instance_noise, more inner steps, or "
            'pc_adv(contrast="adaptive")'
        )

    def _optimizer(self) -> optax.GradientTransformation:
        return optax.adam(self.rate, b1=0.5, eps_root=EPS_ROOT)

    def _build(self, params: Params, key: PRNGKeyArray) -> Aux:
        """The networks, for the sizes of the parts."""
        z = sum(leaf.size for leaf in jax.tree.leaves(like_z(params.model)))
        q = params.posterior
        degrade = q.degrade if isinstance(q, Projected) else None
        images = Images.of(degrade.shape, None) if isinstance(degrade, BlockMeans) else None
        sizes = Sizes(seen_width(params.model), z, features_of_part(q), images)
        terms_key, moments_key = streams(key, "nested.terms", "nested.moments")
        keys = first_keys(terms_key, len(self.terms))
        built = tuple(term.build(sizes, k) for term, k in zip(self.terms, keys, strict=True))
        return Aux(
            built, None if self.moments is None else Moments.build(sizes, self.moments, moments_key)
        )

    def _static(self, params: Params) -> Any:
        """The networks without their numbers."""
        built = eqx.filter_eval_shape(self._build, params, jax.random.key(0))
        is_array = lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct)  # noqa: E731
        return jax.tree.map(lambda leaf: None if is_array(leaf) else leaf, built)

    def _batch(
        self, aux: Aux, params: Params, x: Float[Array, "n *item"], keys: Key[Array, " n"]
    ) -> Batch:
        """Draws of q, with its moments if they are followed."""
        z_keys, noise_keys, term_keys = jax.vmap(
            lambda key: streams(key, "nested.z", "nested.noise", "nested.term")
        )(keys)
        z = jax.vmap(lambda x, key: params.posterior.sample(x, key=key))(x, z_keys)
        like = jax.eval_shape(jax.vmap(flat), z)
        noise = jax.vmap(lambda key: jax.random.normal(key, like.shape[1:], like.dtype))(noise_keys)
        standard = lambda x: (jnp.zeros(like.shape), jnp.ones(like.shape))  # noqa: E731
        moments = standard if aux.moments is None else aux.moments.at
        return Batch(x, z, *moments(inside(params.model, x)), term_keys, noise, moments)

    def _noised(self, batch: Batch) -> Batch:
        """Draws of q with the noise at which the scores are known."""
        if self.sigma is None:
            return batch
        return batch._replace(z=batch.z + self.sigma * batch.scale * batch.noise)

    def _climbed(self, aux: Aux, params: Params, batch: Batch) -> Float[Array, " n"]:
        each = [
            term.climbed(own, params, batch)
            for term, own in zip(self.terms, aux.terms, strict=True)
        ]
        return jnp.sum(jnp.stack(each), axis=0)

    def _reported(
        self, aux: Aux, params: Params, batch: Batch, climbed: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        """The terms; where they are scores alone, minus half the squared norm of their sum."""
        if not all(isinstance(term, Denoiser) for term in self.terms):
            return climbed
        along = jax.grad(lambda z: jnp.sum(self._climbed(aux, params, batch._replace(z=z))))
        return -0.5 * jnp.sum((batch.scale * along(batch.z)) ** 2, axis=1)

    def _info(self, aux: Aux, params: Params, batch: Batch) -> dict[str, Float[Array, ""]] | None:
        info: dict[str, Float[Array, ""]] = {}
        for term, own in zip(self.terms, aux.terms, strict=True):
            info |= jax.lax.stop_gradient(term.info(own, params, batch))
        return info or None
