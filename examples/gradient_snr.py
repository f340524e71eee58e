"""Tighter bounds, weaker signal: the signal-to-noise ratio of gradients against k and m.

The toy of Rainforth et al. (2018, arXiv 1802.04537, section 4): z ~ N(mu, I), x|z ~ N(z, I) and
q(z|x) = N(A x + b, 2/3 I) in 20 dimensions, near the optimum, and b a little further away, so that
its signal stands out of the noise of some thousand gradients. Here z is counted from mu, so that
mu is an offset of p(x|z). Expected slopes: -1/2 in k and +1/2 in m for b, +1/2 in both for mu; and
+1/2 in k for b with the doubly reparameterised gradient (Tucker et al. 2018, arXiv 1810.04152).

python examples/gradient_snr.py --out pictures
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import tightbound as tb
from tightbound.distributions import DiagonalNormal, StandardNormal
from tightbound.networks import MLP, Dense
from tightbound.objectives import AbstractObjective, iwae, miwae

DIM = 20
LOCATIONS = 6  # perturbed parameters, each a repetition of its own
VARIANCE = 2 / 3
SERIES: dict[str, Callable[[int], AbstractObjective]] = {
    "k, total derivative": lambda k: iwae(k),
    "k, dreg": lambda k: iwae(k, "dreg"),
    "m, total derivative (k = 1)": lambda m: miwae(m, 1),
}
EXPECTED = {
    ("k, total derivative", "model"): 0.5,
    ("k, total derivative", "posterior"): -0.5,
    ("k, dreg", "model"): 0.5,
    ("k, dreg", "posterior"): 0.5,
    ("m, total derivative (k = 1)", "model"): 0.5,
    ("m, total derivative (k = 1)", "posterior"): 0.5,
}
LABELS = {"model": "mu (model)", "posterior": "b (posterior)"}


def affine(matrix: np.ndarray, offset: np.ndarray, variance: float) -> DiagonalNormal:
    """N(matrix @ given + offset, variance I)."""
    location = Dense(jnp.asarray(matrix.T, jnp.float32), jnp.asarray(offset, jnp.float32))
    scale = Dense(jnp.zeros((DIM, DIM)), jnp.full(DIM, 0.5 * np.log(variance)))
    return DiagonalNormal(MLP((), "tanh"), location, scale)


def toy(
    rng: np.random.Generator, spread: float, shift: float
) -> tuple[tb.Model, DiagonalNormal, np.ndarray]:
    """Model and posterior around the optimum of 1,024 data, and one datum."""
    x = rng.standard_normal(DIM) + np.sqrt(2) * rng.standard_normal((1024, DIM))
    mu = x.mean(axis=0)
    noise = lambda *shape: spread * rng.standard_normal(shape)  # noqa: E731
    likelihood = affine(np.eye(DIM), mu + noise(DIM), 1.0)
    # The optimum is E[z|x] = (x + mu) / 2; counted from mu it is (x - mu) / 2.
    offset = -0.5 * mu + noise(DIM) + shift * rng.choice([-1, 1], DIM)
    posterior = affine(0.5 * np.eye(DIM) + noise(DIM, DIM), offset, VARIANCE)
    return tb.Model(StandardNormal(DIM), likelihood), posterior, x[:1].astype(np.float32)


def strength(signal: tb.diagnostics.GradientSignal, replicas: int) -> float:
    """The SNR of mu or b: root of the mean over coordinates of mean^2 / variance, unbiased.

    The squared mean of R gradients is too large by variance / R, which would hide a weak signal.
    """
    # Leaves come in the order of the fields: trunk, location (weight, bias), scale.
    of_bias = slice(DIM * DIM, DIM * DIM + DIM)
    squared = signal.snr[of_bias] ** 2 - 1 / replicas
    return float(np.sqrt(max(squared.mean(), 1e-12)))


def measured(
    sizes: list[int], replicas: int, spread: float, shift: float
) -> dict[tuple[str, str], np.ndarray]:
    """Log SNR for each series and part, of shape (locations, sizes)."""
    found = {key: np.empty((LOCATIONS, len(sizes))) for key in EXPECTED}
    for at in range(LOCATIONS):
        model, posterior, x = toy(np.random.default_rng(at), spread, shift)
        for series, make in SERIES.items():
            for i, size in enumerate(sizes):
                signals = tb.diagnostics.gradient_snr(
                    make(size), model, posterior, x, replicas=replicas, key=at, batch_size=50
                )
                for part in LABELS:
                    found[series, part][at, i] = np.log(strength(signals[part], replicas))
    return found


def slope(sizes: list[int], logs: np.ndarray) -> tuple[float, float]:
    """The mean slope over the locations and the half-width of its 95 % interval (Student's t)."""
    slopes = np.polynomial.polynomial.polyfit(np.log(sizes), logs.T, 1)[1]
    error = slopes.std(ddof=1) / np.sqrt(len(slopes))
    return slopes.mean(), stats.t.ppf(0.975, len(slopes) - 1) * error


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--replicas", type=int, default=8000, help="gradients for each ratio")
    parser.add_argument("--largest", type=int, default=256, help="largest k and m, a power of 4")
    parser.add_argument("--spread", type=float, default=0.01, help="distance from the optimum")
    parser.add_argument("--shift", type=float, default=0.15, help="further distance of b alone")
    options = parser.parse_args(arguments)
    sizes = [4**i for i in range(1, round(np.log(options.largest) / np.log(4)) + 1)]
    found = measured(sizes, options.replicas, options.spread, options.shift)

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", sharey=True)
    print(f"95 % intervals over {LOCATIONS} locations, {options.replicas} gradients each")
    print(f"| against | part | slope | from {sizes[-2]} to {sizes[-1]} | expected |")
    print("|---|---|---|---|---|")
    for axis, part in zip(axes, LABELS, strict=True):
        for series in SERIES:
            logs = found[series, part]
            mean, width = slope(sizes, logs)
            last, last_width = slope(sizes[-2:], logs[:, -2:])
            print(
                f"| {series} | {LABELS[part]} | {mean:+.2f} ± {width:.2f} | "
                f"{last:+.2f} ± {last_width:.2f} | {EXPECTED[series, part]:+.1f} |"
            )
            center = np.exp(logs.mean(axis=0))
            error = np.exp(logs.mean(axis=0)[None] + [[-1], [1]] * logs.std(axis=0, ddof=1))
            (line,) = axis.loglog(sizes, center, "o-", label=f"{series}: {mean:+.2f}")
            axis.fill_between(sizes, *error, alpha=0.15, color=line.get_color())
        axis.set(title=LABELS[part], xlabel="k or m", xticks=sizes, xticklabels=sizes)
        axis.minorticks_off()
        axis.legend(frameon=False, fontsize=8, title="slope")
    axes[0].set_ylabel("signal-to-noise ratio")
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "gradient_snr.png", dpi=110)
    print(f"picture: {options.out / 'gradient_snr.png'}")


if __name__ == "__main__":
    main()
