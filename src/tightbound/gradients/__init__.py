"""Gradient estimators: how a bound's gradient is taken from its draws.

Every estimator is three numbers per draw, for the three ways in which parameters enter log w.
"""

from tightbound.gradients.abstract import AbstractGradient as AbstractGradient
from tightbound.gradients.abstract import Coefficients as Coefficients
from tightbound.gradients.doubly_reparameterized import (
    DoublyReparameterized as DoublyReparameterized,
)
from tightbound.gradients.names import by_name as by_name
from tightbound.gradients.reparameterized import Reparameterized as Reparameterized
from tightbound.gradients.score_function import ScoreFunction as ScoreFunction
from tightbound.gradients.single_sample import SingleSample as SingleSample
from tightbound.gradients.sticking_the_landing import StickingTheLanding as StickingTheLanding
from tightbound.gradients.vimco import VIMCO as VIMCO
from tightbound.gradients.wake import Wake as Wake
