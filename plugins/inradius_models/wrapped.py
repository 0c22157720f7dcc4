"""Networks with a normalisation before them, or with one of their outputs chosen, as specs."""

from collections.abc import Sequence

from torch import nn

from inradius import InputError, Normalize, Selected, load_model


def normalized(
    model: nn.Module | str, mean: float | Sequence[float], std: float | Sequence[float], weights: str | None = None
) -> nn.Module:
    """A network behind (x − mean) / std, so that inputs and radii are pixels in [0, 1].

    model: a spec, or a file as a string, ``'net.py:network'`` or ``'net.onnx'``; mean and std: a number, or one for each
    channel; weights: a file for the network alone. Raises ``InputError`` for numbers that are no normalisation.
    """
    return nn.Sequential(Normalize(mean, std), network(model, weights))


def selected(model: nn.Module | str, output: str | int, weights: str | None = None) -> nn.Module:
    """A network that returns one of the several outputs of another: the one with a name, or in a place from 0 on.

    model: a spec, or a file as a string, as of ``normalized``; weights: a file for the network alone.
    """
    return Selected(network(model, weights), output)


def network(model: nn.Module | str, weights: str | None) -> nn.Module:
    """The network that is given as itself or as a file's spec, with the weights of a file where there is one."""
    if isinstance(model, str):
        return load_model(model, weights)
    if not isinstance(model, nn.Module):
        raise InputError(
            f"the model is a {type(model).__name__}; allowed is a model's spec, or the spec of a file as a string, "
            "as in normalized('net.py:network', mean=0.5, std=0.25)"
        )
    if weights is not None:
        raise InputError(
            "weights are given beside a model that is made already; give them by --weights or load_weights"
        )
    return model
