"""Functions of loaded modules with other code, and plugins loaded again from other text."""

import ast
import sys
from types import CodeType, FunctionType


def inside_functions(old, new):
    """True where two sources differ in bodies of functions alone."""
    return _outside(old) == _outside(new)


def _outside(source):
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [ast.Pass()]
    return ast.dump(tree)


def exchange(path, source):
    """Gives each function of a loaded module the code that the source has for it."""
    module = next(each for each in list(sys.modules.values()) if getattr(each, "__file__", None) == str(path))
    for name, code in _functions(compile(source, str(path), "exec")):
        function = _live(module, name.split("."))
        if function is not None:
            function.__code__ = code


def _functions(code):
    """The functions of a module and of its classes by their qualified names; those within functions belong to these."""
    for part in code.co_consts:
        if isinstance(part, CodeType) and "<" not in part.co_qualname:
            yield part.co_qualname, part
            yield from _functions(part)


def _live(owner, names):
    """The function under a qualified name, without its decorators; None where the name is a class or a name within a function."""
    for name in names:
        owner = vars(owner).get(name) if hasattr(owner, "__dict__") else None
        if owner is None:
            return None
    while not isinstance(owner, FunctionType) or hasattr(owner, "__wrapped__"):
        inner = [getattr(owner, name, None) for name in ("fget", "__func__", "func", "__wrapped__")]
        owner = next((each for each in inner if each is not None), None)
        if owner is None:
            return None
    return owner


def load_again(path, source):
    """Writes the source, imports its plugin again, and lets the registry ask for what it brings."""
    from inradius.components import installed, registry

    package = path.relative_to(next(p for p in path.parents if p.name == "plugins")).parts[0]
    text = path.read_text("utf-8")
    try:
        path.write_text(source, "utf-8")
        sys.dont_write_bytecode = True
        for name in [each for each in sys.modules if each.split(".")[0] == package]:
            del sys.modules[name]
        # read from the text, and not from what it was compiled to
        for folder in path.parent.rglob("__pycache__"):
            for compiled in folder.glob(f"{path.stem}.*"):
                compiled.unlink()
        for cached in (installed.host, registry.entries, registry.layer_rules):
            cached.cache_clear()
        registry.entries()
    finally:
        path.write_text(text, "utf-8")
