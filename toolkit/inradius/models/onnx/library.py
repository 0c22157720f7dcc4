"""The package onnx, which reads the files and knows what each operator may be given."""

from types import ModuleType

from inradius.errors import UnsupportedError


def onnx_library(file: object) -> ModuleType:
    """The package onnx. Raises ``UnsupportedError`` where it is not installed."""
    try:
        import onnx
    except ImportError as error:
        raise UnsupportedError(
            f'{file} needs the package onnx, which is not installed; pip install "inradius[onnx]" brings it'
        ) from error
    return onnx  # type: ignore[no-any-return]  # the package is untyped here
