"""Kubernetes manifests: read safely, found valid or not, judged. A pure leaf: text in, findings out."""
