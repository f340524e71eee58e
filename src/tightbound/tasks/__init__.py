"""Tasks: what a fitted model is for, on data whose values are only partly there."""

from tightbound.tasks.classify import Accuracy as Accuracy
from tightbound.tasks.classify import Classified as Classified
from tightbound.tasks.classify import classify as classify
from tightbound.tasks.conditional import ConditionalEvidence as ConditionalEvidence
from tightbound.tasks.conditional import conditional as conditional
from tightbound.tasks.conditional import level_probabilities as level_probabilities
from tightbound.tasks.denoise import denoise as denoise
from tightbound.tasks.encode import Decoded as Decoded
from tightbound.tasks.encode import decode as decode
from tightbound.tasks.encode import encode as encode
from tightbound.tasks.forecast import Forecast as Forecast
from tightbound.tasks.forecast import forecast as forecast
from tightbound.tasks.impute import Imputed as Imputed
from tightbound.tasks.impute import impute as impute
from tightbound.tasks.inpaint import inpaint as inpaint
from tightbound.tasks.predictive import Predictive as Predictive
from tightbound.tasks.predictive import predictive as predictive
from tightbound.tasks.restored import Restored as Restored
from tightbound.tasks.score import Scores as Scores
from tightbound.tasks.score import score as score
from tightbound.tasks.smooth import Smoothed as Smoothed
from tightbound.tasks.smooth import smooth as smooth
from tightbound.tasks.super_resolve import super_resolve as super_resolve
