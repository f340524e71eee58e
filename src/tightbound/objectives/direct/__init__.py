"""Objectives of log p(x) itself, without a posterior that is learned."""
