"""Posteriors for any model or target: normal, flow, semi-implicit, or implicit.

Huszar 2017, arXiv 1702.08235; Mescheder et al. 2017, arXiv 1701.04722 (noise-driven posteriors);
Yin & Zhou 2018, arXiv 1805.11183 (semi-implicit ones).
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.streams import as_key, first_keys, stream, streams
from tightbound.distributions import (
    AbstractConditional,
    DiagonalNormal,
    Implicit,
    SemiImplicit,
)
from tightbound.models.flow_posterior import flow
from tightbound.models.model import Model
from tightbound.models.shapes import fixed_with_draws, like_z, width
from tightbound.models.standardization import standardization
from tightbound.networks import (
    MLP,
    Dense,
    Joined,
    Squashed,
    WithCondition,
    WithSigns,
    standardizing,
)

KINDS = ("normal", "flow", "semi_implicit", "implicit")
APART = 0.8
"""Half the distance of a unit's two places, in standard deviations of the prior."""
WITHIN = 0.15
"""First standard deviation of the explicit layer, in the same unit: draws of a wider one cross from
mode to mode, and what they pull at takes all others along."""
PRIOR_DRAWS = 1000
LOG_SCALE = -1.0
"""First log-standard deviation of the explicit layer of a semi-implicit posterior."""


def posterior(
    model: Model,
    kind: str = "implicit",
    *,
    hidden: Sequence[int] = (64, 64),
    noise: int | None = None,
    activation: str = "silu",
    dim: int | None = None,
    key: int | PRNGKeyArray = 0,
) -> AbstractConditional:
    """Builds a posterior q(z|x) for a model with one layer of latents, or q(z) for a `Target`.

    Its network sees arcsinh of what it is given, so that data with heavy tails do no harm, and
    data standardised where the model does so.

    Args:
        model: p(x, z); sizes and how it standardises data are read from it. Its density plays no
            part.
        kind: "normal" (explicit: a diagonal normal), "flow" (explicit: a `SplineFlow`, which begins
            as a linear regression where the model can be drawn from), "semi_implicit" (a diagonal
            normal whose mean and standard deviations are driven by noise, its signs and x) or
            "implicit" (a network of noise and x).
        hidden: Widths of the hidden layers of its network.
        noise: Dimensions of the noise; as many as z has, and at least 3, if left out.
        activation: Name of the activation of the hidden layers.
        dim: Number of columns of x, where the model cannot say (a simulator of another kind).
        key: Seed or key of the initialisation.

    Raises:
        UsageError: An unknown kind, sizes below one, or latents of several layers.
    """
    if kind not in KINDS:
        raise UsageError(f"expected a kind of posterior out of {', '.join(KINDS)}, got {kind!r}")
    z = like_z(model)
    if getattr(z, "ndim", None) != 1:
        raise UsageError(f"expected a model whose z is one vector, got {z}")
    (size,) = z.shape
    columns = width(model) if dim is None else dim
    if kind == "flow":
        flow_key = stream(as_key(key), "posterior.flow")
        at_least(1, **{f"hidden[{i}]": n for i, n in enumerate(hidden)})
        return flow(model, size, columns, hidden, activation, flow_key)
    noise = max(3, size) if noise is None else noise
    at_least(1, noise=noise, **{f"hidden[{i}]": n for i, n in enumerate(hidden)})
    behind = 0 if kind == "normal" else noise

    def shown(network: Any) -> Any:
        squashed = Squashed(network)
        reader = WithCondition(squashed) if model.condition else squashed
        return standardizing(reader, standardization(model), behind=behind)

    if kind == "implicit":
        network = Joined.glorot(
            noise + columns + model.condition,
            tuple(hidden),
            size,
            activation=activation,
            key=stream(as_key(key), "posterior.implicit"),
        )
        network = eqx.tree_at(lambda joined: joined.trunk, network, replace_fn=shown)
        return Implicit(network=network, noise=noise)
    n_in = behind + columns + model.condition
    trunk_key, location_key, scale_key = streams(
        as_key(key), "posterior.trunk", "posterior.location", "posterior.scale"
    )
    wide = kind == "semi_implicit" and fixed_with_draws(model)
    signs = noise if wide else 0
    trunk = MLP.glorot(n_in + signs, tuple(hidden), activation=activation, key=trunk_key)
    trunk = shown(WithSigns(trunk, noise) if wide else trunk)
    last = (n_in + signs, *hidden)[-1]
    location = Dense.glorot(last, size, key=location_key)
    if kind == "normal":
        return DiagonalNormal(trunk, location, Dense.glorot(last, size, key=scale_key))
    # The noise is to move the mean: the spread of the explicit layer starts small and even.
    log_scale = Dense(jnp.zeros((last, size)), jnp.full(size, LOG_SCALE))
    if wide:
        location, log_scale = _as_the_prior(model, location, noise, as_key(key))
    return SemiImplicit(DiagonalNormal(trunk, location, log_scale), noise)


def _as_the_prior(
    model: Any, location: Dense, noise: int, key: PRNGKeyArray
) -> tuple[Dense, Dense]:
    """Heads that begin as wide as the prior, each unit of z near one of two places.

    The sign of a unit's own noise tells which: the units are independent at first, and nothing
    need be between the places.
    """
    draws = jax.vmap(lambda key: model.prior.sample(None, key=key))(
        first_keys(stream(key, "posterior.prior"), PRIOR_DRAWS)
    )
    # By quantiles: a prior with heavy tails has no standard deviation.
    low, middle, high = jnp.quantile(draws, jnp.array([0.16, 0.5, 0.84]), axis=0)
    spread = (high - low) / 2
    jumps = APART * jnp.eye(noise, spread.shape[0]) @ jnp.diag(spread)
    weight = jnp.concatenate([location.weight, jumps])
    return Dense(weight, middle), Dense(jnp.zeros_like(weight), jnp.log(WITHIN * spread))
