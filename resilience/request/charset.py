"""Which charsets are taken. Entry points ask before Django is set up, so nothing else is imported here."""

# Beside a letter beyond ASCII, half a surrogate pair as codecs with escapes write it.
_TRIAL = rb"\ud800 +2AA-" + b"\xe9"


def is_charset(name: str) -> bool:
    """Tell whether the codec of this name turns bytes into text.

    Some of Python's codecs do not, and some (`unicode_escape`, `utf-7`) make halves of surrogate pairs, which
    neither a database nor an answer can hold.
    """
    try:
        _TRIAL.decode(name, "replace").encode()
    except (LookupError, UnicodeError):
        return False
    return True
