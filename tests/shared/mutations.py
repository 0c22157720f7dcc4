"""Mutations: a text in a function of the running plugin is replaced by another, and then a law must fail.

A rewritten function needs rewritten mutations. The error names the text that is missing.
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
    """The replacement of a text of a function, the class or module that holds the function, and the law that must fail."""

    owner: object
    name: str
    old: str
    new: str
    law: partial

    def __str__(self):
        where = getattr(self.owner, "__name__", "").rpartition(".")[2]
        return f"{where}.{self.name}: {self.old} -> {self.new or 'nothing'}"

    def apply(self, patch):
        """Puts the changed function in every place of the plugin that holds the old one."""
        held = inspect.getattr_static(self.owner, self.name)
        # a property or a cached property holds the function
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
        """Passes if the law fails with the mutation."""
        self.apply(patch)
        with pytest.raises(FAILURES):
            self.law()


def laws_of(mutations):
    """Each law once."""
    return list({_key(mutation.law): mutation.law for mutation in mutations}.values())


def _key(law):
    return (law.func, law.args, tuple(law.keywords.items())) if isinstance(law, partial) else law


def name_of(law):
    """The name of a law's test."""
    return getattr(law, "func", law).__name__
