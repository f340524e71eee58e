"""The manifold of two latent dimensions, and where the data lie on it: figure 4 of AEVB.

An autoencoder with two latents (Kingma & Welling 2014, arXiv 1312.6114, appendix A): what it
decodes on a grid through the prior's quantiles, with the training data's means of z on it, by
importance sampling and not by the encoder alone. Pictures fade where data are rarer than draws of
the prior: what is decoded there resembles no data, whatever it looks like.

python examples/frey_manifold.py --data frey_faces --epochs 400 --out pictures
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.special import ndtri

import tightbound as tb
from tightbound.report.latent_map import Labels, Manifold, map_png

LIKELIHOODS = {"frey_faces": "gaussian_unit_mean"}
"""Of grey values: means in (0, 1) and learned variances, as there; else those of ink, or not."""
OF_EACH = 20
"""Draws of z of each datum behind the density."""


def grid(side: int) -> np.ndarray:
    """Codes on a grid through the prior's quantiles, the first row where the second is largest."""
    z = ndtri((np.arange(side) + 0.5) / side)
    second, first = np.meshgrid(z[::-1], z, indexing="ij")
    return np.stack([first.ravel(), second.ravel()], axis=1)


def main(arguments: list[str] | None = None) -> None:
    """Fits, embeds, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--data", default="digits", help="a named set of pictures")
    parser.add_argument("--hidden", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--side", type=int, default=20, help="pictures along each axis")
    parser.add_argument("--k", type=int, default=1000, help="draws of z for each datum")
    parser.add_argument("--key", type=int, default=0)
    options = parser.parse_args(arguments)
    ds = tb.data.load(options.data)
    model, q = tb.autoencoder(
        ds,
        likelihood=LIKELIHOODS.get(options.data, "bernoulli"),
        latent=2,
        hidden=(options.hidden,),
        activation="tanh",
        key=options.key,
    )
    run = tb.fit(model, q, ds.train, objective="elbo", epochs=options.epochs, key=options.key)
    found = tb.tasks.embed(
        run.model, run.posterior, ds.train, k=options.k, draws=OF_EACH, key=options.key
    )
    print(found.summary())
    judged = tb.evaluate(run.model, run.posterior, ds.test, k=options.k, key=options.key)
    print(judged.summary())
    z = found.draws.reshape(-1, 2)
    print(f"draws of z given data: means {z.mean(axis=0)}, standard deviations {z.std(axis=0)}")
    decoded = tb.tasks.decode(run.model, grid(options.side)).x
    labels = ds.labels.get("train")
    picture = map_png(
        found.map().points,
        z,
        ("z1", "z2"),
        labels=None
        if labels is None
        else Labels(np.asarray(labels), tuple(map(str, range(int(np.max(labels)) + 1)))),
        manifold=Manifold(decoded.reshape(len(decoded), -1), ds.shape),
    )
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "frey_manifold.png"
    path.write_bytes(picture)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
