"""The fenced blocks of the documents."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/operating.md", "docs/settings.md")


def blocks(document: str, language: str) -> list[str]:
    """Return the blocks of this language in one document, in order."""
    text = (ROOT / document).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(document: str) -> list[str]:
    """Return the commands of all shell blocks, those over several lines as one, without comments."""
    found = []
    for block in blocks(document, "sh"):
        joined = re.sub(r"(\\|\||,)\n\s*|\n(?=\s)", lambda match: match[0].replace("\\\n", " "), block)
        found += [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return found
