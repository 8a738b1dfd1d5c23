"""Evaluation: figures of a model on a split, and the transfer suite."""
