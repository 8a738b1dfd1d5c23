"""The transfer suite: what the vectors of a frozen encoder are worth on tasks that they were not made for."""

from seqloom.evaluation.transfer.baselines import baseline
from seqloom.evaluation.transfer.mteb import MtebEncoder
from seqloom.evaluation.transfer.settings import SETTINGS, Settings
from seqloom.evaluation.transfer.suite import Report, transfer
from seqloom.evaluation.transfer.tables import markdown
from seqloom.evaluation.transfer.tasks import TASKS
from seqloom.evaluation.transfer.vectors import Encode, Encoder

__all__ = [
    "SETTINGS",
    "TASKS",
    "Encode",
    "Encoder",
    "MtebEncoder",
    "Report",
    "Settings",
    "baseline",
    "markdown",
    "transfer",
]
