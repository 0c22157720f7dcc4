"""Other libraries' attacks as components, checked like any other."""

from typing import Any

from inradius import Attack, hookimpl
from inradius_adapters.adv_lib import AdvLib
from inradius_adapters.art import ART
from inradius_adapters.foolbox import Foolbox
from inradius_adapters.torchattacks import Torchattacks


@hookimpl
def attacks() -> list[type[Attack]]:
    return [AdvLib, Foolbox, Torchattacks, ART]


@hookimpl
def law_cases() -> dict[str, dict[str, Any]]:
    # one by one, so that batch mates change nothing; a library that is not installed says so in the table
    return {
        "adv_lib('fmn', steps=4, one_by_one=True)": {"threat": "l2(eps=0.5)"},
        "foolbox('LinfPGD', steps=4, one_by_one=True)": {},
        "torchattacks('PGD', steps=3, alpha=0.1, one_by_one=True)": {},
        "art('ProjectedGradientDescent', max_iter=3, eps_step=0.1, one_by_one=True)": {},
    }
