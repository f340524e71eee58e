"""Objectives with a wake and a sleep phase."""
