"""UltraNest: reactive nested sampling."""

# pyright: reportMissingImports=false

import numpy as np
import ultranest

from benchmarks.evidence.contestants import Answer, Counted, over_data, prior_in
from benchmarks.evidence.problem import LogLikelihood, Problem


def answer(problem: Problem, seed: int) -> Answer:
    names = [f"x{i}" for i in range(problem.dim)]
    np.random.seed(seed)  # noqa: NPY002 - the only seed it has

    def one(likelihood: LogLikelihood) -> Answer:
        counted = Counted(likelihood)
        sampler = ultranest.ReactiveNestedSampler(
            names, counted, prior_in(problem, np), vectorized=True
        )
        found = sampler.run(show_status=False, viz_callback=False)
        return Answer(float(found["logz"]), float(found["logzerr"]), counted.evaluations)

    return over_data(problem, one)
