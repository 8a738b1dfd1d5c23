"""An experiment: the root table, its check, and runs of it; one, one a seed, or one for each point of a grid."""

from seqloom.experiment.many import best as best
from seqloom.experiment.many import points as points
from seqloom.experiment.many import run_many as run_many
from seqloom.experiment.many import summary as summary
from seqloom.experiment.run import RESULT as RESULT
from seqloom.experiment.run import SUMMARY as SUMMARY
from seqloom.experiment.run import Result as Result
from seqloom.experiment.run import choose_device as choose_device
from seqloom.experiment.run import run as run
from seqloom.experiment.table import Experiment as Experiment
from seqloom.experiment.table import check as check
from seqloom.experiment.table import missing_files as missing_files
from seqloom.experiment.table import open_config as open_config
