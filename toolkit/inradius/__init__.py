"""inradius: attacks and certificates on the same set, reported as one bracket.

Importing it loads no plugin; plugins load when a name is first looked up.
"""

from inradius._component import Component as Component
from inradius._version import __version__ as __version__
from inradius.attack import Attack as Attack
from inradius.attack import Attacked as Attacked
from inradius.bpda import BPDA as BPDA
from inradius.certifier import Bounds as Bounds
from inradius.certifier import Certificate as Certificate
from inradius.certifier import Certifier as Certifier
from inradius.certifier import Property as Property
from inradius.curve import bracket_curve as bracket_curve
from inradius.curve_rule import CurveRule as CurveRule
from inradius.data import Dataset as Dataset
from inradius.defense import Defense as Defense
from inradius.detection import suspicious as suspicious
from inradius.errors import ContradictionError as ContradictionError
from inradius.errors import DivergenceError as DivergenceError
from inradius.errors import InputError as InputError
from inradius.errors import InradiusError as InradiusError
from inradius.errors import PluginError as PluginError
from inradius.errors import PluginWarning as PluginWarning
from inradius.errors import SpecError as SpecError
from inradius.errors import UnsupportedError as UnsupportedError
from inradius.evaluate import bracket as bracket
from inradius.flags import model_flags as model_flags
from inradius.flags import result_flags as result_flags
from inradius.hookspecs import hookimpl as hookimpl
from inradius.layers import LayerRule as LayerRule
from inradius.layers import Operator as Operator
from inradius.layers import Relaxation as Relaxation
from inradius.models import fingerprint as fingerprint
from inradius.models import load_model as load_model
from inradius.models import load_weights as load_weights
from inradius.normalize import Normalize as Normalize
from inradius.objective import DLR as DLR
from inradius.objective import CrossEntropy as CrossEntropy
from inradius.objective import Margin as Margin
from inradius.objective import Objective as Objective
from inradius.objective import Targeted as Targeted
from inradius.optimization import optimize as optimize
from inradius.radius import Radii as Radii
from inradius.radius import radii as radii
from inradius.registry import layer_rules as layer_rules
from inradius.registry import make as make
from inradius.report import Report as Report
from inradius.run import Run as Run
from inradius.stream import Stream as Stream
from inradius.streams import Streams as Streams
from inradius.subject import Subject as Subject
from inradius.threat import AffineOperator as AffineOperator
from inradius.threat import Oracles as Oracles
from inradius.threat import PerExample as PerExample
from inradius.threat import ThreatModel as ThreatModel
from inradius.training.train import train as train
