"""Weighted draws of the posterior: moments, quantiles, shares of modes, draws without weights.

Errors are those of self-normalised importance sampling (`self_normalised`): they hold for draws
that are independent, as all but those of adaptive methods are.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.streams import as_key, first_keys, stream
from tightbound.evidence.groups import about_draws, weighted_groups
from tightbound.evidence.importance.pareto import khat, tail_length
from tightbound.evidence.modes import Fractions, each_draw, labelled
from tightbound.evidence.self_normalised import (
    average,
    chosen,
    deviation,
    ess_of,
    quantiles,
    shares_of,
)
from tightbound.models import NumPyroTarget, Target
from tightbound.models.model import Model

FEWEST = 5.0
"""With fewer effective draws there is no telling how far off they are."""
HEAVY = 0.7
"""With a larger k-hat the weights' variance, which the errors rest on, is not in the draws."""
SHARE = 0.05
"""Share of the data that may have one by chance."""


class Measured(NamedTuple):
    """Numbers about the posterior with their standard errors, both in the form of z."""

    value: Any
    stderr: Any
    """Infinite where the draws tell nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightedDraws:
    """The draws that an estimate was made of, with their weights; arrays on the host.

    Without the axis n for a `Target`. Where a datum has fewer than 5 effective draws, a warning
    says so, and errors are infinite; where more than 5 % of the data have k-hat above 0.7, it says
    that errors are too small.
    """

    z: Any
    """Shape (n, k, d), or a tuple of layers; for a target from `tb.from_numpyro` a dict of site
    names to values on the sites' own supports, deterministic sites too, each of shape (k, ...)."""
    log_weights: Float[np.ndarray, "*n k"]
    """In nats; the log of the mean of their exponentials estimates log p(x)."""
    unconstrained: Any
    """The same draws as methods see them: on R^dim for a target from `tb.from_numpyro`, else z."""

    @property
    def shares(self) -> Float[np.ndarray, "*n k"]:
        """The weights as shares of their sum; NaN where all are zero."""
        return shares_of(self.log_weights)

    @property
    def ess(self) -> Float[np.ndarray, "*n"]:
        """Effective number of draws, 1 / sum of squared shares; 0 where all weights are zero."""
        return ess_of(self.shares)

    @property
    def khat(self) -> Float[np.ndarray, "*n"]:
        """Shape of the tail of the weights (see `tb.evaluate`); NaN where they are too few."""
        shape = self.log_weights.shape
        flat = jnp.asarray(self.log_weights.reshape(-1, shape[-1]))
        return np.asarray(_khats(flat)).reshape(shape[:-1])

    def mean(self) -> Measured:
        """The posterior mean of every number in z."""
        return self._each(average)

    def sd(self) -> Measured:
        """The posterior standard deviation of every number in z."""
        return self._each(deviation)

    def quantile(self, p: float | Sequence[float]) -> Measured:
        """The posterior quantiles of every number in z.

        Args:
            p: Between 0 and 1; of several the results stand along a new first axis.

        Raises:
            UsageError: A p outside of (0, 1).
        """
        ps = np.asarray(p, np.float64)
        if ps.ndim > 1 or ps.size == 0 or not np.all((ps > 0) & (ps < 1)):
            raise UsageError(f"expected p between 0 and 1, or a list of such, got {p!r}")
        found = self._each(partial(quantiles, ps=np.ravel(ps)), before=1)
        return found if ps.ndim else Measured(*(jax.tree.map(lambda a: a[0], of) for of in found))

    def expectation(self, f: Callable[[Any], Any]) -> Measured:
        """The posterior expectation of a function.

        Args:
            f: Of one draw, as z has it without its leading axes, in `jax.numpy`, to an array or a
                tree of them.

        Raises:
            UsageError: JAX cannot trace the function.
        """
        return self._each(average, each_draw(f, self.z, self.log_weights.shape))

    def fractions(self, assign: Callable[[Any], Any] | Any) -> Fractions:
        """The shares of the posterior's mass that modes have.

        Args:
            assign: A function of one draw, in `jax.numpy`, to a whole number, its label; labels
                are then those that occur. Or centres, with a leading axis m, in the form of z (of
                sites by name some are enough): a draw belongs to the nearest, and labels are their
                numbers.

        Raises:
            UsageError: A function that gives something else, or centres of another shape.
        """
        labels, names = labelled(self.z, self.log_weights.shape, assign)
        inside = labels[..., None] == names
        value, error = self._each(average, inside)
        with np.errstate(divide="ignore"):
            least = 1 / self.ess[..., None]
        return Fractions(names, value, np.maximum(error, least))

    def resample(self, n: int, key: int | PRNGKeyArray = 0) -> Any:
        """Draws without weights, chosen from these in proportion to them, in random order.

        Each is taken n times its share, rounded up or down at random (systematic resampling). They
        are worth the ESS and not n.

        Args:
            n: Draws, for each datum.
            key: Seed or key.

        Returns:
            In the form of z, with n in place of k; NaN where all weights are zero.

        Raises:
            UsageError: n < 1.
        """
        (n,) = at_least(1, n=n)
        shares = self.shares.reshape(-1, self.log_weights.shape[-1])
        keys = first_keys(stream(as_key(key), "weighted.resampled"), len(shares))
        numbers = chosen(shares, n, keys).reshape(*self.log_weights.shape[:-1], n)

        def taken(leaf: Any) -> Any:
            at = numbers.reshape(numbers.shape + (1,) * (leaf.ndim - numbers.ndim))
            found = np.take_along_axis(leaf, np.maximum(at, 0), axis=numbers.ndim - 1)
            return found if np.all(at >= 0) else np.where(at >= 0, found, np.nan)

        return jax.tree.map(taken, self.z)

    def to_arviz(
        self,
        key: int | PRNGKeyArray = 0,
        logs: dict[str, Float[np.ndarray, "*n k"]] | None = None,
        about: dict[str, Any] | None = None,
    ) -> Any:
        """The draws with their weights as an xarray `DataTree`.

        Its groups are those of `tb.evidence.to_arviz`: `proposal` (these draws),
        `sample_stats_proposal` (`log_weight`, and `weight`, which sums to one over the draws) and
        `posterior` (as many draws without weights, from `resample`). A target has one datum.

        Args:
            key: Seed or key of the resampled draws.
            logs: More about each draw, in nats, by name.
            about: What is to stand beside all groups.

        Raises:
            UsageError: xarray is not installed.
        """
        k = self.log_weights.shape[-1]
        return weighted_groups(
            self.z,
            self.resample(k, key),
            {"log_weight": self.log_weights} | (logs or {}),
            self.shares,
            about_draws(k, key) | (about or {}),
        )

    def _each(self, measure: Callable[..., Any], tree: Any = None, *, before: int = 0) -> Measured:
        """A measure of every leaf of z, or of a tree like it; errors are infinite where ESS is low.

        `before` axes of the results stand before those of the data.
        """
        few = self.ess < FEWEST
        if np.any(few):
            who = "there are" if few.ndim == 0 else f"{np.sum(few)} of {few.size} data have"
            warnings.warn(
                f"{who} fewer than {FEWEST:g} effective draws (least ESS {np.min(self.ess):.1f}): "
                "what they say of the posterior means nothing; use more draws or a better proposal",
                stacklevel=3,
            )
        shapes = self.khat
        if np.mean((shapes > HEAVY) & ~few) > SHARE:
            warnings.warn(
                f"the tail of the weights is heavy (largest k-hat {np.nanmax(shapes):.2f}, above "
                f"{HEAVY}): the draws miss mass that would weigh much, errors are lower bounds; "
                "use a better proposal, or tb.evidence.annealed",
                stacklevel=3,
            )
        leaves, structure = jax.tree.flatten(self.z if tree is None else tree)
        shares = self.shares
        found = [measure(shares, np.asarray(leaf, np.float64)) for leaf in leaves]
        values, errors = [value for value, _ in found], []
        for _, error in found:
            shape = (1,) * before + few.shape + (1,) * (error.ndim - before - few.ndim)
            errors.append(np.where(few.reshape(shape), np.inf, error))
        return Measured(
            jax.tree.unflatten(structure, values), jax.tree.unflatten(structure, errors)
        )


def weighted(model: Model, z: Any, log_weights: Float[np.ndarray, "n k"]) -> WeightedDraws:
    """Draws with a leading axis n as users see them: by site for NumPyro, without n for a target.

    Args:
        model: p(x, z).
        z: Draws of shape (n, k, ...), or a tuple of layers.
        log_weights: In nats.
    """
    if isinstance(model, Target):
        z, log_weights = jax.tree.map(lambda leaf: leaf[0], z), log_weights[0]
    values = z
    if isinstance(model, NumPyroTarget):
        values = {name: np.asarray(of) for name, of in model.constrain(z).items()}
    return WeightedDraws(z=values, log_weights=log_weights, unconstrained=z)


@filter_jit
def _khats(log_w: Float[jax.Array, "n k"]) -> Float[jax.Array, " n"]:
    tail = min(tail_length(log_w.shape[1]) + 1, log_w.shape[1])
    return jax.lax.map(lambda row: khat(jax.lax.top_k(row, tail)[0][::-1]), log_w, batch_size=64)
