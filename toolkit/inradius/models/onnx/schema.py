"""What the standard says that an operator may be given: attributes, numbers of inputs and outputs, and types."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch

from inradius.errors import InputError
from inradius.models.onnx.library import onnx_library
from inradius.models.onnx.node import KINDS, Node
from inradius.models.onnx.tensors import SPELLED

# the standard has withdrawn a version, and exporters write it
_STILL_IN_USE = ("GroupNormalization",)


def check_node(node: Node) -> None:
    """Raises an error with the node's name where the standard knows no such node."""
    schema = _schema(node.op, node.opset)
    if schema is None or (schema.deprecated and node.op not in _STILL_IN_USE):
        node.refuse(f"is no operator of operator set {node.opset}; allowed are those of the standard")
    for name, value in node.attributes.items():
        if name not in schema.attributes:
            known = ", ".join(sorted(schema.attributes)) or "none"
            raise InputError(f"{node} has the attribute {name!r}; allowed are {known}")
        kind = schema.attributes[name].type.value
        if KINDS.get(kind) is not type(value) and not (KINDS.get(kind) is not None and isinstance(value, KINDS[kind])):
            raise InputError(f"{node} has the attribute {name!r} of another type than the standard's")
    if missing := [name for name, attribute in schema.attributes.items() if attribute.required]:
        missing = [name for name in missing if name not in node.attributes]
    if missing:
        raise InputError(f"{node} has no attribute {missing[0]!r}, which the operator needs")
    for what, names, least, most in (
        ("inputs", node.inputs, schema.min_input, schema.max_input),
        ("outputs", node.outputs, schema.min_output, schema.max_output),
    ):
        if not least <= len(names) <= most:
            raise InputError(f"{node} has {len(names)} {what}; allowed are {least} to {most}")


def check_types(node: Node, dtypes: Sequence[torch.dtype | None]) -> None:
    """Raises ``InputError`` where an input has a type that the operator does not take; None is an input that is left out."""
    schema = _schema(node.op, node.opset)
    bound: dict[str, torch.dtype] = {}
    for index, dtype in enumerate(dtypes):
        formal = schema.inputs[min(index, len(schema.inputs) - 1)]
        if dtype is None:
            if formal.option.name == "Single":
                raise InputError(f"{node} lacks its input {formal.name!r}, which the operator needs")
            continue
        if SPELLED[dtype] not in formal.types:
            raise InputError(f"{node} has an input {formal.name!r} of type {_named(dtype)}; the operator takes others")
        together = formal.option.name != "Variadic" or formal.is_homogeneous
        if together and bound.setdefault(formal.type_str, dtype) != dtype:
            raise InputError(
                f"{node} has inputs of types {_named(bound[formal.type_str])} and {_named(dtype)}; allowed is one type"
            )


@lru_cache(maxsize=1024)
def _schema(op: str, opset: int) -> Any:
    defs = onnx_library("the file").defs
    try:
        return defs.get_schema(op, opset, "")
    except defs.SchemaError:
        return None


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
