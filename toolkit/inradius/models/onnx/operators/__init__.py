"""Operators of ONNX as functions of torch tensors, by family; a family is a table by the operators' names."""

from collections.abc import Callable

from inradius.models.onnx.call import Apply, Call
from inradius.models.onnx.operators.activations import ACTIVATIONS
from inradius.models.onnx.operators.arithmetic import ARITHMETIC
from inradius.models.onnx.operators.convolution import CONVOLUTIONS
from inradius.models.onnx.operators.elementwise import ELEMENTWISE
from inradius.models.onnx.operators.indexing import INDEXING
from inradius.models.onnx.operators.linear import PRODUCTS
from inradius.models.onnx.operators.logic import LOGIC
from inradius.models.onnx.operators.normalisation import NORMALISATIONS
from inradius.models.onnx.operators.pieces import PIECES
from inradius.models.onnx.operators.pooling import POOLS
from inradius.models.onnx.operators.recurrent import RECURRENT
from inradius.models.onnx.operators.reductions import REDUCTIONS
from inradius.models.onnx.operators.resampling import RESAMPLING
from inradius.models.onnx.operators.shapes import SHAPES

Table = dict[str, Callable[[Call], Apply]]

FAMILIES: dict[str, Table] = {
    "Arithmetic": ARITHMETIC,
    "Functions of each number": ELEMENTWISE,
    "Activations": ACTIVATIONS,
    "Products of matrices": PRODUCTS,
    "Convolutions": CONVOLUTIONS,
    "Pooling": POOLS,
    "Normalisation": NORMALISATIONS,
    "Reductions": REDUCTIONS,
    "Shapes": SHAPES,
    "Pieces and places": PIECES | INDEXING,
    "Resampling": RESAMPLING,
    "Recurrent layers": RECURRENT,
    "Comparisons, logic and types": LOGIC,
}
OPERATORS: Table = {name: lower for table in FAMILIES.values() for name, lower in table.items()}
# their results are no larger than the product of the sizes of what they are given
BROADCASTING = frozenset({*ARITHMETIC, *ELEMENTWISE, *ACTIVATIONS, *LOGIC})
