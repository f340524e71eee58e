"""Bounds: from the log-weights of one datum to one number in nats."""

from tightbound.bounds.abstract import AbstractBound as AbstractBound
from tightbound.bounds.ciwae import CIWAE as CIWAE
from tightbound.bounds.elbo import ELBO as ELBO
from tightbound.bounds.iwae import IWAE as IWAE
from tightbound.bounds.jackknife import Jackknife as Jackknife
from tightbound.bounds.miwae import MIWAE as MIWAE
from tightbound.bounds.renyi import Renyi as Renyi
