"""Objectives for posteriors whose density is an integral over noise."""
