"""Sums over self-normalised weights, in double precision on the host: what they give, and errors.

With shares s_i = w_i / sum_j w_j an expectation is sum_i s_i f(z_i). Its standard error is that of
the delta method with each residual as it is without its own draw, sqrt((k - 1) / k sum_i (s_i
(f(z_i) - mean) / (1 - s_i))^2): the jackknife's, which for equal weights is the textbook's, and
does not take a heavy draw's word for itself.

Reference: Hesterberg 1995, Technometrics 37(2) (errors of self-normalised weights); Woodruff 1952,
JASA 47 (quantiles); Kitagawa 1996, J. Comput. Graph. Stat. 5(1) (systematic resampling).
Bias: of order 1 / ESS, and not in the errors; neither is a mode that no draw has reached.
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.streams import streams

EPS = np.finfo(np.float64).eps
WIDE = 2.0
"""Standard errors of the share below a quantile by which it is moved: at one, draws are few."""


def shares_of(log_weights: Float[np.ndarray, "*n k"]) -> Float[np.ndarray, "*n k"]:
    """The weights as shares of their sum; NaN where all are zero."""
    log_w = np.asarray(log_weights, np.float64)
    with np.errstate(invalid="ignore"):
        w = np.exp(log_w - log_w.max(axis=-1, keepdims=True))
    return w / w.sum(axis=-1, keepdims=True)


def ess_of(shares: Float[np.ndarray, "*n k"]) -> Float[np.ndarray, "*n"]:
    """Effective number of draws, 1 / sum of squared shares; 0 where all weights are zero."""
    return np.asarray(np.nan_to_num(1 / np.sum(shares**2, axis=-1)))


def average(shares: Float[np.ndarray, "*n k"], values: Float[np.ndarray, "..."]) -> Any:
    """The weighted mean along the axis of the draws, and its standard error."""
    axis = shares.ndim - 1
    shares = shares.reshape(shares.shape + (1,) * (values.ndim - shares.ndim))
    # A draw without weight may be anywhere.
    known = np.where(shares == 0, 0.0, values)
    mean = np.sum(shares * known, axis=axis, keepdims=True)
    away = np.where(shares == 0, 0.0, shares / np.maximum(1 - shares, EPS) * (known - mean))
    k = values.shape[axis]
    return np.squeeze(mean, axis), np.sqrt((k - 1) / k * np.sum(away**2, axis=axis))


def deviation(shares: Float[np.ndarray, "*n k"], values: Float[np.ndarray, "..."]) -> Any:
    """The standard deviation, of which independent draws have the right variance."""
    axis = shares.ndim - 1
    mean = np.expand_dims(average(shares, values)[0], axis)
    variance, error = average(shares, (values - mean) ** 2)
    left = 1 - np.sum(shares**2, axis=-1)
    left = left.reshape(left.shape + (1,) * (variance.ndim - left.ndim))
    root = np.sqrt(variance / np.maximum(left, EPS))
    return root, np.divide(error, 2 * root, out=np.zeros_like(root), where=root > 0)


def quantiles(
    shares: Float[np.ndarray, "*n k"],
    values: Float[np.ndarray, "..."],
    ps: Float[np.ndarray, " q"],
) -> Any:
    """Quantiles along a new first axis, and their standard errors."""
    axis, k = shares.ndim - 1, shares.shape[-1]
    rows = np.moveaxis(values, axis, -1)
    inner = shares.reshape(*shares.shape[:-1], *(1,) * (rows.ndim - shares.ndim), k)
    of_rows = np.broadcast_to(inner, rows.shape).reshape(-1, k)
    found = [_of_one(own, of, ps) for own, of in zip(of_rows, rows.reshape(-1, k), strict=True)]
    value, error = np.moveaxis(np.array(found), (1, 2), (0, 1))
    shape = (len(ps), *rows.shape[:-1])
    return value.reshape(shape), error.reshape(shape)


def _of_one(
    shares: Float[np.ndarray, " k"], values: Float[np.ndarray, " k"], ps: Float[np.ndarray, " q"]
) -> tuple[Float[np.ndarray, " q"], Float[np.ndarray, " q"]]:
    """Quantiles of one number, and what an error of the share below moves each of them by."""
    order = np.argsort(values)
    values, shares = values[order], shares[order]
    below = np.cumsum(shares) - shares / 2
    found = np.interp(ps, below, values)
    inside = (values[:, None] <= found[None]).astype(np.float64)
    _, error = average(shares, inside)
    low, high = ps - WIDE * error, ps + WIDE * error
    width = (np.interp(high, below, values) - np.interp(low, below, values)) / (2 * WIDE)
    # Beyond the outermost draws nothing is known.
    return found, np.where((low >= below[0]) & (high <= below[-1]), width, np.inf)


def chosen(
    shares: Float[np.ndarray, "n k"], n: int, keys: Key[jax.Array, " n"]
) -> Int[np.ndarray, "n m"]:
    """Numbers of n draws by systematic resampling, in random order; -1 without any shares."""
    offsets, orders = map(np.asarray, _random(keys, n))
    found = np.full((len(shares), n), -1)
    for row, (of, offset, order) in enumerate(zip(shares, offsets, orders, strict=True)):
        if np.isfinite(of[0]):
            at = (np.arange(n) + float(offset)) / n
            last = np.flatnonzero(of)[-1]
            found[row] = np.minimum(np.searchsorted(np.cumsum(of), at, side="right"), last)[order]
    return found


@filter_jit
def _random(keys: Key[jax.Array, " n"], n: int) -> tuple[Any, Any]:
    """For each key a number between 0 and 1, and an order of n."""

    def one(key: PRNGKeyArray) -> tuple[Any, Any]:
        offset_key, order_key = streams(key, "weighted.offset", "weighted.order")
        return jax.random.uniform(offset_key), jax.random.permutation(order_key, n)

    return jax.vmap(one)(keys)
