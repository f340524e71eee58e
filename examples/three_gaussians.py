"""Recovers three Gaussians in the plane from data, by EM and by gradient, from the same start.

python examples/three_gaussians.py --out pictures
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import optax

import tightbound as tb
from tightbound.distributions import Categorical, GaussianComponents

WEIGHTS = np.array([0.5, 0.3, 0.2], np.float32)
MEANS = np.array([[0.0, 0.0], [4.0, 1.0], [-1.0, 4.0]], np.float32)
COVARIANCES = np.array(
    [[[1.4, 0.9], [0.9, 0.9]], [[0.4, -0.3], [-0.3, 1.2]], [[1.0, -0.8], [-0.8, 0.9]]], np.float32
)
FREE = 2 + 6 + 9  # weights, means, covariances


def truth() -> tb.Model:
    """The mixture that the data come from."""
    likelihood = GaussianComponents.from_covariances(jnp.asarray(MEANS), jnp.asarray(COVARIANCES))
    return tb.Model(Categorical(jnp.log(WEIGHTS)), likelihood)


def draw(model: tb.Model, n: int, seed: int) -> np.ndarray:
    """Draws n data of the model."""
    x, _ = jax.vmap(model.sample)(jax.random.split(jax.random.key(seed), n))
    return np.asarray(x)


def ellipse(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Points at two standard deviations from the mean."""
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = 2 * np.stack([np.cos(angle), np.sin(angle)])
    return mean[:, None] + np.linalg.cholesky(covariance) @ circle


def outline(axes: plt.Axes, model: tb.Model, label: str, **style: object) -> None:
    """The components of a mixture as ellipses."""
    likelihood = model.likelihood
    pairs = zip(np.asarray(likelihood.means), np.asarray(likelihood.covariances()), strict=True)
    for i, (mean, covariance) in enumerate(pairs):
        axes.plot(*ellipse(mean, covariance), label=label if i == 0 else None, **style)


def main(arguments: list[str] | None = None) -> None:
    """Fits, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--n", type=int, default=2000, help="training data")
    parser.add_argument("--iterations", type=int, default=100, help="EM iterations and epochs")
    parser.add_argument("--test", type=int, default=20_000, help="test data")
    options = parser.parse_args(arguments)
    n, iterations = options.n, options.iterations

    true = truth()
    train, test = draw(true, n, seed=0), draw(true, options.test, seed=1)
    start = tb.models.gaussian_mixture(train, components=3, key=0)
    by_em = tb.em(start, train, iterations=iterations)
    batch_size = min(100, n)
    steps = n // batch_size * iterations
    run = tb.fit(
        start,
        None,  # no posterior: it is known exactly
        train,
        objective=tb.objectives.exact(),
        optimizer=optax.adam(optax.cosine_decay_schedule(0.03, steps)),
        batch_size=batch_size,
        epochs=iterations,
        validation=train,  # log p of all training data after each epoch
        progress=False,
    )

    evidence = {
        name: [tb.evidence.exact(model, x, progress=False).log_evidence for x in (train, test)]
        for name, model in {"truth": true, "EM": by_em.model, "gradient": run.model}.items()
    }
    print(f"log p(x) in nats per datum, exact; n = {n} training data, {len(test)} test data")
    for name, (on_train, on_test) in evidence.items():
        behind = on_test.astype(np.float64) - evidence["truth"][1]
        error = behind.std() / np.sqrt(len(test))
        print(
            f"  {name:8s} training {on_train.mean(dtype=np.float64):.4f}"
            f"   test {on_test.mean(dtype=np.float64):.4f}"
            f"   test against the truth {behind.mean():+.4f} +- {error:.4f}"
        )
    size = FREE / 2 / n
    print(f"  expected of {FREE} fitted numbers: {size:+.4f} in training, {-size:+.4f} in the test")
    for name, model in (("EM", by_em.model), ("gradient", run.model)):
        means = np.asarray(model.likelihood.means)
        nearest = np.linalg.norm(means[:, None] - MEANS[None], axis=2).argmin(axis=0)
        error = np.abs(means[nearest] - MEANS).max()
        weights = np.asarray(model.prior.mean())[nearest]
        print(f"  {name}: weights {np.round(weights, 3)}, largest error of a mean {error:.3f}")

    true_value = evidence["truth"][0].mean(dtype=np.float64)
    curves = {
        "EM": (by_em.log_likelihood, "C0"),
        "gradient": ([by_em.log_likelihood[0], *np.ravel(run.history.validation_bound)], "C1"),
    }
    figure, (plane, whole, close) = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    plane.scatter(*train.T, s=3, color="0.75", linewidths=0, rasterized=True)
    outline(plane, start, "start", color="0.45", linewidth=1, linestyle=":")
    outline(plane, true, "truth", color="black", linewidth=3, alpha=0.4)
    outline(plane, by_em.model, "EM", color="C0", linewidth=1.5)
    outline(plane, run.model, "gradient", color="C1", linewidth=1.5, linestyle="--")
    plane.set(title="two standard deviations", xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    plane.legend(fontsize=8, loc="upper right")
    for axes in (whole, close):
        for name, (values, color) in curves.items():
            axes.plot(np.asarray(values), color=color, label=name)
        axes.axhline(float(true_value), color="black", alpha=0.4, linewidth=3, label="truth")
        axes.set(xlabel="passes over the data", xlim=(0, iterations))
    whole.set(title="log p(training data)", ylabel="nats per datum", xlim=(0, min(20, iterations)))
    whole.legend(fontsize=8, loc="lower right")
    close.set(title="the same, close to the truth")
    close.set_ylim(true_value - 0.02, true_value + 0.012)
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "three_gaussians.png", dpi=100)
    plt.close(figure)
    print(f"wrote {options.out / 'three_gaussians.png'}")


if __name__ == "__main__":
    main()
