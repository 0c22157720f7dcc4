"""A second device whose numbers lie in CPU memory, to find code that only works on the CPU where no GPU is at hand.

    with pretend_device():
        certifier(model.to("accel"), x.to("accel"), y.to("accel"), threat)

Tensors on "accel" compute what the CPU computes, so results can be compared bit for bit. What a GPU refuses is refused:
operations that mix the devices, a generator of the other device, ``numpy()``; what it allows is allowed: CPU tensors of no
dimension in elementwise operations, CPU indices, copies from one device to the other. Kernels, speed, asynchrony and the
float behaviour of a real GPU are not shown, nor ``torch.func.jvp`` and autocast.

It rests on torch's experimental hook for backends that are written in Python, of torch 2.10 and later, and on no mode: a
tensor on "accel" is a subclass that sees its operations, and what makes one comes to a fallback of the device's own.
Gradients are computed in the thread that asks for them, where those of a GPU have a thread of the device's.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _DummyPrivateUse1Hook,
    _setup_privateuseone_for_python_backend,
)

NAME = "accel"
_OWN = torch.Generator
_open = False


class _Module(_DummyBackendModule):
    # outside of a block there is no such accelerator for code that looks for one
    def is_available(self) -> bool:
        return _open

    def device_count(self) -> int:
        return int(_open)

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]


class _Hook(_DummyPrivateUse1Hook):
    def is_available(self) -> bool:
        return _open


@cache
def _registered() -> tuple[torch.device, tuple[torch.library.Library, ...]]:
    """The device, and what holds its operations; the process knows them from the first block on."""
    _setup_privateuseone_for_python_backend(NAME, backend_module=_Module(), hook=_Hook())
    library = torch.library.Library("_", "IMPL")
    library.fallback(lambda func, *args, **kwargs: _run(func, args, kwargs), "PrivateUse1")
    # torch makes a tensor from a list without asking modes and classes, and finds no fallback then
    kernels = torch.library.Library("aten", "IMPL")
    for op in (torch.ops.aten.empty_strided.default, torch.ops.aten.empty.memory_format, torch.ops.aten.copy_.default):
        kernels.impl(op, partial(_called, op), "PrivateUse1")
    return torch.device(NAME, 0), (library, kernels)


def _called(op: Any, *args: Any, **kwargs: Any) -> Any:
    return _run(op, args, kwargs)


# operations that take CPU tensors of no dimension as numbers, beside those that torch tags as elementwise
_NUMBERS = {"fill", "masked_fill", "floor_divide", "rsub", "__and__", "__or__", "__xor__", "__lshift__", "__rshift__"}
# CPU indices may index tensors of another device, not the reverse
_INDEXING = {"index", "index_put", "_index_put_impl", "_unsafe_index", "_unsafe_index_put"}
# torch draws from what a Python object points to, so that is what tells the devices of generators apart
_generators: "weakref.WeakValueDictionary[int, Generator]" = weakref.WeakValueDictionary()


class OnDevice(Tensor):
    """A tensor that says it is on the device and holds its numbers in ``inner``."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "OnDevice":
        made = Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=_registered()[0],
            requires_grad=False,
            layout=inner.layout,
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # a tensor of somebody else's that wraps another comes first; to it this is a tensor like any
        if not all(_is(each, OnDevice) or _is(each, torch.nn.Parameter) for each in types):
            return NotImplemented
        return _run(func, args, kwargs or {})

    def numpy(self, *, force: bool = False) -> Any:
        """The numbers of a copy in CPU memory where ``force`` is given, and a refusal otherwise."""
        if force:
            return self.detach().cpu().numpy()
        raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() to copy it to the host")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.numpy()

    def __dlpack__(self, **options: Any) -> Any:
        raise BufferError(f"can't export a tensor on {NAME}:0 to CPU memory. Use Tensor.cpu() to copy it")

    def tolist(self) -> Any:
        return self.inner.tolist()

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.inner.untyped_storage()

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, new: Tensor) -> None:
        # the numbers would stay where they are, as torch replaces what it knows of: shape, type and device
        Tensor.data.__set__(self, new)  # type: ignore[attr-defined]
        self.inner = new.inner  # type: ignore[attr-defined]

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnDevice":
        if id(self) in memo:
            return memo[id(self)]  # type: ignore[no-any-return]
        if not self.is_leaf:
            raise RuntimeError("Only Tensors created explicitly by the user (graph leaves) support deepcopy")
        copy = OnDevice(self.inner.clone()).requires_grad_(self.requires_grad)
        memo[id(self)] = copy
        if isinstance(self, torch.nn.Parameter):
            copy._is_param = True  # type: ignore[attr-defined]
        elif self.grad is not None:
            copy.grad = self.grad.__deepcopy__(memo)
        return copy  # type: ignore[return-value]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuilt, (self.inner.detach(), self.requires_grad, isinstance(self, torch.nn.Parameter))

    def __repr__(self, **options: Any) -> str:
        return f"OnDevice({self.inner})"


