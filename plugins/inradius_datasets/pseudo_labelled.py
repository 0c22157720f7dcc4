"""Labelled data with more that a network labels."""

import attrs
import torch
from torch import Tensor, nn

from inradius import Dataset, fingerprint, load_model, load_weights
from inradius.models.load import try_out
from inradius.models.modes import evaluating
from inradius_datasets.joined import joined

_AT_ONCE = 256


def pseudo_labelled(
    labelled: Dataset, unlabelled: Dataset, model: nn.Module | str, weights: str | None = None
) -> Dataset:
    """Both sets joined, the second with the labels that a network predicts; ``source`` is 0 and 1. Source: carmon2019.

    model: a network, or the spec of one as a string, which then is in the data's name; weights: a file that fills it. Carmon
    et al. train it on the labelled data without attacks. What labels the second set has are not looked at.
    Raises ``InputError`` where the network fails on the data, or the two sets are not of one kind.
    """
    network = _network(model, weights)
    try_out(network, unlabelled)
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
    """The class that the network finds most likely, (N,), where the data are."""
    place = next((tensor.device for tensor in network.state_dict().values()), data.inputs.device)
    parts = [torch.zeros(0, dtype=torch.int64)]
    with evaluating(network), torch.no_grad():
        for batch in data.batches(_AT_ONCE):
            parts.append(network(batch.inputs.to(place)).argmax(1).cpu())
    return torch.cat(parts).to(data.labels.device)
