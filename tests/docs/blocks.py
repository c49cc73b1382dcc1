"""The fenced blocks of the documents."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CODE_OF_CONDUCT.md",
    "SECURITY.md",
    "docs/adopting.md",
    "docs/containers.md",
    "docs/importing.md",
    "docs/operating.md",
    "docs/poolers.md",
    "docs/releasing.md",
    "docs/settings.md",
    "docs/stable.md",
    "docs/upgrading.md",
)


def blocks(document: str, language: str) -> list[str]:
    """Return the blocks of this language in one document, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(document), re.DOTALL | re.MULTILINE)


def text(document: str) -> str:
    """Return a document as it is written."""
    return (ROOT / document).read_text()
