"""The transfer suite: what the vectors of a frozen encoder are worth on tasks they were not made for."""
