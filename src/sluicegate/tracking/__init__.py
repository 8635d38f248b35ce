"""Tracking: run folder first, MLflow second."""
