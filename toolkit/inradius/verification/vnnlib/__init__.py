"""Files of VNN-LIB: the unsafe set of a network's inputs and outputs, read exactly."""
