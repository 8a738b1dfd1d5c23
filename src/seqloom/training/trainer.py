"""Step 6: the loop. One batch of one task a step; losses are sums, and only here are they divided by counts."""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from seqloom.config import part
from seqloom.data.batch import Batch
from seqloom.data.sampling import Sampling, Share, seeded
from seqloom.data.schedule import Batches, Schedule, Tokens
from seqloom.errors import ConfigError, TrainingError
from seqloom.evaluation.evaluate import evaluate
from seqloom.model.folder import Assembly
from seqloom.model.task import Batcher
from seqloom.nn.precision import forget_casts
from seqloom.progress import notice
from seqloom.training.averaging import Averaging
from seqloom.training.carrying import Carried
from seqloom.training.distributed import Ranks
from seqloom.training.keeping import LAST, Keeper, Standing
from seqloom.training.report import Report
from seqloom.training.stopping import Interrupted, Wish
from seqloom.training.table import TrainingTable
from seqloom.training.updates import Updates


@dataclass(frozen=True)
class Course:
    """A task in training: its batches, how they are grouped and how large, and what it is evaluated on."""

    train: Batcher
    groups: Batches
    dev: Batcher | None
    budget: int | Tokens

    @property
    def share(self) -> Share:
        """What a sampling may know of it."""
        rows = len(self.train.columns)
        batch = self.budget if isinstance(self.budget, int) else rows / len(self.groups)
        return Share(rows, batch, self.train.task.table.weight)


@dataclass(slots=True)
class _Sums:
    """What a step adds up over its batches, and over ranks."""

    loss: float = 0.0
    count: float = 0.0
    tokens: float = 0.0
    rows: float = 0.0
    stop: float = 0.0


