"""The terms of an implicit objective: each gives one part of the log-ratio, or of its score.

What a posterior climbs is log p(x, z) - log q(z|x). A term contributes a part of it that is exact,
the logit of a classifier, or a function whose gradient with respect to z is a denoiser's score.

Reference: Huszar 2017, arXiv 1702.08235.
"""

from tightbound.objectives.terms.abstract import AbstractTerm as AbstractTerm
from tightbound.objectives.terms.abstract import Batch as Batch
from tightbound.objectives.terms.abstract import Sizes as Sizes
from tightbound.objectives.terms.denoiser import Denoiser as Denoiser
from tightbound.objectives.terms.denoiser import Denoising as Denoising
from tightbound.objectives.terms.exact import Exact as Exact
from tightbound.objectives.terms.moments import Moments as Moments
from tightbound.objectives.terms.ratio import AdaptiveRatio as AdaptiveRatio
from tightbound.objectives.terms.ratio import Classifier as Classifier
from tightbound.objectives.terms.ratio import DualRatio as DualRatio
from tightbound.objectives.terms.ratio import Game as Game
from tightbound.objectives.terms.ratio import Ratio as Ratio
from tightbound.objectives.terms.stein import Stein as Stein
