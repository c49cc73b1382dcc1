"""Django's own test suites, run on Django's engines and on ours: `python -m tests.django_suites`."""
