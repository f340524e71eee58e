"""Objectives for parts that can only be sampled: sums of terms, some learned."""
