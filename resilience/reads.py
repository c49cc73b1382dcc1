"""The old place of `resilience.answers.reads`, kept for one release."""

import warnings

from resilience.answers.reads import ResilientReads as ResilientReads

warnings.warn("resilience.reads is now resilience.answers.reads", DeprecationWarning, stacklevel=2)
