"""A negative binomial's posterior: SIVI and the best diagonal normal against exact quadrature.

x_i ~ NB(r, p), r ~ Gamma(0.01, rate 0.01), p ~ Beta(0.01, 0.01), on counts of red mites on 150
apple leaves (Bliss & Fisher 1953), as in Yin & Zhou 2018, arXiv 1805.11183. The explicit layer,
log-normal for r and logit-normal for p, is a normal in (log r, logit p): the target is the
posterior of these two, with the Jacobian.

python examples/negative_binomial.py --out pictures
"""

import argparse
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from comparison import divergence, fitted, parser, selected, several
from scipy import special

import tightbound as tb
from tightbound.report.theme import LIGHT, draw_png

FREQUENCIES = np.array([70, 38, 17, 10, 9, 3, 2, 1])
"""Leaves with 0, 1, ..., 7 mites."""
A = B = C = D = 0.01
FITS = (("semi_implicit", "SIVI"), ("normal", "diagonal normal"))
RANGE = ((-1.6, 2.2), (-2.2, 2.2))
"""Of log r and logit p: all but 1e-6 of the posterior."""


def log_density(z: Any, xp: Any, log_gamma: Any, log_sigmoid: Any) -> Any:
    """Log of the unnormalised posterior of z = (log r, logit p); in JAX or in NumPy.

    Args:
        z: The coordinates on the first axis.
        xp: `jax.numpy` or `numpy`.
        log_gamma: The logarithm of the gamma function.
        log_sigmoid: The logarithm of the sigmoid.
    """
    log_r, r = z[0], xp.exp(z[0])
    log_p, log_rest = log_sigmoid(z[1]), log_sigmoid(-z[1])
    n, total = int(FREQUENCIES.sum()), int(FREQUENCIES @ np.arange(8))
    rising = sum(int(m) * (log_gamma(r + x) - log_gamma(r)) for x, m in enumerate(FREQUENCIES))
    log_lik = rising + total * log_p + n * r * log_rest
    # The Jacobian r p (1 - p) turns the exponents A - 1, C - 1 and D - 1 into these.
    return log_lik + A * log_r - B * r + C * log_p + D * log_rest


def exact(points: int) -> tuple[dict[str, float], float, Any]:
    """Moments of the posterior, log Z and the density on the grid, in float64."""
    lines = [np.linspace(*ends, points) for ends in RANGE]
    grid = np.stack(np.meshgrid(*lines, indexing="ij"))
    log_sigmoid = lambda t: -np.logaddexp(0.0, -t)  # noqa: E731
    log_p = log_density(grid, np, special.gammaln, log_sigmoid)
    cell = np.log(lines[0][1] - lines[0][0]) + np.log(lines[1][1] - lines[1][0])
    log_z = special.logsumexp(log_p) + cell
    weights = np.exp(log_p - special.logsumexp(log_p))
    edge = [weights[0], weights[-1], weights[:, 0], weights[:, -1]]
    assert sum(map(np.sum, edge)) < 1e-6, "the grid cuts the posterior off"
    return moments(grid.reshape(2, -1), weights.ravel()), float(log_z), (*lines, weights.T)


def moments(z: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """Means, variances and correlation of weighted points of shape (2, n)."""
    mean = z @ weights
    cov = (z - mean[:, None]) * weights @ (z - mean[:, None]).T
    return {
        "mean log r": mean[0],
        "mean logit p": mean[1],
        "var log r": cov[0, 0],
        "var logit p": cov[1, 1],
        "correlation": cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]),
    }


def fits(target: Any, kind: str, options: argparse.Namespace) -> tuple[tb.Run, float] | None:
    """The fits of all seeds, and seconds for one."""
    semi = kind == "semi_implicit"
    hidden = (40, 60, 40) if semi else ()
    q: Any = tb.posterior(target, kind, noise=10, hidden=hidden, activation="tanh")
    if not semi:
        # As narrow as the layer of the other starts: far out, the target's gradients explode.
        q = eqx.tree_at(lambda q: q.log_scale.bias, q, jnp.full(2, -1.0))
    samples = f"samples={options.samples}"
    return fitted(
        target,
        q,
        call=f"sivi({options.k}, {samples})" if semi else f"elbo({samples})",
        steps=options.steps,
        batch_size=1,
        seeds=options.seeds,
        rate=0.01,
        progress=False,
    )


def picture(density: Any, draws: dict[str, np.ndarray]) -> bytes:
    """Draws of each q on the contours of the exact posterior."""

    def draw(figure: Any, theme: Any) -> None:
        axes = figure.subplots(1, len(draws), sharex=True, sharey=True, squeeze=False)[0]
        for axis, (name, z), colour in zip(
            axes, draws.items(), (theme.main, theme.second), strict=False
        ):
            axis.scatter(*z[:, :2000], s=2, color=colour, alpha=0.5, linewidths=0)
            levels = density[2].max() * np.array([0.01, 0.1, 0.4, 0.8])
            axis.contour(*density, levels, colors=theme.ink, linewidths=0.7)
            axis.set(title=name, xlabel="log r", xlim=(-1.1, 1.4), ylim=(-1.5, 1.2))
        axes[0].set_ylabel("logit p")

    return draw_png(draw, LIGHT, width=7.2, height=3.4)


def main(arguments: list[str] | None = None) -> None:
    """Fits, compares, prints and draws."""
    given = parser(__doc__, steps=1500)
    given.add_argument("--k", type=int, default=100, help="fresh noises of sivi")
    given.add_argument("--samples", type=int, default=20, help="draws a step")
    given.add_argument("--components", type=int, default=1000, help="components of the sandwich")
    given.add_argument("--draws", type=int, default=1000, help="draws of the sandwich")
    given.add_argument("--points", type=int, default=801, help="grid points an axis")
    options = given.parse_args(arguments)

    def log_joint(z: jax.Array) -> jax.Array:
        return log_density(z, jnp, jax.scipy.special.gammaln, jax.nn.log_sigmoid)

    target = tb.Target(log_joint, 2)
    truth, log_z, density = exact(options.points)
    print(f"log Z = {log_z:.4f} nats up to the constant of the data")
    print(f"| q | {' | '.join(truth)} | KL(q‖p), at least | at most | seconds a fit |")
    print("|---|" + "---|" * (len(truth) + 3))
    print(f"| exact | {' | '.join(f'{value:.4f}' for value in truth.values())} | 0 | 0 | – |")
    shown = {}
    for kind, name in selected(FITS, options.only):
        fit = fits(target, kind, options)
        if fit is None:
            continue
        run, seconds = fit
        draws = [np.float64(tb.draws(target, q, n=100_000, key=2).T) for _, q in run.replicas]
        found = [moments(z, np.full(z.shape[1], 1 / z.shape[1])) for z in draws]
        ends = [
            divergence(target, q, components=options.components, draws=options.draws, log_z=log_z)[
                :2
            ]
            for _, q in run.replicas
        ]
        cells = [several([one[what] for one in found], 4) for what in truth]
        cells += [several(end) for end in zip(*ends, strict=True)]
        print(f"| {name} | {' | '.join(cells)} | {seconds:.0f} |", flush=True)
        shown[name] = draws[0]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "negative_binomial.png").write_bytes(picture(density, shown))
    print(f"picture: {options.out / 'negative_binomial.png'}")


if __name__ == "__main__":
    main()
