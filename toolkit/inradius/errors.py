"""Every error a user can meet: one sentence, what was given, what is wrong, what is allowed."""


class InradiusError(Exception):
    """Base of all errors that are somebody's mistake and not a bug of inradius."""


class SpecError(InradiusError, ValueError):
    """A spec cannot be read, names nothing known, or has a wrong parameter."""


class InputError(InradiusError, ValueError):
    """Images, labels, logits or weights are not what they must be."""


class StorageError(InradiusError, OSError):
    """A file cannot be written: the disk is full, or the folder is gone."""


class PluginError(InradiusError, RuntimeError):
    """A plugin breaks the contract of its interface; the message names the plugin."""


class UnsupportedError(InradiusError, NotImplementedError):
    """The question is sound but no rule, oracle or package here answers it."""


class ContradictionError(InradiusError, RuntimeError):
    """An example is certified and attacked at once: the attack or the certificate is wrong."""


class DivergenceError(InradiusError, ArithmeticError):
    """Training cannot go on: the loss or its gradient is no longer finite."""


def reason(error: Exception) -> str:
    """The message of an exception; the first argument alone if there are several, as attrs' validators give them."""
    return str(error.args[0]) if error.args else str(error)


class PluginWarning(UserWarning):
    """A plugin was left out, or one of its answers was rejected."""
