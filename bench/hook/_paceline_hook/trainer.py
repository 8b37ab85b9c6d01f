"""Measures the training loop: steps through an injected callback, batches through `training_step`.

Steps go from one `on_step_begin` to the next, the last to the end of its epoch. `training_step` is wrapped
on the instance, so that a subclass may override it. Where the device is a GPU nothing here waits for it
inside a step: losses and counts are copied without blocking and written once they have arrived; the device
is synchronised only before the first step, after it, and after the last.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import Any

from _paceline_hook import batches, choices
from _paceline_hook.timeline import now

DIGESTED_STEPS = 2
"""Batches of the first steps carry a digest of their ids: the first step's say whether two arms must have the
same first loss, the second's whether their data go on alike."""


def patch(measure: Any, trainer_class: Any) -> None:
    original = trainer_class.train

    @functools.wraps(original)
    def train(self: Any, *args: Any, **kwargs: Any) -> Any:
        if measure.timeline.is_mine() and measure.claim():
            if measure.settings.get("before"):
                from _paceline_hook import evaluate

                evaluate.end_before_training(measure, self)
            return Training(measure, self).run(lambda: original(self, *args, **kwargs))
        return original(self, *args, **kwargs)

    trainer_class.train = train


class Training:
    """One call of `Trainer.train`; a second one in the same process goes on counting where it ended."""

    def __init__(self, measure: Any, trainer: Any) -> None:
        self._measure = measure
        self._trainer = trainer
        self._device = _Device()
        self._pending: deque[dict[str, Any]] = deque()
        self._step: dict[str, Any] | None = None
        self._waited_s = 0.0
        self._n = measure.totals["steps"]

    def run(self, train: Callable[[], Any]) -> Any:
        trainer, measure = self._trainer, self._measure
        measure.timeline.memory = self._device.memory
        callback = _callback_of(self)
        trainer.add_callback(callback)
        own_step, own_samples = trainer.training_step, trainer.get_batch_samples
        trainer.training_step = self._counted(own_step)
        trainer.get_batch_samples = self._waited(own_samples)
        measure.gate.enter(self._n, self._device.fill())
        is_whole = False
        try:
            result = train()
            is_whole = True
        finally:
            self.finish(waits=is_whole)
            # The attributes on the instance hid the methods of the class; without them these show again.
            del trainer.training_step, trainer.get_batch_samples
            trainer.remove_callback(callback)
        self._evaluate()
        return result

    def begins(self) -> None:
        """The trainer has set the model up: what it resolved to can be read now."""
        try:
            choices.write(self._measure.write, self._trainer)
        except Exception as error:  # a version that nobody tested; the subject trains on
            self._measure.write(
                "choice", name="choices", requested="", used="unreadable", why=str(error)[:300]
            )

    def _counted(self, training_step: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(training_step)
        def counted(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            counts = batches.count(inputs, wants_digest=self._n <= DIGESTED_STEPS)
            loss = training_step(model, inputs, *args, **kwargs)
            if self._step is not None:
                self._step["batches"].append(counts)
                self._step["losses"].append(self._device.fetch(loss))
            return loss

        return counted

    def _waited(self, get_batch_samples: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(get_batch_samples)
        def waited(*args: Any, **kwargs: Any) -> Any:
            began = now()
            try:
                return get_batch_samples(*args, **kwargs)
            finally:
                self._waited_s += now() - began

        return waited

    def step_begins(self) -> None:
        timeline, gate = self._measure.timeline, self._measure.gate
        is_gate = self._step is not None and gate.is_due(self._n)
        if timeline.is_before_training or self._n == 1 or is_gate:
            self._device.synchronise()
        at = now()
        self._close_step(at)
        if is_gate:
            gate.wait("steps", self._n, self._device.fill())
            at = now()
        self._n += 1
        if self._n == 1:
            timeline.switch("first", at)
        elif timeline.current != "train":
            timeline.switch("train", at)
        self._step = {
            "n": self._n,
            "begin": at,
            "mark": self._device.mark(),
            "batches": [],
            "losses": [],
            "grad_norm": None,
        }

    def logged(self, logs: dict[str, Any]) -> None:
        if self._step is not None and "grad_norm" in logs:
            self._step["grad_norm"] = logs["grad_norm"]

    def finish(self, *, waits: bool = True) -> None:
        """The last step has ended, or training broke off: close it and write what is still pending.

        What broke off does not wait at the gate until the others are through: it has memory that they need.
        """
        if self._step is None:
            return
        self._device.synchronise()
        self._close_step(now())
        if waits:
            self._measure.gate.wait("end", self._n, self._device.fill())
        self._measure.timeline.switch("other", now())
        while self._pending:
            self._write_step(self._pending.popleft())

    def _close_step(self, at: float) -> None:
        if self._step is None:
            return
        self._step.update(end=at, end_mark=self._device.mark(), data_wait=self._waited_s)
        self._waited_s = 0.0
        self._pending.append(self._step)
        self._step = None
        while self._pending and self._device.has_arrived(self._pending[0]["end_mark"]):
            self._write_step(self._pending.popleft())

    def _write_step(self, step: dict[str, Any]) -> None:
        write, totals = self._measure.write, self._measure.totals
        for counts in step["batches"]:
            fields = batches.settled(counts)
            write("batch", step=step["n"], **fields)
            totals["rows"] += fields["rows"] or 0
            totals["tokens"] += fields["real"] or 0
        totals["steps"] = step["n"]
        losses = [float(loss) for loss in step["losses"] if loss is not None]
        grad_norm = step["grad_norm"]
        write(
            "step",
            n=step["n"],
            begin=step["begin"],
            end=step["end"],
            loss=sum(losses) if losses else None,
            grad_norm=float(grad_norm) if grad_norm is not None else None,
            data_wait=step["data_wait"],
            device=self._device.elapsed_s(step["mark"], step["end_mark"]),
        )

    def _evaluate(self) -> None:
        path = self._measure.settings.get("eval")
        if not path or not self._measure.totals["steps"]:
            return
        from _paceline_hook import evaluate

        timeline = self._measure.timeline
        timeline.enter("eval")
        try:
            self._measure.write("eval", **evaluate.evaluate(self._trainer, path))
        except Exception as error:  # the subject goes on whatever its evaluation does
            self._measure.write("eval", failed=f"{type(error).__name__}: {error}"[:500])
        finally:
            timeline.leave("eval")


def _callback_of(training: Training) -> Any:
    from transformers import TrainerCallback

    class PacelineCallback(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            training.begins()

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            training.step_begins()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            training.logged(logs or {})

        def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if control.should_training_stop or state.global_step >= state.max_steps:
                training.finish()

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            training.finish()

    return PacelineCallback()


class _Device:
    """The few questions a step has for the device; on a CPU everything has always arrived."""

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._cuda = torch.cuda if torch.cuda.is_available() and torch.cuda.is_initialized() else None

    def synchronise(self) -> None:
        if self._cuda:
            self._cuda.synchronize()

    def mark(self) -> Any:
        if not self._cuda:
            return None
        event = self._cuda.Event(enable_timing=True)
        event.record()
        return event

    def has_arrived(self, mark: Any) -> bool:
        return mark is None or bool(mark.query())

    def elapsed_s(self, begin: Any, end: Any) -> float | None:
        return begin.elapsed_time(end) / 1000 if begin is not None and end is not None else None

    def fetch(self, loss: Any) -> Any:
        """A loss as a number or as a copy on its way to the host; None where it is neither."""
        if isinstance(loss, self._torch.Tensor):
            loss = loss.detach()
            return loss.item() if loss.device.type == "cpu" else loss.to("cpu", non_blocking=True)
        return loss if isinstance(loss, (int, float)) else None

    def fill(self) -> dict[str, Any]:
        """What this process keeps of the device's memory, and all there is of it, in bytes; {} on a CPU."""
        if not self._cuda:
            return {}
        return {
            "reserved": self._cuda.max_memory_reserved(),
            "device": self._cuda.get_device_properties(self._cuda.current_device()).total_memory,
        }

    def memory(self) -> dict[str, Any]:
        """Peaks since the last call (GPU) and the process's peak so far (resident set), in bytes."""
        fields: dict[str, Any] = {"rss": _peak_rss_b()}
        if self._cuda:
            fields["allocated"] = self._cuda.max_memory_allocated()
            fields["reserved"] = self._cuda.max_memory_reserved()
            self._cuda.reset_peak_memory_stats()
        return fields


def _peak_rss_b() -> int | None:
    try:
        # As bytes: a codec may have to be imported first, and this is called while a phase is closed.
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
