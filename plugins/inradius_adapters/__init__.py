"""Other libraries' attacks as components, checked like any other."""

from inradius import Attack, hookimpl
from inradius_adapters.adv_lib import AdvLib
from inradius_adapters.art import ART
from inradius_adapters.foolbox import Foolbox
from inradius_adapters.torchattacks import Torchattacks


@hookimpl
def attacks() -> list[type[Attack]]:
    return [AdvLib, Foolbox, Torchattacks, ART]
