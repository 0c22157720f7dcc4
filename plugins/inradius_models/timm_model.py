"""Networks of the library timm, with the normalisation that they were trained with."""

from torch import nn

from inradius import InputError, Normalize, UnsupportedError


def timm(name: str, classes: int | None = None, normalize: bool = True) -> nn.Module:
    """A network of the library timm behind its own normalisation, so that inputs are pixels in [0, 1].

    name: as in ``timm.list_models()``; classes: how many, by default those of its published weights; normalize: False where
    the weights were trained without. The weights are random, as nothing is downloaded: give a file by ``--weights``.
    Raises ``UnsupportedError`` where timm is not installed, ``InputError`` for a name that it does not know.
    """
    try:
        import timm as library
    except ImportError as error:
        raise UnsupportedError(
            "timm(...) needs the package timm, which is not installed; pip install timm brings it"
        ) from error
    if not library.is_model(name):
        raise InputError(f"timm has no model {name!r}; timm.list_models() has their names")
    network: nn.Module = library.create_model(
        name, pretrained=False, **({} if classes is None else {"num_classes": classes})
    )
    if not normalize:
        return network
    told = getattr(network, "pretrained_cfg", None) or getattr(network, "default_cfg", None) or {}
    if "mean" not in told or "std" not in told:
        raise InputError(
            f"timm states no normalisation of {name!r}; give it by normalized(timm({name!r}, normalize=False), mean=..., std=...)"
        )
    return nn.Sequential(Normalize(tuple(told["mean"]), tuple(told["std"])), network)
