"""Attacks of adv-lib, Foolbox and torchattacks for the smallest perturbation, at about 1000 queries; for ``minimal_norm.py``."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

# images and labels -> perturbations
Perturb = Callable[[Tensor, Tensor], Tensor]

ORDERS = {"linf": float("inf"), "l2": 2.0, "l1": 1.0, "l0": 0.0}
# a forward and a backward pass each, so 1000 queries
STEPS = 500
# beyond every answer
_FAR = {"linf": 1.0, "l2": 30.0, "l1": 800.0}
# FAB asks more than once a step
_FAB = STEPS // 5


def adv_lib(model: nn.Module, norm: str) -> dict[str, Perturb]:
    """adv-lib's attacks, its own defaults but for the number of steps."""
    from adv_lib import attacks as library
    from adv_lib.attacks.auto_pgd import minimal_apgd

    order, searches = ORDERS[norm], 20
    calls: dict[str, Callable[..., Tensor]] = {
        "fmn": lambda x, y: library.fmn(model, x, y, norm=order, steps=STEPS),
        "pdpgd": lambda x, y: library.pdpgd(model, x, y, norm=order, num_steps=STEPS),
    }
    if norm == "l0":
        calls["sigma_zero"] = lambda x, y: library.sigma_zero(model, x, y, num_steps=STEPS)
        calls["vfga"] = lambda x, y: library.vfga(model, x, y, targeted=False)
    else:
        calls["fab"] = lambda x, y: library.fab(model, x, y, norm=order, n_iter=_FAB)
        calls["apgd, bisected"] = lambda x, y: minimal_apgd(
            model, x, y, norm=order, max_eps=_FAR[norm], n_iter=STEPS // searches
        )
    if norm == "l2":
        calls["ddn"] = lambda x, y: library.ddn(model, x, y, steps=STEPS, levels=None)
        calls["alma"] = lambda x, y: library.alma(model, x, y, num_steps=STEPS)
        calls["pdgd"] = lambda x, y: library.pdgd(model, x, y, num_steps=STEPS)
    return {f"adv-lib {name}": lambda x, y, c=call: c(x.clone(), y) - x for name, call in calls.items()}


def foolbox(model: nn.Module, norm: str) -> dict[str, Perturb]:
    """Foolbox's attacks, its own defaults but for the number of steps."""
    import foolbox as library

    kinds = library.attacks
    fmn = {"linf": kinds.LInfFMNAttack, "l2": kinds.L2FMNAttack, "l1": kinds.L1FMNAttack, "l0": kinds.L0FMNAttack}
    attacks = {"fmn": fmn[norm](steps=STEPS)}
    if norm == "l2":
        attacks["ddn"] = kinds.DDNAttack(steps=STEPS)
    if norm == "l1":
        attacks["ead"] = kinds.EADAttack(binary_search_steps=3, steps=STEPS // 3)
    wrapped = library.PyTorchModel(model.eval(), bounds=(0, 1))
    return {
        f"foolbox {name}": lambda x, y, a=attack: torch.nan_to_num(a(wrapped, x, y, epsilons=None)[0] - x)
        for name, attack in attacks.items()
    }


def torchattacks(model: nn.Module, norm: str) -> dict[str, Perturb]:
    """torchattacks' FAB; its other attacks keep to a radius, or search far below this budget."""
    import torchattacks as library

    names = {"linf": "Linf", "l2": "L2"}
    if norm not in names:
        return {}
    attack = library.FAB(model, norm=names[norm], eps=_FAR[norm], steps=_FAB, n_restarts=1)
    return {"torchattacks fab": lambda x, y: attack(x, y) - x}


LIBRARIES: Mapping[str, Callable[[nn.Module, str], dict[str, Perturb]]] = {
    "adv-lib": adv_lib,
    "foolbox": foolbox,
    "torchattacks": torchattacks,
}
