"""The engine of training: what a run is made of, and ``train``, which makes one."""
