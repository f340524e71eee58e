"""Images with holes or noise restored by a deep model, beside what else one would take.

Half of each test image is hidden, or every pixel gets noise (flips under binary images, which
digits and MNIST are made by one draw; normal noise under Frey faces). Mean squared error of what
is filled in, and log p of the true values given what was seen, in nats per image: by the training
images' means, by the mean of the nearest of them, by a normal with the covariance of probabilistic
PCA or the full one (of binary images best linear predictions, which have no log-score), by a pass
through encoder and decoder, and by `tb.tasks.inpaint` and `denoise`.

python examples/restored_images.py --data digits --seeds 3 --out docs/images
python examples/restored_images.py --data mnist --split iwae --hidden 200 200 --latent 50
python examples/restored_images.py --data frey_faces --hidden 200 --latent 20 --noise 0.1
"""

from typing import Any

import jax
import matplotlib
import numpy as np
from comparison import parser, save, several

matplotlib.use("agg")
import matplotlib.pyplot as plt

import tightbound as tb

LIKELIHOOD = {"digits": "bernoulli", "mnist": "bernoulli", "frey_faces": "gaussian"}
NEIGHBOURS = 10
FLOOR = 1e-4
"""Least variance of a direction of the normals."""
SHOWN = 8
Row = tuple[np.ndarray, np.ndarray]
"""What is expected of images, and their log-scores (NaN where there is none)."""


