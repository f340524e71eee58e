"""Amortised MAP on images: digits of 8 x 8 pixels restored from the means of their squares.

Sonderby et al. (2016, arXiv 1610.04490) with networks of convolutions: the last layer projects onto
the images with the means that were seen, and a classifier (AffGAN) or a denoiser (AffDG) of images
says which of them are like the data. Least squares is the same network by squared error. Beside the
peak signal-to-noise ratio, which least squares is made for, stands log p of the restored images
under a mixture of normals, fitted to training images by EM: an exact density, whose value at the
test images themselves is what a plausible restoration reaches.

python examples/image_restoration.py --out pictures
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from comparison import fitted, parser, save, several

matplotlib.use("agg")
import matplotlib.pyplot as plt

import tightbound as tb

FITS = ("amortized_map(noise=(0.5, 0.1, 150))", "amortized_map(guide='denoiser', noise=0.1)")
SHOWN = 8
FLOOR = 1e-3
"""Least variance of a direction of the mixture."""


def least_squares(posterior: Any, low: Any, clean: Any, steps: int, batch: int, key: Any) -> Any:
    """The posterior's network by squared error to the clean images, with Adam."""
    arrays, static = eqx.partition(posterior, eqx.is_inexact_array)
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-3, steps))

    def loss(arrays: Any, rows: Any) -> jax.Array:
        q = eqx.combine(arrays, static)
        restored = jax.vmap(lambda x: q.sample(x, key=key))(low[rows])
        return jnp.mean((restored - clean[rows]) ** 2)

    def step(carry: Any, key: Any) -> Any:
        arrays, state = carry
        grads = jax.grad(loss)(arrays, jax.random.randint(key, (batch,), 0, len(low)))
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimizer.update(grads, state)
            return (optax.apply_updates(arrays, updates), state), None

    with jax.numpy_dtype_promotion("standard"):
        first = arrays, jax.tree.map(jnp.asarray, optimizer.init(arrays))
    (arrays, _), _ = jax.jit(lambda first: jax.lax.scan(step, first, jax.random.split(key, steps)))(
        first
    )
    return eqx.combine(arrays, static)


def main(arguments: list[str] | None = None) -> None:
    """Restores, measures, prints and draws."""
    given = parser(__doc__, steps=4000, batch=100)
    given.add_argument("--factor", type=int, default=2)
    options = given.parse_args(arguments)
    ds = tb.data.load("digits")
    train, test = (x.reshape(len(x), *ds.shape) for x in (ds.train, ds.test))
    model, start = tb.models.restoration(train, factor=options.factor)
    degrade = jax.jit(jax.vmap(model.likelihood.degrade))
    flat = [x.reshape(len(x), -1) for x in (train, test)]
    low = [np.asarray(degrade(x)) for x in flat]
    # Pixels that are dark in all images would have no variance.
    mixture = tb.em(tb.models.gaussian_mixture(flat[0], components=10), flat[0], floor=FLOOR).model

    restored = {
        "test images themselves": [flat[1]],
        "means repeated": [np.asarray(jax.vmap(model.likelihood.degrade.back)(low[1]))],
    }
    key = jax.random.key(0)
    fit = least_squares(
        start, jnp.asarray(low[0]), jnp.asarray(flat[0]), options.steps, options.batch, key
    )
    restored["least squares"] = [tb.draws(model, fit, low[1], n=1, key=3)[:, 0]]
    seconds = {}
    for call in FITS:
        if options.only not in call:
            continue
        found = fitted(
            *tb.models.restoration(train, factor=options.factor),
            low[0],
            call=call,
            epochs=max(1, options.steps * options.batch // len(train)),
            batch_size=options.batch,
            seeds=options.seeds,
            rate=1e-3,
            decay=options.steps,
        )
        if found is not None:
            run, seconds[call] = found
            restored[call] = [tb.draws(model, q, low[1], n=1, key=3)[:, 0] for _, q in run.replicas]

    print("| restored by | PSNR, dB | log p, nats | squared error of the means | seconds a fit |")
    print("|---|---|---|---|---|")
    for name, each in restored.items():
        psnr = [-10 * np.log10(np.mean((x - flat[1]) ** 2) + 1e-12) for x in each]
        log_p = [tb.evidence.exact(mixture, x).mean for x in each]
        off = max(float(np.mean((np.asarray(degrade(x)) - low[1]) ** 2)) for x in each)
        shown = "–" if name.startswith("test") else several(psnr, 1)
        took = f"{seconds[name]:.0f}" if name in seconds else ""
        print(f"| {name} | {shown} | {several(log_p, 1)} | {off:.0e} | {took} |", flush=True)

    side = 8 // options.factor
    rows = {"seen": low[1][:SHOWN].reshape(-1, side, side)}
    rows |= {name: each[0][:SHOWN].reshape(-1, 8, 8) for name, each in restored.items()}
    figure, axes = plt.subplots(
        len(rows), SHOWN, figsize=(SHOWN, 1.1 * len(rows)), layout="constrained", squeeze=False
    )
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        line[0].set_title(name, fontsize=8, loc="left")
        for axis, image in zip(line, images, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
            axis.axis("off")
    save(figure, options.out, "image_restoration")


if __name__ == "__main__":
    main()
