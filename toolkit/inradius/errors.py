"""Every error a user can meet: one sentence, what was given, what is wrong, what is allowed."""


class InradiusError(Exception):
    """Base of all errors that are somebody's mistake and not a bug of inradius."""


class SpecError(InradiusError, ValueError):
    """A spec cannot be read, names nothing known, or has a wrong parameter."""


class InputError(InradiusError, ValueError):
    """Images, labels, logits or weights are not what they must be."""


class PluginError(InradiusError, RuntimeError):
    """A plugin breaks the contract of its interface; the message names the plugin."""


class UnsupportedError(InradiusError, NotImplementedError):
    """The question is sound but no rule, oracle or package here answers it."""


class ContradictionError(InradiusError, RuntimeError):
    """An example is certified and attacked at once: the attack or the certificate is wrong."""


class DivergenceError(InradiusError, ArithmeticError):
    """Training cannot go on: the loss or its gradient is no longer finite."""


class PluginWarning(UserWarning):
    """A plugin was left out, or one of its answers was rejected."""
