"""Gaussians, probabilistic PCA and mixtures of a table's rows, judged by rows that are held out.

While models are judged each member leaves other rows out, and then each starts elsewhere with all
rows. Their mixture, in equal shares, is the model: what one start found and another did not is in
it, and its evidence is a sum like theirs.
"""

import time
from collections.abc import Callable, Iterator
from itertools import count, islice

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tightbound.core.compilation import filter_jit
from tightbound.core.streams import numbered, stream
from tightbound.likelihoods import TableComponents
from tightbound.models import Model
from tightbound.models.finite import spread
from tightbound.recipes.tables.search import (
    BUDGET,
    ITERATIONS,
    MEMBERS,
    Found,
    Search,
    State,
    advanced,
    widened_log_p,
    with_more_holes,
)
from tightbound.training.components import Mixture, log_evidence
from tightbound.training.mixture import as_mixture, as_model

CALLS = 4
"""Most calls after the covariances have become each component's own."""
LEAST_GAIN = 0.002
"""Nats per row by which held-out rows must gain from a call for there to be another."""
COMPONENTS = (2, 4, 8, 16, 32, 64)
ROWS_OF_EACH = 8
"""Least rows for each component."""
WIDENINGS = (0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 2.0)
"""What covariances may be multiplied by. Those of a fit are of the cells that it knows, which lie
closer to it than others: a regression on p numbers by n rows leaves (n + p) / (n - p) times the
variance in other rows that it has in its own."""
USUAL_CALLS = 6
"""That a mixture takes until it is judged and fitted to all rows."""


def _calls(
    search: Search, found: Found, weights: Float[np.ndarray, "m n"]
) -> Iterator[tuple[Mixture, Float[Array, "m n"]]]:
    """What each call of the program makes of all members, and log p of each row before its end.

    In the first all components have one covariance; then each has its own.
    """
    state = _starts(search, found, weights)
    for call in count():
        mixture, rows = advanced(state, search.data, jnp.asarray(weights), iterations=ITERATIONS)
        search.spent += search.cost(found.components, len(weights))
        yield mixture, rows
        state = State(mixture, state.limits) if call else _released(search, mixture, found)


def try_one(search: Search, name: str, found: Found, say: Callable[[str], None]) -> Mixture:
    """Fits a candidate without the rows that are held out; the members' last mixtures."""
    began, weights = time.perf_counter(), search.weights
    best = -np.inf
    calls, call = _calls(search, found, weights), 0
    most = CALLS if found.components > 1 else 0
    while True:
        mixture, rows = next(calls)
        held = search.held(np.asarray(rows))
        mean = float(np.nanmean(held))
        enough = call and not mean > best + LEAST_GAIN
        if not call or mean > best:
            search.judged[name], best, found.calls = held, mean, call
        if enough or call == most:
            break
        call += 1
    found.seconds = time.perf_counter() - began
    search.found[name] = found
    say(name)
    return mixture


def together(search: Search, shares: dict[str, float]) -> Mixture:
    """Candidates fitted to all rows, as one mixture; of a table with holes as wide as they ask.

    How wide that is, is seen by the same fit to the table with a tenth of its known cells hidden:
    the width by which these are likeliest, given what else is known of their rows.
    """
    whole = _fitted(search, shares)
    holed = with_more_holes(search)
    if holed is None or all(search.found[name].components == 1 for name in shares):
        return whole
    part, factors = _fitted(holed, shares), jnp.asarray(WIDENINGS)
    of_rows, of_rest = (
        np.asarray(widened_log_p(part, of.data, factors, n=of.n), np.float64)
        for of in (search, holed)
    )
    widening = WIDENINGS[int(np.argmax((of_rows - of_rest).sum(axis=1)))]
    return whole._replace(covariances=widening * whole.covariances)


