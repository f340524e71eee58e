"""Two sets of draws compared: a classifier that tries to tell them apart, and a divergence.

Reference: Lopez-Paz & Oquab 2017, arXiv 1610.06545 (classifier two-sample tests); Lueckmann et al.
2021, arXiv 2101.04653, appendix A (the classifier and its settings, as used for posteriors).
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from tightbound.core.compilation import jit
from tightbound.core.errors import UsageError, at_least
from tightbound.data import DataLike, as_values

FOLDS = 5
"""Parts of the draws, each judged by a classifier that has learned the others."""
FACTORS = tuple(2.0 ** (-0.5 * i) for i in range(11))
"""Bandwidths that are tried, as shares of Scott's."""
REPLICAS = 10
"""Sets of draws of the density estimate, for its own bias and for the standard error."""
GRID_AT_ONCE = 20_000


class TwoSamples(NamedTuple):
    """How well a classifier tells two sets of draws apart."""

    accuracy: float
    """Share of held-out draws that it sorts right: 1/2 if they have one law, 1 if all differ."""
    stderr: float
    """Standard error of the accuracy over held-out draws."""
    n: int
    """Draws in all."""

    def summary(self) -> str:
        """The accuracy with its error, and what it means."""
        apart = (self.accuracy - 0.5) / self.stderr if self.stderr else float("inf")
        if apart < 2:
            means = "the classifier cannot tell the two apart"
        else:
            means = (
                "the classifier tells the two apart: they differ by at least "
                f"{2 * self.accuracy - 1:.2f} in total variation (0 the same, 1 disjoint)"
            )
        return (
            f"C2ST accuracy {self.accuracy:.3f} (standard error {self.stderr:.3f}, {self.n} draws; "
            f"0.5 is best): {means}"
        )


