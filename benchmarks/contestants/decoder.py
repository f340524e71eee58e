"""What a likelihood must do besides matrix products: the units, the data's density, the draws.

Written out for these sizes, with no density of z and no estimate: nothing that evaluates log p(x|z)
at so many draws in the same compiler can be faster.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from benchmarks.contestants import Block, Done
from benchmarks.sizes import COUPLING, Sizes, binary_data, first_weights


def likelihood(sizes: Sizes, variant: str) -> Block:
    *hidden, (head, bias) = [
        (jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in first_weights(sizes)[1]
    ]
    x = jnp.asarray(binary_data(sizes))
    given = jax.random.normal(jax.random.key(0), (sizes.draws, sizes.latent))

    def log_p(x: Float[Array, " d"], z: Float[Array, "k l"]) -> Float[Array, " k"]:
        for weight, shift in hidden:
            z = jnp.tanh(z @ weight + shift)
        logits = z @ head + bias
        size = jnp.abs(logits)
        softplus = 0.5 * (logits + size) + jnp.log1p(jnp.exp(-size))
        return jnp.sum(x * logits - softplus, axis=1)

    def fresh(key: PRNGKeyArray) -> Float[Array, "k l"]:
        return jax.vmap(
            lambda draw: jax.random.normal(jax.random.fold_in(key, draw), (sizes.latent,))
        )(jnp.arange(sizes.draws))

    def step(carry: Float[Array, ""], image: Int[Array, ""]) -> tuple[Array, Array]:
        z = given if variant == "given" else fresh(jax.random.fold_in(jax.random.key(1), image))
        value = log_p(x[image % sizes.items], z + COUPLING * carry)
        return jnp.mean(value), value

    run = jax.jit(lambda carry, n: jax.lax.scan(step, carry, jnp.arange(n))[1], static_argnums=1)

    def block(n: int) -> Done:
        jax.block_until_ready(run(jnp.zeros(()), n))
        return Done(n, None)

    return block
