"""Tasks: what a fitted model is for, on data whose values are only partly there."""

from tightbound.tasks.predictive import Predictive as Predictive
from tightbound.tasks.predictive import predictive as predictive
