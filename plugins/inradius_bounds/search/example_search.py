"""The search for one example over one set."""

import uuid

import attrs
import torch
from torch import Tensor, nn

from inradius import Oracles, Property
from inradius.certifiers.search_states import kept_states, question_hash, tensor_bytes, within
from inradius.certifiers.value_digest import value_digest
from inradius_bounds.backward.domain import defined_everywhere
from inradius_bounds.backward.inner_bounds import relax_curves
from inradius_bounds.backward.memory import free_bytes, numbers_within
from inradius_bounds.backward.optimised_inner_bounds import tightened
from inradius_bounds.capture.trace import computation_digest
from inradius_bounds.network.value_bounds import ValueBounds
from inradius_bounds.rules.relax import smallest_area
from inradius_bounds.search.clauses import Clauses
from inradius_bounds.search.decision import Decision
from inradius_bounds.search.first_bounds import FirstBounds
from inradius_bounds.search.input_search import InputSearch
from inradius_bounds.search.neuron_search import NeuronSearch
from inradius_bounds.search.outcome import Outcome
from inradius_bounds.search.search_limit import SearchLimit
from inradius_bounds.search.search_settings import SearchSettings
from inradius_bounds.search.split_problem import SplitProblem
from inradius_bounds.search.witnesses import WitnessSearch

# the most inputs that vary for a search over boxes of inputs, and the least number of undecided neurons for which it pays
_INPUTS, _UNDECIDED = 8, 24
# an input varies where its room is wider than this share of its size
_ROUNDED = 1e-6
# directions in which sets are compared
_DIRECTIONS = 16
# steps of descent for a violation before a search
_DESCENT = 20
# the most undecided numbers whose bounds are raised before a search, and the steps of that ascent
_RAISED, _RAISE_STEPS = 4000, 10
# the most domains or cells that are bounded at once, and the numbers of rows on their way for each number of a domain
_BATCH, _CELLS, _COPIES = 64, 256, 6
# the share of the free memory for domains that wait, and the bytes of each number of them
_SHARE, _BYTES = 0.25, 34


@attrs.frozen(eq=False)
class ExampleSearch:
    """The search for one example x (1, *S), in the type of the model's inputs, over the set ``part``, a subset of ``whole``."""

    first: FirstBounds
    model: nn.Module
    x: Tensor
    part: Oracles
    whole: Oracles
    settings: SearchSettings

    def decision(self, limit: SearchLimit) -> Decision:
        """The decision, when one is found or the limit is reached."""
        prop, safe = self.first.prop, self.first.safe[0]
        clauses = Clauses.of(prop)
        if not len(clauses.open(safe)):
            return Decision(safe, True)
        if limit.domains == 0:
            return Decision(safe, False)
        witnesses = WitnessSearch(self.model, self.x, self.part, self.whole, clauses, limit)
        left = clauses.open(safe)
        found = witnesses.descended(torch.zeros_like(self.x).expand(len(left), *self.x.shape[1:]), left, _DESCENT)
        if found is not None or limit.over:
            return Decision(safe, False, found)
        root = relax_curves(self.first.values, relax=smallest_area).values
        defined = defined_everywhere(root)
        if defined is not None and not bool(defined.all()):
            return Decision(safe, False)
        with within("network", self._name()):
            if self._by_inputs(root):
                return self._split_inputs(root, prop, safe, witnesses, limit)
            return self._split_neurons(root, clauses, left, safe, witnesses, limit)

    def _name(self) -> str:
        """The name of network and set in kept states: a hash of the computation, of all that the set holds, and of its support.

        A new name each time where the computation or the set has no hash; "" where no states are kept.
        """
        if kept_states() is None:
            return ""
        digest, held = computation_digest(self.model, self.x), value_digest(self.part)
        if digest is None or held is None:
            return uuid.uuid4().hex
        return question_hash(digest, held, tensor_bytes(self._supports()))

    def _supports(self) -> Tensor:
        """The values of the support function in directions that are always the same, (1, K)."""
        generator = torch.Generator().manual_seed(0)
        directions = torch.randn(1, _DIRECTIONS, *self.x.shape[1:], generator=generator, dtype=torch.float64)
        return self.part.support(directions.to(self.x.device), self.x.double())

    @property
    def _goal(self) -> float:
        """The bound at which ascents end."""
        return max(2 * self.first.noise, 1e-12)

    def _by_inputs(self, root: ValueBounds) -> bool:
        """True where the set is a box of few inputs and many neurons are undecided."""
        if not root.boxed:
            return False
        low, high = root.room
        # the room of an input that does not vary is as wide as rounding
        varies = high - low > _ROUNDED * torch.maximum(root.x.abs(), torch.maximum(low.abs(), high.abs()))
        undecided = int(SplitProblem(root, Clauses.of(self.first.prop)).undecided)
        return int(varies.sum()) <= _INPUTS and undecided > _UNDECIDED

    def _split_inputs(
        self, root: ValueBounds, prop: Property, safe: Tensor, witnesses: WitnessSearch, limit: SearchLimit
    ) -> Decision:
        x, steps, goal = self.x.double(), self.settings.steps, self._goal
        search = InputSearch(self.model, x, root.room, prop, witnesses.clauses, witnesses, _CELLS, steps, goal)
        found = search.run(limit)
        proved = bool(found.bound[0] > 0) and not bool(found.stuck.any()) and found.witness is None
        return Decision(safe, proved, found.witness, bool(found.stuck.any()), found.real)

    def _split_neurons(
        self,
        root: ValueBounds,
        clauses: Clauses,
        left: Tensor,
        safe: Tensor,
        witnesses: WitnessSearch,
        limit: SearchLimit,
    ) -> Decision:
        if int(SplitProblem(root, clauses).undecided) <= _RAISED:
            root = tightened(root, _RAISE_STEPS, lambda: limit.over).values
        problem, settings = SplitProblem.of(self.model, root, clauses, self.x.dtype), self.settings
        numbers = _COPIES * (problem.layout.size + root.network.widest)
        batch = max(1, min(_BATCH, numbers_within(settings.memory, root.x) // numbers))
        waiting = int(_SHARE * free_bytes(root.x.device) / (_BYTES * max(1, problem.layout.size)))
        search = NeuronSearch(
            problem, witnesses, self._goal, settings.tolerance, batch, settings.steps, max(64, waiting)
        )
        return self._told(search.run(left, limit), clauses, left, safe)

    def _told(self, found: Outcome, clauses: Clauses, left: Tensor, safe: Tensor) -> Decision:
        bound, proved = found.bound[left], not bool(found.stuck.any()) and bool((found.bound[left] > 0).all())
        value = clauses.raised(safe, left, bound)
        return Decision(value, proved and found.witness is None, found.witness, bool(found.stuck.any()), found.real)