def _rebuilt(inner: Tensor, wanted: bool, parameter: bool) -> Tensor:
    """The tensor that was pickled."""
    made = OnDevice(inner)
    return torch.nn.Parameter(made, wanted) if parameter else made.requires_grad_(wanted)


class Generator(torch.Generator):
    """A generator of the device; it draws what one of the CPU would."""

    def __new__(cls, device: Any = NAME) -> "Generator":
        _ours(device)
        return super().__new__(cls)

    def __init__(self, device: Any = NAME) -> None:
        _generators[self._cdata] = self

    @property
    def device(self) -> torch.device:
        return _registered()[0]


def _ours(device: Any) -> bool:
    """Whether it is this device. Raises ``RuntimeError`` for a number of it that there is not."""
    device = device if isinstance(device, torch.device) or device is None else torch.device(device)
    if device is None or device.type != NAME:
        return False
    if device.index not in (None, 0):
        raise RuntimeError(f"invalid device ordinal: there is {NAME}:0 alone, not {device}")
    return True


@attrs.frozen(eq=False)
class _Known:
    """What an operation's schema says, read once: it is asked at each call."""

    name: str
    elementwise: bool
    aliases: bool
    writes: frozenset[str]
    arguments: tuple[str, ...]
    resizes: bool


@cache
def _known(func: Any) -> _Known:
    name, schema = func.overloadpacket.__name__, func._schema
    plain = name.rstrip("_") if not name.endswith("__") else name
    return _Known(
        plain,
        torch.Tag.pointwise in func.tags or plain in _NUMBERS or plain.startswith("_foreach_"),
        any(each.alias_info is not None for each in (*schema.arguments, *schema.returns)),
        frozenset(each.name for each in schema.arguments if each.alias_info and each.alias_info.is_write),
        tuple(each.name for each in schema.arguments),
        torch.Tag.inplace_view in func.tags,
    )


@cache
def _is(made: type, kind: type) -> bool:
    """Whether instances of a class are of a kind; torch's own answer runs Python code at each call."""
    return issubclass(made, kind)


def _mapped(change: Any, kind: type, tree: Any) -> Any:
    """The tree with what is of a kind changed; of lists, tuples and dictionaries, as operations take and give them."""
    made = type(tree)
    if _is(made, kind):
        return change(tree)
    if made is tuple or made is list:
        return made([_mapped(change, kind, each) for each in tree])
    return {key: _mapped(change, kind, each) for key, each in tree.items()} if _is(made, dict) else tree


def _tensors(tree: Any, found: list[Tensor]) -> list[Tensor]:
    """The tensors of lists and tuples, appended to those found before."""
    for each in tree:
        made = type(each)
        if _is(made, Tensor):
            found.append(each)
        elif _is(made, list) or _is(made, tuple):
            _tensors(each, found)
    return found


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What the CPU answers, on the device that the answer of a GPU's operation would be on."""
    known, tensors = _known(func), _tensors(kwargs.values(), _tensors(args, []))
    ours = [each for each in tensors if _is(type(each), OnDevice)]
    named = kwargs.get("device")
    here = bool(ours) if named is None else _ours(named)
    plain = kwargs if named is None else {**kwargs, "device": torch.device("cpu")}
    if 0 < len(ours) < len(tensors) and known.name not in ("copy", "_to_copy"):
        _check_mixed(known, args, kwargs)
    _check_generator(args, kwargs, here)
    # autocast of the CPU is none of an accelerator's business
    with torch._C._DisableAutocast():
        out = func(*_mapped(_inner, OnDevice, args), **_mapped(_inner, OnDevice, plain))
    if known.writes:
        _follow(ours)
        if known.name == "copy" or known.resizes:
            return args[0]
    if known.name == "_local_scalar_dense" or not here:
        return out
    wrapped = _mapped(OnDevice, Tensor, out)
    return return_and_correct_aliasing(func, args, kwargs, wrapped) if known.aliases else wrapped


