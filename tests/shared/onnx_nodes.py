"""A small graph around each operator of ONNX, with attributes, shapes and operator sets drawn at random."""

import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


class Case:
    """A graph that is put together node by node; ``x`` is its input, (1, *shape)."""

    def __init__(self, rng, opset=None):
        self.rng = rng
        self.opset = opset or rng.randint(7, 21)
        self.nodes, self.stored, self.count = [], [], 0

    def shape(self, least=0, most=3, long=4):
        return [self.rng.randint(1, long) for _ in range(self.rng.randint(least, most))]

    def numbers(self, shape, low=-2.0, high=2.0):
        size = math.prod(shape)
        return np.array([self.rng.uniform(low, high) for _ in range(size)], dtype=np.float32).reshape(shape)

    def store(self, values, dtype=None):
        values = np.asarray(values, dtype=dtype) if dtype else np.asarray(values)
        name = f"w{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(values, name))
        return name

    def floats(self, shape, low=-2.0, high=2.0):
        return self.store(self.numbers(shape, low, high))

    def ints(self, values):
        return self.store(np.array(values, dtype=np.int64))

    def add(self, op, *inputs, outputs=1, **attributes):
        names = [f"v{self.count + i}" for i in range(outputs)]
        self.count += outputs
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(op, inputs, names, name=f"the_{op}_{self.count}", **given))
        return names[0] if outputs == 1 else names

    def some(self, **attributes):
        """Some of the attributes; the others keep their defaults."""
        return {key: value for key, value in attributes.items() if self.rng.random() < 0.7}

    def model(self, shape, output, *, free=False, first=1, kind=FLOAT):
        first = "n" if free else first
        value = helper.make_tensor_value_info("x", FLOAT, [first, *shape])
        graph = helper.make_graph(
            self.nodes, "net", [value], [helper.make_tensor_value_info(output, kind, None)], initializer=self.stored
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def to_float(case, name):
    return case.add("Cast", name, to=FLOAT)


def unary(op, low=-2.0, high=2.0, since=7):
    """A function of each number, of numbers between two."""

    def make(case):
        case.opset = max(case.opset, since)
        shape = case.shape()
        middle, width = (low + high) / 2, (high - low) / 2
        # sin keeps the numbers within the domain
        x = case.add("Sin", "x")
        x = case.add("Add", case.add("Mul", x, case.store(np.float32(width))), case.store(np.float32(middle)))
        return shape, case.add(op, x)

    return make


def attributed(op, since=7, **ranges):
    """An activation with attributes between two numbers."""

    def make(case):
        case.opset = max(case.opset, since)
        return case.shape(), case.add(op, "x", **case.some(**{k: case.rng.uniform(*v) for k, v in ranges.items()}))

    return make


def broadcast(case, shape):
    """A shape that broadcasts with another one."""
    cut = shape[case.rng.randint(0, len(shape)) :]
    return [1 if case.rng.random() < 0.3 else n for n in cut]


def binary(op, low=-2.0, high=2.0, logical=False):
    def make(case):
        shape = case.shape(1)
        other = case.rng.choice(["weight", "self", "left"])
        weight = case.floats(broadcast(case, shape), low, high) if other != "self" else case.add("Exp", "x")
        x = "x"
        if logical:
            x, weight = (
                (case.add("Greater", v, case.store(np.float32(0.3))) for v in (x, weight))
                if case.opset >= 7
                else (x, weight)
            )
        pair = (weight, x) if other == "left" else (x, weight)
        if op == "Pow":
            pair = (case.add("Abs", pair[0]), pair[1])
        found = case.add(op, *pair)
        return shape, to_float(case, found) if logical or op in COMPARED else found

    return make


COMPARED = ("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual")


def compared(op, since):
    inner = binary(op)

    def make(case):
        case.opset = max(case.opset, since)
        return inner(case)

    return make


def variadic(op):
    def make(case):
        case.opset = max(case.opset, 8)
        shape = case.shape(1)
        others = [case.floats(broadcast(case, shape)) for _ in range(case.rng.randint(0, 2))]
        return shape, case.add(op, "x", *others)

    return make


def pow_(case):
    shape = case.shape(1)
    x = case.add("Exp", "x")
    if case.rng.random() < 0.5:
        return shape, case.add("Pow", x, case.store(np.float32(case.rng.choice([2, 3, 0.5, -1, -2, 1.5]))))
    return shape, case.add("Pow", x, case.floats(broadcast(case, shape)))


def mod(case):
    case.opset = max(case.opset, 10)
    shape = case.shape(1)
    return shape, case.add("Mod", "x", case.floats(broadcast(case, shape), 0.5, 2), fmod=1)


def int_div(case):
    shape = case.shape(1)
    x = case.add("Cast", case.add("Mul", "x", case.store(np.float32(5))), to=INT)
    op = case.rng.choice(["Div", "Mod"] if case.opset >= 10 else ["Div"])
    return shape, to_float(case, case.add(op, x, case.ints(case.rng.choice([-3, -2, 2, 3]))))


def matmul(case):
    k, n = case.rng.randint(1, 4), case.rng.randint(1, 4)
    shape = [*case.shape(0, 2), k]
    kind = case.rng.choice(["matrix", "vector", "stack", "left", "self"])
    if kind == "vector":
        return shape, case.add("MatMul", "x", case.floats([k]))
    if kind == "stack":
        m = case.rng.randint(1, 3)
        return [2, m, k], case.add("MatMul", "x", case.floats([2, k, n]))
    if kind == "left":
        m = case.rng.randint(1, 3)
        return [k, n], case.add("MatMul", case.floats([m, k]), "x")
    if kind == "self":
        m = case.rng.randint(1, 3)
        return [m, k], case.add("MatMul", "x", case.add("Transpose", "x", perm=[0, 2, 1]))
    return shape, case.add("MatMul", "x", case.floats([k, n]))


def gemm(case):
    k, n = case.rng.randint(1, 4), case.rng.randint(1, 4)
    trans = case.rng.randint(0, 1)
    inputs = ["x", case.floats([n, k] if trans else [k, n])]
    if case.opset < 11 or case.rng.random() < 0.8:
        inputs.append(case.floats(case.rng.choice([[n], [1, n], [1], [1, 1], []])))
    return [k], case.add("Gemm", *inputs, transB=trans, **case.some(alpha=0.5, beta=1.5, transA=0))


def einsum(case):
    case.opset = max(case.opset, 12)
    kind = case.rng.choice(["weight", "self", "trace"])
    if kind == "weight":
        return [3, 4], case.add("Einsum", "x", case.floats([4, 2]), equation="nij, jk -> nik")
    if kind == "self":
        return [3, 4], case.add("Einsum", "x", "x", equation="nij,nkj->nik")
    return [3, 3], case.add("Einsum", "x", equation="nij->nji")


def window(case, axes, sizes, transposed=False):
    """Attributes of windows over an image."""
    found = case.some(
        strides=[case.rng.randint(1, 3) for _ in range(axes)], dilations=[case.rng.randint(1, 2) for _ in range(axes)]
    )
    kind = case.rng.random()
    if kind < 0.5:
        found["pads"] = [case.rng.randint(0, 2) for _ in range(2 * axes)]
        if case.rng.random() < 0.5:
            found["pads"] = found["pads"][:axes] * 2
    elif kind < 0.8:
        found["auto_pad"] = case.rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
        if found["auto_pad"].startswith("SAME") and case.rng.random() < 0.5:
            found.pop("dilations", None)
    return found


def conv(case):
    axes, groups = case.rng.randint(1, 3), case.rng.choice([1, 1, 2])
    channels, out = groups * case.rng.randint(1, 2), groups * case.rng.randint(1, 2)
    kernel, image = [case.rng.randint(1, 3) for _ in range(axes)], [case.rng.randint(5, 7) for _ in range(axes)]
    inputs = ["x", case.floats([out, channels // groups, *kernel])]
    if case.rng.random() < 0.7:
        inputs.append(case.floats([out]))
    given = {"group": groups, **window(case, axes, image), **case.some(kernel_shape=kernel)}
    return [channels, *image], case.add("Conv", *inputs, **given)


def conv_transpose(case):
    axes, groups = case.rng.randint(1, 2), case.rng.choice([1, 1, 2])
    channels, out = groups * case.rng.randint(1, 2), case.rng.randint(1, 2)
    kernel, image = [case.rng.randint(1, 3) for _ in range(axes)], [case.rng.randint(3, 5) for _ in range(axes)]
    inputs = ["x", case.floats([channels, out, *kernel])]
    if case.rng.random() < 0.7:
        inputs.append(case.floats([out * groups]))
    given = {"group": groups, **window(case, axes, image)}
    strides = given.get("strides", [1] * axes)
    if case.rng.random() < 0.4:
        given["output_padding"] = [case.rng.randint(0, max(s - 1, 0)) for s in strides]
    if case.rng.random() < 0.2:
        given.pop("auto_pad", None)
        given.pop("pads", None)
        given["output_shape"] = [n * s + case.rng.randint(0, 1) for n, s in zip(image, strides, strict=True)]
    return [channels, *image], case.add("ConvTranspose", *inputs, **given)


def pool(op):
    def make(case):
        axes = case.rng.randint(1, 3)
        kernel, image = [case.rng.randint(1, 3) for _ in range(axes)], [case.rng.randint(5, 7) for _ in range(axes)]
        given = window(case, axes, image)
        if not (
            (op == "MaxPool" and case.opset >= 10)
            or (op == "AveragePool" and case.opset >= 19)
            or (op == "LpPool" and case.opset >= 18)
        ):
            given.pop("dilations", None)
        if case.opset >= (18 if op == "LpPool" else 10) and not given.get("auto_pad", "").startswith("SAME"):
            given |= case.some(ceil_mode=1)
        if op == "AveragePool":
            given |= case.some(count_include_pad=1)
        if op == "LpPool":
            given |= case.some(p=case.rng.randint(1, 3))
        return [2, *image], case.add(op, "x", kernel_shape=kernel, **given)

    return make


def whole(op):
    def make(case):
        return [2, *case.shape(1, 3)], case.add(op, "x", **(case.some(p=3) if op == "GlobalLpPool" else {}))

    return make


def batch_norm(case):
    channels = case.rng.randint(1, 3)
    weights = [case.floats([channels], 0.5, 2) for _ in range(4)]
    return [channels, *case.shape(0, 3)], case.add("BatchNormalization", "x", *weights, **case.some(epsilon=1e-3))


def instance_norm(case):
    channels = case.rng.randint(1, 3)
    weights = [case.floats([channels]) for _ in range(2)]
    return [channels, *[n + 1 for n in case.shape(1, 3)]], case.add(
        "InstanceNormalization", "x", *weights, **case.some(epsilon=1e-3)
    )


def layer_norm(case):
    case.opset = max(case.opset, 17)
    shape = [n + 1 for n in case.shape(1, 3)]
    axis = case.rng.randint(1, len(shape))
    inner = shape[axis - 1 :]
    inputs = ["x", case.floats(inner), *([case.floats(inner)] if case.rng.random() < 0.7 else [])]
    axis = axis if case.rng.random() < 0.5 else axis - len(shape) - 1
    return shape, case.add("LayerNormalization", *inputs, axis=axis, **case.some(epsilon=1e-3))


def group_norm(case):
    case.opset = max(case.opset, 18)
    groups, each = case.rng.randint(1, 3), case.rng.randint(1, 2)
    size = groups * each if case.opset >= 21 else groups
    weights = [case.floats([size]) for _ in range(2)]
    return [groups * each, *[n + 1 for n in case.shape(1, 2)]], case.add(
        "GroupNormalization", "x", *weights, num_groups=groups, **case.some(epsilon=1e-3)
    )


def lrn(case):
    return [case.rng.randint(1, 6), *case.shape(2, 2)], case.add(
        "LRN", "x", size=case.rng.choice([1, 3, 5]), **case.some(alpha=0.1, beta=0.5, bias=1.5)
    )


def lp_norm(case):
    shape = case.shape(1)
    return shape, case.add(
        "LpNormalization", "x", **case.some(p=case.rng.randint(1, 2)), axis=case.rng.choice([-1, len(shape)])
    )


def mvn(case):
    case.opset = max(case.opset, 9)
    return [2, 3, 4], case.add("MeanVarianceNormalization", "x", axes=case.rng.choice([[2, 3], [1, 2, 3], [1]]))


def reduce_(op):
    def make(case):
        shape = case.shape(1)
        axes = sorted(case.rng.sample(range(1, len(shape) + 1), case.rng.randint(1, len(shape))))
        if case.rng.random() < 0.3 and case.opset >= 11:
            axes = [a - len(shape) - 1 for a in axes]
        x = case.add("Abs", "x") if op == "ReduceLogSum" else "x"
        given = case.some(keepdims=0)
        if case.opset >= (13 if op == "ReduceSum" else 18):
            given |= case.some(noop_with_empty_axes=1)
            if "noop_with_empty_axes" in given and case.rng.random() < 0.3:
                return shape, case.add(op, x, **given)
            return shape, case.add(op, x, case.ints(axes), **given)
        return shape, case.add(op, x, axes=axes, **given)

    return make


def arg(op):
    def make(case):
        shape = case.shape(1)
        return shape, to_float(case, case.add(op, "x", axis=case.rng.randint(1, len(shape)), **case.some(keepdims=0)))

    return make


def reshape(case):
    shape = case.shape(1)
    size = math.prod(shape)
    first = case.rng.choice([n for n in range(1, size + 1) if size % n == 0])
    target = case.rng.choice(
        [
            [1, first, size // first],
            [1, -1],
            [0, -1],
            [-1, first, size // first],
            [1, first, -1, 1],
            [0, first, size // first],
        ]
    )
    return shape, case.add("Reshape", "x", case.ints(target))


def flatten(case):
    shape = case.shape()
    return shape, case.add(
        "Flatten", "x", axis=case.rng.randint(1, len(shape) + 1) if case.rng.random() < 0.8 else None
    )


def squeeze(case):
    shape = [1 if case.rng.random() < 0.5 else n for n in case.shape(1)]
    axes = [i + 1 for i, n in enumerate(shape) if n == 1]
    if not axes:
        return shape, case.add("Identity", "x")
    return shape, case.add("Squeeze", "x", case.ints(axes)) if case.opset >= 13 else case.add("Squeeze", "x", axes=axes)


def unsqueeze(case):
    shape = case.shape(0, 2)
    axes = case.rng.choice([[1], [2], [1, 2], [1, 3]] if shape else [[1], [1, 2]])
    axes = [a for a in axes if a < len(shape) + 1 + len(axes)]
    if case.opset >= 13 and case.rng.random() < 0.4:
        axes = [a - len(shape) - 1 - len(axes) for a in axes]
    return shape, case.add("Unsqueeze", "x", case.ints(axes)) if case.opset >= 13 else case.add(
        "Unsqueeze", "x", axes=axes
    )


def transpose(case):
    shape = case.shape()
    order = list(range(1, len(shape) + 1))
    case.rng.shuffle(order)
    return shape, case.add("Transpose", "x", perm=[0, *order])


def expand(case):
    case.opset = max(case.opset, 8)
    shape = [1 if case.rng.random() < 0.5 else n for n in case.shape(1)]
    wide = [case.rng.randint(1, 3) if n == 1 else case.rng.choice([1, n]) for n in shape]
    return shape, case.add(
        "Expand",
        "x",
        case.ints([1, *wide] if case.rng.random() < 0.5 else wide[case.rng.randint(0, len(wide)) :] or [1]),
    )


def shape_(case):
    """A shape, taken apart and put together again, as torch exports a view."""
    shape = case.shape(1)
    whole_shape = case.add("Shape", "x", **({"start": 0} if case.opset >= 15 and case.rng.random() < 0.5 else {}))
    first = case.add("Gather", whole_shape, case.ints([0]))
    return shape, case.add("Reshape", "x", case.add("Concat", first, case.ints([-1]), axis=0))


def size(case):
    shape = case.shape(1)
    return shape, case.add("Mul", "x", case.add("Cast", case.add("Size", case.floats(shape)), to=FLOAT))


def concat(case):
    shape = case.shape(1)
    axis = case.rng.randint(1, len(shape))
    other = [case.rng.randint(1, 3) if i == axis - 1 else n for i, n in enumerate(shape)]
    parts = ["x", case.floats([1, *other]), case.add("Exp", "x")]
    case.rng.shuffle(parts)
    return shape, case.add(
        "Concat",
        *parts[: case.rng.randint(1, 3)],
        "x",
        axis=axis if case.rng.random() < 0.5 or case.opset < 11 else axis - len(shape) - 1,
    )


def split(case):
    shape = case.shape(1)
    axis = case.rng.randint(1, len(shape))
    shape[axis - 1] = case.rng.choice([2, 4, 6])
    lengths = [shape[axis - 1] - 1, 1] if case.rng.random() < 0.6 else None
    if lengths and case.opset >= 13:
        parts = case.add("Split", "x", case.ints(lengths), outputs=2, axis=axis)
    else:
        more = {"split": lengths} if lengths else {"num_outputs": 2 if case.opset >= 18 else None}
        parts = case.add("Split", "x", outputs=2, axis=axis, **more)
    return shape, case.rng.choice(parts)


def slice_(case):
    shape = [n + 2 for n in case.shape(1)]
    axes = sorted(case.rng.sample(range(1, len(shape) + 1), case.rng.randint(1, len(shape))))
    starts = [case.rng.choice([0, 1, -2, -100]) for _ in axes]
    ends = [case.rng.choice([2, -1, 2**31 - 1, 100]) for _ in axes]
    if case.opset < 10:
        return shape, case.add("Slice", "x", starts=starts, ends=ends, axes=axes)
    steps = [case.rng.choice([1, 2, 1, -1, -2]) for _ in axes]
    pairs = [
        (-1, case.rng.choice([0, -100, -(2**63) + 1, 1])) if s < 0 else (a, b)
        for s, a, b in zip(steps, starts, ends, strict=True)
    ]
    starts, ends = [p[0] for p in pairs], [p[1] for p in pairs]
    axes = [a - len(shape) - 1 for a in axes] if case.rng.random() < 0.3 else axes
    return shape, case.add("Slice", "x", case.ints(starts), case.ints(ends), case.ints(axes), case.ints(steps))


def pad(case):
    shape = [n + 2 for n in case.shape(1)]
    modes = ["constant", "reflect", "edge", *(["wrap"] if case.opset >= 19 else [])]
    mode = case.rng.choice(modes)
    low = -1 if mode == "constant" else 0
    pads = [0, *(case.rng.randint(low, 2) for _ in shape), 0, *(case.rng.randint(low, 2) for _ in shape)]
    if case.opset < 11:
        return shape, case.add("Pad", "x", pads=pads, **case.some(mode=mode, value=0.5))
    value = [case.store(np.float32(0.5))] if case.rng.random() < 0.5 else []
    if case.opset >= 18 and value and case.rng.random() < 0.5:
        half = len(pads) // 2
        return shape, case.add(
            "Pad",
            "x",
            case.ints([*pads[1:half], *pads[half + 1 :]]),
            *value,
            case.ints(list(range(1, half))),
            mode=mode,
        )
    return shape, case.add("Pad", "x", case.ints(pads), *value, mode=mode)


def tile(case):
    shape = case.shape(1)
    return shape, case.add("Tile", "x", case.ints([1, *(case.rng.randint(1, 3) for _ in shape)]))


def depth(case):
    mode = {"mode": case.rng.choice(["DCR", "CRD"])} if case.opset >= 11 else {}
    return [8, 2, 3], case.add("DepthToSpace", "x", blocksize=2, **mode)


def space(case):
    return [2, 4, 6], case.add("SpaceToDepth", "x", blocksize=2)


def gather(case):
    shape = case.shape(1)
    if case.rng.random() < 0.2:
        index = case.add("Cast", case.add("ArgMax", "x", axis=1, keepdims=0), to=INT)
        return [3, 2], case.add("Gather", case.floats([3, 2]), index, axis=0)
    axis = case.rng.randint(1, len(shape))
    low = -shape[axis - 1] if case.opset >= 11 else 0
    index = case.rng.choice([[], [2], [2, 3]])
    values = np.array([case.rng.randint(low, shape[axis - 1] - 1) for _ in range(math.prod(index))], dtype=np.int64)
    return shape, case.add("Gather", "x", case.store(values.reshape(index)), axis=axis)


def gather_elements(case):
    case.opset = max(case.opset, 11)
    shape = case.shape(1)
    axis = case.rng.randint(1, len(shape))
    index = [1, *shape]
    index[axis] = case.rng.randint(1, 3)
    values = np.array(
        [case.rng.randint(-shape[axis - 1], shape[axis - 1] - 1) for _ in range(math.prod(index))], dtype=np.int64
    )
    return shape, case.add("GatherElements", "x", case.store(values.reshape(index)), axis=axis)


def constant_of_shape(case):
    case.opset = max(case.opset, 9)
    shape = case.shape(1)
    value = {"value": numpy_helper.from_array(np.array([1.5], dtype=np.float32))} if case.rng.random() < 0.5 else {}
    return shape, case.add("Add", "x", case.add("ConstantOfShape", case.ints(shape), **value))


def range_(case):
    case.opset = max(case.opset, 11)
    n = case.rng.randint(1, 5)
    if case.rng.random() < 0.5:
        counted = to_float(case, case.add("Range", case.ints(n), case.ints(0), case.ints(-1)))
    else:
        counted = case.add("Range", *(case.store(np.float32(v)) for v in (0.5, 0.5 + n * 0.25 - 0.1, 0.25)))
    return [n], case.add("Add", "x", counted)


def one_hot(case):
    case.opset = max(case.opset, 9)
    made = case.add(
        "OneHot",
        case.ints([0, 2, 1]),
        case.ints(case.rng.choice([3, [3]])),
        case.store(np.array([0.5, 2], dtype=np.float32)),
        axis=case.rng.choice([-1, 0, 1]),
    )
    return [3, 3], case.add("Mul", "x", made)


def eye_like(case):
    case.opset = max(case.opset, 9)
    return [3, 4], case.add(
        "Mul", "x", case.add("EyeLike", case.floats([3, 4]), **case.some(k=case.rng.randint(-2, 2)))
    )


def trilu(case):
    case.opset = max(case.opset, 14)
    k = [case.ints(case.rng.randint(-2, 2))] if case.rng.random() < 0.7 else []
    return [2, 3, 4], case.add("Trilu", "x", *k, **case.some(upper=0))


def cum_sum(case):
    case.opset = max(case.opset, 11)
    shape = case.shape(1)
    return shape, case.add(
        "CumSum", "x", case.ints(case.rng.randint(1, len(shape))), **case.some(exclusive=1, reverse=1)
    )


def non_zero(case):
    case.opset = max(case.opset, 9)
    places = case.add("NonZero", case.store(np.array([1.0, 0.0, 2.0, 3.0], dtype=np.float32)))
    return [4], case.add("Gather", "x", case.add("Reshape", places, case.ints([-1])), axis=1)


def resize(case):
    case.opset = 10 if case.rng.random() < 0.3 else max(case.opset, 10)
    axes = case.rng.randint(1, 2)
    image = [case.rng.randint(2, 10) for _ in range(axes)]
    modes = ["nearest", "linear", *(["cubic"] if axes == 2 and case.opset >= 11 else [])]
    mode = case.rng.choice(modes)
    scales = np.array(
        [1, 1, *(case.rng.choice([2, 1.5, 0.5, 3, 1, 0.3, 0.6, 0.7, 0.9, 1.1, 2.3]) for _ in image)], dtype=np.float32
    )
    if case.opset == 10:
        return [2, *image], case.add("Resize", "x", case.store(scales), mode=mode)
    given = case.some(
        coordinate_transformation_mode=case.rng.choice(
            [
                "half_pixel",
                "pytorch_half_pixel",
                "align_corners",
                "asymmetric",
                *(["half_pixel_symmetric"] if case.opset >= 19 else []),
            ]
        )
    )
    if mode == "nearest":
        given |= case.some(nearest_mode=case.rng.choice(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]))
    if mode == "cubic":
        given |= case.some(cubic_coeff_a=-0.5, exclude_outside=1)
    roi = case.store(np.zeros(0, dtype=np.float32)) if case.opset < 13 or case.rng.random() < 0.3 else ""
    if case.rng.random() < 0.5:
        return [2, *image], case.add("Resize", "x", roi, case.store(scales), mode=mode, **given)
    sizes = case.ints([1, 2, *(case.rng.randint(1, 12) for _ in image)])
    empty = case.store(np.zeros(0, dtype=np.float32)) if case.opset < 13 else ""
    return [2, *image], case.add("Resize", "x", roi, empty, sizes, mode=mode, **given)


def upsample(case):
    case.opset = min(case.opset, 9)
    scales = [1.0, 1.0, case.rng.choice([1.0, 2.0, 3.0]), case.rng.choice([1.5, 2.0])]
    mode = case.rng.choice(["nearest", "linear"])
    if case.opset < 9:
        return [2, 3, 4], case.add("Upsample", "x", scales=scales, mode=mode)
    return [2, 3, 4], case.add("Upsample", "x", case.store(np.array(scales, dtype=np.float32)), mode=mode)


def recurrent(op):
    def make(case):
        gates, steps, features, hidden = {"LSTM": 4, "GRU": 3, "RNN": 1}[op], 3, 2, 3
        direction = case.rng.choice(["forward", "reverse", "bidirectional"])
        ways = 2 if direction == "bidirectional" else 1
        inputs = [
            "",
            case.floats([ways, gates * hidden, features], -1, 1),
            case.floats([ways, gates * hidden, hidden], -1, 1),
        ]
        if case.rng.random() < 0.7:
            inputs.append(case.floats([ways, 2 * gates * hidden], -1, 1))
            if case.rng.random() < 0.5:
                inputs += ["", case.floats([ways, 1, hidden])]
                inputs += [case.floats([ways, 1, hidden])] if op == "LSTM" else []
        more = {}
        if op == "GRU":
            more["linear_before_reset"] = case.rng.choice([1, 1, 0])
        if op == "RNN" and case.rng.random() < 0.5:
            more["activations"] = ["Relu"] * ways
        inputs[0] = case.add("Transpose", "x", perm=[1, 0, 2])
        which = case.rng.randint(0, 1)
        found = case.add(op, *inputs, outputs=2, hidden_size=hidden, direction=direction, **more)[which]
        return [steps, features], case.add("Transpose", found, perm=[2, 0, 1, 3] if which == 0 else [1, 0, 2])

    return make


def clip(case):
    shape, low, high = case.shape(), case.rng.choice([None, -0.5]), case.rng.choice([None, 0.5, -0.7])
    if case.opset < 11:
        return shape, case.add("Clip", "x", min=low, max=high)
    given = ["" if n is None else case.store(np.float32(n)) for n in (low, high)]
    while given and not given[-1]:
        given.pop()
    return shape, case.add("Clip", "x", *given)


def prelu(case):
    shape = case.shape(1)
    slope = case.rng.choice([[1], [shape[0], *(1 for _ in shape[1:])], shape, shape[-1:]])
    return shape, case.add("PRelu", "x", case.floats(slope, -1, 1))


def softmax(op):
    def make(case):
        shape = case.shape(1)
        return shape, case.add(
            op, "x", **case.some(axis=case.rng.choice([1, len(shape), *([-1] if case.opset >= 11 else [])]))
        )

    return make


def gelu(case):
    case.opset = max(case.opset, 20)
    return case.shape(), case.add("Gelu", "x", **case.some(approximate=case.rng.choice(["none", "tanh"])))


def where(case):
    case.opset = max(case.opset, 9)
    shape = case.shape(1)
    condition = case.store(case.numbers(broadcast(case, shape)) > 0)
    if case.rng.random() < 0.4:
        condition = case.add("Less", "x", case.store(np.float32(0.1)))
    return shape, case.add("Where", condition, "x", case.floats(broadcast(case, shape)))


def cast(case):
    to = case.rng.choice(
        [INT, TensorProto.INT32, TensorProto.DOUBLE, TensorProto.BOOL, TensorProto.FLOAT16, TensorProto.FLOAT]
    )
    return case.shape(), to_float(case, case.add("Cast", case.add("Mul", "x", case.store(np.float32(3))), to=to))


def cast_like(case):
    case.opset = max(case.opset, 15)
    return case.shape(), to_float(case, case.add("CastLike", "x", case.ints([1])))


def constant(case):
    value = numpy_helper.from_array(case.numbers([1, 1]))
    given = case.rng.choice(
        [{"value": value}, *([{"value_float": 1.5}, {"value_floats": [0.5]}] if case.opset >= 12 else [])]
    )
    return [3], case.add("Add", "x", case.add("Constant", **given))


def dropout(case):
    given = [case.store(np.float32(0.3))] if case.opset >= 12 and case.rng.random() < 0.5 else []
    return case.shape(), case.add("Dropout", "x", *given, **({"ratio": 0.5} if case.opset < 12 else {}))


def is_nan(op, since):
    def make(case):
        case.opset = max(case.opset, since)
        given = case.some(detect_negative=0) if op == "IsInf" else {}
        return case.shape(1), to_float(case, case.add(op, case.add("Log", "x"), **given))

    return make


def negated(case):
    return case.shape(1), to_float(case, case.add("Not", case.add("Less", "x", case.store(np.float32(0.1)))))


CASES = {
    "Add": binary("Add"), "Sub": binary("Sub"), "Mul": binary("Mul"), "Div": binary("Div", 0.5, 2), "Pow": pow_, "Mod": mod,
    "Div of integers": int_div,
    **{op: variadic(op) for op in ("Sum", "Mean", "Max", "Min")},
    **{op: unary(op) for op in ("Neg", "Abs", "Exp", "Sin", "Cos", "Floor", "Ceil", "Identity", "Relu", "Sigmoid", "Tanh",
                                "Softplus", "Softsign", "Atan", "Tan")},
    "Tan": unary("Tan", -1, 1), "Sqrt": unary("Sqrt", 0.1, 4),
    "Log": unary("Log", 0.1, 4), "Reciprocal": unary("Reciprocal", 0.5, 4),
    "Erf": unary("Erf", since=9), "Sign": unary("Sign", since=9), "Round": unary("Round", since=11),
    "Asin": unary("Asin", -0.9, 0.9), "Acos": unary("Acos", -0.9, 0.9), "Sinh": unary("Sinh", since=9),
    "Cosh": unary("Cosh", since=9),
    "Asinh": unary("Asinh", since=9), "Acosh": unary("Acosh", 1.1, 3, since=9), "Atanh": unary("Atanh", -0.9, 0.9, since=9),
    "LeakyRelu": attributed("LeakyRelu", alpha=(0.0, 1.0)), "Elu": attributed("Elu", alpha=(0.5, 2)),
    "Selu": attributed("Selu", alpha=(0.5, 2), gamma=(0.5, 2)), "Celu": attributed("Celu", 12, alpha=(0.5, 2)),
    "HardSigmoid": attributed("HardSigmoid", alpha=(0.1, 0.5), beta=(0.2, 0.7)), "HardSwish": attributed("HardSwish", 14),
    "ThresholdedRelu": attributed("ThresholdedRelu", 10, alpha=(0.1, 1)), "Mish": attributed("Mish", 18),
    "Shrink": attributed("Shrink", 9, bias=(0, 0.5), lambd=(0, 1)), "PRelu": prelu, "Clip": clip, "Gelu": gelu,
    "Softmax": softmax("Softmax"), "LogSoftmax": softmax("LogSoftmax"),
    "MatMul": matmul, "Gemm": gemm, "Einsum": einsum, "Conv": conv, "ConvTranspose": conv_transpose,
    **{op: pool(op) for op in ("MaxPool", "AveragePool", "LpPool")},
    **{op: whole(op) for op in ("GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool")},
    "BatchNormalization": batch_norm, "InstanceNormalization": instance_norm, "LayerNormalization": layer_norm,
    "GroupNormalization": group_norm, "LRN": lrn, "LpNormalization": lp_norm, "MeanVarianceNormalization": mvn,
    **{f"Reduce{op}": reduce_(f"Reduce{op}") for op in ("Sum", "Mean", "Max", "Min", "Prod")},
    **{f"Reduce{op}": reduce_(f"Reduce{op}") for op in ("L1", "L2", "SumSquare", "LogSum", "LogSumExp")},
    "ArgMax": arg("ArgMax"), "ArgMin": arg("ArgMin"),
    "Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose, "Expand": expand,
    "Shape": shape_, "Size": size, "Concat": concat, "Split": split, "Slice": slice_, "Pad": pad, "Tile": tile,
    "DepthToSpace": depth, "SpaceToDepth": space, "Gather": gather, "GatherElements": gather_elements,
    "ConstantOfShape": constant_of_shape, "Range": range_, "OneHot": one_hot, "EyeLike": eye_like, "Trilu": trilu,
    "CumSum": cum_sum, "NonZero": non_zero, "Resize": resize, "Upsample": upsample,
    **{op: recurrent(op) for op in ("LSTM", "GRU", "RNN")},
    "Equal": compared("Equal", 11), "Greater": compared("Greater", 9), "Less": compared("Less", 9),
    "GreaterOrEqual": compared("GreaterOrEqual", 12), "LessOrEqual": compared("LessOrEqual", 12),
    **{op: binary(op, logical=True) for op in ("And", "Or", "Xor")},
    "Not": negated, "IsNaN": is_nan("IsNaN", 9), "IsInf": is_nan("IsInf", 10), "Where": where, "Cast": cast, "CastLike": cast_like,
    "Constant": constant, "Dropout": dropout,
}  # fmt: skip


def drawn(name, rng):
    """A model with one operator, and the shape of an example."""
    case = Case(rng)
    shape, output = CASES[name](case)
    kind = rng.random()
    # a first axis that is longer belongs to the example
    first = rng.randint(2, 3) if kind < 0.2 else 1
    return case.model(shape, output, free=kind > 0.6, first=first), shape if first == 1 else [first, *shape]


def save(model, file):
    file.write_bytes(model.SerializeToString())
    return file


assert onnx.__version__
