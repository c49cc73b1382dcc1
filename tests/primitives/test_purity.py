"""The primitives know no Django, whatever imports them."""

import subprocess
import sys


def test_no_django_is_loaded_in_a_fresh_interpreter() -> None:
    """An import contract does not see a convenience import in `resilience/__init__.py`; this does."""
    script = (
        "import sys, resilience.primitives; "
        "print([name for name in sys.modules if name.split('.')[0] in ('django', 'rest_framework')])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
