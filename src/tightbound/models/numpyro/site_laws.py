"""The laws of a NumPyro model's latents on all real numbers, right up to their supports' ends.

A site's value x = T(z) near the upper end of its support no longer tells its z: in float32 the
sigmoid is 1 from z of 17 on, while its Jacobian goes on falling. Densities that are singular there
(Beta, Dirichlet and Kumaraswamy with small parameters) then lose their tails. Three ways, in turn:

- a distribution that transforms another is the law of that other one: both Jacobians cancel;
- densities with a closed form in z are evaluated, and drawn, in z;
- of any other, log p(T(z)) + log |T'(z)| goes on as a straight line from where T(z) last tells z:
  towards an end of its support a density is a power of the distance, and its logarithm linear in z.

Reference: Devroye 1986, Non-Uniform Random Variate Generation, IX.3-4 (gamma and beta in logs).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro import distributions as dist
from numpyro.distributions import transforms as move

from tightbound.models.numpyro.site_densities import CLOSED, Closed

FAR, NEAR, NEAREST = "far", "near", "nearest"
LIMITS = {
    FAR: {4: 40.0, 8: 300.0},
    NEAR: {4: 12.0, 8: 22.0},
    NEAREST: {4: 6.0, 8: 11.0},
}
"""Largest |z| by bytes of a number: ends at zero or infinity, which floats resolve in proportion;
any other end, of which 1e-7 or 1e-16 of the range remain; and ends that tanh approaches."""
BEYOND = 80.0
"""Where a draw is put whose value has been rounded to the end of its support."""


class Law(NamedTuple):
    """One site on R^n: all functions take or give z of the `shape`."""

    shape: tuple[int, ...]
    value: Callable[[Float[Array, "..."]], Array]
    """From z to the value on the site's own support, which is finite."""
    log_density: Callable[[Float[Array, "..."]], Float[Array, ""]]
    """Of all of z together in nats, with the Jacobian."""
    draw: Callable[[PRNGKeyArray], Float[Array, "..."]]
    ends: tuple[str | None, str | None]
    """How far below and above zero values tell their z: keys of `LIMITS`, None for everywhere."""


def law_of(fn: Any, shape: tuple[int, ...], reach: float = 1.0) -> Law:
    """The law of a site with the distribution `fn` and values of the shape.

    Args:
        fn: Of NumPyro, expanded and moved in any way.
        shape: Of the site's values.
        reach: By how much `LIMITS` are scaled; they matter where there is no closed form.
    """
    core = fn
    while isinstance(core, dist.ExpandedDistribution | dist.Independent):
        core = core.base_dist
    # A subclass with a density of its own (folded, say) is no change of variables.
    if type(core).log_prob is dist.TransformedDistribution.log_prob:
        return _transformed(core, shape, reach)
    for kind, closed in CLOSED.items():
        if isinstance(core, kind) and type(core).log_prob is kind.log_prob:
            return _in_closed_form(core, shape, closed)
    return _of_value(fn, shape, reach)


def limited(law: Law, z: Float[Array, "..."], reach: float = 1.0) -> Float[Array, "..."]:
    """The nearest z that its value still tells, within limits scaled by `reach`."""
    low, high = law.ends
    size = z.dtype.itemsize
    return jnp.clip(
        z,
        None if low is None else -reach * LIMITS[low][size],
        None if high is None else reach * LIMITS[high][size],
    )


def continued(
    log_density: Callable[[Any], Float[Array, ""]], within: Any, z: Any
) -> Float[Array, ""]:
    """The log-density at z as a straight line from `within`, with the slope that it has there."""
    step = jax.tree.map(jnp.subtract, z, within)
    value, rise = jax.jvp(log_density, (within,), (step,))
    leaves = jax.tree.leaves(step)
    moved = jnp.any(jnp.stack([jnp.any(leaf != 0) for leaf in leaves]))
    return jnp.where(moved & jnp.isfinite(value), value + rise, value)


def _transformed(core: Any, shape: tuple[int, ...], reach: float) -> Law:
    """The law of the distribution underneath, whose values are then moved."""
    through = move.ComposeTransform(core.transforms)
    inner_shape = through.inverse_shape(shape)
    base = core.base_dist
    expanded = base.expand(inner_shape[: len(inner_shape) - base.event_dim])
    inner = law_of(expanded, inner_shape, reach)
    return inner._replace(value=lambda z: _finite(through(inner.value(z)), core.support))


def _in_closed_form(core: Any, shape: tuple[int, ...], closed: Closed) -> Law:
    """A density that is written in z; its parameters are those of the core, for every value."""
    inside = closed.inverse_shape(shape)
    parameters = closed.parameters(core)
    return Law(
        inside,
        lambda z: _finite(closed.value(z, *parameters), core.support),
        lambda z: jnp.sum(jnp.broadcast_to(closed.log_density(z, *parameters), closed.each(shape))),
        lambda key: closed.draw(key, shape, *parameters),
        closed.ends,
    )


def _of_value(fn: Any, shape: tuple[int, ...], reach: float) -> Law:
    """NumPyro's own density of the value and its own bijection."""
    through = dist.biject_to(fn.support)
    identity = isinstance(_innermost(through), move.IdentityTransform)

    def log_density(z: Float[Array, "..."]) -> Float[Array, ""]:
        x = through(z)
        log_p = jnp.sum(fn.log_prob(x))
        return log_p if identity else log_p + jnp.sum(through.log_abs_det_jacobian(z, x))

    def draw(key: PRNGKeyArray) -> Float[Array, "..."]:
        z = through.inv(fn.sample(key))
        return jnp.nan_to_num(z, nan=jnp.nan, posinf=BEYOND, neginf=-BEYOND)

    law = Law(
        through.inverse_shape(shape),
        lambda z: _finite(through(z), fn.support),
        log_density,
        draw,
        _ends(through),
    )
    if law.ends == (None, None):
        return law
    return law._replace(log_density=lambda z: continued(log_density, limited(law, z, reach), z))


def _innermost(through: Any) -> Any:
    """A transform without those that only say how many dimensions belong together."""
    while isinstance(through, move.IndependentTransform):
        through = through.base_transform
    return through


def _ends(through: Any) -> tuple[str | None, str | None]:
    """How far a bijection's values tell their z."""
    through = _innermost(through)
    parts = through.parts if isinstance(through, move.ComposeTransform) else [through]
    moved = len(parts) > 1
    match parts[0]:
        case move.ExpTransform():
            return (NEAR if moved else FAR), FAR
        case move.SigmoidTransform():
            return (NEAR if moved else FAR), NEAR
        case move.StickBreakingTransform():
            return NEAR, NEAR
        case move.CorrCholeskyTransform():
            return NEAREST, NEAREST
    return None, None


def _finite(x: Any, support: Any) -> Array:
    """Values kept off infinity, and off zero where they must be positive."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    info = jnp.finfo(x.dtype)
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    positive = support in (dist.constraints.positive, dist.constraints.nonnegative)
    return jnp.clip(x, info.tiny if positive else info.min, info.max)
