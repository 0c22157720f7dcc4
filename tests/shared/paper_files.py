"""Random images in the files that the papers' data come in."""

import numpy as np


def write_cifar10(folder, train=42, test=6, seed=0):
    """Binary batches with so many images, in all."""
    generator = np.random.default_rng(seed)
    parts = np.array_split(np.arange(train), 5)
    counts = {f"data_batch_{place}": len(part) for place, part in enumerate(parts, 1)} | {"test_batch": test}
    for name, count in counts.items():
        labels = generator.integers(0, 10, (count, 1), dtype=np.uint8)
        pixels = generator.integers(0, 256, (count, 3072), dtype=np.uint8)
        (folder / f"{name}.bin").write_bytes(np.concatenate([labels, pixels], axis=1).tobytes())


def write_mnist(folder, train=42, test=6, seed=0):
    """Raw files with so many images."""
    generator = np.random.default_rng(seed)
    for split, count in (("train", train), ("t10k", test)):
        images = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = generator.integers(0, 10, count, dtype=np.uint8)
        head = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in images.shape)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(
            bytes([0, 0, 8, 1]) + count.to_bytes(4, "big") + labels.tobytes()
        )
