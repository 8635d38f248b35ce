"""Evaluators of Kubernetes manifests, one module a metric."""