def _fitted(search: Search, shares: dict[str, float]) -> Mixture:
    """Candidates fitted to all rows: all members, with a start each, in one mixture."""
    parts, of_each = [], []
    for name, share in shares.items():
        found = search.found[name]
        if found.kind == "gaussian":
            parts.append(as_mixture(search.template))
            of_each.append(share)
            continue
        members = search.members if found.components > 1 else 1
        weights = np.ones((members, search.n), np.float32)
        mixture, _ = next(islice(_calls(search, found, weights), found.calls, None))
        parts += [jax.tree.map(lambda leaf, m=m: leaf[m], mixture) for m in range(members)]
        of_each += [share / members] * members
    return union(parts, of_each)


def union(mixtures: list[Mixture], shares: list[float]) -> Mixture:
    """The mixture of mixtures."""
    parts = [
        mixture._replace(log_shares=jax.nn.log_softmax(mixture.log_shares) + np.log(share))
        for mixture, share in zip(mixtures, shares, strict=True)
    ]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def mean_log_p(search: Search, mixture: Mixture) -> float:
    """Mean log p of the rows in nats, in their own units."""
    found = np.asarray(filter_jit(log_evidence)(mixture, search.data, search.n))
    return float(np.mean(found + search.log_slope))


def as_table(search: Search, mixture: Mixture) -> Model:
    """The mixture as a model of the table."""
    return as_model(mixture, search.template.likelihood)


def _starts(search: Search, found: Found, weights: Float[np.ndarray, "m n"]) -> State:
    """Members at rows that are far apart, all with one covariance."""
    one = as_mixture(search.template)
    likelihood, k = search.template.likelihood, found.components
    assert isinstance(likelihood, TableComponents)
    d = one.means.shape[1]
    values = [search.filled, *(np.eye(int(of.max()) + 1)[of] for of in search.filled_levels)]
    values = np.concatenate(values, axis=1)
    means, levels = [], []
    for member, weight in enumerate(weights):
        if k == 1:
            means.append(np.asarray(one.means))
            levels.append(tuple(map(np.asarray, one.log_levels)))
            continue
        of_start = numbered(stream(search.key, "tables.starts"), member)
        rows = spread(values, weight, k, of_start)
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
    return State(mixture, search.limits(np.inf, found.rank, m))


def _released(search: Search, mixture: Mixture, found: Found) -> State:
    """Each component with a covariance of its own, shrunk to the one that all had."""
    m, _, d = mixture.means.shape
    limits = search.limits(d + 2.0, found.rank, m)
    shares = jax.nn.softmax(mixture.log_shares, axis=1)
    tied = jnp.einsum("mk,mkij->mij", shares, mixture.covariances)
    return State(mixture, limits._replace(spread=tied))


def ladder(search: Search, say: Callable[[str], None]) -> str:
    """Mixtures of more and more components, until held-out rows gain no more.

    Returns the name of the first that was not tried because it would have cost too much, or "".
    """
    best, worse = -np.inf, 0
    for k in COMPONENTS:
        if k * ROWS_OF_EACH > search.n * (1 - 1 / MEMBERS):
            break
        name = f"mixture({k})"
        if search.spent + USUAL_CALLS * search.cost(k, search.members) > BUDGET:
            return name
        try_one(search, name, Found("mixture", k, None, 0), say)
        mean = search.mean(name)
        worse = 0 if mean > best else worse + 1
        best = max(best, mean)
        if worse == 2:
            break
    return ""


def low_ranks(search: Search, gaussian: Mixture, say: Callable[[str], None]) -> None:
    """Probabilistic PCA, with the directions that serve held-out rows best.

    These are counted by the covariances of the Gaussian, as they are in so many directions; then
    that model alone is fitted.
    """
    d = search.data.x.shape[1]
    ranks = [2**j for j in range(d) if 2**j < d - 1]
    if not ranks:
        return
    weights = jnp.asarray(search.weights)
    means = []
    for rank in ranks:
        limits = search.limits(np.inf, rank, search.members)
        rows = advanced(State(gaussian, limits), search.data, weights, iterations=1)[1]
        means.append(np.nanmean(search.held(np.asarray(rows))))
    best = ranks[int(np.argmax(means))]
    try_one(search, f"ppca({best})", Found("ppca", 1, best, 0), say)