def of_normal(
    mean: np.ndarray, cov: np.ndarray, y: np.ndarray, matrix: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of x ~ N(mean, cov) given y = matrix x + noise of this variance."""
    across = cov @ matrix.T
    gain = np.linalg.solve(matrix @ across + np.diag(noise), across.T).T
    return mean + gain @ (y - matrix @ mean), cov - gain @ across.T


def log_normal(off: np.ndarray, cov: np.ndarray) -> float:
    """Log N(off; 0, cov) in nats."""
    sign, log_volume = np.linalg.slogdet(2 * np.pi * cov)
    return float(-0.5 * (off @ np.linalg.solve(cov, off) + log_volume)) if sign > 0 else np.nan


def covariances(train: np.ndarray, latent: int) -> dict[str, np.ndarray]:
    """Of probabilistic PCA (Tipping & Bishop 1999, eq. 7-8) and as it is."""
    values, vectors = np.linalg.eigh(np.cov(train.T))
    rest = max(float(values[:-latent].mean()), FLOOR)
    kept = np.concatenate([np.full(len(values) - latent, rest), values[-latent:]])
    pca = (vectors * kept) @ vectors.T
    return {"probabilistic PCA": pca, "normal": np.cov(train.T) + FLOOR * np.eye(len(values))}


def log_each(x: np.ndarray, p: np.ndarray, spread: np.ndarray, *, binary: bool) -> np.ndarray:
    """Log-score of independent values: bits by p, numbers by normals of this deviation."""
    if binary:
        return np.log(np.where(x > 0.5, p, 1 - p))
    return -0.5 * ((x - p) / spread) ** 2 - np.log(spread) - 0.5 * np.log(2 * np.pi)


def filled(
    train: np.ndarray, test: np.ndarray, hidden: np.ndarray, latent: int, *, binary: bool
) -> dict[str, Row]:
    """Hidden values by what needs no deep model."""
    n, centre = len(test), train.mean(axis=0)
    spread = np.sqrt(train.var(axis=0) + FLOOR)
    p = np.clip(centre, 0.5 / len(train), 1 - 0.5 / len(train))
    none = np.full(n, np.nan)
    each = np.where(hidden, log_each(test, p[None], spread[None], binary=binary), 0)
    rows = {"means": (np.where(hidden, centre, test), each.sum(axis=1))}
    near, scores = test.copy(), none.copy()
    for i, (row, hole) in enumerate(zip(test, hidden, strict=True)):
        away = ((train[:, ~hole] - row[~hole]) ** 2).sum(axis=1)
        nearest = train[np.argsort(away)[:NEIGHBOURS]]
        near[i, hole] = nearest[:, hole].mean(axis=0)
        smoothed = (nearest.sum(axis=0) + p) / (NEIGHBOURS + 1) if binary else nearest.mean(axis=0)
        own = np.sqrt((nearest.var(axis=0) * NEIGHBOURS + spread**2) / (NEIGHBOURS + 1))
        scores[i] = log_each(row, smoothed, own, binary=binary)[hole].sum()
    rows[f"{NEIGHBOURS} nearest"] = near, scores
    for name, cov in covariances(train, latent).items():
        x, scores = test.copy(), none.copy()
        for i, (row, hole) in enumerate(zip(test, hidden, strict=True)):
            seen = np.eye(len(row))[~hole]
            mean, left = of_normal(centre, cov, row[~hole], seen, np.full(len(seen), 1e-9))
            x[i, hole] = mean[hole]
            if not binary:
                scores[i] = log_normal((row - mean)[hole], left[np.ix_(hole, hole)])
        rows[name] = x, scores
    return rows


def cleaned(
    train: np.ndarray, test: np.ndarray, noisy: np.ndarray, e: float, latent: int, *, binary: bool
) -> dict[str, Row]:
    """Clean images by what needs no deep model."""
    n, d = noisy.shape
    centre, none = train.mean(axis=0), np.full(n, np.nan)
    rows: dict[str, Row] = {"as they are": (noisy, none)}
    if binary:
        p = np.clip(centre, 0.5 / len(train), 1 - 0.5 / len(train))
        one = p * np.where(noisy > 0.5, 1 - e, e)
        clean = one / (one + (1 - p) * np.where(noisy > 0.5, e, 1 - e))
        spread = np.ones(d)
    else:
        own = train.var(axis=0) + FLOOR
        clean = centre + own / (own + e**2) * (noisy - centre)
        spread = np.sqrt(own * e**2 / (own + e**2))
    rows["means"] = clean, log_each(test, clean, spread[None], binary=binary).sum(axis=1)
    nearest = [np.argsort(((train - row) ** 2).sum(axis=1))[:NEIGHBOURS] for row in noisy]
    rows[f"{NEIGHBOURS} nearest"] = np.stack([train[at].mean(axis=0) for at in nearest]), none
    for name, cov in covariances(train, latent).items():
        # Of flips y has the mean (1 - 2 e) x + e and the variance e (1 - e) given x.
        slope, shift, left = (1 - 2 * e, e, e * (1 - e)) if binary else (1.0, 0.0, e**2)
        found = [
            of_normal(centre, cov, row - shift, slope * np.eye(d), np.full(d, left))
            for row in noisy
        ]
        scores = [log_normal(row - m, c) for row, (m, c) in zip(test, found, strict=True)]
        rows[name] = np.stack([m for m, _ in found]), none if binary else np.array(scores)
    return rows


def passed(run: Any, x: np.ndarray) -> np.ndarray:
    """Means of p(x|z) at the mean of q(z|x): what the tasks are not."""
    model, q = run
    return np.asarray(jax.jit(jax.vmap(lambda x: model.likelihood.mean(q.mean(x))))(x))


def main(arguments: list[str] | None = None) -> None:
    """Fits, restores, prints and draws."""
    given = parser(__doc__, steps=0)  # epochs in their place
    given.add_argument("--data", choices=LIKELIHOOD, default="digits")
    given.add_argument("--split", default="default")
    given.add_argument("--latent", type=int, default=10)
    given.add_argument("--hidden", type=int, nargs="+", default=[100])
    given.add_argument("--epochs", type=int, default=200)
    given.add_argument("--items", type=int, default=100)
    given.add_argument("--k", type=int, default=2000)
    given.add_argument("--noise", type=float, default=0.1)
    given.add_argument("--mask", default="left half")
    options = given.parse_args(arguments)
    ds = tb.data.load(options.data, split=options.split)
    binary = LIKELIHOOD[options.data] == "bernoulli"
    rng = np.random.default_rng(0)
    train, test = (np.asarray(x, np.float32) for x in (ds.train, ds.test[: options.items]))
    if binary:
        train, test = ((rng.random(x.shape) < x).astype(np.float32) for x in (train, test))
    n, shape = len(test), ds.shape
    if binary:
        noisy = np.where(rng.random(test.shape) < options.noise, 1 - test, test)
    else:
        noisy = test + options.noise * rng.normal(size=test.shape).astype(np.float32)
    model, q = tb.autoencoder(
        train,
        latent=options.latent,
        hidden=tuple(options.hidden),
        likelihood=LIKELIHOOD[options.data],
    )
    run = tb.fit(model, q, train, objective="iwae(k=5)", epochs=options.epochs, seeds=options.seeds)
    how = {"k": options.k, "key": 1, "draws": 3}
    holes = [tb.tasks.inpaint(*fit, test, options.mask, shape=shape, **how) for fit in run.replicas]
    clean = [tb.tasks.denoise(*fit, noisy, noise=options.noise, **how) for fit in run.replicas]
    hidden = holes[0].hidden
    if binary:
        wrong = noisy != test
        of_noise = np.log(np.where(wrong, options.noise, 1 - options.noise)).sum(axis=1)
    else:
        of_noise = log_each(noisy, test, np.full(1, options.noise), binary=False).sum(axis=1)
    own = [
        tb.evaluate(*fit, test, k=options.k, key=2).log_evidence + of_noise - found.log_evidence
        for fit, found in zip(run.replicas, clean, strict=True)
    ]
    exact = train.astype(np.float64), test.astype(np.float64)
    none = np.full(n, np.nan)
    tasks = {
        f"{options.mask} hidden": {
            **{
                name: [row]
                for name, row in filled(*exact, hidden, options.latent, binary=binary).items()
            },
            "encoder and decoder": [
                (np.where(hidden, passed(fit, np.where(hidden, 0, test)), test), none)
                for fit in run.replicas
            ],
            "tb.tasks.inpaint": [(found.x, found.log_score) for found in holes],
        },
        f"noise {options.noise:g}": {
            **{
                name: [row]
                for name, row in cleaned(
                    *exact, noisy.astype(np.float64), options.noise, options.latent, binary=binary
                ).items()
            },
            "encoder and decoder": [(passed(fit, noisy), none) for fit in run.replicas],
            "tb.tasks.denoise": [(c.x, score) for c, score in zip(clean, own, strict=True)],
        },
    }
    print("| images | restored by | mean squared error | log-score, nats per image |")
    print("|---|---|---|---|")
    for task, rows in tasks.items():
        where = hidden if task.endswith("hidden") else np.ones_like(hidden)
        for name, each in rows.items():
            errors = [float(np.mean((x - test)[where] ** 2)) for x, _ in each]
            scores = [float(np.mean(score)) for _, score in each]
            shown = "–" if np.isnan(scores).any() else several(scores, 2)
            print(f"| {task} | {name} | {several(errors, 4)} | {shown} |", flush=True)
    few = [f"{int(found.unsure.sum())} of {n}" for found in (*holes, *clean)]
    print(f"images of too few draws of z, inpainting and then denoising: {', '.join(few)}")

    columns = {"hidden": holes[0].seen, "inpainted": holes[0].x, "drawn": holes[0].draws[0]}
    columns |= {"noisy": noisy, "denoised": clean[0].x, "drawn ": clean[0].draws[0], "truth": test}
    shown = min(SHOWN, n)
    figure, axes = plt.subplots(
        shown, len(columns), figsize=(len(columns), 1.05 * shown), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    gray = matplotlib.colormaps["gray"].with_extremes(bad="#7896c8")
    for place, (name, images) in enumerate(columns.items()):
        axes[0, place].set_title(name.strip(), fontsize=9)
        for axis, image in zip(axes[:, place], images[:shown], strict=True):
            axis.imshow(np.ma.masked_invalid(image.reshape(shape)), cmap=gray, vmin=0, vmax=1)
            axis.axis("off")
    save(figure, options.out, f"restored_{options.data}")


if __name__ == "__main__":
    main()
