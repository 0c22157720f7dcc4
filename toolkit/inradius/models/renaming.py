"""The translation from the names of weights in a file to those in a network."""

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from inradius.models.normalize import Normalize

# prefixes that data-parallel training, torch.compile and normalising wrappers put before every name
_WRAPPERS = ("module", "model", "net", "network", "_orig_mod")


def renamed(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The tensors under the model's names: prefixes of wrappers are dropped, or added to all names, where the names then fit.

    Where the file lacks the numbers of ``Normalize``, they are the model's own. Where no renaming fits, the result has
    the names that fit best.
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
    """The same tensors with every shared prefix dropped, and with every prefix that the model's names share added."""
    for dropped in ("", *_shared(state, _WRAPPERS)):
        for added in ("", *_shared(needed, None)):
            if dropped or added:
                yield {added + name[len(dropped) :]: value for name, value in state.items()}


def _shared(names: Mapping[str, Tensor] | set[str], allowed: tuple[str, ...] | None) -> Iterator[str]:
    """The prefixes, of whole words, that all names share; the words are among those ``allowed``."""
    beginning = ""
    while names:
        words = {name[len(beginning) :].partition(".")[::2] for name in names}
        first = {word for word, rest in words if rest}
        if len(first) != 1 or any(not rest for _, rest in words) or (allowed and not first <= set(allowed)):
            return
        beginning += f"{first.pop()}."
        yield beginning