def c2st(a: DataLike, b: DataLike, *, seed: int = 0) -> TwoSamples:
    """Classifier two-sample test: can a network tell draws of one law from those of another?

    A network with two hidden layers of 10 d ReLUs is trained on four fifths of the draws and
    judged on the others, five times over; draws are standardised by the moments of `a`.
    The accuracy is a lower bound, up to noise, on (1 + total variation) / 2.

    Args:
        a: Draws of the reference, of shape (n, d).
        b: Draws to judge, of shape (m, d); of the longer of both, the first min(n, m) are taken.
        seed: Seed of the split and of the networks.

    Returns:
        The accuracy on held-out draws with its standard error, and `summary()` in words.

    Raises:
        UsageError: Arrays of another shape, not finite, or with fewer than ten draws.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.neural_network import MLPClassifier

    a = as_values(a, "the reference draws", np.float64).x
    b = as_values(b, "the draws to judge", np.float64).x
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2 * FOLDS:
        raise UsageError(
            f"expected two arrays of draws of shape (n, d), n >= {2 * FOLDS}, with one d, got "
            f"{a.shape} and {b.shape}"
        )
    for name, draws in (("a", a), ("b", b)):
        if not np.all(np.isfinite(draws)):
            row = int(np.argmin(np.isfinite(draws).all(axis=1)))
            raise UsageError(f"expected finite draws, got {draws[row]} in row {row} of {name}")
    n = min(len(a), len(b))
    scale = a.std(axis=0)
    both = (np.concatenate([a[:n], b[:n]]) - a.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    labels = np.repeat([0, 1], n)
    width = 10 * a.shape[1]
    network = MLPClassifier((width, width), max_iter=1000, random_state=seed)
    # Equal shares in each part: otherwise a label that is rarer in training is more common in
    # the test, and equal laws would score below one half.
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a weaker test, and still a test
        right = cross_val_predict(network, both, labels, cv=parts) == labels
    accuracy = float(np.mean(right))
    return TwoSamples(accuracy, float(np.sqrt(accuracy * (1 - accuracy) / (2 * n))), 2 * n)


class GridKL(NamedTuple):
    """KL(q || p) in nats from draws of q in two dimensions, with what the estimate adds itself."""

    kl: float
    """The estimate, less the bias; a small one may come out negative."""
    stderr: float
    """Standard error from the finite number of draws."""
    bias: float
    """What smoothing and the finite number of draws add, as the density estimate itself shows."""
    outside: float
    """Share of the draws outside the window, which are left out."""

    def summary(self) -> str:
        """The estimate with its error and bias."""
        left = f", {self.outside:.1%} of the draws outside the window" if self.outside else ""
        return (
            f"KL(q || p) = {self.kl:.3f} nats (standard error {self.stderr:.3f}; a bias of "
            f"{self.bias:.3f} is taken off{left})"
        )


def kl_on_grid(
    draws: DataLike,
    log_density: Callable[[Float[Array, " 2"]], Float[Array, ""]],
    *,
    low: tuple[float, float],
    high: tuple[float, float],
    points: int = 300,
    seed: int = 0,
) -> GridKL:
    """KL(q || p) on a grid: q by a kernel density estimate of draws, p normalised on the window.

    The bandwidths are those under which one half of the draws is likeliest given the other half.
    The bias of the estimate is that which it has for draws of the density estimate itself, whose
    own divergence is known.

    Args:
        draws: Draws of q, of shape (n, 2); some ten thousand or more.
        log_density: Log p of one z of shape (2,) in nats, up to a constant; traceable by JAX.
        low: Lower corner of the window, which should hold all but nothing of both.
        high: Upper corner.
        points: Cells of the grid in each direction.
        seed: Seed of the split and of the draws behind bias and error.

    Returns:
        The divergence in nats, standard error and bias.

    Raises:
        UsageError: Draws of another shape or outside the window, an empty window, or a density
            that is zero somewhere in it.
    """
    (points,) = at_least(8, points=points)
    draws = as_values(draws, "the draws", np.float64).x
    if draws.ndim != 2 or draws.shape[1] != 2 or len(draws) < 100:
        raise UsageError(f"expected at least 100 draws, of shape (n, 2), got {draws.shape}")
    lower, upper = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if not np.all(upper > lower):
        raise UsageError(f"expected low < high in both directions, got {low} and {high}")
    cells = np.floor((draws - lower) / (upper - lower) * points)
    inside = np.all((cells >= 0) & (cells < points), axis=1)
    if np.sum(inside) < 100:
        raise UsageError(
            f"expected at least 100 draws between {low} and {high}, got {int(np.sum(inside))}"
        )
    log_p = _log_cells(log_density, lower, upper, points)
    generator = np.random.default_rng(seed)
    flat = (cells[inside] @ np.array([points, 1])).astype(np.int64)
    n = len(flat)
    counts = [
        np.bincount(half, minlength=points**2).reshape(points, points)
        for half in np.array_split(generator.permutation(flat), 2)
    ]
    spread = draws[inside].std(axis=0) * points / (upper - lower) * n ** (-1 / 6)
    width = _likeliest(counts[0], counts[1], spread)
    density = _smoothed(counts[0] + counts[1], width)
    plain = _divergence(density, log_p)
    again = [
        _divergence(
            _smoothed(generator.multinomial(n, density.ravel()).reshape(density.shape), width),
            log_p,
        )
        for _ in range(REPLICAS)
    ]
    bias = float(np.mean(again)) - plain
    stderr = float(np.std(again, ddof=1))
    return GridKL(plain - bias, stderr, bias, 1 - n / len(draws))


def _log_cells(
    log_density: Callable[[Float[Array, " 2"]], Float[Array, ""]],
    low: Float[np.ndarray, " 2"],
    high: Float[np.ndarray, " 2"],
    points: int,
) -> Float[np.ndarray, "points points"]:
    """Log-probability of each cell, from the density at its middle."""
    numbers = np.stack(np.meshgrid(*2 * [np.arange(points)], indexing="ij"), axis=-1)
    grid = (low + (high - low) * (numbers + 0.5) / points).reshape(-1, 2)
    some = jit(jax.vmap(log_density))
    rows = range(0, len(grid), GRID_AT_ONCE)
    log_p = np.concatenate(
        [np.asarray(some(jnp.asarray(grid[i : i + GRID_AT_ONCE], jnp.float32))) for i in rows]
    ).astype(np.float64)
    if not np.all(np.isfinite(log_p)):
        row = grid[int(np.argmin(np.isfinite(log_p)))]
        raise UsageError(
            f"expected a finite log_density throughout the window, got none at {row}: a kernel "
            "density estimate has no edge, and its divergence from one that has is infinite"
        )
    return (log_p - np.logaddexp.reduce(log_p)).reshape(points, points)


def _smoothed(
    counts: Num[np.ndarray, "p p"], width: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, "p p"]:
    """Probabilities of all cells: counts under a normal kernel of that width, in cells."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(counts.astype(np.float64), width, mode="constant", truncate=6)
    return smooth / smooth.sum()


def _likeliest(
    one: Num[np.ndarray, "p p"], other: Num[np.ndarray, "p p"], width: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, " 2"]:
    """Widths in cells, at least half of one, under which `other` is likeliest given `one`."""

    def log_likelihood(width: Float[np.ndarray, " 2"]) -> float:
        density = _smoothed(one, width)
        return float(np.sum(other * np.log(np.maximum(density, np.finfo(np.float64).tiny))))

    # One direction after the other: two modes side by side are wide in one of them alone.
    chosen = np.maximum(width, 0.5)
    for axis in (0, 1, 0, 1):
        tried = []
        for factor in FACTORS:
            candidate = chosen.copy()
            candidate[axis] = max(factor * width[axis], 0.5)
            tried.append(candidate)
        chosen = max(tried, key=log_likelihood)
    return chosen


def _divergence(q: Float[np.ndarray, "p p"], log_p: Float[np.ndarray, "p p"]) -> float:
    """KL(q || p) in nats over the cells."""
    some = q > 0
    return float(np.sum(q[some] * (np.log(q[some]) - log_p[some])))
