"""A check that a model's parameters have numbers: lazy modules make them in their first run."""

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from inradius.errors import InputError


def check_initialised(model: object) -> None:
    """Raises ``InputError`` where a model has a lazy module that has not run yet, or a parameter or buffer without a shape.

    The first run of a lazy module makes it another module, which cannot be undone.
    """
    for path, module in model.named_modules() if isinstance(model, nn.Module) else ():
        tensors = (*module._parameters.values(), *module._buffers.values())
        # a lazy module that has loaded its parameters still has this hook
        waits = isinstance(module, LazyModuleMixin) and "_initialize_hook" in vars(module)
        if waits or any(is_lazy(tensor) for tensor in tensors):
            raise InputError(
                f"the model has a lazy module that has not run yet, {path or 'itself'}, a {type(module).__name__}; run the model "
                "once on an input, which gives its parameters their shapes"
            )
