"""nautilus: nested importance sampling with neural networks as bounds."""

# pyright: reportMissingImports=false

import nautilus
import numpy as np

from benchmarks.evidence.contestants import Answer, Counted, over_data, prior_in
from benchmarks.evidence.problem import LogLikelihood, Problem


def answer(problem: Problem, seed: int) -> Answer:
    def one(likelihood: LogLikelihood) -> Answer:
        counted = Counted(likelihood)
        sampler = nautilus.Sampler(
            prior_in(problem, np), counted, n_dim=problem.dim, vectorized=True, seed=seed
        )
        sampler.run()
        error = 1 / np.sqrt(sampler.n_eff)
        return Answer(float(sampler.log_z), float(error), counted.evaluations)

    return over_data(problem, one)
