"""Text classifiers of the library transformers, on embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inradius import InputError

# the files of which every tokenizer has one
_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
)


class TextClassifier(nn.Module):
    """A classifier of texts as a function of their embeddings, (B, T, D) -> (B, classes), in which every token is attended to."""

    def __init__(self, model: nn.Module, folder: str) -> None:
        super().__init__()
        self.model = model
        self.folder = folder

    def forward(self, x: Tensor) -> Tensor:
        """The logits of texts with the embeddings x (B, T, D)."""
        logits: Tensor = self.model(inputs_embeds=x).logits
        return logits

    def embed(self, texts: Sequence[str] | Tensor) -> Tensor:
        """The embeddings (B, T, D) of texts, or of their tokens (B, T).

        Texts are of one length in tokens, because the network sees no mask. Raises ``InputError`` where they are not, or the
        folder has no tokenizer.
        """
        tokens = texts if isinstance(texts, Tensor) else self._tokens(texts)
        model: Any = self.model
        with torch.no_grad():
            found: Tensor = model.get_input_embeddings()(tokens)
        return found

    def _tokens(self, texts: Sequence[str]) -> Tensor:
        from transformers import AutoTokenizer

        needed = f"{self.folder} has no tokenizer; give tokens (B, T), or save it there by save_pretrained"
        # without a file the library makes an empty one
        if not any((Path(self.folder) / name).is_file() for name in _TOKENIZERS):
            raise InputError(needed)
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # the library raises many kinds
            raise InputError(needed) from error
        found: list[list[int]] = tokenizer(list(texts))["input_ids"]
        lengths = sorted({len(each) for each in found})
        if len(lengths) != 1:
            raise InputError(
                f"the texts have {' and '.join(map(str, lengths)) or 'no'} tokens; allowed is one length, so group texts by it"
            )
        return torch.tensor(found)
