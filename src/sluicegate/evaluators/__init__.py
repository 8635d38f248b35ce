"""Evaluators, one module a metric, and the literal dict of those there are."""
