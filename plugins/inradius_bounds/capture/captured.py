"""A model's computation for one example, checked against the model, so that bounds may be computed from it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import attrs
import torch
from torch import Tensor, nn

from inradius import InputError, UnsupportedError
from inradius.certifiers.certificate_in_progress import current_certificate
from inradius.models.preserved import preserved
from inradius_bounds.capture.affine_checks import check_affine, points_around
from inradius_bounds.capture.compare import GraphMatch, depends_on_size
from inradius_bounds.capture.constant_checks import check_constants
from inradius_bounds.capture.graph import Graph, ModuleOperator
from inradius_bounds.capture.module_operators import Rules
from inradius_bounds.capture.operator_checks import check_operators
from inradius_bounds.capture.plain_runs import TestedPoints, batch_of, check_values
from inradius_bounds.capture.record import Recording, record
from inradius_bounds.capture.replay import can_follow, follows
from inradius_bounds.capture.structure import ModelStructure
from inradius_bounds.layout.layer_chain import LayerChain
from inradius_bounds.layout.levels import chain_of
from inradius_bounds.lowering.lower import Lowered, lower
from inradius_bounds.lowering.read_tensors import ReadTensors
from inradius_bounds.network.network import Network

# the sizes of batches on which a model is tried; the certified function is that of one example
BATCHES = (2, 3, 17)
# one more size where it is cheap, because a model may behave differently with many examples; the most numbers of its inputs, and
# half as many as a value of the model may have
_MANY, _CHEAP = 257, 1 << 19
# the count of different points that are tried; fewer for large inputs
_POINTS, FEW, _LARGE = 17, 3, 1 << 15


@attrs.define(eq=False)
class Captured:
    """The recorded graph of a model on one example, and its chains by floating-point type."""

    graph: Graph
    structure: ModelStructure
    rules: Rules
    layers: Rules
    device: torch.device
    _chains: dict[torch.dtype, tuple[Lowered, LayerChain]] = attrs.field(factory=dict)
    # for graphs with products of two values, the networks that have each product as one node
    _networks: dict[torch.dtype, tuple[Lowered, Network]] = attrs.field(factory=dict)
    # for graphs with maxima over windows, the networks that have these as one node as well
    _pooled: dict[torch.dtype, tuple[Lowered, Network]] = attrs.field(factory=dict)
    # the model's tensors that all these were computed from
    _read: ReadTensors = attrs.field(factory=ReadTensors)

    def chain(self, dtype: torch.dtype) -> LayerChain:
        """The chain in a type, which reads the model's tensors anew."""
        lowered, chain = self._lowered(dtype)
        lowered.constants.forget()
        return chain

    def network(self, dtype: torch.dtype) -> Network:
        """The network in a type, in which products of two values are one node; it reads the model's tensors anew."""
        if self._lowered(dtype)[0].squared:
            return self._found(self._networks, dtype, maxima=False)
        return self.chain(dtype).network

    def pooled(self, dtype: torch.dtype) -> Network:
        """The network in a type, in which products and maxima over windows are one node; it reads the model's tensors anew."""
        if self._lowered(dtype)[0].paired:
            return self._found(self._pooled, dtype, maxima=True)
        return self.network(dtype)

    def _lowered(self, dtype: torch.dtype) -> tuple[Lowered, LayerChain]:
        """The steps and the chain in a type, with the model's tensors as they were read before."""
        if dtype not in self._chains or self._chains[dtype][0].converted:
            lowered = lower(self.graph, self.layers, dtype, self.device, read=self._read)
            self._chains[dtype] = lowered, chain_of(lowered)
        return self._chains[dtype]

    def _found(self, known: dict[torch.dtype, tuple[Lowered, Network]], dtype: torch.dtype, *, maxima: bool) -> Network:
        if dtype not in known or known[dtype][0].converted:
            lowered = lower(self.graph, self.layers, dtype, self.device, products=True, maxima=maxima, read=self._read)
            known[dtype] = lowered, Network.of(lowered)
        lowered, network = known[dtype]
        lowered.constants.forget()
        return network

    @property
    def unchanged(self) -> bool:
        """True if the constants that steps were built from, such as places and masks, are unchanged."""
        made = (*self._chains.values(), *self._networks.values(), *self._pooled.values())
        return all(lowered.constants.unchanged for lowered, _ in made)

    def holds(self, model: nn.Module, x: Tensor) -> bool:
        """True if the model runs the same operators on the same constants, for the first of the inputs x (B, *S)."""
        with put_back(model):
            if can_follow(self.graph) and follows(model, x[:1], self.graph):
                return True
            return GraphMatch(self.graph, record(model, x[:1], self.rules).graph).difference() is None


