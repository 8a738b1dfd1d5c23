"""Tests of seqloom. Each process has a thread: the processes of a parallel run, with more, would hinder each other."""

import os

# Read when numpy and torch are first imported, which is later than this.
os.environ.setdefault("OMP_NUM_THREADS", "1")
