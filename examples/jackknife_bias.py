"""The jackknife's bias by order: estimates of log E[w] from k Gamma weights against the exact bias.

For w ~ Gamma(a, 1) the sum of k weights is Gamma(k a, 1), so that E[L_k] = digamma(k a) - log k and
log E[w] = log a: the bias of every order is a sum of digammas (Nowozin 2018, section 4 and eq. 20).
Order m leaves a bias of O(k^-(m+1)), of either sign.

python examples/jackknife_bias.py --out pictures
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy import special

from tightbound.bounds import Jackknife
from tightbound.bounds.jackknife import coefficients

SHAPE = 0.1
"""Few large weights and many small ones: the harder case of Nowozin's figure 1."""
ORDERS = (0, 1, 2, 3)
AT_ONCE = 20_000


def exact_bias(k: int, order: int) -> float:
    """E[estimate] - log E[w] in nats."""
    sizes = k - np.arange(order + 1)
    means = special.digamma(sizes * SHAPE) - np.log(sizes)
    return float(np.dot(coefficients(k, order), means) - np.log(SHAPE))


def measured_bias(k: int, replicas: int) -> np.ndarray:
    """Mean and standard error of estimate - log E[w] for all orders, shape (orders, 2).

    The relative error of the mean weight, whose expectation is zero, is taken off as a control
    variate: it is most of the noise of every order.
    """

    def one(key: jax.Array) -> jax.Array:
        log_w = jax.random.loggamma(key, SHAPE, (k,))
        error_of_mean = jnp.mean(jnp.exp(log_w)) / SHAPE - 1
        return jnp.stack([Jackknife(order).value(log_w) for order in ORDERS]) - error_of_mean

    batch = jax.jit(jax.vmap(one))
    values = np.concatenate(
        [
            np.asarray(batch(jax.random.split(jax.random.key(k + number), AT_ONCE)), np.float64)
            for number in range(0, 1000 * max(1, replicas // AT_ONCE), 1000)
        ]
    )
    values = values - np.log(SHAPE)
    return np.stack([values.mean(0), values.std(0, ddof=1) / np.sqrt(len(values))], axis=1)


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--replicas", type=int, default=1_000_000, help="estimates of each kind")
    parser.add_argument("--largest", type=int, default=32, help="largest k, a power of 2")
    options = parser.parse_args(arguments)
    sizes = [2**i for i in range(2, round(np.log2(options.largest)) + 1)]
    found = np.stack([measured_bias(k, options.replicas) for k in sizes])

    print("| k | " + " | ".join(f"order {order}: measured | exact" for order in ORDERS) + " |")
    print("|---|" + "---|---|" * len(ORDERS))
    for k, row in zip(sizes, found, strict=True):
        cells = [
            f"{mean:+.5f} ± {2 * error:.5f} | {exact_bias(k, order):+.5f}"
            for order, (mean, error) in zip(ORDERS, row, strict=True)
        ]
        print(f"| {k} | {' | '.join(cells)} |")

    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    fine = np.unique(np.geomspace(sizes[0], 4 * sizes[-1], 60).astype(int))
    for order in ORDERS:
        exact = np.abs([exact_bias(int(k), order) for k in fine])
        (line,) = axis.loglog(fine, exact, linewidth=1)
        slope = np.log2(abs(exact_bias(64, order) / exact_bias(32, order)))
        axis.errorbar(
            sizes,
            np.abs(found[:, order, 0]),
            2 * found[:, order, 1],
            fmt="o",
            markersize=4,
            color=line.get_color(),
            label=f"order {order}: slope {slope:.1f} at k = 32",
        )
    axis.set(xlabel="k", ylabel="|bias| in nats", ylim=(1e-6, 3))
    axis.set_title("lines: digammas; points: estimates, bars of 2 s.e.", fontsize=10)
    axis.legend(frameon=False, fontsize=8)
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "jackknife_bias.png", dpi=110)
    print(f"picture: {options.out / 'jackknife_bias.png'}")


if __name__ == "__main__":
    main()
