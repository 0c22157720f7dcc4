"""The names that a network's weights have in a file, and those that the network has for them."""

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from inradius.models.normalize import Normalize

# what data-parallel training, torch.compile and wrappers that normalise put before every name
_WRAPPERS = ("module", "model", "net", "network", "_orig_mod")


def renamed(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The tensors by the model's names: wrappers' names are dropped or put before all of them, where they then fit.

    The numbers of ``Normalize`` that a file lacks are the model's own. Where nothing fits, the names that fit best.
    """
    wanted = set(model.state_dict())
    own = {name: value for name, value in model.state_dict().items() if name in set(_normalisation(model))}
    candidates = [dict(state), *_candidates(state, wanted - own.keys())]
    fits = [{**own, **names} if wanted - own.keys() <= names.keys() else names for names in candidates]
    return min(fits, key=lambda names: len(wanted ^ names.keys()))


def _normalisation(model: nn.Module) -> Iterator[str]:
    for path, module in model.named_modules():
        if isinstance(module, Normalize):
            yield from (f"{path}.{name}" if path else name for name, _ in module.named_buffers(recurse=False))


def _candidates(state: Mapping[str, Tensor], needed: set[str]) -> Iterator[dict[str, Tensor]]:
    """The same tensors with every shared beginning dropped, and with every beginning that the model's names share."""
    for dropped in ("", *_shared(state, _WRAPPERS)):
        for added in ("", *_shared(needed, None)):
            if dropped or added:
                yield {added + name[len(dropped) :]: value for name, value in state.items()}


def _shared(names: Mapping[str, Tensor] | set[str], allowed: tuple[str, ...] | None) -> Iterator[str]:
    """The beginnings, of whole words, that all names share; the words are among those ``allowed``."""
    beginning = ""
    while names:
        words = {name[len(beginning) :].partition(".")[::2] for name in names}
        first = {word for word, rest in words if rest}
        if len(first) != 1 or any(not rest for _, rest in words) or (allowed and not first <= set(allowed)):
            return
        beginning += f"{first.pop()}."
        yield beginning
