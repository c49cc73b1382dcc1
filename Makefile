PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
PORT ?= 8080
WEB_CONCURRENCY ?= 2
WEB_THREADS ?= 16
export WEB_CONCURRENCY WEB_THREADS

# A blocking thread that ends closes its database connection: it may idle for as long as granian allows.
# A request that hangs would block the end of a worker: 10 s, then it is killed.
GRANIAN := $(BIN)/granian --interface wsgi --port $(PORT) --workers $(WEB_CONCURRENCY) \
	--blocking-threads $(WEB_THREADS) --blocking-threads-idle-timeout 10m \
	--respawn-failed-workers --workers-kill-timeout 10 zenow.wsgi:application

.PHONY: install run serve test
.DELETE_ON_ERROR:

install: $(VENV)/.installed

# `make run` needs the runtime alone; `make test` and `make install` bring everything.
$(VENV)/.runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or later is needed; name it by: make PYTHON=python3.11'; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.runtime requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# A local run: DEBUG is on unless set, the catalogue is filled when it is empty.
run: export DEBUG := $(or $(DEBUG),1)
run: $(VENV)/.runtime
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) shell --verbosity 0 -c \
		'from learn.models import Course; raise SystemExit(not Course.objects.exists())' || \
		$(MANAGE) loaddata fixtures/categories.json fixtures/fields.json fixtures/courses.json
	@$(MANAGE) collectstatic --noinput --verbosity 0
	@echo
	@echo '  Start page   http://localhost:$(PORT)/'
	@echo '  API          http://localhost:$(PORT)/api/courses'
	@echo '  API docs     http://localhost:$(PORT)/api/docs'
	@echo '  Admin        http://localhost:$(PORT)/admin/'
	@echo '  Staff login  in another terminal: $(MANAGE) createsuperuser'
	@echo
	@exec $(GRANIAN)

# The production server. Its first step stops with one message when a variable is missing; none needs a database.
serve: export DEBUG := $(or $(DEBUG),0)
serve: $(VENV)/.runtime
	@$(MANAGE) collectstatic --noinput --verbosity 0
	@exec $(GRANIAN)

test: export DJANGO_SETTINGS_MODULE := zenow.settings.test
test: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(MANAGE) check --fail-level WARNING
	$(MANAGE) makemigrations --check --dry-run
	$(BIN)/pytest
	TEST_SERVERS=wheels $(BIN)/pytest tests/test_conftest.py
