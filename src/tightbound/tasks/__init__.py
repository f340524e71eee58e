"""Tasks: what a fitted model is for, on data whose values are only partly there."""

from tightbound.tasks.predictive import Predictive as Predictive
from tightbound.tasks.predictive import predictive as predictive
from tightbound.tasks.score import Scores as Scores
from tightbound.tasks.score import score as score
