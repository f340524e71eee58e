"""Objectives of k draws and their log-weights: a bound and a gradient estimator."""
