"""The law kit: the laws of each kind of component.

Laws are checked on random cases.

A plugin's test is one call, ``check_threat_model("tint(eps=0.1)")``, or one test for each law:
``@pytest.mark.parametrize("law", laws(ThreatModel))`` around ``check_threat_model(..., only=[law])``. Laws are plain
functions of a component and a case. In ``inradius.testing.reference``, cvxpy answers the oracles of a set.
"""

from inradius.testing.check import check_attack as check_attack
from inradius.testing.check import check_certifier as check_certifier
from inradius.testing.check import check_dataset as check_dataset
from inradius.testing.check import check_layer_rule as check_layer_rule
from inradius.testing.check import check_model as check_model
from inradius.testing.check import check_objective as check_objective
from inradius.testing.check import check_outcome as check_outcome
from inradius.testing.check import check_threat_model as check_threat_model
from inradius.testing.check_slots import check_defense as check_defense
from inradius.testing.check_slots import check_direction as check_direction
from inradius.testing.check_slots import check_monitor as check_monitor
from inradius.testing.check_slots import check_regularizer as check_regularizer
from inradius.testing.check_slots import check_sampler as check_sampler
from inradius.testing.check_slots import check_schedule as check_schedule
from inradius.testing.check_slots import check_transform as check_transform
from inradius.testing.check_slots import check_update as check_update
from inradius.testing.networks import Trial as Trial
from inradius.testing.networks import network as network
from inradius.testing.networks import trials as trials
from inradius.testing.plugin_cases import PluginCase as PluginCase
from inradius.testing.plugin_cases import plugin_cases as plugin_cases
from inradius.testing.plugin_cases import plugin_laws as plugin_laws
from inradius.testing.profiles import register_profiles as register_profiles
from inradius.testing.running import laws as laws
from inradius.testing.strategies import Case as Case
from inradius.testing.strategies import cases as cases
from inradius.testing.strategies import directions as directions
from inradius.testing.strategies import inputs as inputs
from inradius.testing.strategies import perturbations as perturbations
