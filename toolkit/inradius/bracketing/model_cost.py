"""What a model costs: seconds for a pass, and memory for a gradient."""

from collections.abc import Callable
from time import perf_counter

import attrs
import torch
from torch import Tensor, nn

from inradius.models.modes import frozen
from inradius.models.outputs import asked


@attrs.frozen
class ModelCost:
    """Seconds for one image, forward and with the gradient in it, and the bytes that one image keeps for its gradient."""

    forward: float
    gradient: float
    bytes: int


def model_cost(model: nn.Module, x: Tensor) -> ModelCost:
    """The cost of a model on a batch x (B, *S) with B ≥ 1, for one image of it; the model is in eval mode and unchanged.

    The shorter of two runs counts, since the first one sets things up. Tensors that are kept several times count once, and
    the weights not at all.
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def gradient() -> None:
        # held until the end of the pass, so that no place in memory is used twice
        point = x.detach().clone().requires_grad_()
        outputs = asked(model, point)
        if outputs.requires_grad:
            torch.autograd.grad(outputs.sum(), point, allow_unused=True)

    with frozen(model):
        with torch.no_grad():
            forward = _seconds(lambda: asked(model, x), x)
        backward = _seconds(gradient, x)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            held = asked(model, x.detach().clone().requires_grad_())
        del held
    return ModelCost(forward / len(x), backward / len(x), sum(kept.values()) // len(x))


def _seconds(run: Callable[[], object], x: Tensor) -> float:
    found = []
    for _ in range(2):
        started = perf_counter()
        run()
        if x.device.type != "cpu":
            torch.accelerator.synchronize()
        found.append(perf_counter() - started)
    return min(found)
