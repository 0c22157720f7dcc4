"""Saliency maps: how the logit of a class depends on each coordinate of an input."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import attrs
import torch
from torch import Tensor, nn

from inradius.arguments import check_callable
from inradius.attacking.given import as_inputs, as_labels
from inradius.data.checks import check_labels
from inradius.errors import InputError, UnsupportedError
from inradius.models.modes import frozen
from inradius.models.outputs import asked, check_logits
from inradius.rng import ExampleRNG
from inradius.sets.examples import expand

Model = nn.Module | Callable[[Tensor], Tensor]
Method = Literal["gradient", "smooth_grad", "integrated_gradients"]


def saliency(
    model: Model,
    x: Any,
    y: Any = None,
    *,
    method: Method = "gradient",
    samples: int = 50,
    noise: float = 0.15,
    steps: int = 50,
    baseline: float = 0.0,
    batch_size: int = 128,
    seed: int = 0,
) -> Tensor:
    """A map of each input (B, *S) for the logit of its class y (B,), by default the predicted one, (B, *S).

    ``gradient`` is the slope of the logit, with its sign. ``smooth_grad`` is the mean of ``samples`` slopes at x plus
    normal noise, whose deviation is ``noise`` times the range of the input; an example's noise is its own, in any
    batch. ``integrated_gradients`` is (x − baseline) times the mean slope on the way from the baseline, with ``steps``
    points of a Gauss-Legendre rule; its entries add up to the rise of the logit. The slopes and the rule are those of
    the library captum. The model runs in eval mode.
    Raises ``UnsupportedError`` where captum is not installed, and ``InputError`` for arguments that are not what they
    must be.
    Source: simonyan2014, smilkov2017, sundararajan2017.
    """
    check_callable(model)
    inputs = as_inputs(x, model).detach()
    _check(method, samples=samples, steps=steps, batch_size=batch_size, noise=noise)
    maps = _Maps(_captum(), _Logits(model), samples, float(noise), steps, baseline, seed)
    with frozen(model):
        labels = _classes(maps.logits, inputs, y, batch_size)
        rows = torch.arange(len(inputs), device=inputs.device)
        found = [
            getattr(maps, method)(inputs[part], labels[part], part)
            for part in torch.split(rows, batch_size)
            if len(part)
        ]
    return torch.cat(found) if found else torch.zeros_like(inputs)


@attrs.frozen
class _Logits:
    """The model's logits, checked."""

    model: Model

    def __call__(self, x: Tensor) -> Tensor:
        found = asked(self.model, x)
        check_logits(found, len(x))
        return found


@attrs.frozen
class _Maps:
    """The maps by the name of their method, for inputs (B, *S), classes (B,) and the examples' numbers (B,)."""

    library: Any
    logits: _Logits
    samples: int
    noise: float
    steps: int
    baseline: float
    seed: int

    def gradient(self, x: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        point = x.detach().clone().requires_grad_()
        found: Tensor = self.library.Saliency(self.logits).attribute(point, target=y, abs=False)
        return found.detach()

    def smooth_grad(self, x: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        flat = x.flatten(1)
        size = expand(self.noise * (flat.amax(1) - flat.amin(1)), x)
        rng, total = ExampleRNG(self.seed, rows), torch.zeros_like(x)
        for number in range(self.samples):
            drawn = rng.fork(number).normal(tuple(x.shape[1:]), dtype=x.dtype).to(x.device)
            total = total + self.gradient(x + size * drawn, y, rows)
        return total / self.samples

    def integrated_gradients(self, x: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        # a part of the way at a time, as large as the batch
        options = {"baselines": self.baseline, "n_steps": self.steps, "internal_batch_size": len(x)}
        point = x.detach().clone().requires_grad_()
        found: Tensor = self.library.IntegratedGradients(self.logits).attribute(point, target=y, **options)
        return found.detach().to(x)


def _classes(logits: _Logits, x: Tensor, y: Any, batch_size: int) -> Tensor:
    """The classes whose logits are asked about, (B,)."""
    with torch.no_grad():
        found = [logits(part) for part in torch.split(x, batch_size) if len(part)]
    if y is None:
        return torch.cat([part.argmax(1) for part in found]) if found else x.new_zeros(0, dtype=torch.int64)
    labels = as_labels(y, x.device)
    check_labels(x, labels)
    if found and int(labels.max()) >= (count := found[0].shape[1]):
        raise InputError(f"label {int(labels.max())} is out of range; the model has the classes 0 to {count - 1}")
    return labels.to(torch.int64)


def _check(method: object, *, noise: object, **counts: object) -> None:
    if method not in get_args(Method):
        raise InputError(f"method={method!r} is not known; allowed are {', '.join(get_args(Method))}")
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name}={value!r} is not allowed; allowed is an integer ≥ 1")
    if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < float("inf"):
        raise InputError(f"noise={noise!r} is not allowed; allowed is a finite number ≥ 0")


def _captum() -> Any:
    try:
        import captum.attr
    except ImportError as error:
        raise UnsupportedError(
            'saliency maps need the package captum, which is not installed; pip install "inradius[saliency]" brings it'
        ) from error
    return captum.attr
