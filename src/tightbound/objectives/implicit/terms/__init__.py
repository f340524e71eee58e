"""The terms of an implicit objective: each gives one part of the log-ratio, or of its score.

What a posterior climbs is log p(x, z) - log q(z|x). A term contributes a part of it that is exact,
the logit of a classifier, or a function whose gradient with respect to z is a denoiser's score.

Reference: Huszar 2017, arXiv 1702.08235.
"""

from tightbound.objectives.implicit.terms.abstract import AbstractTerm as AbstractTerm
from tightbound.objectives.implicit.terms.abstract import Batch as Batch
from tightbound.objectives.implicit.terms.abstract import Sizes as Sizes
from tightbound.objectives.implicit.terms.denoiser import Denoiser as Denoiser
from tightbound.objectives.implicit.terms.denoiser import Denoising as Denoising
from tightbound.objectives.implicit.terms.known import Exact as Exact
from tightbound.objectives.implicit.terms.moments import Moments as Moments
from tightbound.objectives.implicit.terms.ratio import AdaptiveRatio as AdaptiveRatio
from tightbound.objectives.implicit.terms.ratio import Classifier as Classifier
from tightbound.objectives.implicit.terms.ratio import DualRatio as DualRatio
from tightbound.objectives.implicit.terms.ratio import Game as Game
from tightbound.objectives.implicit.terms.ratio import Ratio as Ratio
from tightbound.objectives.implicit.terms.stein import Stein as Stein
