"""From examples to batches: tokens, vocabularies, fields, columns, schedule, word vectors."""
