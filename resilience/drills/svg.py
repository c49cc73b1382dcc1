"""SVG elements for plots. All text is escaped here."""

from html import escape


def element(name: str, inside: str = "", **attributes: object) -> str:
    """Return an element around `inside`, which is SVG: `text_anchor` is text-anchor, `class_` is class."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items()
    )
    return f"<{name}{said}>{inside}</{name}>" if inside else f"<{name}{said}/>"


def text(x: float, y: float, words: str, **attributes: object) -> str:
    """Return a line of text."""
    return element("text", escape(words), x=x, y=y, **attributes)


def hint(words: str) -> str:
    """Return a tooltip for the element around it; "" without words."""
    return element("title", escape(words)) if words else ""


def _value(value: object) -> str:
    return f"{round(value, 2):g}" if isinstance(value, float) else escape(str(value))
