"""Tells from a file's bytes how its text is encoded: what is known first, a guess last."""

from __future__ import annotations

import codecs
import io
import re
from typing import NamedTuple

from learn.importing.errors import UnreadableError

# Note [A guess is safe or is not made]
# Bytes that are valid UTF-8 are UTF-8: no other text looks like it by chance. NUL bytes at every other place
# are UTF-16. For all else Western spreadsheets write windows-1252. Text of another 8-bit encoding seldom fits
# it: Greek, Cyrillic or Chinese letters are long runs of bytes above 127, and five bytes mean nothing in
# windows-1252. Such a file is refused, since letters that are stored wrong are worse than a message. What
# fits by chance (Polish, say) is read wrong, so a guess is always said.
_WESTERN = "windows-1252"
_NOT_WESTERN = re.compile(rb"[\x80-\xff]{4}|[\x81\x8d\x8f\x90\x9d]")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PIECE = 4096
# Bytes of the pieces with other characters than ASCII that are looked at.
_SAMPLE = 64 * 1024
_OTHERS = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")
_UNDECODED = re.compile("[\udc80-\udcff]")
# Half of a surrogate pair as UTF-8 would write it: no character, but nothing else writes it.
_HALF = re.compile("\udced[\udca0-\udcbf][\udc80-\udcbf]")


class Encoding(NamedTuple):
    """An encoding by Python's name for it, and whether it is a guess."""

    name: str
    guessed: bool = False


def named(name: str) -> Encoding:
    """Return the encoding that the user names. Raises UnreadableError if there is none of this name."""
    try:
        "".encode(name)
        found = codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise UnreadableError(
            f"--encoding {name}: there is no such encoding. Some are utf-8, utf-16, windows-1252, shift_jis."
        ) from error
    return Encoding("utf-8-sig" if found == "utf-8" else found)


def of_file(raw: io.FileIO, head: bytes) -> Encoding:
    """Return the encoding of a file that begins with `head`; it is read from where it stands.

    Raises UnreadableError if the file is no text of an encoding that can be told.
    """
    # See Note [A guess is safe or is not made]
    for mark, name in _MARKS:
        if head.startswith(mark):
            return Encoding(name)
    if (wide := _wide(head)) is not None:
        return wide
    sample, right, wrong = _survey(raw)
    if wrong <= right:
        return Encoding("utf-8-sig")
    if _NOT_WESTERN.search(sample):
        raise UnreadableError(
            "The text is neither UTF-8 nor windows-1252: name its encoding with --encoding "
            "(windows-1250, windows-1251, iso-8859-7, shift_jis, gb18030, …)."
        )
    return Encoding(_WESTERN, guessed=True)


def _wide(head: bytes) -> Encoding | None:
    """Return UTF-16 without a mark, told by the NUL bytes of its ASCII characters."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if 5 * (even + odd) <= len(head):
        return None
    if min(even, odd) * 10 > max(even, odd):
        raise UnreadableError("The file holds many NUL bytes, and is no text.")
    return Encoding("utf-16-be" if even > odd else "utf-16-le", guessed=True)


def _survey(raw: io.FileIO) -> tuple[bytes, int, int]:
    """Return what is not ASCII, its characters that are UTF-8, and its bytes that are not."""
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    sample = bytearray()
    right = wrong = 0
    while len(sample) < _SAMPLE and (piece := raw.read(_PIECE)):
        text = decode(piece)
        if not piece.isascii():
            sample += piece
            right += len(_OTHERS.findall(text))
            right += len(halves := _HALF.findall(text))
            wrong += len(_UNDECODED.findall(text)) - 3 * len(halves)
    return bytes(sample), right, wrong + len(_UNDECODED.findall(decode(b"", final=True)))
