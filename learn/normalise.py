"""Fold text, so that every database finds, orders and compares it in the same way.

Databases differ in how they compare case, accents and punctuation. So the text that is searched and sorted is
folded here, and databases only compare bytes. One folding serves search, sort and identity.
"""

import re
import unicodedata
from collections.abc import Iterator
from hashlib import blake2b

FOLDING = 2
"""The version of the folding; to be raised when normalise() gives another text for the same one.

It is part of a static copy's name, so that no older copy is searched for words that are folded newly. Stored
columns are renewed by a migration that calls `learn.refolding.renew`.
"""

# Note [What looks or reads the same is the same]
# Unicode's own properties say most of it. Its compatibility forms are one (NFKD: ligatures, full width, ①),
# and so is its case (casefold: ß and ss). What is not seen goes: category Cf (soft hyphen, zero-width space
# and joiners, marks of direction), but for signs that stand around numbers and are seen, and what else has
# Default_Ignorable_Code_Point. Each dash (category Pd, and minus) is a hyphen. For marks that people type as
# ' or " or / Unicode has no property: those are listed. Letters of two scripts stay two, however alike.
_VISIBLE = frozenset((*range(0x0600, 0x0606), 0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x110BD, 0x110CD))
_IGNORABLE = (
    0x115F,
    0x1160,
    0x17B4,
    0x17B5,
    *range(0x180B, 0x1810),
    0x3164,
    0xFFA0,
    *range(0xE0000, 0xE1000),
)
_MINUS = (0x2212, 0x02D7)
_SLASHES = (0x2044, 0x2215)
_APOSTROPHES = (
    "`\u00b4\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u055a\u05f3\u1fbd\u1fbf\u1fcd\u1fce\u1fcf"
    "\u1fdd\u1fde\u1fdf\u1fef\u1ffd\u1ffe"
    "\u2018\u2019\u201a\u201b\u2032\u2035\u2039\u203a\ua78b\ua78c"
)
_QUOTES = "\u00ab\u00bb\u02ba\u02ee\u05f4\u201c\u201d\u201e\u201f\u2033\u2036\u301d\u301e\u301f"

# Note [Only the accents of alphabets are stripped]
# A mark in these blocks varies a letter (é, ё, ά) or asks for a picture (❤️). Other marks make different
# letters: without them, Japanese ka and ga would be the same, and so would Hindi vowels and Thai tones.
_ACCENTS = (
    *range(0x0300, 0x0370),
    *range(0x1AB0, 0x1B00),
    *range(0x1DC0, 0x1E00),
    *range(0xFE00, 0xFE10),
)
# Letters for which people type others, though Unicode does not decompose them.
_LOOKALIKES = {
    "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    "ł": "l",
    "ø": "o",
    "đ": "d",
    "ð": "d",
    "þ": "th",
    "æ": "ae",
    "œ": "oe",
}


def _marks() -> dict[int, str]:
    # See Note [What looks or reads the same is the same]. No character of these categories lies further up.
    folded = dict.fromkeys(_IGNORABLE, "")
    for code in range(0x20000):
        kind = unicodedata.category(chr(code))
        if kind == "Pd":
            folded[code] = "-"
        elif kind == "Cf" and code not in _VISIBLE:
            folded[code] = ""
    folded |= dict.fromkeys(_MINUS, "-") | dict.fromkeys(_SLASHES, "/")
    return folded | dict.fromkeys(map(ord, _APOSTROPHES), "'") | dict.fromkeys(map(ord, _QUOTES), '"')


_MARKS = _marks()
# Marks that NFKD would make a blank or two other marks of.
_SPACED = re.compile("[\u00b4\u1fbd-\u1fff\u2033\u2036]")
_FOLDED = _MARKS | str.maketrans({**dict.fromkeys(map(chr, _ACCENTS), ""), **_LOOKALIKES})


def normalise(text: str) -> str:
    """Return `text` without case, accents, compatibility forms, what is not seen, and repeated blanks.

    Each apostrophe is `'`, each quotation mark `"`, each dash `-`. A text that is already normalised stays
    the same.
    """
    if text.isascii():
        return " ".join(text.replace("`", "'").casefold().split())
    if _SPACED.search(text) is not None:
        text = text.translate(_MARKS)
    decomposed = unicodedata.normalize("NFKD", text)
    folded = unicodedata.normalize("NFKD", decomposed.casefold()).translate(_FOLDED)
    return " ".join(unicodedata.normalize("NFC", folded).split())


def slugify(text: str, *, max_length: int) -> str:
    """Return the letters, marks and digits of `text`, of any script, with hyphens for all else."""
    # The lower case of "İ" is "i" and a dot above, which nobody types.
    lowered = unicodedata.normalize("NFKC", text.replace("\u00ad", "").replace("\u200b", "")).lower()
    lowered = lowered.replace("i\N{COMBINING DOT ABOVE}", "i")
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in lowered)
    return unicodedata.normalize("NFC", "-".join(kept.split()))[:max_length].strip("-")


def numbered(slug: str, *, max_length: int) -> Iterator[str]:
    """Yield `slug`, `slug-2`, `slug-3` and so on, each within `max_length`."""
    yield slug
    number = 2
    while True:
        suffix = f"-{number}"
        yield slug[: max_length - len(suffix)].rstrip("-") + suffix
        number += 1


def fingerprint(*parts: str) -> str:
    """Return a hash of the normalised `parts`, as 32 hexadecimal digits."""
    joined = "\x1f".join(normalise(part) for part in parts)
    return blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
