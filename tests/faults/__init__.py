"""Damage and hostility on purpose: what survives it, by class."""