class Trainer:
    """Trains a model's tasks together.

    Args:
        model: what to train; its network is changed in place.
        courses: by task.
        config: the table `training`.
        seed: what the schedule and every dropout mask depend on, with the step.
        ranks: this process among those of the run.
        report: hears what happens.
        run: the run folder.
        data: a fingerprint of the training data by task.
    """

    def __init__(
        self,
        model: Assembly,
        courses: Mapping[str, Course],
        config: TrainingTable,
        *,
        seed: int,
        ranks: Ranks,
        report: Report,
        run: Path,
        data: Mapping[str, str],
    ) -> None:
        self.courses, self.config, self.seed = courses, config, seed
        self.ranks, self.report, self.run = ranks, report, run
        self.network = model.network.to(ranks.device)
        kind: Any = part("samplings", _type(config.sampling))
        sampling: Sampling = kind(config.sampling, {name: one.share for name, one in courses.items()}, seed)
        self.schedule = Schedule(sampling, {name: one.groups for name, one in courses.items()})
        self.watch, self.figure = _watch(config.watch, courses)
        expected = {task: math.ceil(self.steps * sampling.share(task)) for task in config.per_task}
        self.updates = Updates(self.network, config, self.steps, expected)
        if ranks.size == 1:
            self.updates.look_up_sparsely(self.network)
        self.averaging = _averaging(config)
        self.carried = Carried(ranks)
        keeps = run if ranks.leads else None
        self.keeper = Keeper(keeps, model, self.schedule, self.updates, self.averaging, self.carried, data)
        self.at = Standing()
        self.wish = Wish()

    @property
    def steps(self) -> int:
        """The most steps the run takes; for epochs, as many as the watched task is expected to need."""
        if self.config.steps is not None:
            return self.config.steps
        assert self.config.epochs is not None
        return math.ceil(self.config.epochs * self._epoch())

    def _epoch(self) -> float:
        """Steps that an epoch of the watched task is expected to take."""
        batches = len(self.courses[self.watch].groups) / self.config.accumulate
        share = self.schedule.sampling.share(self.watch)
        if not share:
            what = f"task {self.watch}, which epochs are counted by, would never be drawn"
            raise ConfigError(f"training.sampling: {what}; watch another, or give it a larger share")
        return batches / share

    @property
    def evaluate_every(self) -> int:
        """Steps between evaluations: as set, else an epoch of the watched task, or a tenth of so many steps."""
        natural = self._epoch() if self.config.steps is None else self.config.steps / 10
        return self.config.evaluate_every or max(1, math.ceil(natural))

    @property
    def save_every(self) -> int:
        """Steps between saves: as set, else as often as it is evaluated."""
        return self.config.save_every or self.evaluate_every

    def fit(self) -> Standing:
        """Train to the end, or until no better figure comes.

        Raises:
            TrainingError: the loss is not a number; the last saved state stays as it was.
            Interrupted: asked to stop (Ctrl-C or a termination signal); the state is saved.
        """
        self.network.train()
        # Whatever the caller computes in, a run goes by its own precision.
        with self.wish.heard(), torch.autocast(self.ranks.device.type, enabled=False):
            if self.config.begin is not None and self.at.step == 0:
                # What is no better than the model that the run begins with must not take its place as the best.
                self._judge(*self._figures())
            reason = self._over()
            if reason is not None and self.at.step == 0:
                self.save()
            elif self.config.steps is not None and self.at.step > self.config.steps:
                notice(f"the run is at step {self.at.step:,}, past training.steps: {self.config.steps:,}")
            while reason is None:
                stop = self._step()
                self._after_step(stop)
                reason = self._over()
        self.report.end(self.at.step, reason)
        return self.at

    def _over(self) -> str | None:
        if self.config.steps is not None and self.at.step >= self.config.steps:
            return "steps"
        if self.config.epochs is not None and self.schedule.epoch(self.watch) >= self.config.epochs:
            return "steps"
        if self.updates.over:
            return "rate"
        if self.config.goal is not None and self._reached(self.config.goal):
            return "goal"
        if self.averaging and self.averaging.over:
            return "patience"
        return "patience" if self.config.patience and self.at.waited >= self.config.patience else None

    def _reached(self, goal: float) -> bool:
        """Whether the watched figure is as good as wanted; how good it is at best is kept so that more is better."""
        falls = self.figure is not None and self.figure in self.courses[self.watch].train.task.head.falling
        return self.at.best >= (-goal if falls else goal)

    def _step(self) -> bool:
        """Take a step; returns whether any rank was asked to stop."""
        step, task = self.at.step, self.schedule.task(self.at.step)
        # Masks are drawn from seed and step, so that a resumed run draws the ones that the unbroken run would.
        _seed(seeded(self.seed, "step", step, self.ranks.rank), self.ranks.device)
        self.updates.clear()
        self.updates.thaw(step)
        own, train = _Sums(stop=float(self.wish.asked)), self.courses[task].train
        for place in range(self.config.accumulate):
            rows, counts = self.ranks.share(train.rows(self.schedule.draw(task)))
            self._backward(train.batch(rows), own, counts, place)
        done = _Sums(*self.ranks.join(self.updates.gradients(), astuple(own)))
        self._finite(done.loss, task, "" if math.isfinite(own.loss) else train.where(rows))
        own_step = self.schedule.draws[task] // self.config.accumulate - 1
        pace = self.averaging.pace(train.pace(rows)) if self.averaging else train.pace(rows)
        over = 1 if self._alone else self._divisor(done.count, done.rows)
        rate = self.updates.apply(task, step, own_step, over, pace)
        self.at.step += 1
        if self.averaging:
            self.averaging.update(self.at.step, self.keeper.weights())
        mean, sizes = done.loss / max(1, done.count), (int(done.count), int(done.tokens))
        self.report.step(self.at.step, task, mean, *sizes, rate, sentences=int(done.rows))
        return done.stop > 0 or (self.ranks.size == 1 and self.wish.asked)

    @property
    def _alone(self) -> bool:
        """Whether a step has one batch in all, whose loss can be divided by its count at once."""
        return self.config.accumulate == 1 and self.ranks.size == 1

    def _divisor(self, units: float, rows: float) -> float:
        """What the sum of losses is divided by."""
        return rows if self.config.mean == "rows" else units

    def _backward(self, batch: Batch, done: _Sums, counts: bool, place: int) -> None:
        """Add a batch's gradients; those of one that does not count are zero."""
        device, before = self.ranks.device, self.carried.before(batch.task, place, batch.fresh)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            output = self.network(batch.to(device), before)
        forget_casts()
        assert output.loss is not None
        if not output.loss.requires_grad:
            key = "unfreeze" if self.updates.holds else "freeze"
            raise ConfigError(f"training.{key}: leaves task {batch.task} nothing to learn; take a glob out")
        whole = output.loss + output.penalty
        over = self._divisor(output.count, len(batch))
        loss = whole / max(1, over) if self._alone else whole * float(counts)
        loss.backward()
        self.carried.after(batch.task, place, output.state)
        if counts:
            done.loss += float(output.loss.detach())
            done.count += output.count
            done.tokens += batch.tokens
            done.rows += len(batch)

    def _finite(self, loss: float, task: str, places: str) -> None:
        if not math.isfinite(loss):
            told = places or "those of another process"
            self._diverged(f"the loss of task {task} is {loss} at step {self.at.step + 1} (rows: {told})")

    def _sound(self) -> None:
        """Stop before weights are kept that are not numbers: a loss can be finite when its gradient is not."""
        for name, one in self.network.named_parameters():
            if not torch.isfinite(one).all():
                self._diverged(f"{name} is not finite after step {self.at.step}")

    def _diverged(self, what: str) -> NoReturn:
        self.report.end(self.at.step, "diverged")
        last = self.run / LAST
        state = f"the last good state is in {last}" if last.exists() else "no state to go on from was saved yet"
        remedy = "a lower training.optimizer.rate or a smaller training.clip usually helps"
        raise TrainingError(f"{what}; {state}; {remedy}")

    def _after_step(self, stop: bool) -> None:
        step, last = self.at.step, self._over() is not None
        if step % self.evaluate_every == 0 or last:
            self._evaluate()
            last = self._over() is not None
        if step % self.save_every == 0 or last or stop:
            self.save()
        if stop and not last:
            self.report.end(step, "interrupted")
            # torchrun ends the others when one leaves: none may while the leading rank is saving.
            self.ranks.wait()
            raise Interrupted

    def save(self) -> None:
        """Save the last model with the state of the run."""
        self._sound()
        self.keeper.save_last(self.at, self.report)

    def _evaluate(self) -> None:
        self._sound()
        figures, watched = self._figures()
        if watched is not None:
            self.updates.evaluated(watched, self.at.best)
            if self.averaging:
                self.averaging.evaluated(watched)
        self._judge(figures, watched)

    def _figures(self) -> tuple[dict[str, dict[str, float]], float | None]:
        """The figures by task, and the one that is watched, None where no task has a dev set."""
        with self.keeper.averaged():
            figures = {
                name: evaluate(self.network, one.dev, device=self.ranks.device)
                for name, one in self.courses.items()
                if one.dev is not None
            }
        watched = self._watched(figures)
        return figures, watched if watched is None else self.ranks.agree(watched)

    def _judge(self, figures: dict[str, dict[str, float]], watched: float | None) -> None:
        """Tell figures, and keep the model if they are the best."""
        self.at.figures = figures
        better = watched is None or watched > self.at.best or not self.at.best_figures
        if watched is not None:
            self.at.waited = 0 if better else self.at.waited + 1
            self.at.best = max(watched, self.at.best)
        if better:
            self.at.best_step, self.at.best_figures = self.at.step, figures
            self.keeper.save_best(self.at)
        if figures:
            self.report.evaluate(self.at.step, figures, best=better)

    def _watched(self, figures: Mapping[str, Mapping[str, float]]) -> float | None:
        if self.figure is not None:
            return self._rising(self.watch, self.figure, figures)
        first = {name: one.train.task.figures[0] for name, one in self.courses.items() if name in figures}
        rising = [self._rising(name, figure, figures) for name, figure in first.items()]
        return sum(rising) / len(rising) if rising else None

    def _rising(self, task: str, figure: str, figures: Mapping[str, Mapping[str, float]]) -> float:
        """A figure of which more is better; one that is no number is the worst."""
        falls, value = figure in self.courses[task].train.task.head.falling, figures[task][figure]
        return (-value if falls else value) if math.isfinite(value) else -math.inf


def _seed(seed: int, device: torch.device) -> None:
    """Seed the generators in use; torch.manual_seed also notes the stack for GPUs that are not there."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _type(table: Any) -> str:
    return str(table.type)


def _averaging(config: TrainingTable) -> Averaging | None:
    if config.averaging is None:
        return None
    kind: Any = part("averagings", _type(config.averaging))
    made: Averaging = kind(config.averaging)
    return made


def _watch(watch: str | None, courses: Mapping[str, Course]) -> tuple[str, str | None]:
    """The task whose epochs count, and its watched figure, None standing for the mean over tasks."""
    if watch is None:
        first, course = next(iter(courses.items()))
        alone = len(courses) == 1 and course.dev is not None
        return first, course.train.task.figures[0] if alone else None
    task, _, figure = watch.partition(".")
    return task, figure or courses[task].train.task.figures[0]
