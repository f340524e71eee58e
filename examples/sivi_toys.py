"""Semi-implicit posteriors on toy densities: SIVI, UIVI and the best diagonal normal.

The targets of Yin & Zhou 2018 (arXiv 1805.11183), all normalised, so that KL(q || p) lies between
the two ends of the sandwich on the ELBO. Every fit is measured with fresh draws, for each seed.

python examples/sivi_toys.py --out pictures
"""

import argparse
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from comparison import divergence, fitted, parser, several

import tightbound as tb
from tightbound.evidence.densities import ComponentMixture
from tightbound.report.theme import LIGHT, draw_png

NORM = jax.scipy.stats.norm.logpdf
NOISE, HIDDEN = 10, (40, 60, 40)


class Toy(NamedTuple):
    """A normalised log-density and the half-width of its picture."""

    dim: int
    log_density: Any
    width: float


def mixture(*log_densities: Any) -> jax.Array:
    """Log of the mean of densities."""
    return jax.nn.logsumexp(jnp.stack(log_densities)) - math.log(len(log_densities))


def two_modes_1d(z: jax.Array) -> jax.Array:
    """0.3 N(-2, 1) + 0.7 N(2, 1)."""
    return jnp.logaddexp(math.log(0.3) + NORM(z[0], -2.0), math.log(0.7) + NORM(z[0], 2.0))


def correlated(z: jax.Array, covariance: float) -> jax.Array:
    """N(0, [[2, c], [c, 2]])."""
    determinant = 4.0 - covariance**2
    square = 2.0 * z[0] ** 2 - 2.0 * covariance * z[0] * z[1] + 2.0 * z[1] ** 2
    return -0.5 * square / determinant - math.log(2 * math.pi) - 0.5 * math.log(determinant)


TOYS = {
    "normal": Toy(1, lambda z: NORM(z[0], 0.0, 3.0), 10),
    "Laplace": Toy(1, lambda z: -jnp.abs(z[0]) / 2 - math.log(4.0), 10),
    "two modes, 1-D": Toy(1, two_modes_1d, 6),
    "normal, 2-D": Toy(2, lambda z: jnp.sum(NORM(z, 0.0, 2.0)), 6.5),
    "two modes, 2-D": Toy(
        2, lambda z: mixture(NORM(z[0], -2.0), NORM(z[0], 2.0)) + NORM(z[1]), 5.5
    ),
    "banana": Toy(2, lambda z: NORM(z[0], 0.0, 2.0) + NORM(z[1], z[0] ** 2 / 4), 7),
    "x-shape": Toy(2, lambda z: mixture(correlated(z, 1.8), correlated(z, -1.8)), 5),
}


def fits(target: Any, method: str, options: argparse.Namespace) -> tuple[tb.Run, float] | None:
    """The fits of all seeds, and seconds for one."""
    calls = {
        "normal": f"elbo(samples={options.samples})",
        "sivi": f"sivi({options.k}, samples={options.samples})",
        "uivi": f"uivi(samples={options.chains})",
    }
    kind = "normal" if method == "normal" else "semi_implicit"
    hidden = () if method == "normal" else HIDDEN
    return fitted(
        target,
        tb.posterior(target, kind, noise=NOISE, hidden=hidden, activation="tanh"),
        call=calls[method],
        steps=options.steps,
        batch_size=1,
        seeds=options.seeds,
        rate=options.rate,
        progress=False,
    )


