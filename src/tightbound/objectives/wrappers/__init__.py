"""Objectives around other objectives."""
