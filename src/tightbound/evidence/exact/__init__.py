"""Exact evidence: closed forms, enumeration and quadrature."""
