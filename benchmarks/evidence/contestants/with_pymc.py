"""PyMC: sequential Monte Carlo over scores u ~ N(0, I), of which the parameters are functions."""

# pyright: reportMissingImports=false

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from scipy import special

from benchmarks.evidence.contestants import Answer, Counted, over_data
from benchmarks.evidence.problem import LogLikelihood, Problem


class _BlackBox(Op):
    """A likelihood in NumPy inside PyMC's graph; its kernel needs no gradient."""

    def __init__(self, problem: Problem, counted: Counted) -> None:
        self._problem, self._counted = problem, counted

    def make_node(self, score: object) -> Apply:
        return Apply(self, [pt.as_tensor(score)], [pt.dscalar()])

    def perform(self, node: Apply, inputs: list, outputs: list) -> None:
        del node
        x = self._problem.prior.transform(special.ndtr(inputs[0]), np)
        outputs[0][0] = np.asarray(self._counted(x), np.float64)


def answer(problem: Problem, seed: int) -> Answer:
    def one(likelihood: LogLikelihood) -> Answer:
        counted = Counted(likelihood)
        with pm.Model():
            score = pm.Normal("score", 0.0, 1.0, shape=problem.dim)
            pm.Potential("likelihood", _BlackBox(problem, counted)(score))
            # One process: likelihoods in others would not be counted here.
            found = pm.sample_smc(
                chains=4,
                cores=1,
                random_seed=seed,
                progressbar=False,
                compute_convergence_checks=False,
            )
        # For each chain what the stages have summed to: the last is that of the posterior.
        chains = found.sample_stats["log_marginal_likelihood"].values
        return Answer(
            *_mean([np.asarray(stages, float)[-1] for stages in chains]), counted.evaluations
        )

    return over_data(problem, one)


def _mean(log_z: list[float]) -> tuple[float, float]:
    """Log of the chains' mean evidence, and its standard error by the delta method."""
    most = max(log_z)
    z = np.exp(np.asarray(log_z) - most)
    return float(most + np.log(z.mean())), float(z.std(ddof=1) / z.mean() / np.sqrt(len(z)))
