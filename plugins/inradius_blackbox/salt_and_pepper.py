"""Salt and pepper: random pixels at the ends of the box, ever fewer of them."""

from typing import ClassVar

import attrs
import torch
from attrs.validators import in_
from torch import Tensor

from inradius import Attack, AttackBatch, Observer
from inradius.components.validators import count
from inradius.sets.examples import expand
from inradius_blackbox.decisions import Decisions
from inradius_blackbox.feasible_box import corners_of
from inradius_blackbox.pixels import channels_of


@attrs.frozen(kw_only=True)
class SaltAndPepper(Attack):
    """The adversarial salt-and-pepper noise of the smallest gauge that it finds, from predictions alone.

    The share of the pixels that are set to an end of the box grows from 0 to 1 in as many tries as there are queries. After
    a hit it grows again, from half of the share that hit. Noise that is not closer than the best is not asked for, and so
    costs no query. With ``per="coordinate"``, and for inputs that are no images, each number counts by itself.
    Raises ``UnsupportedError`` for sets without a box.
    Source: schott2019.
    """

    aims: ClassVar[bool] = True
    minimal: ClassVar[bool] = True
    black_box: ClassVar[bool] = True

    # as in foolbox 3
    queries: int = attrs.field(default=1000, validator=count)
    per: str = attrs.field(default="pixel", validator=in_(("pixel", "coordinate")))

    @torch.no_grad()
    def perturb(self, batch: AttackBatch, *, observe: Observer | None = None) -> Tensor:
        decisions = Decisions(batch, self.queries, observe)
        season(decisions, self.queries - 2, channels_of(batch.x, self.per), self)
        return decisions.best


def season(decisions: Decisions, tries: int, channels: int, asker: Attack) -> None:
    """Tries salt and pepper on every example that is not adversarial as it is."""
    whole = decisions.whole
    low, high = corners_of(whole.threat, whole.x, asker)
    decisions.ask(whole, torch.zeros_like(whole.x))
    shares = _Shares(whole.x, tries)
    for number in range(tries):
        part = decisions.survivors()
        if not len(part):
            break
        noise = _noise(part, shares.now[part.rows], channels, low[part.rows], high[part.rows])
        gauge = part.threat.gauge(noise, part.x)
        near = (gauge < decisions.gauge[part.rows]).nonzero().squeeze(1)
        fooled = torch.zeros(len(whole), dtype=torch.bool, device=whole.x.device)
        fooled[part.rows[near]] = decisions.ask(part.take(near), noise[near])
        shares.advance(fooled, tries - number)
        decisions.show()
        whole.rng.advance()


def _noise(part: AttackBatch, share: Tensor, channels: int, low: Tensor, high: Tensor) -> Tensor:
    """Pixels at either end with half of the share each, (n, *S)."""
    size = part.x.shape[1:].numel() // channels
    draws = part.rng.uniform((1, size), dtype=torch.float32).to(part.x.device)
    draws = draws.expand(-1, channels, -1).reshape(part.x.shape)
    half = expand(share, draws) / 2
    salted = torch.where(draws >= 1 - half, high, torch.zeros_like(high))
    return torch.where(draws < half, low, salted)


class _Shares:
    """The share of the pixels that each example's next try changes, (B,)."""

    def __init__(self, x: Tensor, tries: int) -> None:
        self._least = torch.zeros(len(x), device=x.device)
        self._most = torch.ones_like(self._least)
        self._step = self._most / max(1, tries)
        self.now = self._step.clone()

    def advance(self, fooled: Tensor, left: int) -> None:
        """Goes on: after a hit from half of the share that hit, up to a fifth above it."""
        self._least = torch.where(fooled, self.now / 2, self._least)
        self._most = torch.where(fooled, (self.now * 1.2).clamp(max=1), self._most)
        self._step = torch.where(fooled, (self._most - self._least) / left, self._step)
        again = fooled | (self.now >= self._most)
        self.now = torch.minimum(torch.where(again, self._least, self.now) + self._step, self._most)
