"""The table `training` of a configuration."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqloom.config import Choice, Count, FilePath, Natural, Positive, Table
from seqloom.data.sampling import Uniform
from seqloom.data.schedule import Budget
from seqloom.training import averaging
from seqloom.training.optim import Adam, Constant

assert averaging
# Its kinds are found by the tables that name them.


class TaskTraining(Table):
    """What one task trains with instead of the common settings; its schedule counts the task's own steps."""

    optimizer: Annotated[Table, Choice("optimizers")]
    schedule: Annotated[Table, Choice("schedules")] = Constant.Config()


class StreamTable(Table):
    """How running text is read: `window` tokens at a time, by so many streams as `batch` says.

    `vary`: windows differ in length, mostly about `window`, one in twenty half of it, and the rate with them (Merity et
    al. 2018, section 5).
    """

    window: Count = 70
    vary: bool = False


class BeginTable(Table):
    """A model whose weights and vocabularies a run begins with: those of the parameters that fit a glob of `parts`."""

    path: FilePath
    parts: Annotated[list[str], Field(min_length=1)] = ["*"]


GLOBS = ("freeze", "unfreeze", "rates", "clip_except")
"""The keys of `training` that name parameters by globs."""


class TrainingTable(Table):
    """How a model is trained.

    `steps`, or `epochs` of the watched task; `batch` in sentences or {tokens: 2000}; `evaluate_every`, `save_every`
    in steps; `watch`: a task's figure such as ner.f1, by default the mean over tasks of each one's first figure;
    `patience`: evaluations without a better figure before training stops. `curriculum`: whether each task's first
    epoch goes from its shortest rows to its longest. `order`: a batch has rows of nearly equal `lengths`, or `random`
    ones, as is the rule for heads in which the rows of a batch depend on each other (`bcn` with `batch_norm`).
    `stream`: how heads that read running text get it. `accumulate`: batches a step; of running text, the parts of a
    window, each with a state of its own. `mean`: whether a step's loss is a mean over what the head counts, its `units`
    (such as words), or over `rows`, so that long texts weigh more and steps are larger. `goal`: training ends when the
    watched figure is as good. `unfreeze`: by glob, the step from which on those parameters learn. `begin`: a model to
    begin from.
    """

    steps: Count | None = None
    epochs: Positive | None = None
    batch: Budget = 32
    curriculum: bool = False
    order: Literal["lengths", "random"] | None = None
    optimizer: Annotated[Table, Choice("optimizers")] = Adam.Config()
    schedule: Annotated[Table, Choice("schedules")] = Constant.Config()
    per_task: dict[str, TaskTraining] = {}
    sampling: Annotated[Table, Choice("samplings")] = Uniform.Config()
    averaging: Annotated[Table, Choice("averagings")] | None = None
    rates: dict[str, Annotated[float, Field(ge=0)]] = {}
    freeze: list[str] = []
    unfreeze: dict[str, Natural] = {}
    begin: BeginTable | None = None
    stream: StreamTable = StreamTable()
    clip: Positive | None = 5.0
    clip_except: list[str] = []
    accumulate: Count = 1
    mean: Literal["units", "rows"] = "units"
    precision: Literal["float32", "bfloat16"] = "float32"
    evaluate_every: Count | None = None
    save_every: Count | None = None
    watch: str | None = None
    patience: Count | None = None
    goal: float | None = None
    device: str = "auto"
    threads: Natural = 1

    @model_validator(mode="after")
    def _length(self) -> "TrainingTable":
        if self.curriculum and self.order == "random":
            raise ValueError("curriculum goes by lengths; leave it out, or order: random")
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("needs steps, or epochs of the watched task (one of the two)")
        return self