def _inner(tensor: OnDevice) -> Tensor:
    return tensor.inner


def _check_mixed(known: _Known, args: Any, kwargs: dict[str, Any]) -> None:
    """Raises ``RuntimeError`` for tensors on both devices where a GPU would."""
    if known.name in _INDEXING and isinstance(args[0], OnDevice):
        # indices may be on the CPU, values only where they are a number
        numbers, rest = _tensors(args[2:3], []), []
    else:
        numbers, rest = _split(known, args, kwargs)
    strangers = [each for each in rest if not isinstance(each, OnDevice)]
    strangers += [each for each in numbers if not isinstance(each, OnDevice) and each.ndim]
    if strangers:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {NAME}:0 and cpu! "
            f"(when {known.name} was given shapes {[tuple(each.shape) for each in strangers]} of the cpu)"
        )


def _split(known: _Known, args: Any, kwargs: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
    """The tensors that a GPU takes from the CPU where they are numbers, and those that it never does."""
    given = [*zip(known.arguments, args, strict=False), *kwargs.items()]
    numbers = [(key in known.writes, each) for key, value in given for each in _tensors((value,), [])]
    if not known.elementwise:
        return [], [each for _, each in numbers]
    return [each for written, each in numbers if not written], [each for written, each in numbers if written]


def _check_generator(args: Any, kwargs: dict[str, Any], here: bool) -> None:
    """Raises ``RuntimeError`` where a generator is not of the device that draws."""
    found = [each for each in (*args, *kwargs.values()) if _is(type(each), _OWN)]
    if found and here != (found[0]._cdata in _generators):
        wanted, given = (NAME, "cpu") if here else ("cpu", NAME)
        raise RuntimeError(f"Expected a '{wanted}' device type for generator but found '{given}'")


def _follow(ours: list[OnDevice]) -> None:
    """Gives tensors the size and the strides of what they hold, where an operation changed those in place."""
    for each in ours:
        if (each.shape, each.stride()) != (each.inner.shape, each.inner.stride()):
            Tensor.data.__set__(each, OnDevice(each.inner))  # type: ignore[attr-defined]


class _Draws(TorchFunctionMode):
    """Refuses to draw on the CPU from a generator of the device; torch draws there without asking anybody."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if isinstance(kwargs.get("generator"), Generator) and isinstance(out, Tensor) and out.is_cpu:
            raise RuntimeError(f"Expected a 'cpu' device type for generator but found '{NAME}'")
        return out


class _Choosing(type):
    def __call__(cls, device: Any = "cpu") -> torch.Generator:
        return Generator(device) if _ours(device) else _OWN(device)

    def __instancecheck__(cls, each: object) -> bool:
        return isinstance(each, _OWN)


class _Generator(metaclass=_Choosing):
    """What stands for ``torch.Generator``, which makes none for a device that is written in Python."""


def _in_this_thread(*args: Any, **kwargs: Any) -> Any:
    """The engine's answer without a thread of the device's, which it would have had to start before it first ran."""
    with torch.autograd.set_multithreading_enabled(False):
        return _run_backward(*args, **kwargs)


_run_backward = torch.autograd._engine_run_backward  # type: ignore[attr-defined]


@contextmanager
def pretend_device() -> Iterator[torch.device]:
    """Within this block tensors, modules and generators can be made on, and moved to, "accel"."""
    global _open
    device, _ = _registered()
    before, swapped = _open, torch.__future__.get_swap_module_params_on_conversion()
    _open = True
    # a parameter that moves stays the same object, as it does where both devices are torch's own
    torch.__future__.set_swap_module_params_on_conversion(True)
    torch.autograd._engine_run_backward = _in_this_thread  # type: ignore[attr-defined]
    torch.Generator = _Generator  # type: ignore[assignment, misc]
    try:
        with _Draws():
            yield device
    finally:
        _open = before
        torch.autograd._engine_run_backward = _in_this_thread if before else _run_backward  # type: ignore[attr-defined]
        torch.Generator = _Generator if before else _OWN  # type: ignore[assignment, misc]
        torch.__future__.set_swap_module_params_on_conversion(swapped)
