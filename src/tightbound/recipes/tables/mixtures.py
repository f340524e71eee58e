"""Gaussians, probabilistic PCA and mixtures of a table's rows, judged by rows that are held out.

Members are fits side by side in one program: while models are judged each leaves other rows out
(weight 0), and then each starts elsewhere with all rows. Their mixture, in equal shares, is the
model: what one start found and another did not is in it, and its evidence is a sum like theirs.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from tightbound.core.compilation import filter_jit
from tightbound.core.streams import item_keys, numbered, stream
from tightbound.likelihoods import TableComponents
from tightbound.models import Model
from tightbound.recipes.tables.choice import Judged
from tightbound.training.components import Blocks, Limits, Mixture, bounded, iteration
from tightbound.training.mixture import TABLE_FLOOR, as_mixture, as_model, limits_of, seen

ITERATIONS = 20
"""Of EM in one call of the program."""
CALLS = 4
"""Most calls after the covariances have become each component's own."""
LEAST_GAIN = 0.002
"""Nats per row by which held-out rows must gain from a call for there to be another."""
MEMBERS = 5
COMPONENTS = (2, 4, 8, 16, 32, 64)
ROWS_OF_EACH = 8
"""Least rows for each component."""
COST = 6e10
"""Numbers that sweeps may touch for one candidate: what sets the number of members."""


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
    """One component, fitted to all rows, whose likelihood says what the columns are."""
    x: Float[np.ndarray, "n d"]
    data: Blocks
    log_slope: Float[np.ndarray, " n"]
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
    judged: Judged = field(default_factory=Judged)
    found: dict[str, Found] = field(default_factory=dict)

    @property
    def weights(self) -> Float[np.ndarray, "m n"]:
        """Weight 0 where a member leaves a row out."""
        return (self.folds[None] != np.arange(self.members)[:, None]).astype(np.float32)

    def held(self, log_p: Float[np.ndarray, "m n"]) -> Float[np.ndarray, " n"]:
        """Log p of each row, in its own units, by the member that did not see it; or NaN."""
        rows = np.arange(self.n)
        of_rows = log_p[np.maximum(self.folds, 0), rows] + self.log_slope
        return np.where(self.folds >= 0, of_rows, np.nan)


@filter_jit
def _advanced(
    state: State, data: Blocks, weights: Float[Array, "m n"], *, iterations: int
) -> tuple[Mixture, Float[Array, "m n"]]:
    """Iterations of EM of all members, and log p of each row before the last of them."""

    def one(mixture: Mixture, limits: Limits, weights: Array) -> tuple[Mixture, Array]:
        def step(mixture: Mixture, _: None) -> tuple[Mixture, None]:
            return iteration(mixture, data, weights, limits)[0], None

        inside = mixture._replace(
            covariances=bounded(mixture.covariances, limits.floor, limits.rank)
        )
        before, _ = jax.lax.scan(step, inside, None, length=iterations - 1)
        return iteration(before, data, weights, limits)

    return jax.vmap(one)(state.mixture, state.limits, weights)


def prepared(template: Model, x: Float[np.ndarray, "n d"], key: Array) -> Search:
    """The table as candidates see it, with one component fitted to all of it."""
    likelihood = template.likelihood
    assert isinstance(likelihood, TableComponents)
    (data, log_slope), n = seen(likelihood, x), len(x)
    d = data.x.shape[1]
    patterns = len(np.unique(~np.isnan(x), axis=0))
    once = patterns * d**3 + n * d**2
    members = int(np.clip(COST / (once * ITERATIONS * 32), 1, MEMBERS))
    order = np.asarray(jax.random.permutation(stream(key, "tables.folds"), n))
    folds = np.empty(n, np.int64)
    folds[order] = np.arange(n) % MEMBERS
    folds = np.where(folds < members, folds, -1)
    start = as_mixture(template)
    limits = limits_of(start, likelihood, TABLE_FLOOR, 0.0)
    one = _advanced(
        State(*jax.tree.map(lambda leaf: leaf[None], (start, limits))),
        data,
        jnp.ones((1, n)),
        iterations=ITERATIONS,
    )[0]
    fitted = as_model(jax.tree.map(lambda leaf: leaf[0], one), likelihood)
    filled, colour, levels = _filled(fitted, x, stream(key, "tables.filled"))
    return Search(fitted, x, data, log_slope, n, folds, members, filled, colour, levels, key)


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


def _calls(
    search: Search, found: Found, weights: Float[np.ndarray, "m n"]
) -> Iterator[tuple[Mixture, Float[Array, "m n"]]]:
    """What each call of the program makes of all members, and log p of each row before its end.

    In the first all components have one covariance; then each has its own.
    """
    state = _starts(search, found, weights)
    for call in count():
        mixture, rows = _advanced(state, search.data, jnp.asarray(weights), iterations=ITERATIONS)
        yield mixture, rows
        state = State(mixture, state.limits) if call else _released(search, mixture, found)


def try_one(search: Search, name: str, found: Found, say: Callable[[str], None]) -> float:
    """Fits a candidate without the rows that are held out; the mean of log p that these have."""
    began, weights = time.perf_counter(), search.weights
    best = -np.inf
    most = CALLS if found.components > 1 else 1
    for call, (_, rows) in zip(range(1 + most), _calls(search, found, weights), strict=False):
        held = search.held(np.asarray(rows))
        mean = float(np.nanmean(held))
        enough = call and not mean > best + LEAST_GAIN
        if not call or mean > best:
            search.judged[name], best, found.calls = held, mean, call
        if enough:
            break
    found.seconds = time.perf_counter() - began
    search.found[name] = found
    say(name)
    return best


