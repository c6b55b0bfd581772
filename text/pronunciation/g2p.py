"""The phones of words that are in no dictionary, from g2p_en's small recurrent network in NumPy."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from text.symbols import CONSONANTS, VOWELS

if TYPE_CHECKING:
    import numpy as np

_LETTERS = {letter: index for index, letter in enumerate("abcdefghijklmnopqrstuvwxyz", start=3)}
_UNKNOWN_LETTER, _END_OF_WORD = 1, 2
_START, _END = 2, 3
# The order of the network's outputs, which include "UW" without stress in addition to UW0..UW2.
_OUTPUTS = ("<pad>", "<unk>", "<s>", "</s>") + tuple(
    sorted([*(vowel + digit for vowel in VOWELS for digit in "012"), *CONSONANTS, "UW"])
)
_MAX_PHONES = 20


class WordNetwork:
    """g2p_en's network from letters to phones: an encoder and a decoder, one GRU of width 128 each.

    The weights are `checkpoint20.npz` of the PyPI package g2p_en 2.1.0 (Kyubyong Park and Jongseok Kim,
    https://github.com/Kyubyong/g2p, Apache-2.0). They are read as data, because importing the package takes
    seconds and tries to download NLTK's data. The results equal those of the package's `G2p.predict`.
    """

    def __init__(self) -> None:
        """Reads the weights.

        Raises:
            FileNotFoundError: the package g2p_en is not installed.
        """
        import numpy as np  # imported here: 0.1 s that a text of known words does not need

        with np.load(package_file("g2p_en", "checkpoint20.npz")) as weights:
            # The contribution of a letter or phone to the gates is constant: computed once.
            self._encoder_input = weights["enc_emb"] @ weights["enc_w_ih"].T + weights["enc_b_ih"]
            self._decoder_input = weights["dec_emb"] @ weights["dec_w_ih"].T + weights["dec_b_ih"]
            self._encoder = (weights["enc_w_hh"].T.copy(), weights["enc_b_hh"])
            self._decoder = (weights["dec_w_hh"].T.copy(), weights["dec_b_hh"])
            self._output = (weights["fc_w"].T.copy(), weights["fc_b"])

    def predict(self, word: str) -> list[str]:
        """Predicts the phones of a word.

        Args:
            word: lower-case letters a to z; anything else counts as an unknown letter.

        Returns:
            At most 20 ARPAbet phones with stress; the list may be empty.
        """
        import numpy as np

        state = np.zeros(self._encoder[1].shape[0] // 3, np.float32)
        for letter in word:
            state = _gru(self._encoder_input[_LETTERS.get(letter, _UNKNOWN_LETTER)], state, *self._encoder)
        state = _gru(self._encoder_input[_END_OF_WORD], state, *self._encoder)
        phones: list[str] = []
        last = _START
        for _ in range(_MAX_PHONES):
            state = _gru(self._decoder_input[last], state, *self._decoder)
            last = int(np.argmax(state @ self._output[0] + self._output[1]))
            if last == _END:
                break
            if last > _END:
                phones.append(_OUTPUTS[last])
        return phones


def _gru(gates: np.ndarray, state: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Computes one step of a GRU; gates [3 * H] are the input's share of reset, update and new; state [H]."""
    import numpy as np

    width = state.shape[0]
    recurrent = state @ weight + bias
    both = 1.0 / (1.0 + np.exp(-(gates[: 2 * width] + recurrent[: 2 * width])))
    reset, update = both[:width], both[width:]
    new = np.tanh(gates[2 * width :] + reset * recurrent[2 * width :])
    return (1.0 - update) * new + update * state


def package_file(package: str, name: str) -> Path:
    """Returns the path of a data file in an installed package, without importing the package.

    Args:
        package: the name under which it is imported.
        name: path inside the package.

    Raises:
        FileNotFoundError: the package is not installed or lacks the file; the message names the package to install.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / name
        if path.is_file():
            return path
    raise FileNotFoundError(f"{package}'s data file {name} is missing; install it: pip install {package}")
