"""Simulators as models: draws of x given z, and no density anywhere.

Huszar 2017, arXiv 1702.08235 (joint-contrastive inference needs draws of p(x, z) alone); Cranmer,
Brehmer & Louppe 2020, PNAS 117(48) (simulation-based inference).
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.progress import Progress
from tightbound.data import DataLike, as_table
from tightbound.distributions import AbstractConditional, FromSimulator
from tightbound.distributions.functions import called
from tightbound.models.model import Model
from tightbound.networks import Fixed


class _FromKey(eqx.Module):
    """A function of a key as one of what is given and a key."""

    draw: Callable[..., Any]
    what: str = eqx.field(static=True)

    def __call__(self, given: Any, key: PRNGKeyArray) -> Any:
        arguments = (key,) if given is None else (given, key)
        return called(self.draw, self.what, *arguments)


def simulator(
    prior: AbstractConditional | Callable[[PRNGKeyArray], Float[Array, " dim"]],
    simulate: Callable[[Float[Array, " dim"], PRNGKeyArray], Float[Array, " columns"]],
) -> Model:
    """Makes a model of a simulator that is written in JAX: it offers draws, and no density.

    Args:
        prior: p(z), any conditional; or a function of a key that draws one z of shape (dim,).
        simulate: (z, key) to one x of shape (columns,), in `jax.numpy` and `jax.random`.

    Returns:
        A model for objectives that need draws of p(x, z) alone.

    Raises:
        UsageError: Draws that are no vector of floats, or a function that JAX cannot trace.
    """
    if not isinstance(prior, AbstractConditional):
        prior = FromSimulator(_FromKey(prior, "prior(key)"))
    likelihood = FromSimulator(_FromKey(simulate, "simulate(z, key)"))
    z = eqx.filter_eval_shape(lambda key: prior.sample(None, key=key), jax.random.key(0))
    _check_vector(z, "the prior to draw one z of shape (dim,)")
    x = eqx.filter_eval_shape(lambda z, key: likelihood.sample(z, key=key), z, jax.random.key(0))
    _check_vector(x, "simulate to give one x of shape (columns,)")
    return Model(prior, likelihood)


def _check_vector(drawn: Any, what: str) -> None:
    """Refuses what is no vector of floats."""
    if not (getattr(drawn, "ndim", None) == 1 and jnp.issubdtype(drawn.dtype, jnp.floating)):
        raise UsageError(
            f"expected {what}, of floats, got {drawn}; reshape to one vector and convert with "
            ".astype(jnp.float32)"
        )


def simulate(
    prior: Callable[[np.random.Generator], Any],
    simulator: Callable[[Float[np.ndarray, " dim"], np.random.Generator], Any],
    n: int,
    *,
    seed: int = 0,
    progress: bool | None = None,
) -> tuple[Float[np.ndarray, "n dim"], Float[np.ndarray, "n columns"]]:
    """Runs a simulator that is plain Python, n times, into arrays for `simulated`.

    Each run has a generator of its own, from the seed and its row: a larger n keeps the first
    rows.

    Args:
        prior: Draws one z, a vector or number, by the `numpy.random.Generator` that it is given.
        simulator: (z, generator) to one x, a vector or number.
        n: Number of runs.
        seed: Seed of all generators.
        progress: Show a progress bar on standard error; by default if that is a terminal.

    Returns:
        `(z, x)` as float32, a row for each run.

    Raises:
        UsageError: n < 1; a z or x of another size than the first row's, or with a number that is
            not finite: its row is named. An error of the simulator itself has the row in a note.
    """
    at_least(1, n=n)
    rows: dict[str, list[np.ndarray]] = {"z": [], "x": []}
    with Progress("simulating", n, shown=progress) as bar:
        for row in range(n):
            generator = np.random.default_rng([seed, row])
            try:
                z = _vector(prior(generator), "z", row, rows["z"])
                x = _vector(simulator(z, generator), "x", row, rows["x"])
            except UsageError:
                raise
            except Exception as error:
                error.add_note(f"in row {row} (counted from 0) of the simulations, seed {seed}")
                raise
            rows["z"].append(z)
            rows["x"].append(x)
            bar.advance()
    return np.stack(rows["z"]), np.stack(rows["x"])


def _vector(value: Any, name: str, row: int, before: list[np.ndarray]) -> Float[np.ndarray, " d"]:
    """One z or x as a vector, refused with its row."""
    vector = np.atleast_1d(np.asarray(value, np.float32))
    size = before[0].shape if before else (vector.size,)
    if vector.shape != size or not vector.size:
        expected = f"shape {size}, as in row 0" if before else "a vector of numbers"
        raise UsageError(f"{name} of row {row} (counted from 0): expected {expected}, got "
                         f"shape {vector.shape}")  # fmt: skip
    if not np.all(np.isfinite(vector)):
        column = int(np.argmin(np.isfinite(vector)))
        raise UsageError(
            f"{name} of row {row} (counted from 0): expected finite numbers, got "
            f"{vector[column]} in column {column}"
        )
    return vector


class _Pairs(eqx.Module):
    """Stored rows of z and behind it x."""

    rows: Fixed
    dim: int = eqx.field(static=True)
    held: int = eqx.field(static=True)
    """How many of them, the last ones, are held back."""

    def row(
        self, key: PRNGKeyArray, *, held: bool = False
    ) -> tuple[Float[Array, " columns"], Float[Array, " dim"]]:
        """One stored (x, z): of those to fit to, or of those that are held back."""
        values = self.rows.values
        n = values.shape[0]
        between = (n - self.held, n) if held else (0, n - self.held)
        both = values[jax.random.randint(key, (), *between)]
        return both[self.dim :], both[: self.dim]


class StoredPrior(AbstractConditional):
    """Draws one of the stored z."""

    pairs: _Pairs

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One stored z."""
        del given
        return self.pairs.row(key)[1]


