"""The built-in corpus and the guided run."""
