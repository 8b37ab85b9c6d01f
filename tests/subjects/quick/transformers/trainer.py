"""The order of calls of the library's training loop, and what a callback is handed; no model, no gradients.

A batch is what `batches` gives, a step what `work` does with it: it returns the loss.
"""

from types import SimpleNamespace


class TrainerCallback:
    def on_train_begin(self, args, state, control, **kwargs):
        pass

    on_step_begin = on_step_end = on_log = on_epoch_end = on_train_end = on_train_begin


class Model:
    training = True

    def parameters(self):
        return []


class Trainer:
    def __init__(self, batches, work):
        self.args = SimpleNamespace(max_steps=len(batches), per_device_train_batch_size=4)
        self.model = Model()
        self.state = SimpleNamespace(global_step=0, max_steps=len(batches))
        self.control = SimpleNamespace(should_training_stop=False)
        self._batches = batches
        self._work = work
        self._callbacks = []

    def add_callback(self, callback):
        self._callbacks.append(callback)

    def remove_callback(self, callback):
        self._callbacks.remove(callback)

    def train(self):
        self.state.global_step = 0
        self._call("on_train_begin")
        iterator = iter(self._batches)
        for _ in self._batches:
            samples = self.get_batch_samples(iterator, 1)
            self._call("on_step_begin")
            for inputs in samples:
                loss = self.training_step(self.model, inputs)
            self.state.global_step += 1
            self._call("on_step_end")
            self._call("on_log", logs={"loss": loss, "grad_norm": 1.0})
        self._call("on_epoch_end")
        self._call("on_train_end")

    def get_batch_samples(self, iterator, number):
        return [next(iterator) for _ in range(number)]

    def training_step(self, model, inputs):
        return self._work(inputs)

    def _call(self, name, **kwargs):
        for callback in self._callbacks:
            getattr(callback, name)(self.args, self.state, self.control, **kwargs)
