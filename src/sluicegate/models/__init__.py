"""Model kinds: what the training loop and the generator need of each, and the literal dict of those there are."""
