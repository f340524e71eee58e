"""Bounds: from the log-weights of one datum to one number in nats."""

from tightbound.bounds.abstract import AbstractBound as AbstractBound
from tightbound.bounds.elbo import ELBO as ELBO
from tightbound.bounds.iwae import IWAE as IWAE
