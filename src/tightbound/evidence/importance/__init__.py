"""Importance sampling, and what is made of its weights."""
