"""A table as all candidates see it: rows, folds, and one Gaussian fitted to it.

Members are fits side by side in one program: while models are judged each leaves other rows out
(weight 0).
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from tightbound.core.compilation import filter_jit
from tightbound.core.streams import item_keys, stream
from tightbound.likelihoods import TableComponents
from tightbound.models import Model
from tightbound.recipes.tables.choice import Judged
from tightbound.training.components import (
    Blocks,
    Limits,
    Mixture,
    bounded,
    iteration,
    log_evidence,
)
from tightbound.training.mixture import TABLE_FLOOR, as_mixture, as_model, limits_of, seen

ITERATIONS = 20
"""Of EM in one call of the program."""
MEMBERS = 5
"""Folds, and starts."""
BUDGET = 4e10
"""Steps of 1.5 ns that candidates may take: a mixture that would take more than is left is not
tried."""
OF_ONE = BUDGET / 30
"""What one component may take in one call, which bounds rows and members."""
HIDDEN = 0.1
"""Share of known cells that are hidden to see how wide a model has to be."""
LEAST_ROWS_OF_COLUMNS = 30
"""Rows for each column that are used whatever they cost."""


class State(NamedTuple):
    """Members of one kind."""

    mixture: Mixture
    limits: Limits


@dataclass
class Found:
    """What a candidate needs to be fitted to all rows."""

    kind: str
    components: int
    rank: int | None
    calls: int
    seconds: float = 0.0


@dataclass
class Search:
    """The table as all candidates see it."""

    template: Model
    """One component, fitted to all these rows, whose likelihood says what the columns are."""
    rows: Int[np.ndarray, " n"]
    """The rows of the table that are used: all, or some at random of a long and wide one."""
    x: Float[np.ndarray, "n d"]
    """These rows, NaN where values are missing."""
    data: Blocks
    log_slope: Float[np.ndarray, " n"]
    """Log of the slopes by which numbers were warped, of each row."""
    n: int
    folds: Int[np.ndarray, " n"]
    """The member that leaves a row out; -1 for none."""
    members: int
    filled: Float[np.ndarray, "n m"]
    """White numbers, with draws where they are missing."""
    colour: Float[np.ndarray, "m m"]
    """From white numbers to those of the normal block."""
    filled_levels: tuple[Int[np.ndarray, " n"], ...]
    key: Array
    once: float
    """Steps of an iteration of one component of one member."""
    spent: float = 0.0
    judged: Judged = field(default_factory=Judged)
    found: dict[str, Found] = field(default_factory=dict)

    @property
    def weights(self) -> Float[np.ndarray, "m n"]:
        """Weight 0 where a member leaves a row out."""
        return (self.folds[None] != np.arange(self.members)[:, None]).astype(np.float32)

    def cost(self, components: int, members: int) -> float:
        """Steps of a call of the program."""
        return self.once * ITERATIONS * components * members

    def mean(self, name: str) -> float:
        """Mean log p of held-out rows by a candidate."""
        return float(np.nanmean(self.judged[name]))

    def limits(self, shrinkage: float, rank: int | None, members: int) -> Limits:
        """What keeps members inside, the same for all."""
        like, start = self.template.likelihood, as_mixture(self.template)
        of_one = limits_of(start, like, TABLE_FLOOR, shrinkage, rank)
        return jax.tree.map(lambda leaf: jnp.repeat(leaf[None], members, axis=0), of_one)

    def held(self, log_p: Float[np.ndarray, "m n"]) -> Float[np.ndarray, " n"]:
        """Log p of each row, in its own units, by the member that did not see it; or NaN."""
        rows = np.arange(self.n)
        of_rows = log_p[np.maximum(self.folds, 0), rows] + self.log_slope
        return np.where(self.folds >= 0, of_rows, np.nan)


@filter_jit
def advanced(
    state: State, data: Blocks, weights: Float[Array, "m n"], *, iterations: int
) -> tuple[Mixture, Float[Array, "m n"]]:
    """Iterations of EM of all members, and log p of each row before the last of them."""

    def one(mixture: Mixture, limits: Limits, weights: Array) -> tuple[Mixture, Array]:
        def step(state: tuple[Mixture, Array], _: None) -> tuple[tuple[Mixture, Array], None]:
            return iteration(state[0], data, weights, limits), None

        inside = mixture._replace(
            covariances=bounded(mixture.covariances, limits.floor, limits.rank)
        )
        # Carried, since a last iteration of its own would be compiled a second time.
        start = inside, jnp.zeros(weights.shape, mixture.means.dtype)
        return jax.lax.scan(step, start, None, length=iterations)[0]

    return jax.vmap(one)(state.mixture, state.limits, weights)


@filter_jit
def widened_log_p(
    mixture: Mixture, data: Blocks, factors: Float[Array, " f"], *, n: int
) -> Float[Array, "f n"]:
    """Log p of each row by a mixture whose covariances are multiplied by each factor."""

    def by(factor: Float[Array, ""]) -> Float[Array, " n"]:
        wide = mixture._replace(covariances=factor * mixture.covariances)
        return log_evidence(wide, data, n)

    return jax.lax.map(by, factors)


def with_more_holes(search: Search) -> Search | None:
    """The same rows with a tenth of their known cells hidden; None of a table without holes."""
    known = ~np.isnan(search.x)
    if known.all():
        return None
    chance = jax.random.uniform(stream(search.key, "tables.hidden"), known.shape)
    x = np.where(np.asarray(chance) < HIDDEN, np.float32(np.nan), search.x)
    data, log_slope = seen(search.template.likelihood, x)
    return replace(search, x=x, data=data, log_slope=log_slope)


def prepared(template: Model, x: Float[np.ndarray, "n d"], key: Array) -> Search:
    """The table as candidates see it, with one component fitted to all of it."""
    likelihood = template.likelihood
    assert isinstance(likelihood, TableComponents)
    rows = _rows(x, len(likelihood.places[0]), stream(key, "tables.rows"))
    x = x[rows]
    (data, log_slope), n = seen(likelihood, x), len(x)
    once = _once(x, data.x.shape[1])
    members = int(np.clip(OF_ONE / (once * ITERATIONS), 1, MEMBERS))
    order = np.asarray(jax.random.permutation(stream(key, "tables.folds"), n))
    folds = np.empty(n, np.int64)
    folds[order] = np.arange(n) % MEMBERS
    folds = np.where(folds < members, folds, -1)
    start = as_mixture(template)
    limits = limits_of(start, likelihood, TABLE_FLOOR, 0.0)
    one = advanced(
        State(*jax.tree.map(lambda leaf: leaf[None], (start, limits))),
        data,
        jnp.ones((1, n)),
        iterations=ITERATIONS,
    )[0]
    fitted = as_model(jax.tree.map(lambda leaf: leaf[0], one), likelihood)
    filled, colour, levels = _filled(fitted, x, stream(key, "tables.filled"))
    return Search(
        fitted, rows, x, data, log_slope, n, folds, members, filled, colour, levels, key, once
    )


def _once(x: Float[np.ndarray, "n d"], numbers: int) -> float:
    """Steps of one iteration of one component, in which rows that know the same share a matrix."""
    patterns, d = len(np.unique(~np.isnan(x), axis=0)), max(numbers, 4)
    return d**2 * (patterns * d / 6 + len(x))


def _rows(x: Float[np.ndarray, "n d"], numbers: int, key: Array) -> Int[np.ndarray, " n"]:
    """As many rows as are affordable, in their order."""
    n = len(x)
    affordable = int(OF_ONE / (_once(x, numbers) * ITERATIONS) * n)
    most = max(affordable, LEAST_ROWS_OF_COLUMNS * x.shape[1])
    if n <= most:
        return np.arange(n)
    return np.sort(np.asarray(jax.random.permutation(key, n))[:most])


def _filled(
    fitted: Model, x: Float[np.ndarray, "n d"], key: Array
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    """Rows with draws in their holes: white numbers, their colour, and levels."""
    likelihood = fitted.likelihood
    assert isinstance(likelihood, TableComponents)
    keys = item_keys(key, jnp.arange(len(x)))
    known = ~np.isnan(x)
    whole = jnp.asarray(np.where(known, x, 0.0))
    u, of_levels = map(np.asarray, _drawn(likelihood, whole, jnp.asarray(known), keys))
    colour = np.asarray(likelihood.numbers.factors()[0], np.float64)
    mean = np.asarray(likelihood.numbers.means[0], np.float64)
    white = np.linalg.solve(colour, (u - mean).T).T if len(colour) else u
    return white, colour, tuple(of_levels.T.astype(np.int64))


@filter_jit
def _drawn(
    likelihood: TableComponents,
    x: Float[Array, "n d"],
    known: Bool[Array, "n d"],
    keys: Key[Array, " n"],
) -> tuple[Float[Array, "n m"], Float[Array, "n l"]]:
    """Rows with draws of one component in their holes: numbers of its normal block, and levels."""
    numbers, of_levels = (np.array(places, int) for places in likelihood.places)

    def one(x: Array, known: Array, key: Array) -> tuple[Array, Array]:
        drawn = likelihood.sample_missing(x, known, jnp.ones(1), key=key)
        return likelihood.warps(drawn[numbers])[0], drawn[of_levels]

    return jax.vmap(one)(x, known, keys)