def fitted(search: Search, name: str) -> Mixture:
    """A candidate fitted to all rows: its members, with a start each, as one mixture."""
    found = search.found[name]
    weights = np.ones((search.members, search.n), np.float32)
    mixture, _ = next(islice(_calls(search, found, weights), found.calls, None))
    if found.components == 1:  # all members are the same
        return jax.tree.map(lambda leaf: leaf[0], mixture)
    return union(
        [jax.tree.map(lambda leaf, m=m: leaf[m], mixture) for m in range(search.members)],
        [1 / search.members] * search.members,
    )


def union(mixtures: list[Mixture], shares: list[float]) -> Mixture:
    """The mixture of mixtures."""
    parts = [
        mixture._replace(log_shares=jax.nn.log_softmax(mixture.log_shares) + np.log(share))
        for mixture, share in zip(mixtures, shares, strict=True)
    ]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def as_table(search: Search, mixture: Mixture) -> Model:
    """The mixture as a model of the table."""
    return as_model(mixture, search.template.likelihood)


def _starts(search: Search, found: Found, weights: Float[np.ndarray, "m n"]) -> State:
    """Members at rows that are far apart, all with one covariance."""
    one = as_mixture(search.template)
    likelihood, k = search.template.likelihood, found.components
    assert isinstance(likelihood, TableComponents)
    d = one.means.shape[1]
    means, levels = [], []
    for member, weight in enumerate(weights):
        if k == 1:
            means.append(np.asarray(one.means))
            levels.append(tuple(map(np.asarray, one.log_levels)))
            continue
        rows = _spread(search, k, weight, numbered(stream(search.key, "tables.starts"), member))
        means.append(search.filled[rows] @ search.colour.T + np.asarray(one.means))
        levels.append(
            tuple(
                np.log(0.5 * np.exp(np.asarray(usual)) + 0.5 * np.eye(usual.shape[1])[own[rows]])
                for usual, own in zip(one.log_levels, search.filled_levels, strict=True)
            )
        )
    m = len(weights)
    narrow = one.covariances[0] / k ** (2 / max(d, 1))
    mixture = Mixture(
        jnp.zeros((m, k)),
        jnp.asarray(np.stack(means), jnp.float32),
        jnp.broadcast_to(narrow, (m, k, d, d)),
        tuple(jnp.asarray(np.stack(each), jnp.float32) for each in zip(*levels, strict=True)),
    )
    limits = limits_of(one, likelihood, TABLE_FLOOR, np.inf, found.rank)
    return State(mixture, jax.tree.map(lambda leaf: jnp.repeat(leaf[None], m, axis=0), limits))


def _released(search: Search, mixture: Mixture, found: Found) -> State:
    """Each component with a covariance of its own, shrunk to the one that all had."""
    d = mixture.means.shape[2]
    likelihood = search.template.likelihood
    of_one = limits_of(as_mixture(search.template), likelihood, TABLE_FLOOR, d + 2.0, found.rank)
    m = mixture.means.shape[0]
    limits = jax.tree.map(lambda leaf: jnp.repeat(leaf[None], m, axis=0), of_one)
    if found.components == 1:
        limits = limits._replace(shrinkage=jnp.zeros(m))
    shares = jax.nn.softmax(mixture.log_shares, axis=1)
    tied = jnp.einsum("mk,mkij->mij", shares, mixture.covariances)
    return State(mixture, limits._replace(spread=tied))


def _spread(
    search: Search, k: int, weight: Float[np.ndarray, " n"], key: Array
) -> Int[np.ndarray, " k"]:
    """Rows that are far apart (k-means++, Arthur & Vassilvitskii 2007), out of those that count."""
    x = [search.filled, *(np.eye(int(of.max()) + 1)[of] for of in search.filled_levels)]
    x = np.concatenate(x, axis=1)
    uniform = np.asarray(jax.random.uniform(key, (k,)), np.float64)
    chosen, distance = [], np.ones(len(x))
    for share in uniform:
        total = np.cumsum(distance * weight)
        if not total[-1] > 0:
            total = np.cumsum(weight)
        row = min(int(np.searchsorted(total, share * total[-1], side="right")), len(x) - 1)
        away = np.sum((x - x[row]) ** 2, axis=1)
        distance = away if not chosen else np.minimum(distance, away)
        chosen.append(row)
    return np.array(chosen)


def ladder(search: Search, say: Callable[[str], None]) -> None:
    """Mixtures of more and more components, until held-out rows gain no more."""
    best = -np.inf
    worse = 0
    for k in COMPONENTS:
        if k * ROWS_OF_EACH > search.n * (1 - 1 / MEMBERS):
            break
        name = f"mixture({k})"
        mean = try_one(search, name, Found("mixture", k, None, 0), say)
        worse = 0 if mean > best else worse + 1
        best = max(best, mean)
        if worse == 2:
            break


def low_ranks(search: Search, say: Callable[[str], None]) -> None:
    """Probabilistic PCA with more and more directions, until held-out rows gain no more."""
    d = search.data.x.shape[1]
    best, rank = -np.inf, 1
    while rank < d - 1:
        name = f"ppca({rank})"
        mean = try_one(search, name, Found("ppca", 1, rank, 0), say)
        if not mean > best:
            break
        best, rank = mean, rank * 2
