"""Data of the library datasets from a folder on disk."""

from pathlib import Path

from inradius import Dataset, InputError, UnsupportedError, as_dataset


def hf_data(folder: str, split: str | None = None, inputs: str | None = None, labels: str | None = None) -> Dataset:
    """Data of the library datasets, as ``save_to_disk`` wrote them to a folder; images are divided by 255.

    split: its name where the folder has several; inputs and labels: names of columns, which otherwise are looked for.
    Raises ``UnsupportedError`` where the library is not installed, ``InputError`` for a folder without such data.
    """
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise InputError(f"there is no folder {place}; hf_data needs one that save_to_disk wrote")
    try:
        from datasets import load_from_disk
    except ImportError as error:
        raise UnsupportedError(
            "hf_data(...) needs the package datasets, which is not installed; pip install datasets brings it"
        ) from error
    try:
        found = load_from_disk(str(place))
    except Exception as error:  # the library raises many kinds
        raise InputError(
            f"{place} holds no data of the library datasets; allowed is what save_to_disk wrote"
        ) from error
    if hasattr(found, "keys"):
        if split not in found:
            raise InputError(f"split={split!r} is not in {place}; allowed are {', '.join(map(repr, found.keys()))}")
        found = found[split]
    return as_dataset(found, labels, inputs=inputs, name=f"hf_data({folder!r}, split={split!r})")
