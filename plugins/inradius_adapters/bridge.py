"""The model under attack as a network that other libraries can call."""

import torch
from torch import Tensor, nn

from inradius import CountedModel
from inradius.sets.box import Box


class Bridge(nn.Module):
    """Logits (n, C) for images of another shape, box, type or device than the subject's; every image is a query.

    Libraries go on with a part of the batch without a word. Each image of such a call counts for the example that it is
    nearest to, so that the sum of the queries is exact.
    """

    def __init__(self, subject: CountedModel, x: Tensor, unit_box: Box = None) -> None:
        super().__init__()
        self._subject: CountedModel | None = subject
        self._x = x
        self._unit_box = unit_box
        # libraries ask the first parameter where the network is
        self._place = nn.Parameter(torch.zeros(1, dtype=x.dtype, device=x.device), requires_grad=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """The logits, in the type and on the device of the images, (n, C)."""
        if self._subject is None:
            raise RuntimeError("the attack is over, and its model is called still")
        z = images.to(self._x).view(len(images), *self._x.shape[1:])
        if self._unit_box is not None:
            low, high = self._unit_box
            z = low + (high - low) * z
        asked = self._subject if len(z) == len(self._x) else self._subject.take(self._nearest(z))
        return asked(z).to(images)

    @torch.no_grad()
    def _nearest(self, z: Tensor) -> Tensor:
        return torch.cdist(z.flatten(1), self._x.flatten(1)).argmin(1)

    def classes(self) -> int:
        """The number of classes of the model, at the price of one query of the first example."""
        if self._subject is None:
            raise RuntimeError("the attack is over, and its model is called still")
        with torch.no_grad():
            return self._subject.take(torch.zeros(1, dtype=torch.int64, device=self._x.device))(self._x[:1]).shape[1]

    def close(self) -> None:
        """Lets go of the subject and the images: torchattacks never forgets a model."""
        self._subject, self._x = None, self._x[:0]
