"""What a search decides about each example of a batch."""

import time

import attrs
import torch
from torch import Tensor, nn

from inradius import Oracles, Property
from inradius_bounds.backward.domain import defined_everywhere
from inradius_bounds.backward.inner_bounds import relax_curves
from inradius_bounds.backward.memory import free_bytes, numbers_within
from inradius_bounds.backward.optimised_inner_bounds import tightened
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import smallest_area
from inradius_bounds.search.clauses import Clauses
from inradius_bounds.search.domain_bounds import SplitProblem
from inradius_bounds.search.first_bounds import FirstBounds
from inradius_bounds.search.input_search import InputSearch
from inradius_bounds.search.neuron_search import NeuronSearch
from inradius_bounds.search.outcome import Outcome
from inradius_bounds.search.witnesses import WitnessSearch

# the most inputs that vary for a search over boxes of inputs, and the least number of undecided neurons for which it pays
_INPUTS, _UNDECIDED = 8, 24
# steps of descent for a violation before a search
_DESCENT = 20
# the most undecided numbers whose bounds are raised before a search, and the steps of that ascent
_RAISED, _RAISE_STEPS = 4000, 10
# the most domains or cells that are bounded at once, and the numbers of rows on their way for each number of a domain
_BATCH, _CELLS, _COPIES = 64, 512, 6
# the share of the free memory for domains that wait, and the bytes of each number of them
_SHARE, _BYTES = 0.25, 34


@attrs.frozen
class SearchSettings:
    """The limits of a search; see ``BranchAndBound``."""

    seconds: float | None
    tolerance: float
    steps: int
    memory: float | None


@attrs.frozen(eq=False)
class Decision:
    """The decision about one example.

    value (K,): lower bounds of the rows. proved: true where the property is proved. witness (1, *S): a perturbation that violates
    it, or None. unsure: true where a part of the set is too near the boundary to be decided.
    """

    value: Tensor
    proved: bool
    witness: Tensor | None = None
    unsure: bool = False


def decisions(
    first: FirstBounds, model: nn.Module, x: Tensor, threat: Oracles, prop: Property, settings: SearchSettings
) -> list[Decision]:
    """The decision about each example of a batch x (B, *S), one search after the other."""
    done, found = prop.holds(first.safe > 0).tolist(), []
    for example in range(len(x)):
        if done[example]:
            found.append(Decision(first.safe[example], True))
            continue
        index = torch.tensor([example], device=x.device)
        search = _Search(first, model, x[index], threat.select(index), index, settings)
        found.append(search.decision())
    return found


@attrs.frozen(eq=False)
class _Search:
    """The search for one example x (1, *S), in the type of the model's inputs."""

    first: FirstBounds
    model: nn.Module
    x: Tensor
    threat: Oracles
    index: Tensor
    settings: SearchSettings

    def decision(self) -> Decision:
        started = time.monotonic()
        deadline = float("inf") if self.settings.seconds is None else started + self.settings.seconds
        prop, safe = self.first.prop.select(self.index), self.first.safe[self.index][0]
        clauses = Clauses.of(prop)
        witnesses = WitnessSearch(self.model, self.x, self.threat, clauses)
        left = clauses.open(safe)
        found = witnesses.descended(torch.zeros_like(self.x).expand(len(left), *self.x.shape[1:]), left, _DESCENT)
        if found is not None:
            return Decision(safe, False, found)
        values = self.first.values.select(self.index)
        root = relax_curves(values, relax=smallest_area).values
        defined = defined_everywhere(root)
        if defined is not None and not bool(defined.all()):
            return Decision(safe, False)
        if self._by_inputs(root):
            return self._split_inputs(root, prop, safe, witnesses, deadline)
        return self._split_neurons(root, clauses, left, safe, witnesses, deadline)

    def _by_inputs(self, root: ValueBounds) -> bool:
        """True where the set is a box of few inputs and many neurons are undecided."""
        if not root.boxed:
            return False
        low, high = root.room
        undecided = SplitProblem(root, Clauses.of(self.first.prop.select(self.index))).undecided
        return int((high > low).sum()) <= _INPUTS and undecided > _UNDECIDED

    def _split_inputs(
        self, root: ValueBounds, prop: Property, safe: Tensor, witnesses: WitnessSearch, deadline: float
    ) -> Decision:
        search = InputSearch(self.model, self.x.double(), root.room, prop, witnesses.clauses, witnesses, _CELLS)
        found = search.run(deadline)
        proved = bool(found.bound[0] > 0) and not bool(found.stuck.any())
        return Decision(safe, proved, found.witness, bool(found.stuck.any()))

    def _split_neurons(
        self,
        root: ValueBounds,
        clauses: Clauses,
        left: Tensor,
        safe: Tensor,
        witnesses: WitnessSearch,
        deadline: float,
    ) -> Decision:
        if SplitProblem(root, clauses).undecided <= _RAISED:
            root = tightened(root, _RAISE_STEPS).values
        problem, settings = SplitProblem(root, clauses), self.settings
        numbers = _COPIES * (problem.layout.size + root.network.widest)
        batch = max(1, min(_BATCH, numbers_within(settings.memory, root.x) // numbers))
        waiting = int(_SHARE * free_bytes(root.x.device) / (_BYTES * max(1, problem.layout.size)))
        goal = max(2 * self.first.noise, 1e-12)
        search = NeuronSearch(problem, witnesses, goal, settings.tolerance, batch, settings.steps, max(64, waiting))
        return self._told(search.run(left, deadline), clauses, left, safe)

    def _told(self, found: Outcome, clauses: Clauses, left: Tensor, safe: Tensor) -> Decision:
        bound, proved = found.bound[left], not bool(found.stuck.any()) and bool((found.bound[left] > 0).all())
        value = clauses.raised(safe, left, bound)
        return Decision(value, proved and found.witness is None, found.witness, bool(found.stuck.any()))
