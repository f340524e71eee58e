"""Eight schools: posteriors of three kinds beside long chains of Hamiltonian Monte Carlo.

z = (mu, tau, eta) in 10 dimensions, all N(0, 1) a priori; the sign of tau cannot be told from the
data, so that the posterior of (mu, tau) is the same at tau and -tau, and narrow where tau is small
(Mescheder, Nowozin & Geiger 2017, arXiv 1701.04722). The reference is NumPyro's NUTS on the same
density, with the sign of (tau, eta) flipped at random, under which the posterior is unchanged.
Posteriors are scored by a classifier that tries to tell their draws from the chains' (C2ST).

python examples/eight_schools.py --out pictures
"""

import warnings

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from comparison import fitted, parser, save, selected, several
from numpyro.infer import MCMC, NUTS

matplotlib.use("agg")
import matplotlib.pyplot as plt

import tightbound as tb

FITS = (
    ("normal", "elbo()"),
    ("implicit", "pc_adv(contrast='adaptive')"),
    ("implicit", "pc_den()"),
    ("semi_implicit", "sivi(k=50, samples=256)"),
    ("semi_implicit", "uivi(samples=16)"),
)
"""Kinds of posterior, and the objectives that fit them.

Draws of the semi-implicit ones share their fresh noise, or are few, and are all of one step.
"""


def reference(target: tb.Target, draws: int) -> np.ndarray:
    """Draws of shape (draws, 10) from four chains of NUTS, each thinned by 5."""
    none = jnp.zeros(0)
    kernel = NUTS(potential_fn=lambda z: -target.log_joint(none, z))
    mcmc = MCMC(
        kernel,
        num_warmup=1000,
        num_samples=5 * draws // 4,
        num_chains=4,
        thinning=5,
        chain_method="vectorized",
        progress_bar=False,
    )
    start = 0.1 * jax.random.normal(jax.random.key(1), (4, 10))
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        mcmc.run(jax.random.key(2), init_params=start)
    z = np.asarray(mcmc.get_samples())
    sign = np.random.default_rng(0).choice([-1.0, 1.0], (len(z), 1))
    return np.concatenate([z[:, :1], sign * z[:, 1:]], axis=1).astype(np.float32)


def main(arguments: list[str] | None = None) -> None:
    """Fits, prints and draws."""
    given = parser(__doc__, steps=10_000, batch=256)
    given.add_argument("--draws", type=int, default=4000, help="draws of each kind compared")
    options = given.parse_args(arguments)
    target = tb.models.problems.eight_schools()
    exact = reference(target, options.draws)
    pictures = {"NUTS": exact}

    print(
        "| posterior | objective | C2ST, all of z | C2ST, (mu, tau) | mean mu | mean tau^2 | "
        "log Z, first seed | seconds a fit |"
    )
    print("|---|---|---|---|---|---|---|---|")
    print(f"| NUTS | | | | {np.mean(exact[:, 0]):.3f} | {np.mean(exact[:, 1] ** 2):.3f} | | |")
    for kind, call in selected(FITS, options.only):
        fit = fitted(
            target,
            tb.posterior(target, kind, hidden=(128, 128), noise=10, key=0),
            call=call,
            steps=options.steps,
            batch_size=1 if kind == "semi_implicit" else options.batch,
            seeds=options.seeds,
            rate=1e-3,
        )
        if fit is None:
            continue
        run, seconds = fit
        draws = [tb.draws(target, q, n=len(exact), key=3) for _, q in run.replicas]
        whole = [tb.diagnostics.c2st(exact, z).accuracy for z in draws]
        two = [tb.diagnostics.c2st(exact[:, :2], z[:, :2]).accuracy for z in draws]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a poor proposal shows in the verdict below
            ev = tb.evaluate(target, run.posterior, k=20_000)
        moments = [several([np.mean(z[:, i] ** (i + 1)) for z in draws]) for i in (0, 1)]
        print(
            f"| {kind} | `{call}` | {several(whole)} | {several(two)} | {' | '.join(moments)} | "
            f"{ev.mean:.3f} ± {2 * ev.stderr_draws:.3f} ({ev.verdict}) | {seconds:.0f} |",
            flush=True,
        )
        pictures[f"{kind}, {call}"] = draws[0]

    figure, axes = plt.subplots(
        1, len(pictures), figsize=(3 * len(pictures), 3.2), layout="constrained", squeeze=False
    )
    for axis, (name, z) in zip(axes[0], pictures.items(), strict=True):
        axis.plot(z[:, 0], z[:, 1], ".", markersize=1, alpha=0.5)
        axis.set(xlim=(-2, 3), ylim=(-3, 3), xlabel="mu", ylabel="tau")
        axis.set_title(name, fontsize=9)
    save(figure, options.out, "eight_schools")


if __name__ == "__main__":
    main()
