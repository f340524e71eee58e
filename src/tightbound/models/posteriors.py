"""Posteriors for any model or target, from a diagonal normal to a noise-driven network.

Huszar 2017, arXiv 1702.08235; Mescheder et al. 2017, arXiv 1701.04722 (noise-driven posteriors);
Yin & Zhou 2018, arXiv 1805.11183 (semi-implicit ones); Dinh et al. 2017, arXiv 1605.08803 (flows).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from tightbound.core.errors import UsageError, at_least, unknown
from tightbound.core.items import Datum
from tightbound.core.streams import as_key, stream
from tightbound.distributions import (
    AbstractConditional,
    AbstractExplicit,
    AffineImage,
    AffinePush,
    DiagonalNormal,
    FullMixture,
    FullNormal,
    Implicit,
    OnFeatures,
    SemiImplicit,
)
from tightbound.distributions.full_normal import affine
from tightbound.models.flow_posterior import flow, flow_of_features
from tightbound.models.model import Model
from tightbound.models.prior_start import as_the_prior
from tightbound.models.shapes import fixed_with_draws, like_z, width
from tightbound.models.standardization import seen_width, view
from tightbound.networks import (
    MLP,
    Body,
    Dense,
    Joined,
    OnPart,
    Squashed,
    Whole,
    WithCondition,
    WithSigns,
    frozen,
    viewing,
)

LAYERS = ("normal", "full_covariance")
"""Explicit layers of a semi-implicit posterior."""
LOG_SCALE = -1.0
"""First log-standard deviation where a posterior is to start narrow and even."""


class _Plan(NamedTuple):
    """What every kind is made from."""

    model: Model
    size: int
    columns: int
    """How many numbers networks see of x."""
    encoder: Callable[..., Any] | None
    """What makes features of them, which stand in x's place."""
    features: int
    """How many there are: of x and its condition, if nothing makes any."""
    hidden: tuple[int, ...]
    activation: str
    noise: int
    layer: str
    components: int
    base: AbstractExplicit | None
    key: PRNGKeyArray

    def shown(self, network: Any, behind: int = 0) -> Any:
        """The network for data as they come, behind so many other numbers."""
        if self.encoder is not None:
            on_features = OnPart(network, self.encoder, behind, behind + self.columns)
            return viewing(on_features, view(self.model), behind=behind)
        squashed = Squashed(network)
        reader = WithCondition(squashed) if self.model.condition else squashed
        return viewing(reader, view(self.model), behind=behind)

    def trunk(self, behind: int = 0, *, constant: bool = False, signs: int = 0) -> tuple[Any, int]:
        """A network of what is given, and how many features it has.

        Of nothing at all it has none if it may be `constant`: the heads' biases are then all. With
        `signs` those of so many numbers of noise stand beside them, and behind its features.
        """
        n_in = behind + self.features + signs
        hidden = () if constant and n_in == 0 else self.hidden
        key = stream(self.key, "posterior.trunk")
        trunk: Any = MLP.glorot(n_in, hidden, activation=self.activation, key=key)
        trunk = WithSigns(trunk, signs) if signs else trunk
        return self.shown(trunk, behind), (n_in, *hidden)[-1]

    def location(self, last: int, size: int) -> Dense:
        """A head by Glorot's rule."""
        return Dense.glorot(last, size, key=stream(self.key, "posterior.location"))

    def full_normal(self, behind: int = 0) -> FullNormal:
        """A normal with a full covariance, which starts narrow, even and uncorrelated."""
        trunk, last = self.trunk(behind, constant=True)
        below = _even(last, self.size * (self.size - 1) // 2, 0.0)
        scale = _even(last, self.size, LOG_SCALE)
        return FullNormal(trunk, self.location(last, self.size), scale, below)


def _normal(plan: _Plan) -> AbstractConditional:
    trunk, last = plan.trunk()
    scale = Dense.glorot(last, plan.size, key=stream(plan.key, "posterior.scale"))
    return DiagonalNormal(trunk, plan.location(last, plan.size), scale)


def _full_covariance(plan: _Plan) -> AbstractConditional:
    return plan.full_normal()


def _mixture(plan: _Plan) -> AbstractConditional:
    c, d = plan.components, plan.size
    trunk, last = plan.trunk(constant=True)
    # Components that start at one place would stay one component.
    apart = jax.random.normal(stream(plan.key, "posterior.apart"), (c * d,))
    return FullMixture(
        trunk=trunk,
        share=_even(last, c, 0.0),
        location=Dense(plan.location(last, c * d).weight, apart),
        log_scale=_even(last, c * d, LOG_SCALE),
        below=_even(last, c * (d * (d - 1) // 2), 0.0),
        components=c,
        base=plan.base,
    )


def _flow(plan: _Plan) -> AbstractConditional:
    key, model = stream(plan.key, "posterior.flow"), plan.model
    if plan.encoder is not None:
        of_features = flow_of_features(plan.size, plan.features, plan.activation, key)
        shown = viewing(plan.encoder, view(model))
        found: AbstractExplicit = OnFeatures(trunk=shown, conditional=of_features)
        return found if plan.base is None else AffineImage(found, plan.base)
    sizes = (plan.size, plan.columns, plan.hidden)
    found = flow(model, *sizes, plan.activation, key, regressed=plan.base is None)
    return found if plan.base is None else AffineImage(found, plan.base)


def _semi_implicit(plan: _Plan) -> AbstractConditional:
    if plan.layer == "full_covariance":
        layer: AbstractExplicit = plan.full_normal(plan.noise)
    elif plan.base is None and fixed_with_draws(plan.model):
        trunk, last = plan.trunk(plan.noise, signs=plan.noise)
        location = plan.location(last, plan.size)
        layer = DiagonalNormal(trunk, *as_the_prior(plan.model, location, plan.noise, plan.key))
    else:
        trunk, last = plan.trunk(plan.noise)
        # The noise is to move the mean: the spread of the explicit layer starts small and even.
        scale = _even(last, plan.size, LOG_SCALE)
        layer = DiagonalNormal(trunk, plan.location(last, plan.size), scale)
    if plan.base is not None:
        layer = AffineImage(layer, plan.base, plan.noise)
    return SemiImplicit(layer, plan.noise)


def _implicit(plan: _Plan) -> AbstractConditional:
    network: Any = Joined.glorot(
        plan.noise + plan.features,
        plan.hidden,
        plan.size,
        activation=plan.activation,
        key=stream(plan.key, "posterior.implicit"),
    )
    network = eqx.tree_at(
        lambda joined: joined.trunk, network, replace_fn=lambda n: plan.shown(n, plan.noise)
    )
    if plan.base is not None:
        network = AffinePush(network, plan.base)
    return Implicit(network=network, noise=plan.noise)


KINDS = {
    "normal": _normal,
    "full_covariance": _full_covariance,
    "flow": _flow,
    "mixture": _mixture,
    "semi_implicit": _semi_implicit,
    "implicit": _implicit,
}
"""What makes each kind of posterior."""
WHITENED = ("flow", "mixture", "semi_implicit", "implicit")
"""Those that may stand in the units of a first fit: a normal would only be another normal."""


def posterior(
    model: Model,
    kind: str = "implicit",
    *,
    hidden: Sequence[int] = (64, 64),
    noise: int | None = None,
    activation: str = "silu",
    dim: int | None = None,
    layer: str = "normal",
    components: int = 4,
    encoder: Callable[..., Any] | None = None,
    whitened: AbstractConditional | None = None,
    key: int | PRNGKeyArray = 0,
) -> AbstractConditional:
    """Builds a posterior q(z|x) for a model with one layer of latents, or q(z) for a `Target`.

    Its network sees arcsinh of what it is given, so that data with heavy tails do no harm, and
    data standardised where the model does so. For a `Target` nothing is given, and
    "full_covariance" and "mixture" are parameters without a network.

    Args:
        model: p(x, z); sizes and how it standardises data are read from it. Its density plays no
            part.
        kind: "normal" (a diagonal normal), "full_covariance" (a normal with all covariances),
            "flow" (a `SplineFlow`, which begins as a linear regression where the model can be drawn
            from), "mixture" (of normals with full covariances; for `objectives.stratified`, or
            gradients that leave draws alone), "semi_implicit" (a normal whose mean and spread are
            driven by noise, its signs and x) or "implicit" (a network of noise and x). All but the
            last two have a density.
        hidden: Widths of the hidden layers of its network.
        noise: Dimensions of the noise; as many as z has, and at least 3, if left out.
        activation: Name of the activation of the hidden layers.
        dim: Number of columns of x, where the model cannot say (a simulator of another kind).
        layer: The explicit layer of "semi_implicit": "normal" (diagonal) or "full_covariance".
        components: Of a "mixture".
        encoder: Your own network of x, from one row (standardised where the model does so) to
            features of shape (h,), which the other networks are given in place of x.
        whitened: A posterior of the same model, of the kind "normal" or "full_covariance", which
            was fitted first: z = m + L u in its mean and the factor of its covariance, and the
            new posterior's network makes u, near N(0, I). Its numbers stay as they are.
        key: Seed or key of the initialisation.

    Raises:
        UsageError: An unknown kind or layer, sizes below one, latents of several layers, a flow in
            one dimension, something to whiten by that is no normal on the same z, or a network of
            your own that gives no features of one row.
    """
    if kind not in KINDS:
        raise unknown("the kind of posterior", kind, KINDS)
    if layer not in LAYERS:
        raise unknown("the explicit layer", layer, LAYERS)
    if layer != "normal" and kind != "semi_implicit":
        raise UsageError(f"layer={layer!r} is for the kind 'semi_implicit', got {kind!r}")
    z = like_z(model)
    if getattr(z, "ndim", None) != 1:
        raise UsageError(f"expected a model whose z is one vector, got {z}")
    (size,) = z.shape
    columns = width(model) if dim is None else dim
    noise = max(3, size) if noise is None else noise
    widths = {f"hidden[{i}]": n for i, n in enumerate(hidden)}
    at_least(1, noise=noise, components=components, **widths)
    base = None if whitened is None else _first(model, whitened, kind, size, columns)
    columns = seen_width(model) if dim is None else dim
    features = columns + model.condition
    if encoder is not None:
        features = _width(encoder, columns, model.condition)
    plan = _Plan(
        model=model,
        size=size,
        columns=columns,
        encoder=encoder,
        features=features,
        hidden=tuple(hidden),
        activation=activation,
        noise=noise,
        layer=layer,
        components=components,
        base=base,
        key=as_key(key),
    )
    return KINDS[kind](plan)


def _width(encoder: Callable[..., Any], columns: int, condition: int) -> int:
    """How many features there are."""
    if isinstance(encoder, Whole):
        raise UsageError(
            "expected an encoder to features, behind which the posterior's own networks stand, "
            "got one that gives parameters itself (tb.networks.Whole)"
        )
    together = lambda x, c: Datum(x, condition=c)  # noqa: E731
    body = Body(columns, (), own=encoder, condition=condition, together=together)
    trunk, _ = body.build({}, jax.random.key(0), [])
    return body.width(trunk)


def _even(n_in: int, n_out: int, value: float) -> Dense:
    """A head that starts at one value, whatever it is given."""
    return Dense(jnp.zeros((n_in, n_out)), jnp.full(n_out, value))


def _first(
    model: Model, fitted: AbstractConditional, kind: str, size: int, columns: int
) -> AbstractExplicit:
    """The first fit with its numbers fixed, after a look at what it gives."""
    if kind not in WHITENED:
        raise UsageError(f"whitened= is for the kinds {', '.join(WHITENED)}, got {kind!r}")
    x: Any = jnp.zeros(columns)
    if model.condition:
        x = Datum(x, condition=jnp.zeros(model.condition))
    try:
        found = eqx.filter_eval_shape(lambda: affine(fitted, x)[0]).shape
    except TypeError as error:
        raise UsageError(f"whitened= is of another model: {error}") from error
    if found != (size,):
        raise UsageError(f"expected whitened= on z of shape ({size},), got {found}")
    return frozen(fitted)
