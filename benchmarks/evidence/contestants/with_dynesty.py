"""dynesty: static nested sampling."""

# pyright: reportMissingImports=false

import dynesty
import numpy as np

from benchmarks.evidence.contestants import Answer, Counted, over_data, prior_in
from benchmarks.evidence.problem import LogLikelihood, Problem


def answer(problem: Problem, seed: int) -> Answer:
    def one(likelihood: LogLikelihood) -> Answer:
        counted = Counted(likelihood)
        sampler = dynesty.NestedSampler(
            counted, prior_in(problem, np), problem.dim, rstate=np.random.default_rng(seed)
        )
        sampler.run_nested(print_progress=False)
        found = sampler.results
        return Answer(float(found.logz[-1]), float(found.logzerr[-1]), counted.evaluations)

    return over_data(problem, one)