class StoredLikelihood(AbstractConditional):
    """Stands for a simulator that has been run: x comes with its z, and not for any other."""

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Float[Array, " columns"]:
        """An error in words."""
        del given, key
        raise UsageError(
            "this needs a draw x for a z of its own, and these are stored pairs (z, x): draw both "
            "by model.sample(key), or give the simulator itself by tb.models.simulator"
        )


class Simulated(Model):
    """Pairs (z, x) that a simulator has given: `sample` draws one of them with replacement."""

    prior: StoredPrior
    likelihood: StoredLikelihood

    def sample(
        self, key: PRNGKeyArray, condition: Float[Array, " c"] | None = None
    ) -> tuple[Float[Array, " columns"], Float[Array, " dim"]]:
        """One stored pair (x, z)."""
        del condition
        return self.prior.pairs.row(key)

    def held_out(
        self, key: PRNGKeyArray, condition: Float[Array, " c"] | None = None
    ) -> tuple[Float[Array, " columns"], Float[Array, " dim"]]:
        """One of the pairs that are held back; of all, if none are."""
        del condition
        pairs = self.prior.pairs
        return pairs.row(key, held=pairs.held > 0)


def simulated(z: DataLike, x: DataLike, *, held: int = 0) -> Simulated:
    """Makes a model of simulations from outside: draws of p(x, z) are stored pairs.

    A network can learn stored pairs by heart, and only pairs that it has not seen show that. What
    is held back is drawn for validation alone, by objectives that are judged by pairs (`npe`);
    for others give the pairs of the training set alone.

    Args:
        z: Latents (parameters) of shape (n, dim), drawn from the prior.
        x: What was simulated for each, of shape (n, columns).
        held: How many pairs, the last ones, are held back for validation.

    Returns:
        A model for objectives that need draws of p(x, z) alone.

    Raises:
        UsageError: No tables of finite numbers (row and column are named), different lengths, or
            fewer than one pair that is not held back.
    """
    z, x = as_table(z, "z of the simulations"), as_table(x, "x of the simulations")
    if len(z) != len(x):
        raise UsageError(f"expected as many z as x, one pair in a row, got {len(z)} and {len(x)}")
    if not 0 <= held < len(z):
        raise UsageError(f"expected held from 0 to {len(z) - 1} for {len(z)} pairs, got {held}")
    both = np.concatenate([z, x], axis=1)
    return Simulated(StoredPrior(_Pairs(Fixed.of(both), z.shape[1], held)), StoredLikelihood())
