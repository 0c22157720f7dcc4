"""Mutations: a piece of a function's text for another, in the running plugin, and the law that must fail then.

Where a function is rewritten its mutations are as well; the error says which text is gone.
"""

import inspect
import sys
import textwrap
from functools import partial

import attrs
import pytest
from hypothesis.errors import HypothesisException

from inradius import UnsupportedError

FAILURES = (AssertionError, RuntimeError, IndexError, HypothesisException, UnsupportedError, pytest.fail.Exception)


@attrs.frozen(eq=False)
class Mutation:
    """One text of a function for another, in the class or module that holds it, and the law that must fail then."""

    owner: object
    name: str
    old: str
    new: str
    law: partial

    def __str__(self):
        where = getattr(self.owner, "__name__", "").rpartition(".")[2]
        return f"{where}.{self.name}: {self.old} -> {self.new or 'nothing'}"

    def apply(self, patch):
        """Puts the changed function wherever the plugin holds the old one."""
        held = inspect.getattr_static(self.owner, self.name)
        # a property, or one that is kept
        function = getattr(held, "fget", None) or getattr(held, "func", held)
        text = textwrap.dedent(inspect.getsource(function))
        assert text.count(self.old) >= 1, f"{self}: the text is not there any more; write the mutation of what is"
        made = {}
        code = compile(text.replace(self.old, self.new), f"<{self}>", "exec")
        exec(code, inspect.unwrap(function).__globals__, made)
        changed = made[self.name]
        if inspect.isclass(self.owner):
            if hasattr(changed, "__set_name__"):
                changed.__set_name__(self.owner, self.name)
            patch.setattr(self.owner, self.name, changed)
            return
        for module in [
            each for name, each in sys.modules.items() if name.startswith(("inradius_bounds", "projection_laws"))
        ]:
            for known in [key for key, value in vars(module).items() if value is function]:
                patch.setattr(module, known, changed)

    def fails(self, patch):
        """The law fails where the mutation is applied."""
        self.apply(patch)
        with pytest.raises(FAILURES):
            self.law()


def laws_of(mutations):
    """Each law once."""
    return list({_key(mutation.law): mutation.law for mutation in mutations}.values())


def _key(law):
    return (law.func, law.args, tuple(law.keywords.items())) if isinstance(law, partial) else law


def name_of(law):
    """What a test of a law is called."""
    return getattr(law, "func", law).__name__
