"""Fold text, so that every database finds and orders it in the same way.

Databases differ in how they compare case, accents and punctuation. So the text that is searched and sorted is
folded here, and databases only compare bytes.
"""

import unicodedata
from collections.abc import Iterator
from hashlib import blake2b

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
_FOLDED = str.maketrans({**dict.fromkeys(map(chr, _ACCENTS), ""), **_LOOKALIKES})


def normalise(text: str) -> str:
    """Return `text` without case, accents, compatibility forms and repeated blanks.

    A text that is already normalised stays the same.
    """
    # See Note [Only the accents of alphabets are stripped]
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return " ".join(unicodedata.normalize("NFC", folded.translate(_FOLDED)).split())


def slugify(text: str, *, max_length: int) -> str:
    """Return the letters, marks and digits of `text`, of any script, with hyphens for all else."""
    # The lower case of "İ" is "i" and a dot above, which nobody types.
    lowered = unicodedata.normalize("NFKC", text).lower().replace("i\N{COMBINING DOT ABOVE}", "i")
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
