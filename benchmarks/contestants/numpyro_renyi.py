"""NumPyro: `SVI` with `RenyiELBO`, in a Python loop as documented or inside `lax.scan`."""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.infer import SVI, RenyiELBO
from numpyro.infer.svi import SVIState

from benchmarks.contestants import Block, Done
from benchmarks.sizes import Layers, Sizes, binary_data, first_weights


def train(sizes: Sizes, variant: str) -> Block:
    svi, state, x = _start(sizes, particles=sizes.k)
    batches = x.reshape(sizes.batches, sizes.batch, sizes.observed)
    return (_scan if variant == "scan" else _loop)(svi, state, batches)


def likelihood(sizes: Sizes, variant: str) -> Block:
    del variant
    svi, state, x = _start(sizes, particles=sizes.draws)
    evaluate = jax.jit(svi.evaluate)

    def block(n: int) -> Done:
        losses = [evaluate(state, image[None]) for image in x[:n]]
        return Done(n, -float(jnp.stack(losses).mean()))

    return block


def _loop(svi: SVI, state: SVIState, batches: Float[Array, "batches batch observed"]) -> Block:
    update = jax.jit(svi.update)
    endless = itertools.cycle(list(batches))
    states = [state]

    def block(n: int) -> Done:
        losses = []
        for x in itertools.islice(endless, n):
            states[0], loss = update(states[0], x)
            losses.append(loss)
        jax.block_until_ready(states[0])
        return Done(n, -float(jnp.stack(losses).mean()) / batches.shape[1])

    return block


def _scan(svi: SVI, state: SVIState, batches: Float[Array, "batches batch observed"]) -> Block:
    @jax.jit
    def run(state: SVIState, steps: Array) -> tuple[SVIState, Array]:
        return jax.lax.scan(lambda s, i: svi.update(s, batches[i]), state, steps)

    states = [state]

    def block(n: int) -> Done:
        states[0], losses = run(states[0], jnp.arange(n) % len(batches))
        jax.block_until_ready(states[0])
        return Done(n, -float(losses.mean()) / batches.shape[1])

    return block


def _start(sizes: Sizes, *, particles: int) -> tuple[SVI, SVIState, Float[Array, "items observed"]]:
    encoder, decoder = (_network(layers) for layers in first_weights(sizes))

    def model(x: Array) -> None:
        decode = numpyro.module("decoder", decoder, (sizes.batch, sizes.latent))
        with numpyro.plate("batch", x.shape[0]):
            z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([sizes.latent]).to_event(1))
            numpyro.sample("x", dist.Bernoulli(logits=decode(z)).to_event(1), obs=x)

    def guide(x: Array) -> None:
        encode = numpyro.module("encoder", encoder, (sizes.batch, sizes.observed))
        mean, log_variance = jnp.split(encode(x), 2, axis=-1)
        with numpyro.plate("batch", x.shape[0]):
            numpyro.sample("z", dist.Normal(mean, jnp.exp(0.5 * log_variance)).to_event(1))

    optimizer = numpyro.optim.Adam(sizes.learning_rate)
    svi = SVI(model, guide, optimizer, RenyiELBO(alpha=0, num_particles=particles))
    x = jnp.asarray(binary_data(sizes))
    return svi, svi.init(jax.random.key(0), x[: sizes.batch]), x


def _network(layers: Layers) -> tuple[Callable, Callable]:
    """A tanh perceptron as the pair (init, apply) that `numpyro.module` asks for."""

    def init(key: PRNGKeyArray, shape: tuple[int, ...]) -> tuple[tuple[int, ...], list]:
        del key
        weights = [(jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in layers]
        return (*shape[:-1], layers[-1][1].shape[0]), weights

    def apply(weights: list, value: Array) -> Array:
        for weight, bias in weights[:-1]:
            value = jnp.tanh(value @ weight + bias)
        weight, bias = weights[-1]
        return value @ weight + bias

    return init, apply
