"""Samples: read, made, split, rendered and laid out as the files that training and evaluation take."""
