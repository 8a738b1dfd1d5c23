"""Use of a trained model: encoding, export; knows nothing of training."""
