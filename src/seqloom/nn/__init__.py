"""Layers: tensors in, tensors out; no configuration, no vocabulary, no file. Worth importing alone."""
