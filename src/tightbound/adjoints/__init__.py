"""Adjoints: how the solution of an inner problem is found, and differentiated."""

from tightbound.adjoints.abstract import AbstractAdjoint as AbstractAdjoint
from tightbound.adjoints.abstract import Inner as Inner
from tightbound.adjoints.first_order import FirstOrder as FirstOrder
from tightbound.adjoints.truncated import Truncated as Truncated
from tightbound.adjoints.unrolled import Unrolled as Unrolled
