"""Normal targets fitted from their scores or densities: how far off are means and deviations?

The least that an objective should do. Each target N(m, diag(s^2)) is fitted by q from near
N(0, I), with a rate that does not fall, and each seed has a start and noise of its own.

python examples/normals.py --seeds 6
"""

import argparse

import jax.numpy as jnp
import numpy as np
import optax
from comparison import selected, several

import tightbound as tb
from tightbound.objectives.registry import parse

TARGETS = {
    "one": ((1.0,), (0.5,)),
    "wide": ((-2.0,), (2.0,)),
    "two": ((1.0, -1.0), (0.5, 1.0)),
    "far": ((3.0, -2.0), (1.0, 2.0)),
    "narrow": ((0.5, 0.5), (0.1, 0.3)),
}
"""Means and standard deviations."""
FITS = tuple((kind, call) for kind in ("implicit", "normal") for call in ("opvi()", "pc_den()"))
"""Kinds of posterior, and the objectives that fit them."""


def main(arguments: list[str] | None = None) -> None:
    """Fits and prints."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--steps", type=int, default=1500)
    given.add_argument("--batch", type=int, default=128, help="draws in a step")
    given.add_argument("--seeds", type=int, default=6, help="fits of each kind")
    given.add_argument("--key", type=int, default=0, help="of all starts and all noise")
    given.add_argument("--only", default="", help="fit only what has this in its name")
    given.add_argument("--target", nargs="*", choices=TARGETS, default=list(TARGETS))
    options = given.parse_args(arguments)
    print("| target | posterior | objective | error of the mean, deviations | error of log s |")
    print("|---|---|---|---|---|")
    for name in options.target:
        mean, scale = (np.array(numbers, np.float32) for numbers in TARGETS[name])
        centre, spread = jnp.asarray(mean), jnp.asarray(scale)
        target = tb.Target(
            lambda z, m=centre, s=spread: -0.5 * jnp.sum(((z - m) / s) ** 2), len(mean)
        )
        for kind, call in selected(FITS, options.only):
            run = tb.fit(
                target,
                tb.posterior(target, kind, hidden=(16,), key=options.key),
                objective=parse(call),
                steps=options.steps,
                batch_size=options.batch,
                optimizer=optax.adam(3e-3),
                seeds=options.seeds,
                key=options.key,
                progress=False,
            )
            draws = [tb.draws(target, q, n=10_000, key=3) for _, q in run.replicas]
            off = [float(np.abs((z.mean(axis=0) - mean) / scale).max()) for z in draws]
            wide = [float(np.abs(np.log(z.std(axis=0) / scale)).max()) for z in draws]
            print(f"| {name} | {kind} | `{call}` | {several(off)} | {several(wide)} |", flush=True)


if __name__ == "__main__":
    main()
