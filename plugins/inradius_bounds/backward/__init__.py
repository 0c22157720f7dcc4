"""The backward pass: linear functions of a value are bounded by linear functions of the input.

``backward_pass`` pulls rows from node to node. ``curve_lines`` takes them across a ReLU or another activation, by the lines
that its rule gives. ``pass_ends`` closes them at the input. ``inner_bounds`` runs passes for the inputs of activations.
``slope_ascent`` searches for better lines.
"""
