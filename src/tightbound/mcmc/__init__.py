"""Markov chains that leave a posterior as it is, and annealed paths to it."""

from tightbound.mcmc.annealing import Passed as Passed
from tightbound.mcmc.annealing import Path as Path
from tightbound.mcmc.annealing import Problem as Problem
from tightbound.mcmc.annealing import backward as backward
from tightbound.mcmc.annealing import forward as forward
from tightbound.mcmc.annealing import tuned as tuned
from tightbound.mcmc.annealing import untuned as untuned
from tightbound.mcmc.hmc import adapted as adapted
from tightbound.mcmc.hmc import between as between
from tightbound.mcmc.hmc import chain as chain
from tightbound.mcmc.hmc import check_moves as check_moves
from tightbound.mcmc.hmc import check_tuning as check_tuning
from tightbound.mcmc.hmc import transition as transition
