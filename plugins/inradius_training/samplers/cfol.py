"""Class-focused online learning."""

from collections.abc import Iterator
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor

from inradius import Dataset, RunState, UnsupportedError
from inradius.components.validators import as_float, as_floats, flag, positive, share
from inradius.rng import derive
from inradius.training.slots import Sampler
from inradius_training.schedules.points import rising


@attrs.frozen(kw_only=True)
class CFOL(Sampler):
    """min over weights, max over classes c, of the error under attack in c, where classes are drawn by EXP3.

    p = gamma / C + (1 − gamma) softmax(w). Each example's class is drawn from p, and the example uniformly from its
    class, with replacement. After the step w_c grows by eta · Σ 1[mistake] / p_c over the examples of class c, with the
    p of their draw; the expected growth is eta · B · P(mistake | c). ``reweight`` draws examples uniformly instead,
    each once an epoch, and multiplies their losses by p_c over the share of their class. w is reset when a share
    ``reset_at`` of the run is done, for example where the learning rate falls. Source: pethick2023.
    """

    observes: ClassVar[bool] = True

    # the authors' commands for CIFAR-10, 200 epochs of 50000; in a run of T examples w grows by about eta · T · P(mistake | c)
    eta: float = attrs.field(default=5e-6, validator=positive, converter=as_float)
    # the authors' code
    gamma: float = attrs.field(default=0.5, validator=share, converter=as_float)
    reweight: bool = attrs.field(default=False, validator=flag)
    reset_at: tuple[float, ...] = attrs.field(default=(), validator=rising, converter=as_floats)

    def rows(self, data: Dataset, run: RunState) -> Iterator[Tensor]:
        """Batches of nearly equal sizes, each drawn from the p updated by the batches before; with ``reweight`` uniformly."""
        memory = self._begin(data, run)
        generator = torch.Generator().manual_seed(derive(run.seed, "cfol", run.epoch))
        uniform = torch.randperm(len(data), generator=generator).tensor_split(self.count(data, run.recipe.batch_size))
        order, counts = data.labels.cpu().argsort(stable=True), torch.tensor(memory["counts"])
        first = counts.cumsum(0) - counts
        for part in uniform:
            p = self._next(memory, run)
            if self.reweight:
                yield part
                continue
            drawn = torch.multinomial(p, len(part), replacement=True, generator=generator)
            place = torch.rand(len(part), generator=generator, dtype=torch.float64) * counts[drawn]
            yield order[first[drawn] + place.to(torch.int64)]

    def observe(self, labels: Tensor, mistakes: Tensor, run: RunState) -> None:
        """Updates the class weights: adds eta · (mistakes in class c) / p_c to w_c, with the p that the batch was drawn from.

        With ``reweight``, p_c is the share of class c in the data. labels (B,), mistakes (B,).
        """
        memory = run.memory(self)
        if memory["pending"]:
            # a defense that takes several steps on a batch reports it several times
            memory["drawn"], memory["pending"] = memory["pending"][0], memory["pending"][1:]
        drawn = self._class_shares(memory) if self.reweight else torch.tensor(memory["drawn"], dtype=torch.float64)
        wrong = torch.bincount(labels.cpu(), weights=mistakes.cpu().double(), minlength=len(drawn))
        # a class that was not drawn has no mistakes
        gain = self.eta * wrong / drawn.clamp(min=torch.finfo(drawn.dtype).tiny)
        memory["w"] = (torch.tensor(memory["w"], dtype=torch.float64) + gain).tolist()

    def weights(self, labels: Tensor, run: RunState) -> Tensor | None:
        """p_c over the share of class c in the data, with ``reweight``."""
        if not self.reweight:
            return None
        memory = run.memory(self)
        ratio = self.distribution(memory) / self._class_shares(memory).clamp(min=torch.finfo(torch.float64).tiny)
        return ratio.float().to(labels.device)[labels]

    def distribution(self, memory: dict[str, Any]) -> Tensor:
        """p, (C,), computed from the memory; 0 for classes without examples."""
        there = torch.tensor(memory["counts"]) > 0
        w = torch.tensor(memory["w"], dtype=torch.float64).masked_fill(~there, -torch.inf)
        return self.gamma * there / there.sum() + (1 - self.gamma) * w.softmax(0)

    def _begin(self, data: Dataset, run: RunState) -> dict[str, Any]:
        """The memory of the sampler, prepared for a new epoch: the size of each class, and no mistakes yet."""
        memory = run.memory(self)
        if len(memory.get("pending", ())) > 1:
            raise UnsupportedError(
                f"{self} learns from the mistakes of each batch, and {run.defense} reported none; allowed are defenses that "
                "leave the step to the run"
            )
        classes = max(run.classes, data.classes)
        memory["counts"] = torch.bincount(data.labels.cpu(), minlength=classes).tolist()
        memory["pending"] = []
        memory.setdefault("w", [0.0] * classes)
        return memory

    def _next(self, memory: dict[str, Any], run: RunState) -> Tensor:
        """The class distribution p of the next batch, (C,).

        It is queued until ``observe`` gets that batch, because an update with look-ahead draws a batch before the previous one
        is observed.
        """
        passed = sum(run.progress >= one for one in self.reset_at)
        if passed > memory.get("resets", 0):
            memory["w"] = [0.0] * len(memory["w"])
        memory["resets"] = passed
        p = self.distribution(memory)
        memory["pending"] = [*memory["pending"], p.tolist()]
        run.log(cfol_largest=float(p.max()))
        return p

    def _class_shares(self, memory: dict[str, Any]) -> Tensor:
        """The share of each class in the data, (C,)."""
        counts = torch.tensor(memory["counts"], dtype=torch.float64)
        return counts / counts.sum()
