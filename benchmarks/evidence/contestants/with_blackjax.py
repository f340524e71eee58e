"""BlackJAX: adaptive tempered SMC over scores u ~ N(0, I), in double precision."""

# pyright: reportArgumentType=false, reportCallIssue=false

import jax

jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - before anything is traced

from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import blackjax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from blackjax.smc import extend_params, resampling  # noqa: E402
from blackjax.smc.tuning.from_particles import (  # noqa: E402
    inverse_mass_matrix_from_particles,
)

from benchmarks.evidence.contestants import Answer, over_data  # noqa: E402
from benchmarks.evidence.counting import Counter  # noqa: E402
from benchmarks.evidence.problem import LogLikelihood, Problem  # noqa: E402

PARTICLES = 2000


def answer(problem: Problem, seed: int) -> Answer:
    def one(likelihood: LogLikelihood) -> Answer:
        return Answer(_run(_of_scores(problem, likelihood), problem.dim, seed), None, None)

    return over_data(problem, one)


def counted(problem: Problem, seed: int) -> tuple[int, int]:
    counter = Counter()
    for likelihood in problem.likelihoods:
        _run(counter.of(_of_scores(problem, likelihood)), problem.dim, seed)
    return counter.evaluations, counter.gradients


def _of_scores(problem: Problem, likelihood: LogLikelihood) -> Callable[[Any], Any]:
    def of_scores(score: Any) -> Any:
        x = problem.prior.transform(jax.scipy.special.ndtr(score), jnp)
        return likelihood(x, jnp)

    return of_scores


def _run(log_likelihood: Callable[[Any], Any], dim: int, seed: int) -> float:
    def log_prior(score: Any) -> Any:
        return -0.5 * jnp.sum(score**2) - 0.5 * dim * np.log(2 * np.pi)

    steps = {"step_size": 0.5 / dim**0.25, "num_integration_steps": 10}
    sampler = blackjax.inner_kernel_tuning(
        smc_algorithm=blackjax.adaptive_tempered_smc,
        logprior_fn=log_prior,
        loglikelihood_fn=log_likelihood,
        mcmc_step_fn=blackjax.hmc.build_kernel(),
        mcmc_init_fn=blackjax.hmc.init,
        resampling_fn=resampling.systematic,
        mcmc_parameter_update_fn=lambda key, state, info: extend_params(
            steps | {"inverse_mass_matrix": inverse_mass_matrix_from_particles(state.particles)}
        ),
        initial_parameter_value=extend_params(steps | {"inverse_mass_matrix": jnp.eye(dim)}),
        target_ess=0.5,
        num_mcmc_steps=10,
    )
    step = jax.jit(sampler.step)
    first, key = jax.random.split(jax.random.key(seed))
    state, total = sampler.init(jax.random.normal(first, (PARTICLES, dim))), 0.0
    while state.sampler_state.tempering_param < 1:
        key, now = jax.random.split(key)
        state, info = step(now, state)
        total += float(info.log_likelihood_increment)
    return total
