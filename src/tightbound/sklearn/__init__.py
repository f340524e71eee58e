"""Estimators of scikit-learn's kind: fit, transform, predict, over models found without settings.

They take arrays of numbers, in which every column is real unless `schema` says otherwise, and
frames of pandas and polars, whose columns `tb.data` reads: words become levels, NaN and None holes.
"""

from tightbound.sklearn.detector import DeepDetector as DeepDetector
from tightbound.sklearn.imputer import DeepImputer as DeepImputer
from tightbound.sklearn.latent_model import DeepLatentModel as DeepLatentModel
