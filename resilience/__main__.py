"""`python -m resilience init`: what a project has to add, before the app is among its INSTALLED_APPS."""

import sys

from resilience.adopting.init import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