def picture(found: dict[tuple[str, str], Any], methods: list[str]) -> bytes:
    """Densities in one dimension above, draws on contours in two dimensions below."""
    shown = dict.fromkeys(name for name, _ in found)
    one, two = ([name for name in shown if TOYS[name].dim == dim] for dim in (1, 2))

    def draw(figure: Any, theme: Any) -> None:
        axes = figure.subplots(1 + len(methods), 4)
        colours = {"normal": theme.idle, "sivi": theme.main, "uivi": theme.second}
        for row in axes:
            for axis in row:
                axis.axis("off")
        for axis, name in zip(axes[0], one, strict=False):
            axis.axis("on")
            toy = TOYS[name]
            z = jnp.linspace(-toy.width, toy.width, 401)[:, None]
            axis.fill_between(z[:, 0], jnp.exp(jax.vmap(toy.log_density)(z)), color=theme.grid)
            for method in ("normal", *methods):
                q = found.get((name, method))
                if q is None:
                    continue
                h = ComponentMixture(q, 2000, jax.random.key(3)) if "mixture" in q.offers else q
                log_h = jax.jit(jax.vmap(lambda z, h=h: h.log_prob(z, jnp.zeros(0))))(z)
                axis.plot(z[:, 0], jnp.exp(log_h), color=colours[method], linewidth=1.2)
            axis.set(title=name, yticks=[])
        handles = [
            axes[0][3].plot([], [], color=colours[m], label=f"q: {m}")[0]
            for m in ("normal", *methods)
        ]
        filled = axes[0][3].fill_between([], [], color=theme.grid, label="target")
        axes[0][3].legend(handles=[filled, *handles], loc="center")
        for row, method in zip(axes[1:], methods, strict=True):
            fitted_two = (name for name in two if (name, method) in found)
            for axis, name in zip(row, fitted_two, strict=False):
                axis.axis("on")
                toy = TOYS[name]
                target = tb.Target(toy.log_density, toy.dim)
                points = tb.draws(target, found[name, method], n=1000, key=2)
                axis.scatter(*points.T, s=1.5, color=colours[method], alpha=0.6, linewidths=0)
                line = jnp.linspace(-toy.width, toy.width, 121)
                grid = jnp.stack(jnp.meshgrid(line, line), axis=-1)
                density = np.exp(jax.vmap(jax.vmap(toy.log_density))(grid))
                levels = density.max() * np.array([0.01, 0.1, 0.4, 0.8])
                axis.contour(line, line, density, levels, colors=theme.ink, linewidths=0.6)
                axis.set(title=f"{name}: {method}", aspect="equal")
                axis.set(xlim=(-toy.width, toy.width), ylim=(-toy.width, toy.width))

    return draw_png(draw, LIGHT, width=9.6, height=2.4 * (1 + len(methods)))


def main(arguments: list[str] | None = None) -> None:
    """Fits, measures, prints and draws."""
    given = parser(__doc__, steps=1500)
    given.add_argument("--rate", type=float, default=0.005, help="Adam's first rate; cosine to 0")
    given.add_argument("--methods", nargs="+", default=["sivi", "uivi"], help="sivi, uivi")
    given.add_argument("--k", type=int, default=100, help="fresh noises of sivi")
    given.add_argument("--samples", type=int, default=20, help="draws a step of sivi")
    given.add_argument("--chains", type=int, default=10, help="draws a step of uivi")
    given.add_argument("--components", type=int, default=500, help="components of the sandwich")
    given.add_argument("--draws", type=int, default=500, help="draws of the sandwich")
    options = given.parse_args(arguments)
    toys = {name: toy for name, toy in TOYS.items() if options.only in name}
    found = {}
    print("| target | q | KL(q‖p), at least | at most | at most, by seed | seconds a fit |")
    print("|---|---|---|---|---|---|")
    for name, toy in toys.items():
        target = tb.Target(toy.log_density, toy.dim)
        for method in ("normal", *options.methods):
            fit = fits(target, method, options)
            if fit is None:
                continue
            run, seconds = fit
            ends = np.array(
                [
                    divergence(target, q, components=options.components, draws=options.draws)
                    for _, q in run.replicas
                ]
            )
            found[name, method] = run.posterior
            least, most = ends.mean(axis=0)[:2]
            errors = np.sqrt(np.sum(ends[:, 2:] ** 2, axis=0)) / len(ends)
            told = [
                f"{value:.3f}" + ("" if math.isnan(error) else f" ± {2 * error:.3f}")
                for value, error in zip((least, most), errors, strict=True)
            ]
            cells = [name, method, *told, several(ends[:, 1]), f"{seconds:.0f}"]
            print(f"| {' | '.join(cells)} |", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "sivi_toys.png").write_bytes(picture(found, options.methods))
    print(f"picture: {options.out / 'sivi_toys.png'}")


if __name__ == "__main__":
    main()
