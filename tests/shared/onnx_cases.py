"""ONNX files for tests, and their outputs by onnxruntime, one example at a time."""

import functools
import io
import math

import numpy as np
import torch

from inradius.models.onnx.read import read_onnx


@functools.cache
def runtime():
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    return onnxruntime


def session(file):
    """A session of onnxruntime that rewrites nothing, on one thread."""
    options = runtime().SessionOptions()
    options.graph_optimization_level = runtime().GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return runtime().InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def outputs_of_runtime(file, inputs, axis=0):
    """What onnxruntime computes for each example, (B, *output_shape); ``inputs``: (B, *input_shape).

    ``axis``: the axis of the file's output that holds the example.
    """
    run = session(file)
    several = run.get_inputs()
    shapes = [[n if isinstance(n, int) else 1 for n in given.shape] for given in several]
    cuts = np.cumsum([math.prod(shape) for shape in shapes])[:-1]

    def fed(x):
        """The numbers of an example for each input of the file, one after the other."""
        parts = np.split(x.numpy().reshape(-1), cuts)
        return {given.name: part.reshape(shape) for given, part, shape in zip(several, parts, shapes, strict=True)}

    rows = [run.run(None, fed(x))[0] for x in inputs]
    outside = any(
        shape[:1] != [1] or (len(shape) == 1 and isinstance(given.shape[0], int))
        for given, shape in zip(several, shapes, strict=True)
    )
    return np.stack(rows) if outside else np.stack([row.take(0, axis) for row in rows])


def agrees(file, inputs=None, *, tolerance=2e-5, count=3, axis=0):
    """Reads a file and asserts that batches give what onnxruntime gives for each example; returns the network."""
    model = read_onnx(file)
    if inputs is None:
        inputs = torch.randn(count, *model.input_shape, generator=torch.Generator().manual_seed(1)).to(model.dtype)
    wanted = outputs_of_runtime(file, inputs, axis)
    with torch.no_grad():
        found = model(inputs).numpy()
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=1.0) if wanted.dtype.kind == "f" else 0
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * scale)
    return model


def exported(model, inputs, file, **options):
    """Writes a model of torch as ONNX."""
    import warnings

    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.eval(), inputs, written, dynamo=False, **options)
    file.write_bytes(written.getvalue())
    return file
