"""Evaluates a model from its weights alone, as if somebody else had trained it.

An importance weighted autoencoder of the digits is trained and its weights are written under the
names and in the layout of a PyTorch state dict, as .npz and as .safetensors. From then on all there
is are these files and two formulas, written as plain functions on arrays. They give the evidence of
the model itself, to rounding.

python examples/foreign_model.py --out weights
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

import tightbound as tb
from tightbound.networks import dense_from_state_dict, mlp_from_state_dict

LATENT = 5


def trained(epochs: int) -> tuple[tb.Model, tb.AbstractExplicit]:
    """Somebody's model of the digits: 64-50-5 and back."""
    ds = tb.data.load("digits")
    model, posterior = tb.autoencoder(ds, latent=LATENT, hidden=(50,), key=0)
    objective = tb.objectives.iwae(k=5, gradient="dreg")
    run = tb.fit(model, posterior, ds.train, objective=objective, epochs=epochs, progress=False)
    return run.model, run.posterior


def state_dict(model: tb.Model, posterior: tb.AbstractExplicit) -> dict[str, np.ndarray]:
    """The weights as PyTorch keeps them: (out, in), and the encoder's head gives log-variances."""
    layers = {
        "encoder.0": (posterior.trunk.layers[0], 1),
        "mean": (posterior.location, 1),
        "log_var": (posterior.log_scale, 2),
        "decoder.0": (model.likelihood.trunk.layers[0], 1),
        "decoder.2": (model.likelihood.logits, 1),
    }
    arrays = {}
    for name, (layer, factor) in layers.items():
        arrays[f"{name}.weight"] = np.ascontiguousarray(factor * np.asarray(layer.weight).T)
        arrays[f"{name}.bias"] = factor * np.asarray(layer.bias)
    return arrays


def read_back(path: Path) -> tuple[tb.Model, tb.AbstractExplicit]:
    """The adapter: networks from the file's arrays, and the model's two formulas around them."""
    arrays = tb.data.load_arrays(path)
    encoder = mlp_from_state_dict(arrays, ["encoder.0"], activation="tanh")
    mean, log_var = (dense_from_state_dict(arrays, name) for name in ("mean", "log_var"))
    decoder = mlp_from_state_dict(arrays, ["decoder.0"], activation="tanh")
    logits = dense_from_state_dict(arrays, "decoder.2")
    prior = tb.distributions.StandardNormal(LATENT)

    def log_joint(x: jax.Array, z: jax.Array) -> jax.Array:
        t = logits(decoder(z))  # (64,)
        return prior.log_prob(z) + jnp.sum(x * t - jax.nn.softplus(t))

    def draw_x(z: jax.Array, key: jax.Array) -> jax.Array:
        return jax.random.bernoulli(key, jax.nn.sigmoid(logits(decoder(z))))

    def mean_and_scale(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = encoder(x)  # (50,)
        return mean(h), jnp.exp(0.5 * log_var(h))

    def log_q(z: jax.Array, x: jax.Array) -> jax.Array:
        return jnp.sum(jax.scipy.stats.norm.logpdf(z, *mean_and_scale(x)))

    def draw_z(x: jax.Array, key: jax.Array) -> jax.Array:
        location, scale = mean_and_scale(x)
        return location + scale * jax.random.normal(key, location.shape)

    model = tb.models.from_log_joint(log_joint, 64, prior=prior, sample=draw_x, support="binary")
    posterior = tb.distributions.from_functions(
        log_prob=log_q, sample=draw_z, mean=lambda x: mean_and_scale(x)[0], dim=LATENT
    )
    return model, posterior


def main(arguments: list[str] | None = None) -> None:
    """Trains, writes, reads, evaluates and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("weights"))
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--items", type=int, default=300, help="test items, at most 300")
    parser.add_argument("--k", type=int, default=5000, help="draws per datum")
    parser.add_argument("--temperatures", type=int, default=500, help="of annealing; 0 for none")
    options = parser.parse_args(arguments)
    x = tb.data.load("digits").test[: options.items]
    model, posterior = trained(options.epochs)
    arrays = state_dict(model, posterior)
    options.out.mkdir(parents=True, exist_ok=True)
    np.savez(options.out / "model.npz", **arrays)
    save_file(arrays, options.out / "model.safetensors")

    native = tb.evaluate(model, posterior, x, k=options.k, key=0)
    for name in ("model.npz", "model.safetensors"):
        foreign = read_back(options.out / name)
        ev = tb.evaluate(*foreign, x, k=options.k, key=0)
        print(f"{name}: {ev.summary()}")
        apart = np.abs(ev.log_evidence - native.log_evidence).max()
        print(f"  largest difference from the model itself: {apart:.6f} nats")
    units = tb.diagnostics.active_units(*foreign, tb.data.load("digits").train)
    print(f"{units[0].active} of {LATENT} units active")
    if options.temperatures:
        both = tb.sandwich(*foreign, n=50, temperatures=options.temperatures, chains=4)
        print(both.summary())


if __name__ == "__main__":
    main()
