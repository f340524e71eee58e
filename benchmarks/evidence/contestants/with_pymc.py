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

CHAINS = 4


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
                chains=CHAINS,
                cores=1,
                random_seed=seed,
                progressbar=False,
                compute_convergence_checks=False,
            )
        values = found.sample_stats["log_marginal_likelihood"].values
        return Answer(*_mean(_of_chains(values)), counted.evaluations)

    return over_data(problem, one)


def _of_chains(values: np.ndarray) -> np.ndarray:
    """What each chain ends with: NaN stands at its other stages, whose number may differ."""
    stages = np.concatenate([np.ravel(np.asarray(value, float)) for value in values.ravel()])
    ends = stages[~np.isnan(stages)]
    if len(ends) != CHAINS:
        raise ValueError(f"expected {CHAINS} chains to end with a number, got {ends}")
    return ends


def _mean(log_z: np.ndarray) -> tuple[float, float]:
    """Log of the chains' mean evidence, and its standard error by the delta method."""
    most = log_z.max()
    z = np.exp(log_z - most)
    return float(most + np.log(z.mean())), float(z.std(ddof=1) / z.mean() / np.sqrt(len(z)))
