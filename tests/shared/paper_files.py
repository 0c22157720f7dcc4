"""Random images in the files that the papers' data come in."""

import numpy as np
from scipy.io import savemat


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


def write_svhn(folder, train=42, test=6, seed=0):
    """Files of SVHN's second format with so many images."""
    generator = np.random.default_rng(seed)
    for split, count in (("train", train), ("test", test)):
        images = generator.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        labels = generator.integers(1, 11, (count, 1), dtype=np.uint8)
        savemat(folder / f"{split}_32x32.mat", {"X": images, "y": labels})


def write_har(folder, train=42, test=6, seed=0):
    """The text files of the activities with so many rows."""
    generator = np.random.default_rng(seed)
    for split, count in (("train", train), ("test", test)):
        (folder / split).mkdir(parents=True)
        np.savetxt(folder / split / f"X_{split}.txt", generator.uniform(-1, 1, (count, 561)))
        np.savetxt(folder / split / f"y_{split}.txt", generator.integers(1, 7, count), fmt="%d")


def write_all(folder):
    """The files of every recipe."""
    write_cifar10(folder)
    write_mnist(folder)
    for name, write in {"mnist": write_mnist, "fashion": write_mnist, "svhn": write_svhn, "har": write_har}.items():
        (folder / name).mkdir()
        write(folder / name)
