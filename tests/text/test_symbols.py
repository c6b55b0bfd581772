"""One inventory, and nothing dropped."""

import pytest

from text.symbols import (
    AMPHION_SYMBOLS,
    MARKS,
    PAUSES,
    PHONES,
    SYMBOLS,
    SymbolTable,
    UnknownSymbolError,
    amphion_symbols,
)


def test_inventory() -> None:
    assert SYMBOLS[0] == "_"
    assert len(set(SYMBOLS)) == len(SYMBOLS) == 1 + 24 + 15 * 4 + 3 + 7
    assert not set(PHONES) & set(MARKS) and not set(PHONES) & set(PAUSES)


def test_ids_are_positions() -> None:
    table = SymbolTable(SYMBOLS)
    assert table.ids(["_"]) == [0]
    assert [SYMBOLS[index] for index in table.ids(["HH", "AH0", "L", "OW1", ",", "sp"])] == "HH AH0 L OW1 , sp".split()


def test_unknown_symbol_is_named() -> None:
    with pytest.raises(UnknownSymbolError, match="'QQ'"):
        SymbolTable(SYMBOLS).ids(["HH", "QQ"])


@pytest.mark.parametrize("symbols", [[], ["_", "A", "A"]])
def test_bad_table(symbols: list[str]) -> None:
    with pytest.raises(ValueError):
        SymbolTable(symbols)


def test_amphion_table() -> None:
    # positions counted in Amphion's list of 151 (its FastSpeech2 recipe, commit d3de90f)
    assert len(AMPHION_SYMBOLS) == len(set(AMPHION_SYMBOLS)) == 151
    assert AMPHION_SYMBOLS[:12] == ("_", "-", "!", "'", "(", ")", ",", ".", ":", ";", "?", " ")
    assert AMPHION_SYMBOLS[12] == "A" and AMPHION_SYMBOLS[63] == "z" and AMPHION_SYMBOLS[64] == "@AA"
    assert AMPHION_SYMBOLS[-4:] == ("@ZH", "@sp", "@spn", "@sil")


def test_every_symbol_has_an_amphion_counterpart() -> None:
    table = SymbolTable(AMPHION_SYMBOLS)
    assert amphion_symbols(["HH", "AH0", ",", "sil", "?"]) == ["@HH", "@AH0", "@sp", "@sil", "@sp"]
    assert len(table.ids(amphion_symbols(SYMBOLS))) == len(SYMBOLS)
    with pytest.raises(UnknownSymbolError, match="'ʃ'"):
        amphion_symbols(["ʃ"])
