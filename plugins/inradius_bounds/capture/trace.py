"""The chain and the network of a model, kept for as long as the network runs the same operators."""

from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from inradius import ExampleRNG, InputError, LayerRule, Oracles, UnsupportedError, layer_rules
from inradius.certifiers.certificate_in_progress import CertificateInProgress, current_certificate
from inradius_bounds.capture.captured import Captured, capture
from inradius_bounds.capture.first_run import check_first_run, first_run
from inradius_bounds.capture.graph_digest import graph_digest
from inradius_bounds.capture.structure import ModelStructure
from inradius_bounds.layout.layer_chain import LayerChain
from inradius_bounds.network.network import Network
from inradius_bounds.rules import by_layer

Form = TypeVar("Form", LayerChain, Network)

_Key = tuple[torch.Size, torch.dtype, torch.device]

# for each model its captured computations, by the inputs' shape, type and device
_captured: WeakKeyDictionary[nn.Module, dict[_Key, Captured]] = WeakKeyDictionary()


def trace(model: nn.Module, x: Tensor, threat: Oracles | None = None, dtype: torch.dtype | None = None) -> LayerChain:
    """The chain that ``model`` computes for inputs like ``x`` (B, *S), in the type of ``x`` or in ``dtype``. See ``network_of``."""
    return _traced(model, x, threat, dtype, Captured.chain)


def network_of(model: nn.Module, x: Tensor, threat: Oracles | None = None, dtype: torch.dtype | None = None) -> Network:
    """The network that ``model`` computes for inputs like ``x`` (B, *S), in the type of ``x`` or in ``dtype``.

    A certificate runs the model once more, and captures it anew where it runs anything else than before. A model that changes its
    own state must run the same in the state that it was handed over in. Within one certificate, and in training, only the
    modules are compared. In a certificate ``x`` may have a wider type than the model.
    Raises ``UnsupportedError`` for an operator without bounds, with its name and its place.
    """
    return _traced(model, x, threat, dtype, Captured.network)


def pooled_network_of(
    model: nn.Module, x: Tensor, threat: Oracles | None = None, dtype: torch.dtype | None = None
) -> Network:
    """The network of ``network_of`` with maxima over windows as one node."""
    return _traced(model, x, threat, dtype, Captured.pooled)


def computation_digest(model: nn.Module, x: Tensor) -> str | None:
    """A hash of the computation that the certificate in progress is about, for inputs like ``x`` (B, *S).

    None where there is no certificate in progress, and where a module stands for its operators.
    """
    proof = current_certificate()
    if proof is None:
        return None
    network_of(model, x)
    found: Captured = proof.memo[model, x.to(proof.dtype).shape[1:], x.device]
    return graph_digest(found.graph)


def _traced(
    model: nn.Module,
    x: Tensor,
    threat: Oracles | None,
    dtype: torch.dtype | None,
    form: Callable[[Captured, torch.dtype], Form],
) -> Form:
    """A form of the captured computation, made once for a certificate."""
    if not isinstance(model, nn.Module):
        raise InputError(
            f"{model!r} is not a torch.nn.Module; allowed is a torch.nn.Module, whose operators are recorded"
        )
    if x.layout != torch.strided:
        raise InputError(f"the inputs have the layout {x.layout}; allowed are dense tensors")
    proof = current_certificate()
    own = x.to(proof.dtype) if proof is not None else x
    dtype = dtype or x.dtype
    if proof is None:
        _check_scripts(model)
        return form(_kept(model, own, threat, None, ModelStructure.of(model)), dtype)
    known, key = (model, own.shape[1:], x.device), (model, own.shape[1:], x.device, dtype, form)
    if known not in proof.memo:
        _check_scripts(model)
        if proof.state is not None:
            proof.state.put_back()
        # that of the model as it was handed over, as its runs may change it
        structure = ModelStructure.of(model)
        first = first_run(model, own, _strange(layer_rules()), proof)
        proof.memo[known] = _kept(model, own, threat, proof, structure)
        if first is not None:
            check_first_run(model, own, first, proof.memo[known])
    if key not in proof.memo:
        proof.memo[key] = form(proof.memo[known], dtype)
    found: Form = proof.memo[key]
    return found


def _check_scripts(model: nn.Module) -> None:
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise UnsupportedError(
            f"{type(model).__name__} is TorchScript, or has a part that is, whose operators torch may change from run to run; "
            "allowed is the torch.nn.Module that it was made of"
        )


def _kept(
    model: nn.Module, x: Tensor, threat: Oracles | None, proof: CertificateInProgress | None, structure: ModelStructure
) -> Captured:
    """The captured computation of a model of this structure if it still holds, else a new one."""
    known = _captured.setdefault(model, {})
    key = x.shape[1:], x.dtype, x.device
    found = known.get(key)
    if found is None or not _holds(found, model, x, proof, structure):
        known.pop(key, None)
        found = known[key] = _capture(model, x, threat, structure)
    return found


def _holds(
    found: Captured, model: nn.Module, x: Tensor, proof: CertificateInProgress | None, structure: ModelStructure
) -> bool:
    if not len(x):
        return True
    # a changed attribute may also change what only the checks of a capture show, such as the use of other examples
    if not found.unchanged or not found.structure.same(structure):
        return False
    return (proof is None and not found.graph.volatile) or found.holds(model, x)


def _capture(model: nn.Module, x: Tensor, threat: Oracles | None, structure: ModelStructure) -> Captured:
    layers = layer_rules()
    return capture(model, x, _members(x, threat), _strange(layers), layers, structure)


def _strange(layers: dict[type[nn.Module], LayerRule]) -> dict[type[nn.Module], LayerRule]:
    """The rules of modules that stand as one operator: those of other plugins. Torch's own layers are recorded as operators."""
    own = by_layer()
    return {kind: rule for kind, rule in layers.items() if kind not in own}


def _members(x: Tensor, threat: Oracles | None) -> list[Tensor]:
    """Members of the first input's set; none where the set cannot give any."""
    if threat is None or not len(x):
        return []
    first = threat.select(torch.zeros(1, dtype=torch.int64, device=x.device))
    rng = ExampleRNG(0, torch.zeros(1, dtype=torch.int64, device=x.device))
    try:
        return [first.sample(x[:1], rng=rng.fork(number)).to(x) for number in range(6)]
    except UnsupportedError:
        return []
