"""jaxns 3: nested sampling in JAX, in double precision as it asks."""

# pyright: reportMissingImports=false

import jax

jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - before anything is traced

import jax.numpy as jnp  # noqa: E402
from jaxns.core import NestedSampler  # noqa: E402
from jaxns.model import Model  # noqa: E402
from jaxns.priors import Prior  # noqa: E402
from tensorflow_probability.substrates import jax as tfp  # noqa: E402

from benchmarks.evidence.contestants import Answer, over_data  # noqa: E402
from benchmarks.evidence.problem import LogLikelihood, Problem  # noqa: E402


def answer(problem: Problem, seed: int) -> Answer:
    def one(likelihood: LogLikelihood) -> Answer:
        def prior_model() -> jax.Array:
            zero, unit = jnp.zeros(problem.dim), jnp.ones(problem.dim)
            u = Prior(tfp.distributions.Uniform(zero, unit), name="u").realise()
            return likelihood(problem.prior.transform(u, jnp), jnp)

        sampler = NestedSampler(model=Model(prior_model=prior_model))
        found = sampler.run(key=jax.random.PRNGKey(seed)).to_result().trim()
        evaluations = int(found.total_num_likelihood_evaluations)
        return Answer(float(found.log_Z_mean), float(found.log_Z_uncert), evaluations)

    return over_data(problem, one)
