"""Amortised MAP on a Swiss roll: y in the plane is restored from the mean of its coordinates.

The toy of Sonderby et al. (2016, arXiv 1610.04490): most lines of equal mean cross several arms of
the roll. The prior's density is known here, so that the cross-entropy -E log p_Y(restored) in nats
is exact up to the number of test values, and MAP and mean of p(y|x) are found on a grid: the mean,
which is what least squares learns, lies between the arms. The roll is our own (the paper does not
give its width), so that methods compare with each other and not with the published numbers.

python examples/restoration.py --out pictures
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from comparison import fitted, parser, save, several

matplotlib.use("agg")
import matplotlib.pyplot as plt

import tightbound as tb

FITS = ("amortized_map(noise=(2.0, 0.2, 75))", "amortized_map(guide='denoiser', noise=0.2)")
WIDTH = 0.3
"""Standard deviation of the noise around the roll."""
LENGTH = 13.0
"""Of the grid on either side of the origin, along a line of equal mean."""


def roll(t: np.ndarray) -> np.ndarray:
    """The curve at angles t, of shape (n, 2)."""
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=1)


ANGLES = np.pi * (1 + 2 * (np.arange(2000) + 0.5) / 2000)
"""Angles of the components of the prior, which all have one weight."""


def drawn(n: int, seed: int) -> np.ndarray:
    """Draws of the prior, of shape (n, 2)."""
    generator = np.random.default_rng(seed)
    centre = roll(generator.choice(ANGLES, n))
    return (centre + WIDTH * generator.standard_normal((n, 2))).astype(np.float32)


@jax.jit
def log_prior(y: jax.Array) -> jax.Array:
    """Log-density of one y in nats."""
    square = jnp.sum((y[None] - jnp.asarray(roll(ANGLES), jnp.float32)) ** 2, axis=1)
    constant = np.log(2 * np.pi * WIDTH**2 * len(ANGLES))
    return jax.nn.logsumexp(-0.5 * square / WIDTH**2) - constant


log_priors = jax.jit(lambda y: jax.lax.map(log_prior, y, batch_size=1000))


def on_lines(x: np.ndarray, pick: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """A point on each line of mean x, picked by its grid and the log-density there."""
    line = np.linspace(-LENGTH, LENGTH, 1041).astype(np.float32)
    found = []
    for mean in x[:, 0]:
        grid = np.stack([mean + line, mean - line], axis=1)
        found.append(pick(grid, np.asarray(log_priors(grid), np.float64)))
    return np.array(found)


def weighted_mean(grid: np.ndarray, log_p: np.ndarray) -> np.ndarray:
    """The mean of p(y|x)."""
    weight = np.exp(log_p - log_p.max())
    return weight @ grid / weight.sum()


def main(arguments: list[str] | None = None) -> None:
    """Restores, measures, prints and draws."""
    given = parser(__doc__, steps=6000, batch=500)
    given.add_argument("--items", type=int, default=1000, help="test values")
    options = given.parse_args(arguments)
    matrix = np.array([[0.5, 0.5]], np.float32)
    clean = drawn(20_000, seed=0)
    train = drawn(20_000, seed=1) @ matrix.T
    y = drawn(options.items, seed=2)
    x = y @ matrix.T

    print("| restored by | cross-entropy, nats | squared error of the mean | seconds a fit |")
    print("|---|---|---|---|")
    shown = {"the prior": y}
    shown["MAP, on a grid"] = on_lines(x, lambda grid, log_p: grid[np.argmax(log_p)])
    shown["mean of p(y|x), on a grid"] = on_lines(x, weighted_mean)
    for name, restored in shown.items():
        told(name, [restored], x, matrix, "")
    for call in FITS:
        if options.only not in call:
            continue
        model, posterior = tb.models.restoration(clean, matrix)
        fit = fitted(
            model,
            posterior,
            train,
            call=call,
            epochs=max(1, options.steps * options.batch // len(train)),
            batch_size=options.batch,
            seeds=options.seeds,
            rate=1e-3,
            decay=options.steps,
        )
        if fit is None:
            continue
        run, seconds = fit
        each = [tb.draws(model, q, x, n=1, key=3)[:, 0] for _, q in run.replicas]
        told(f"`{call}`", each, x, matrix, f"{seconds:.0f}")
        shown[call] = each[0]

    figure, axes = plt.subplots(
        1, len(shown), figsize=(2.7 * len(shown), 3.0), layout="constrained", sharey=True
    )
    for axis, (name, restored) in zip(axes, shown.items(), strict=True):
        axis.plot(*roll(ANGLES).T, color="0.8", linewidth=3, zorder=0)
        axis.plot(restored[:, 0], restored[:, 1], ".", markersize=2)
        axis.set(xlim=(-11, 11), ylim=(-11, 11), aspect="equal")
        axis.set_title(name, fontsize=8)
    save(figure, options.out, "restoration")


def told(
    name: str, each: list[np.ndarray], x: np.ndarray, matrix: np.ndarray, seconds: str
) -> None:
    """Prints one row, over the seeds."""
    entropy = [-float(np.mean(log_priors(jnp.asarray(y, jnp.float32)))) for y in each]
    error = [float(np.mean((y @ matrix.T - x) ** 2)) for y in each]
    print(f"| {name} | {several(entropy, 2)} | {max(error):.1e} | {seconds} |", flush=True)


if __name__ == "__main__":
    main()
