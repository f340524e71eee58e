"""Eight schools: posteriors of three kinds beside long chains of Hamiltonian Monte Carlo.

z = (mu, tau, eta) in 10 dimensions, all N(0, 1) a priori; the sign of tau cannot be told from the
data, so that the posterior of (mu, tau) is the same at tau and -tau, and narrow where tau is small
(Mescheder, Nowozin & Geiger 2017, arXiv 1701.04722). The reference is NumPyro's NUTS on the same
density, with the sign of (tau, eta) flipped at random, under which the posterior is unchanged.
Posteriors are scored by a classifier that tries to tell their draws from the chains' (C2ST).

python examples/eight_schools.py --out pictures
"""

import argparse
import warnings
from pathlib import Path

import jax
import matplotlib
import numpy as np
import optax
from numpyro.infer import MCMC, NUTS

matplotlib.use("agg")
import matplotlib.pyplot as plt

import tightbound as tb
from tightbound.objectives.catalogue import parse

FITS = (
    ("normal", "elbo()"),
    ("implicit", "pc_adv(contrast='adaptive')"),
    ("implicit", "pc_den()"),
    ("semi_implicit", "sivi(k=50)"),
    ("semi_implicit", "uivi()"),
)
"""Kinds of posterior, and the objectives that fit them."""


def reference(target: tb.Target, draws: int) -> np.ndarray:
    """Draws of shape (draws, 10) from four chains of NUTS, each thinned by 5."""
    none = np.zeros(0, np.float32)
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=256, help="draws of q in a step")
    parser.add_argument("--draws", type=int, default=4000, help="draws of each kind compared")
    parser.add_argument("--only", help="fit only what has this in its name")
    options = parser.parse_args(arguments)
    target = tb.models.problems.eight_schools()
    exact = reference(target, options.draws)
    pictures = {"NUTS": exact}

    print("| posterior | objective | C2ST, all of z | C2ST, (mu, tau) | mean tau^2 | log Z |")
    print("|---|---|---|---|---|---|")
    print(f"| NUTS | | | | {np.mean(exact[:, 1] ** 2):.3f} | |")
    for kind, call in FITS:
        if options.only is not None and options.only not in f"{kind} {call}":
            continue
        try:
            objective = parse(call)
            q = tb.posterior(target, kind, hidden=(128, 128), noise=10, key=0)
            run = tb.fit(
                target,
                q,
                objective=objective,
                steps=options.steps,
                batch_size=options.batch,
                optimizer=optax.adam(1e-3),
            )
        except tb.UsageError as error:
            print(f"skipped {kind}, {call}: {error}")
            continue
        z = tb.draws(target, run.posterior, n=len(exact), key=3)
        whole, two = tb.diagnostics.c2st(exact, z), tb.diagnostics.c2st(exact[:, :2], z[:, :2])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a poor proposal shows in the verdict below
            ev = tb.evaluate(target, run.posterior, k=20_000)
        print(
            f"| {kind} | `{call}` | {whole.accuracy:.3f} ± {2 * whole.stderr:.3f} | "
            f"{two.accuracy:.3f} ± {2 * two.stderr:.3f} | {np.mean(z[:, 1] ** 2):.3f} | "
            f"{ev.mean:.3f} ± {2 * ev.stderr_draws:.3f} ({ev.verdict}) |"
        )
        pictures[f"{kind}, {call}"] = z

    figure, axes = plt.subplots(
        1, len(pictures), figsize=(3 * len(pictures), 3.2), layout="constrained", squeeze=False
    )
    for axis, (name, z) in zip(axes[0], pictures.items(), strict=True):
        axis.plot(z[:, 0], z[:, 1], ".", markersize=1, alpha=0.5)
        axis.set(xlim=(-2, 3), ylim=(-3, 3), xlabel="mu", ylabel="tau")
        axis.set_title(name, fontsize=9)
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "eight_schools.png", dpi=110)
    print(f"picture: {options.out / 'eight_schools.png'}")


if __name__ == "__main__":
    main()
