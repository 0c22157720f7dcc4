"""Networks from ONNX files: a reader that makes them of plain torch operators, or names the node that it cannot read."""
