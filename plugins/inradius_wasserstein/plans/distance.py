"""The transport distance between images."""

import torch
from torch import Tensor

from inradius import InputError
from inradius_wasserstein.entropic.transport import entropic_cost
from inradius_wasserstein.plans.transport import ChannelPlan, MoveTable, cheapest, plan_cost
from inradius_wasserstein.set.costs import distances
from inradius_wasserstein.set.moves import PixelMoves, window_costs, window_moves

_METHODS = ("exact", "sinkhorn")


def distance(
    a: Tensor,
    b: Tensor,
    *,
    kernel: int | None = None,
    p: float = 1.0,
    cost: Tensor | None = None,
    method: str = "exact",
    regularization: float = 0.1,
    tolerance: float = 1e-4,
    iterations: int = 10_000,
) -> Tensor:
    """min ⟨C, P⟩ over the plans P ≥ 0 that carry image a to image b, both (B, channels, H, W), (B,).

    Channels are transported separately, and their costs are added up. The result per unit of mass is this value over
    the image's mass. A unit of mass pays ‖i − j‖₂^p for a move within the ``kernel`` × ``kernel`` window of its pixel
    (None: anywhere). ``cost`` (H·W, H·W) replaces both; inf forbids a move. The value is inf where no plan is allowed.

    ``method="exact"`` is the network simplex. ``"sinkhorn"`` is the cost of the plan that is cheapest when
    ``regularization`` · KL(P | a bᵀ) is added to the cost of a unit of mass, with marginals that are right up to
    ``tolerance`` of the mass. Its value is above the exact one, and near it where the regularisation is small. Its
    gradient is that of the regularised cost. A small regularisation needs many ``iterations``.
    Raises ``InputError`` for images of different shapes or masses, or with negative pixels.
    Source: bonneel2011, cuturi2013.
    """
    if method not in _METHODS:
        raise InputError(f"method={method!r} is unknown; allowed are {' and '.join(map(repr, _METHODS))}")
    _check_images(a, b)
    there, back = _moves(a, kernel, p, cost)
    dtype = torch.promote_types(a.dtype, b.dtype)
    if method == "exact":
        return _exact(a, b, there).to(dtype)
    if regularization <= 0:
        raise InputError(f"regularization={regularization!r} is not allowed; allowed is a number > 0")
    first, second = (image.double().flatten(0, 1).flatten(1) for image in (a, b))
    mass = first.detach().sum(1)
    # an image without mass has nothing to carry
    full = mass > 0
    scale = mass[full][:, None]
    units = entropic_cost(
        first[full] / scale,
        second[full] / second.detach().sum(1)[full][:, None],
        there,
        back,
        regularization=regularization,
        tolerance=tolerance,
        iterations=iterations,
    )
    costs = torch.zeros_like(mass).index_put((full.nonzero().squeeze(1),), units * scale[:, 0])
    return costs.view(a.shape[:2]).sum(1).to(dtype)


def flows(
    a: Tensor, b: Tensor, *, kernel: int | None = None, p: float = 1.0, cost: Tensor | None = None
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """The moves of the cheapest plan from each image a to its b: source pixels, target pixels, amounts, (k,) each.

    Pixels are counted along the rows of the image, one channel after the other. The parameters are those of
    ``distance``.
    """
    _check_images(a, b)
    table = MoveTable.of(_moves(a, kernel, p, cost)[0])
    first, second = (image.detach().double().cpu().flatten(2).numpy() for image in (a, b))
    return [
        _merged([cheapest(*channel, table) for channel in zip(*pair, strict=True)])
        for pair in zip(first, second, strict=True)
    ]


def _merged(plans: list[ChannelPlan]) -> tuple[Tensor, Tensor, Tensor]:
    source, target, amount = (
        torch.cat([torch.from_numpy(getattr(plan, name)) for plan in plans]) for name in ("source", "target", "amount")
    )
    return source, target, amount


def _exact(a: Tensor, b: Tensor, moves: PixelMoves) -> Tensor:
    coarser = a.dtype if torch.finfo(a.dtype).eps > torch.finfo(b.dtype).eps else b.dtype
    first, second = a.detach().double(), b.detach().double()
    sums = second.sum((2, 3), keepdim=True)
    scaled = second * torch.where(sums > 0, first.sum((2, 3), keepdim=True) / sums, torch.ones_like(sums))
    cost, unmatched = plan_cost(scaled - first, first, moves)
    slack = _slack(coarser) * first.flatten(1).sum(1)
    return torch.where(unmatched <= slack, cost, torch.inf)


def _slack(dtype: torch.dtype) -> float:
    """The share of an image's mass by which rounding may change it."""
    return 64 * torch.finfo(dtype).eps


def _moves(a: Tensor, kernel: int | None, p: float, cost: Tensor | None) -> tuple[PixelMoves, PixelMoves]:
    """The moves from each pixel of one channel, and the moves to each pixel."""
    height, width = a.shape[-2:]
    if cost is None:
        if p <= 0 or (kernel is not None and (kernel < 1 or kernel % 2 == 0)):
            raise InputError(
                f"kernel={kernel!r}, p={p!r} define no costs; allowed are an odd kernel or None, and p > 0"
            )
        if kernel is not None:
            moves = window_moves(window_costs(kernel, p), height, width, a.device, torch.float64)
            return moves, moves
        cost = distances(height, width, p)
    size = height * width
    if cost.shape != (size, size) or bool((cost.isnan() | (cost < 0)).any()):
        raise InputError(
            f"cost of shape {tuple(cost.shape)} is not a table of costs between the {size} pixels of a channel; "
            f"allowed are numbers ≥ 0 (inf: not allowed) of shape ({size}, {size})"
        )
    prices = cost.detach().to(a.device, torch.float64)
    return _full_moves(prices), _full_moves(prices.T)


def _full_moves(prices: Tensor) -> PixelMoves:
    """The moves at the costs of a table (n, n), in the order of the pixels."""
    valid = prices.isfinite()
    target = torch.arange(len(prices), device=prices.device).expand_as(prices)
    return PixelMoves(target, torch.where(valid, prices, torch.zeros_like(prices)), valid)


def _check_images(a: Tensor, b: Tensor) -> None:
    if a.ndim != 4 or a.shape != b.shape:
        raise InputError(
            f"shapes {tuple(a.shape)} and {tuple(b.shape)} differ or are not images; "
            "allowed are two batches of images of one shape, (batch, channels, height, width)"
        )
    for image in (a, b):
        bad = ((image < 0) | ~image.isfinite()).flatten(1).any(1)
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            raise InputError(
                f"image {row} has negative or infinite pixels, which are not a mass; allowed are pixels ≥ 0"
            )
    first, second = (image.detach().double().sum((2, 3)) for image in (a, b))
    slack = max(_slack(a.dtype), _slack(b.dtype))
    bad = ((first - second).abs() > slack * torch.maximum(first, second)).any(1)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        raise InputError(
            f"the channels of pair {row} have the masses {first[row].tolist()} and {second[row].tolist()}; "
            "allowed are equal masses, channel by channel, so divide images by their mass first"
        )
