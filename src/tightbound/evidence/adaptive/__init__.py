"""Adaptive importance sampling: proposals that learn from their own draws."""
