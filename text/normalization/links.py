"""E-mail addresses, URLs, handles, hashtags and the signs between words."""

from __future__ import annotations

import re

from text.normalization.numbers import digits

_TOP_LEVEL = "com org net edu gov mil info io co uk us de fr eu ca au jp ai dev app me tv ly be ru ch in nl it es"
_SPOKEN_LEVELS = {
    "com": "com",
    "org": "org",
    "net": "net",
    "gov": "gov",
    "info": "info",
    "mil": "mil",
    "dev": "dev",
    "co": "co",
}
_EMAIL = re.compile(
    r"(?<![\w.@])([A-Za-z0-9][\w.+%-]{0,63})@([A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9-]{1,63}){1,6})"
)
_URL = re.compile(
    r"(?<![\w@./])(?:(?:https?|ftp)://[^\s<>\"{}]+|www\.[^\s<>\"{}]+"
    rf"|(?:[A-Za-z0-9][A-Za-z0-9-]{{0,62}}\.){{1,5}}(?:{'|'.join(_TOP_LEVEL.split())})\b(?![\w@]|\.\w)(?:/[^\s<>\"{{}}]*)?)"
)
_SCHEME = re.compile(r"^(?:https?|ftp)://")
_PIECES = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?|\d+|[./@:_~%+=&?#-]")
_SIGNS = {".": "dot", "/": "slash", "@": "at", "-": "dash", "_": "underscore", "~": "tilde", ":": "colon"}
_SIGNS |= {"%": "percent", "+": "plus", "=": "equals", "&": "and", "?": "question mark", "#": "hash"}
_FILE = re.compile(
    r"(?<=[A-Za-z]{2})\.(?=(?:[a-z]{2,4}|mp3|mp4)\b)(?!\w*\.)|(?<![\w.])\.(?=(?:exe|txt|json|com|org|net)\b)"
)

_NUMBER_SIGN = re.compile(r"#\s?(?=\d)")
_SHARP = re.compile(r"(?<=\b[A-G])#(?!\w)|(?<=\b[CF])#(?!\w)")
_HASHTAG = re.compile(r"(?<!\w)#(?=\w)")
_HANDLE = re.compile(r"(?<!\w)@(?=\w)")
_CPP = re.compile(r"\b(C|c|g|G|Notepad)\+\+")
_GRADE = re.compile(r"(?<=\b[A-F])([+-])(?=[\s,.;:?!)\"']|$)")
_MINUS_BETWEEN = re.compile(r"(?<=\d)\s-\s(?=\d[^=]*=)")
_ABOUT = re.compile(r"~\s?(?=[\d$£€])")
_COMPARED = {
    "<": " less than ",
    ">": " greater than ",
    "<=": " at most ",
    ">=": " at least ",
    "=": " equals ",
    "==": " equals ",
}
_COMPARE = re.compile(r"(?<=[\w)%])\s?(<=|>=|==|[<>=])\s?(?=[\w($£€-])")
_ET_CETERA = re.compile(r"&c\b\.?")
_LETTER_AND = re.compile(r"\b([A-Z]+)&([A-Z])\b")
_DIVIDED = re.compile(r"(?<=\d)\s+/\s+(?=\d)")
_MULTIPLIED = re.compile(r"(?<=\d)\s?\*\s?(?=\d)")
_SLASH = re.compile(r"(?<=[^\W\d_])\s?/\s?(?=[^\W\d_])")


def speak_links(text: str) -> str:
    """Expands addresses: "john.doe@example.com" becomes "john dot doe at example dot com"."""
    if "@" in text:
        text = _EMAIL.sub(lambda match: _spell(match[0]), text)
    if "." in text or "://" in text:
        text = _URL.sub(_url, text)
        text = _FILE.sub(" dot ", text)
    return text


def _url(match: re.Match[str]) -> str:
    address = match[0]
    end = len(address.rstrip(".,;:!?'\")]}-"))
    return _spell(_SCHEME.sub("", address[:end]).rstrip("/")) + address[end:]


def _spell(address: str) -> str:
    pieces = _PIECES.findall(address)
    levels = set(_TOP_LEVEL.split()) - set(_SPOKEN_LEVELS)
    spoken = []
    for index, piece in enumerate(pieces):
        after_dot = index > 0 and pieces[index - 1] == "."
        if piece in _SIGNS:
            spoken.append(_SIGNS[piece])
        elif piece.isdigit():
            spoken.append(digits(piece) if len(piece) > 2 or piece[0] == "0" else piece)
        elif piece.lower() == "www" or (after_dot and piece.lower() in levels):
            spoken.append(piece.upper())
        else:
            spoken.append(piece if len(piece) > 1 else piece.upper() if piece.lower() != "a" else "A.")
    return " ".join(spoken)


def speak_signs(text: str) -> str:
    """Expands signs next to words and digits; the normalizer later removes the signs that are not spoken."""
    if "#" in text:
        text = _NUMBER_SIGN.sub("number ", text)
        text = _SHARP.sub(" sharp", text)
        text = _HASHTAG.sub("hashtag ", text)
    if "@" in text:
        text = _HANDLE.sub("at ", text)
        text = text.replace("@", " at ")
    if "+" in text:
        text = _CPP.sub(r"\1 plus plus", text)
    text = _GRADE.sub(lambda match: " plus" if match[1] == "+" else " minus", text)
    text = _ABOUT.sub("about ", text)
    if "=" in text:
        text = _MINUS_BETWEEN.sub(" minus ", text)
    if "=" in text or "<" in text or ">" in text:
        text = _COMPARE.sub(lambda match: _COMPARED[match[1]], text)
    if "&" in text:
        text = _ET_CETERA.sub("et cetera", text)
        text = _LETTER_AND.sub(r"\1 and \2", text)
        text = re.sub(r"\s?&\s?", " and ", text)
    if "/" in text:
        text = _DIVIDED.sub(" divided by ", text)
    if "*" in text:
        text = _MULTIPLIED.sub(" times ", text)
    if "+" in text:
        text = re.sub(r"(?<=\d)\+(?=\s[A-Za-z]|\s?$|[,.;:?!)])", " plus", text)
        text = re.sub(r"(?<=[\w.)])\s?\+\s?(?=[\w.(])", " plus ", text)
    return text


def speak_slashes(text: str) -> str:
    """Expands the slashes that are left after fractions, dates and units."""
    return _SLASH.sub(" slash ", text) if "/" in text else text
