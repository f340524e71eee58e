"""Tasks: what a fitted model is for, on data whose values are only partly there."""

from tightbound.tasks.impute import Imputed as Imputed
from tightbound.tasks.impute import impute as impute
from tightbound.tasks.predictive import Predictive as Predictive
from tightbound.tasks.predictive import predictive as predictive
