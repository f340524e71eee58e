"""K well separated clusters: averaging p(x|z) over draws of the prior fails; a sum over z does not.

A draw of z hits the cluster of x with probability 1/K. With S draws all miss with probability
(1 - 1/K)^S, and the estimate is then far too low, without its standard error showing it.

python examples/clusters.py --out pictures
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np

import tightbound as tb
from tightbound.distributions import Categorical, GaussianComponents

SPACING = 20.0  # standard deviations between neighbouring clusters
FAR = 10.0  # nats: a miss costs more than 100, a hit less than log S


def clusters(side: int) -> tb.Model:
    """side^2 equally likely Gaussians of unit variance on a square grid."""
    grid = SPACING * np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1)
    means = jnp.asarray(grid.reshape(-1, 2), jnp.float32)
    covariances = jnp.repeat(jnp.eye(2)[None], len(means), axis=0)
    likelihood = GaussianComponents.from_covariances(means, covariances)
    return tb.Model(Categorical(jnp.zeros(len(means))), likelihood)


def main(arguments: list[str] | None = None) -> None:
    """Compares, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--n", type=int, default=1000, help="data, each with draws of its own")
    parser.add_argument("--draws", type=int, default=1000, help="most draws per datum")
    parser.add_argument("--sides", type=int, nargs="+", default=[2, 4, 8, 16])
    options = parser.parse_args(arguments)
    n, most = options.n, options.draws

    figure, (plane, failing, reported) = plt.subplots(
        1, 3, figsize=(11, 3.6), layout="constrained", width_ratios=(0.85, 1, 1)
    )
    print(f"{n} data per K; prior sampling, and the sum over all K latent values, in nats")
    print("    K     S  all miss  predicted  mean log p-hat(x)  log p(x), exact")
    for number, side in enumerate(options.sides):
        model, color = clusters(side), f"C{number}"
        sample_key, draw_key = jax.random.split(jax.random.key(side))
        x, _ = jax.vmap(model.sample)(jax.random.split(sample_key, n))
        exact = tb.evidence.exact(model, np.asarray(x), progress=False)
        # The prior as proposal: log (1/S) sum_s p(x|z_s), from the first S draws of each datum.
        keys = jax.random.split(draw_key, n)
        sampled = tb.evidence.importance(model, model.prior, x, keys, k=most, chunk=min(most, 50))
        sizes = [j for j in (1, 5, 50, 500, 5000) if j < most] + [most]
        estimates = np.asarray(sampled.bounds, np.float64)
        low = estimates < exact.log_evidence[:, None] - FAR
        k = side**2
        for s, missed, estimate in zip(sizes, low.mean(axis=0), estimates.T, strict=True):
            print(
                f"{k:5d} {s:5d}  {missed:8.4f}  {(1 - 1 / k) ** s:9.4f}  {estimate.mean():17.2f}"
                f"  {exact.mean:15.2f}"
            )
        fine = np.geomspace(1, most, 200)
        failing.plot(fine, (1 - 1 / k) ** fine, color=color, linewidth=1)
        share = low.mean(axis=0)
        error = np.sqrt(share * (1 - share) / n)
        failing.errorbar(sizes, share, 2 * error, fmt="o", color=color, markersize=4, label=f"{k}")
        reported.plot(sizes, -estimates.mean(axis=0), "o-", color=color, markersize=4, linewidth=1)
        reported.axhline(-exact.mean, color=color, linestyle="--", linewidth=1)
        if number == min(1, len(options.sides) - 1):
            plane.scatter(*np.asarray(x).T, s=4, color=color, linewidths=0)
            plane.set(title=f"the data for K = {k}", xlabel="$x_1$", ylabel="$x_2$")
            plane.set_aspect("equal")
    judged = tb.evaluate(
        model, model.prior, np.asarray(x), k=min(500, most), batch_size=n, chunk=50
    )
    print(f"the same by tb.evaluate, K = {k}:\n{judged.summary()}")
    gap = judged.log_evidence < exact.log_evidence - FAR
    stated = judged.stderr[gap]
    if len(stated):
        print(f"  where all draws missed, the median standard error says {np.median(stated):.2f}")
    failing.set(xscale="log", xlabel="draws S of the prior", ylabel="share of the data")
    failing.set_title("all draws miss\n(lines: $(1 - 1/K)^S$; bars: 2 s.e.)", fontsize=11)
    failing.legend(title="K", fontsize=8)
    reported.set(xscale="log", yscale="log", xlabel="draws S of the prior", ylabel="nats per datum")
    reported.set_title("mean $-\\log \\hat p(x)$\n(dashed: exact sum over K values)", fontsize=11)
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "clusters.png", dpi=100)
    plt.close(figure)
    print(f"wrote {options.out / 'clusters.png'}")


if __name__ == "__main__":
    main()
