"""Markov chains that leave a posterior as it is, and the adaptation of their steps."""

from tightbound.mcmc.hmc import adapted, chain, transition

__all__ = ["adapted", "chain", "transition"]
