"""Training: the loop, its optimisers, checkpoints, processes and reports."""
