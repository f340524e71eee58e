"""Log p(x) from posterior draws by HMC and a density fitted to them, for few latent dimensions.

One half of each datum's chains gives draws to which a normal density q is fitted; the other half
gives the draws at which the mean of q(z) / p(x, z) is taken, which is 1 / p(x) for any q.

Reference: Kingma & Welling 2013, arXiv 1312.6114, appendix D (which leaves q open; good below
5 dimensions); Gelfand & Dey 1994, JRSS B 56(3) (the estimator).
Bias: E[1 / p-hat] = 1 / p(x) for draws of p(z|x) itself: a stochastic upper bound, as far as the
chains have arrived. q has the draws' covariance shrunk, since draws of p(z|x) are rare where q has
tails that p(z|x) has not.
"""

from typing import Any, Unpack

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data, One
from tightbound.core.streams import first_keys, item_keys, stream, streams
from tightbound.data import DataLike
from tightbound.distributions.contracts import prior_given
from tightbound.distributions.triangular import HIGHEST, cholesky, inverse
from tightbound.evidence.batches import CHAINS_AT_ONCE, Batch, prepared
from tightbound.evidence.estimate import Estimate, of_log_weights, undefined
from tightbound.evidence.estimator import estimator
from tightbound.evidence.execution import Execution, ExecutionSettings, Found, per_device
from tightbound.evidence.rounding import heaviest, rounding
from tightbound.evidence.terms import POSTERIOR
from tightbound.mcmc import between, chain, check_moves, check_tuning
from tightbound.models.model import Model
from tightbound.models.shapes import like_z
from tightbound.models.weights import split_each

SHRUNK = 0.8
"""Variances of q, as a share of the draws'."""
MOST_DIMENSIONS = 5


