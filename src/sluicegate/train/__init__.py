"""Training: the one visible loop, its checkpoints, and the command that runs it."""
