"""The kinds of components that a new plugin can have, with the template and the hook of each."""

import attrs

from inradius.errors import SpecError


@attrs.frozen
class Kind:
    """A kind of component, as a new plugin brings it.

    name: that of its module; hook: the one that answers for it; noun: the word for it; returns: the type of the hook's
    answer; answer: the answer, of the class and the name; case: the key of its law case, and options: its arguments.
    """

    name: str
    hook: str
    noun: str
    returns: str
    answer: str = "[{cls}]"
    case: str = '"{spec}()"'
    options: str = "{{}}"
    imported: str = "{cls}"


def _kinds() -> dict[str, Kind]:
    found = (
        Kind("threat_model", "threat_models", "a set of perturbations", "list[type[ThreatModel]]", case='"{spec}(eps=0.2)"'),
        Kind("attack", "attacks", "an attack", "list[type[Attack]]", options='{{"threat": "linf(eps=0.3)"}}'),
        Kind("certifier", "certifiers", "a certifier", "list[type[Certifier]]", options='{{"threat": "linf(eps=0.3)"}}'),
        Kind("defense", "defenses", "a defense", "list[type[Defense]]", options='{{"threat": "linf(eps=0.3)"}}'),
        Kind("objective", "objectives", "an objective of attacks", "list[type[Objective]]"),
        Kind("outcome", "outcomes", "an outcome", "list[type[Outcome]]"),
        Kind(
            "dataset", "datasets", "a data set", "dict[str, Callable[..., Dataset]]",
            answer='{{"{spec}": {spec}}}', case='"{spec}(n=20)"', imported="{spec}",
        ),
        Kind(
            "model", "models", "a network", "dict[str, Callable[..., nn.Module]]",
            answer='{{"{spec}": {spec}}}', options='{{"shape": (1, 28, 28)}}', imported="{spec}",
        ),
        Kind(
            "layer_rule", "layer_rules", "a layer rule", "dict[type[nn.Module], LayerRule]",
            answer="{{{cls}: {cls}Rule()}}", case="{cls}()", options='{{"in_shape": (3,)}}', imported="{cls}, {cls}Rule",
        ),
        Kind("transform", "transforms", "a transform of mini-batches", "list[type[Transform]]"),
        Kind("sampler", "samplers", "a sampler of mini-batches", "list[type[Sampler]]"),
        Kind("regularizer", "regularizers", "a regularizer", "list[type[Regularizer]]"),
        Kind("direction", "directions", "a direction of descent", "list[type[Direction]]"),
        Kind("update", "updates", "an update of the weights", "list[type[Update]]"),
        Kind("schedule", "schedules", "a schedule", "list[type[Schedule]]"),
        Kind("monitor", "monitors", "a monitor of training", "list[type[Monitor]]"),
    )  # fmt: skip
    return {kind.name: kind for kind in found}


KINDS = _kinds()


def kind_of(text: str) -> Kind:
    """The kind that a word names, in the singular or as its hook. Raises ``SpecError`` with the kinds there are."""
    plain = text.strip().lower().replace("-", "_").replace(" ", "_")
    for kind in KINDS.values():
        if plain in (kind.name, kind.hook):
            return kind
    raise SpecError(f"{text!r} is not a kind of component; allowed are {', '.join(KINDS)}")
