"""Labelled data joined with data that a network labels."""

import attrs
import torch
from torch import Tensor, nn

from inradius import Dataset, fingerprint, load_model, load_weights
from inradius.models.load import check_forward
from inradius.models.modes import evaluating
from inradius_datasets.joined import joined

_AT_ONCE = 256


def pseudo_labelled(
    labelled: Dataset, unlabelled: Dataset, model: nn.Module | str, weights: str | None = None
) -> Dataset:
    """Both sets joined, the second with the labels that a network predicts; ``source`` is 0 and 1. Source: carmon2019.

    model: a network, or its spec as a string, which then is in the data's name; weights: a file with its weights.
    Carmon et al. train it on the labelled data without attacks. The labels of the second set are ignored.
    Raises ``InputError`` where the network fails on the data, or the inputs of the two sets differ in kind.
    """
    network = _network(model, weights)
    check_forward(network, unlabelled)
    found = attrs.evolve(unlabelled, labels=_predictions(network, unlabelled), targets=None)
    described = repr(model) if isinstance(model, str) else f"network {fingerprint(network)[:12]}"
    file = "" if weights is None else f", weights={weights!r}"
    name = f"pseudo_labelled({labelled.name}, {unlabelled.name}, {described}{file})"
    return attrs.evolve(joined(labelled, found), name=name)


def _network(model: nn.Module | str, weights: str | None) -> nn.Module:
    if isinstance(model, str):
        return load_model(model, weights)
    return model if weights is None else load_weights(model, weights)


def _predictions(network: nn.Module, data: Dataset) -> Tensor:
    """The class that the network finds most likely, (N,), on the device of the data."""
    place = next((tensor.device for tensor in network.state_dict().values()), data.inputs.device)
    parts = [torch.zeros(0, dtype=torch.int64)]
    with evaluating(network), torch.no_grad():
        for batch in data.batches(_AT_ONCE):
            parts.append(network(batch.inputs.to(place)).argmax(1).cpu())
    return torch.cat(parts).to(data.labels.device)