def hmc_density(
    model: Model,
    x: DataLike,
    *,
    chains: int = 200,
    transitions: int = 100,
    leapfrog: int = 10,
    acceptance: float = 0.9,
    **execution: Unpack[ExecutionSettings],
) -> Estimate:
    """Estimates log p(x) of each datum from draws of its posterior; nats, an upper bound.

    Args:
        model: p(x, z), with a prior on all real numbers and at most 5 latent dimensions.
        x: Data of shape (n, d).
        chains: Chains per datum, started at the prior; each gives one draw, its last state. The
            first half fits the density.
        transitions: Transitions of each chain; over their first half the step size is tuned. By
            their second half chains are judged: `diagnostics` hold `between`, the largest share
            (over the dimensions of z and log p(x, z)) of the variance that lies between the chains'
            means. Above 1/2 they have not arrived, and nothing is trusted.
        leapfrog: Leapfrog steps of a transition.
        acceptance: What step sizes are tuned to.
        execution: `key`, `binarize`, `batch_size` (by default 1,600 chains together),
            `progress`, `resume` and `keep`: see `tb.evidence.Execution`.

    Raises:
        UsageError: Another prior, more dimensions, data outside the likelihood's support (row and
            column are named), or numbers outside their range.
    """
    run = Execution.of(hmc_density, execution, without=("chunk",))
    check_moves(model.prior, "hmc_density")
    size = sum(leaf.size for leaf in jax.tree.leaves(like_z(model)))
    if size > MOST_DIMENSIONS:
        raise UsageError(
            f"hmc_density is for at most {MOST_DIMENSIONS} latent dimensions, got {size}: a "
            "fitted density misses too much of a posterior in more; use tb.evidence.annealed"
        )
    (chains,) = at_least(4 * (size + 1), chains=chains)
    (transitions,) = at_least(2, transitions=transitions)
    check_tuning(leapfrog=leapfrog, acceptance=acceptance)
    data = prepared(model, x, run.binarize, run.key)
    keep = run.keeps(model, chains - chains // 2)

    def one_batch(values: Data, items: Int[Array, " b"]) -> Batch:
        keys = split_each(item_keys(stream(data.noise_key, "hmc_density.chains"), items), chains)
        return _estimated(
            model,
            values,
            keys,
            transitions=transitions,
            leapfrog=leapfrog,
            acceptance=acceptance,
            keep=keep,
        )

    return run.estimate(
        one_batch,
        data,
        model=model,
        direction="upper",
        method=(
            f"{chains} chains of {transitions} HMC transitions with {leapfrog} leapfrog steps, "
            "half of them for a normal density"
        ),
        draws=chains - chains // 2,
        terms=POSTERIOR,
        doing="sampling posteriors",
        at_once=per_device(CHAINS_AT_ONCE, of_each=chains),
    )


@filter_jit
def _estimated(
    model: Model,
    x: Data,
    keys: Key[Array, "n c"],
    *,
    transitions: int,
    leapfrog: int,
    acceptance: float,
    keep: bool,
) -> Batch:
    """Less the log of the mean of q(z) / p(x, z), its error and ESS of each datum."""

    def draw(x: One, key: PRNGKeyArray) -> tuple[Any, Float[Array, "t d_and_1"]]:
        start_key, chain_key = streams(key, "hmc_density.start", "hmc_density.moves")
        visited = chain(
            lambda z: model.log_joint(x, z),
            model.prior.sample(prior_given(model.prior, x), key=start_key),
            first_keys(chain_key, transitions),
            leapfrog=leapfrog,
            target=acceptance,
        )
        # The step size stays as it is from there on.
        late = jax.tree.map(lambda of: of[(transitions + 1) // 2 :], visited.states)
        seen = jax.vmap(lambda z: jnp.append(ravel_pytree(z)[0], model.log_joint(x, z)))(late)
        return visited.last, seen

    def one(x: One, keys: Key[Array, " c"]) -> tuple[Float[Array, " half"], Any, Any]:
        z, seen = jax.vmap(lambda key: draw(x, key))(keys)
        flat = jax.vmap(lambda z: ravel_pytree(z)[0])(z)
        half = keys.shape[0] // 2
        log_q = _fitted(flat[:half], flat[half:])
        log_joint = jax.vmap(lambda z: model.log_joint(x, z))(z)[half:]
        apart = jnp.max(jax.vmap(between, in_axes=2)(seen))
        return log_q - log_joint, jax.tree.map(lambda leaf: leaf[half:], z), apart

    log_w, z, apart = jax.vmap(one)(x, keys)
    rounded = rounding(model, x, heaviest(-log_w, z)[0])
    of = of_log_weights(log_w, POSTERIOR)
    # Draws of the posterior itself count alike: the weights are those of the density.
    alike = jnp.broadcast_to(-of.log_z[:, None], log_w.shape)
    drawn = (z, alike) if keep else None
    found = Found(-of.log_z, of.stderr, of.ess, rounded, {**of.tail, "between": apart}, drawn)
    return Batch(found, undefined(log_w))


def _fitted(draws: Float[Array, "a d"], at: Float[Array, "b d"]) -> Float[Array, " b"]:
    """The log-density, at some points, of the normal with the draws' mean and shrunk covariance."""
    mean = jnp.mean(draws, axis=0)
    centred = draws - mean[None]
    size = draws.shape[1]
    covariance = SHRUNK * (centred.T @ centred) / (draws.shape[0] - 1)
    factor = cholesky(covariance + 1e-6 * jnp.trace(covariance) * jnp.eye(size))
    white = jnp.matmul(at - mean[None], inverse(factor).T, precision=HIGHEST)
    log_volume = jnp.sum(jnp.log(jnp.diagonal(factor)))
    return -0.5 * (jnp.sum(white**2, axis=1) + size * jnp.log(2 * jnp.pi)) - log_volume


HMCDensity = estimator("HMCDensity", hmc_density)
"""`hmc_density` with its settings, as a value: see `tb.evaluate(by=...)`."""
