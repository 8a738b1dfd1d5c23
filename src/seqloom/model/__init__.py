"""The model: its tables, its plan, its network, its tasks, and the folder it is saved in."""
