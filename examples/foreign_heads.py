"""Evaluates a checkpoint of PyTorch whose encoder gives means and scales in one layer.

`foreign_heads.pt` was written by `torch.save`: a variational autoencoder of the binarised digits,
64-16-2 and back. It is read without PyTorch. The first half of the encoder's last layer is the
mean of q(z|x), and the softplus of the second half its scale; the decoder becomes a `Bernoulli` of
tightbound, which computes log p(x|z) from the logits in one pass. What comes out is compared with
the same network in NumPy: log p(x) by a sum over a grid of z in double precision.

python examples/foreign_heads.py
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

import tightbound as tb
from tightbound.networks import dense_from_state_dict, mlp_from_state_dict

CHECKPOINT = Path(__file__).with_name("foreign_heads.pt")
LATENT = 2


def parts(arrays: dict[str, np.ndarray]) -> tuple[tb.Model, tb.AbstractExplicit]:
    """p(x, z) and q(z|x) from the weights."""
    decoder = mlp_from_state_dict(arrays, ["decoder.0"], activation="tanh")
    logits = dense_from_state_dict(arrays, "decoder.2")
    prior = tb.distributions.StandardNormal(LATENT)
    model = tb.Model(prior, tb.distributions.Bernoulli(decoder, logits))

    encoder = mlp_from_state_dict(arrays, ["encoder.0"], activation="tanh")
    heads = dense_from_state_dict(arrays, "encoder.2")

    def mean_and_scale(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        both = heads(encoder(x))  # (4,)
        return both[:LATENT], jax.nn.softplus(both[LATENT:])

    def log_q(z: jax.Array, x: jax.Array) -> jax.Array:
        return jnp.sum(jax.scipy.stats.norm.logpdf(z, *mean_and_scale(x)))

    def draw(x: jax.Array, key: jax.Array) -> jax.Array:
        mean, scale = mean_and_scale(x)
        return mean + scale * jax.random.normal(key, (LATENT,))

    posterior = tb.distributions.from_functions(
        log_prob=log_q, sample=draw, mean=lambda x: mean_and_scale(x)[0], dim=LATENT
    )
    return model, posterior


def in_numpy(arrays: dict[str, np.ndarray], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log p(x) and the ELBO of each datum, in nats: the network once more, and sums over grids."""
    w = {name: array.astype(np.float64) for name, array in arrays.items()}

    def layers(name: str, inputs: np.ndarray) -> np.ndarray:
        hidden = np.tanh(inputs @ w[f"{name}.0.weight"].T + w[f"{name}.0.bias"])
        return hidden @ w[f"{name}.2.weight"].T + w[f"{name}.2.bias"]

    def log_joint(z: np.ndarray, x: np.ndarray) -> np.ndarray:
        t = layers("decoder", z)
        log_prior = -0.5 * np.sum(z**2, axis=-1) - np.log(2 * np.pi)
        return x @ t.T - np.logaddexp(0, t).sum(axis=-1) + log_prior

    line = np.linspace(-7, 7, 281)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, LATENT)  # (78961, 2)
    area = (line[1] - line[0]) ** 2
    evidence = special.logsumexp(log_joint(grid, x), axis=1) + np.log(area)

    both = layers("encoder", x)
    mean, scale = both[:, :LATENT], np.logaddexp(0, both[:, LATENT:])
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    at = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, LATENT)  # (900, 2)
    of = np.outer(weights, weights).ravel() / (2 * np.pi)
    energy = [of @ log_joint(m + s * at, item) for m, s, item in zip(mean, scale, x, strict=True)]
    entropy = np.sum(np.log(scale), axis=1) + LATENT * 0.5 * np.log(2 * np.pi * np.e)
    return evidence, np.array(energy) + entropy


def main(arguments: list[str] | None = None) -> None:
    """Reads, evaluates and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--items", type=int, default=100, help="test items, at most 300")
    parser.add_argument("--k", type=int, default=5000, help="draws per datum, at least 64")
    options = parser.parse_args(arguments)

    checkpoint = tb.data.load_torch(options.checkpoint)
    print(", ".join(f"{name}: {np.shape(a)}" for name, a in checkpoint["state_dict"].items()))
    model, posterior = parts(checkpoint["state_dict"])
    x = (tb.data.load("digits").test[: options.items] > 0.5).astype(np.float32)
    ev = tb.evaluate(model, posterior, x, k=options.k, bounds_at=(64,), progress=False)
    print(ev.summary())
    print(", ".join(f"L_{j} = {bound:.3f}" for j, bound in ev.bound_by_k.items()))
    evidence, elbo = in_numpy(checkpoint["state_dict"], x)
    print(f"in NumPy: log p(x) = {evidence.mean():.4f}, ELBO = {elbo.mean():.4f}")
    error = ev.mean - evidence.mean()
    print(f"error of the evidence: {error:.4f} nats, standard error {ev.stderr_draws:.4f}")
    print(f"error of the ELBO: {np.mean(ev.elbo) - elbo.mean():.4f} nats")


if __name__ == "__main__":
    main()