def capture(
    model: nn.Module, x: Tensor, members: Sequence[Tensor], rules: Rules, layers: Rules, structure: ModelStructure
) -> Captured:
    """The checked computation of a model for inputs like x (B, *S).

    members: perturbations (1, *S) of the first input, at which the model is compared with the recording. rules: the rules of
    modules that are kept as one operator. layers: the rules of all layers. structure: the model's. Raises
    ``UnsupportedError`` for a model that is no function of one example, and for operators without bounds.
    """
    if not len(x):
        raise InputError("a computation cannot be captured without an example; give at least one input")
    generator = torch.Generator().manual_seed(0)
    few = FEW if x[0].numel() < _LARGE else FEW - 1
    points = points_around(x[:1].detach(), members, generator, _POINTS if x[0].numel() < _LARGE else few)
    with put_back(model):
        single = record(model, x[:1], rules, located=True)
        _check_output(model, single.output, 1)
        # the same input once more, and other inputs
        runs = [record(model, point[None], rules, keeps=True) for point in points[:few]]
        for again in runs:
            _check_same(model, single.graph, again.graph)
        outputs = [
            _check_batch(model, single.graph, batch_of(points, count), rules) for count in _sizes(points, single.graph)
        ]
    found = Captured(single.graph, structure, rules, layers, x.device)
    with _computed_in_float64(single.graph):
        chain = found.chain(torch.float64)
        check_affine(chain, generator)
    check_constants(single.graph, x.dtype)
    for run in runs if x[0].numel() < _LARGE else runs[:1]:
        _check_forms(run, layers, x.device)
    with put_back(model):
        check_values(model, chain, TestedPoints(points, torch.cat([run.output for run in runs]), outputs))
    return found


def _check_forms(run: Recording, layers: Rules, device: torch.device) -> None:
    """Checks the operators of a run against their steps, in each form that the graph has."""
    form = partial(lower, run.graph, layers, torch.float64, device, exact=False)
    first = form()
    check_operators(run.graph, first.nodes, run.numbers)
    if first.squared:
        check_operators(run.graph, form(products=True).nodes, run.numbers)
    if first.paired:
        check_operators(run.graph, form(products=True, maxima=True).nodes, run.numbers)


@contextmanager
def _computed_in_float64(graph: Graph) -> Iterator[None]:
    """A context that raises ``UnsupportedError`` where a module with a rule of its own fails in float64.

    Rules are checked in float64.
    """
    try:
        yield
    except RuntimeError as error:
        kept = ", ".join(str(call.op.path) for call in graph.calls if isinstance(call.op, ModuleOperator))
        if not kept:
            raise
        raise UnsupportedError(
            f"the layer rule or the forward of one of {kept} fails in float64, in which rules are checked ({error}); use tensors "
            "that are parameters, buffers or attributes of the module, in the type of the input"
        ) from error


def put_back(model: nn.Module) -> AbstractContextManager[object]:
    """A context that restores a model's state; an empty one within a certificate, which restores the state itself."""
    return preserved(model) if current_certificate() is None else nullcontext()


def _sizes(points: Tensor, graph: Graph) -> tuple[int, ...]:
    widest = max(
        (value.shape.numel() for call in graph.calls for value in call.results if value is not None), default=0
    )
    cheap = points[0].numel() * _MANY <= _CHEAP and widest * _MANY <= 2 * _CHEAP
    return (*BATCHES, _MANY) if cheap else BATCHES


def _check_batch(model: nn.Module, single: Graph, batch: Tensor, rules: Rules) -> Tensor:
    """The outputs of a recorded run on a batch, (B, *out).

    Raises ``UnsupportedError`` where its graph differs from that of one example in more than lengths that grow with the batch.
    """
    count = len(batch)
    try:
        found = record(model, batch, rules, located=True, watched=count > len(BATCHES))
    except (InputError, UnsupportedError) as error:
        raise UnsupportedError(
            f"{type(model).__name__} takes 1 example but not {count} at once ({error}); allowed are models that take any number"
        ) from error
    if found.questions:
        raise UnsupportedError(
            f"{type(model).__name__} asks how many examples there are ({found.questions[0]}), so that a batch of {count} may "
            "be computed by another function than 1 example; allowed are models that treat every batch alike"
        )
    call = depends_on_size(single, found.graph, count)
    if call is not None:
        raise UnsupportedError(
            f"{call.where} uses {call.name} in a way that depends on the number of examples: batches of 1 and {count} differ; "
            "allowed are models that treat every batch alike"
        )
    _check_output(model, found.output, count)
    return found.output


def _check_output(model: nn.Module, output: Tensor, count: int) -> None:
    if output.ndim < 2 or len(output) != count:
        raise InputError(
            f"{type(model).__name__} gives the shape {tuple(output.shape)} for {count} inputs; allowed is a row for each, "
            f"({count}, outputs)"
        )


def _check_same(model: nn.Module, graph: Graph, again: Graph) -> None:
    call = GraphMatch(graph, again).difference()
    if call is not None:
        raise UnsupportedError(
            f"{call.where or 'an operator'} uses {call.name} ({call.op}), which another run of {type(model).__name__} does not in "
            "the same way; allowed are models that run the same operators on the same constants every time"
        )
