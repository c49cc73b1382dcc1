PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
PORT ?= 8080
export PORT
STATIC := $(shell find zenow learn resilience -type f -path '*/static/*')

.PHONY: forgotten timings install run serve test ledger soak outage-table rolling wedged poolers drills differential django-suites outages outages-database outages-cache outages-partner coverage chaos mutation bench demo kept starts

# The virtual environment with the pinned dependencies, nothing else.
install: $(VENV)/.installed

# `make run` and `make serve` need the runtime alone.
$(VENV)/.runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or later is needed; name it by: make PYTHON=python3.11'; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo 'Installing into $(VENV), which takes about a minute the first time'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.runtime requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# A local run. The catalogue is filled when it is empty; DEBUG serves static files from where they lie.
run: export DEBUG := 1
run: $(VENV)/.runtime
	@mkdir -p staticfiles
	@echo 'Preparing the database'
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) shell --verbosity 0 -c \
		'from learn.models import Course; raise SystemExit(not Course.objects.exists())' || \
		$(MANAGE) loaddata fixtures/categories.json fixtures/fields.json fixtures/courses.json
	@echo
	@echo '  Start page   http://localhost:$(PORT)/'
	@echo '  API          http://localhost:$(PORT)/api/courses'
	@echo '  API docs     http://localhost:$(PORT)/api/docs'
	@echo '  Admin        http://localhost:$(PORT)/admin/'
	@echo '  Staff login  in another terminal: $(MANAGE) createsuperuser'
	@echo
	@exec $(BIN)/python -m zenow

# A server with a database of its own, which is broken for half a minute; nothing is left running.
demo: $(VENV)/.runtime
	@$(BIN)/python -m tests.demo

# The production server. Its start needs neither database nor cache; a missing variable stops it with one message.
serve: export DEBUG := $(or $(DEBUG),0)
serve: $(VENV)/.runtime
	@$(MANAGE) check
	@$(MAKE) --no-print-directory staticfiles/staticfiles.json
	@exec $(BIN)/python -m zenow

staticfiles/staticfiles.json: $(VENV)/.runtime $(STATIC)
	$(MANAGE) collectstatic --noinput --verbosity 0
	@touch $@

# All that must hold, in three processes: most of it waits for servers that recover. Servers are taken from the system where it has them; the last step proves the wheels' suffice.
test: export DJANGO_SETTINGS_MODULE := zenow.settings.test
test: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(MANAGE) check --fail-level WARNING
	$(MANAGE) makemigrations --check --dry-run
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder
	TEST_SERVERS=wheels $(BIN)/pytest tests/test_conftest.py

# Each test that bounds a time, one after the other and without the room that `make test` gives: for a quiet machine.
timings: export STRICT_TIMES := 1
timings: install
	$(BIN)/pytest $$(grep -lrE 'ROOM|takes\(|taking_at_most\(|deadline_kept\(' tests --include='test_*.py' | grep -v outages)

# Known vulnerabilities of what runs in production; asks the advisories' database, so it needs the network.
audit: install
	$(BIN)/pip-audit --strict --requirement requirements.txt --progress-spinner off

# Writes whose view catches what has ended their transaction: 200 whose connection is killed, 200 whose disk fills.
kept: install
	@$(BIN)/python -m tests.kept

# Django's own suites on its engines and on ours: what ends differently is listed with its reason.
django-suites: install
	nice $(BIN)/python -m tests.django_suites

# Outages of a real database, cache and partner under load, with the open intervals of production; `make test` has 1 s.
outages: install
	@$(MAKE) --no-print-directory --keep-going --jobs 3 --output-sync=target outages-database outages-cache outages-partner

outages-database: export OUTAGE_OPEN_FOR := 15
outages-database: export STRICT_TIMES := 1
outages-database:
	$(BIN)/pytest -q tests/functional/test_database_*.py tests/functional/test_steward_lost.py

outages-cache: export OUTAGE_OPEN_FOR := 10
outages-cache: export STRICT_TIMES := 1
outages-cache:
	$(BIN)/pytest -q tests/functional/test_cache_outages.py

outages-partner: export OUTAGE_OPEN_FOR := 30
outages-partner: export STRICT_TIMES := 1
outages-partner:
	$(BIN)/pytest -q tests/functional/test_partner_outages.py

# The site behind PgBouncer in each mode, and behind proxies that refuse or drop start-up parameters.
poolers: export POOLERS := all
poolers: install
	$(BIN)/pytest -q tests/functional/test_poolers.py tests/resilience/db/test_repeated_reads.py \
		tests/resilience/db/test_pooled.py tests/resilience/db/test_start_up.py

# A healthy PostgreSQL under 40 requests a second, whose connections are forgotten, reset, half closed: two minutes.
forgotten: export FORGOTTEN_SECONDS := 40
forgotten: export STRICT_TIMES := 1
forgotten: install
	$(BIN)/pytest -q tests/functional/test_forgotten.py

# Writers with keys while PostgreSQL is killed, frozen and not heard: no write lost, doubled or lied about.
ledger: export OUTAGE_OPEN_FOR := 1
ledger: install
	@$(BIN)/python -m benchmarks --only ledger

# Twenty minutes of load while dependencies break at random and workers are killed; `make test` has a short form.
soak: install
	@$(BIN)/python -m benchmarks --only soak

# A minute of mixed reads with each outage in its middle, with production's settings: twelve minutes in all.
outage-table: install
	@$(BIN)/python -m benchmarks --only outages

# The server is replaced under load, with everything well and with everything dead: the rows of the table above.
rolling: install
	$(BIN)/python -m tests.outage_table --only replaced

# Twenty first starts of a host; each time the database dies just after the server has said that it is ready.
starts: export STARTS := 20
starts: install
	$(BIN)/pytest -q --timeout=300 tests/functional/test_first_seconds.py

# Workers that hang in each way that we know of, under load, healthy and with everything dead; and workers that only starve. A quarter of an hour of a quiet machine: one that turns in a circle is told by its processor time.
wedged: export WEDGED := all
wedged: install
	$(BIN)/pytest -q -rA --timeout=300 tests/functional/test_wedged.py

# A drill of each dependency by each fault, real servers killed and frozen too, with production's settings: a quarter of an hour; the reports lie in var/drills.
drills: install
	@$(BIN)/python -m benchmarks --only drills

# Thousands of generated requests: SQLite, PostgreSQL and the static file give the same bodies.
differential: export DIFFERENTIAL_QUESTIONS := 6000
differential: install
	$(BIN)/pytest -q --timeout=900 tests/learn/test_same_everywhere.py

# The tables of docs/settings.md, from the code that reads the settings.
.PHONY: settings-page
settings-page: export DJANGO_SETTINGS_MODULE := zenow.settings.test
settings-page: install
	$(BIN)/python -m tests.docs

# Every line and branch of the primitives, by their own tests.
coverage: install
	$(BIN)/coverage run -m pytest -q tests/primitives
	$(BIN)/coverage report

# A thousand workers are killed, stopped and interrupted around one host store; `make test` has a short form.
chaos: install
	$(BIN)/python -m tests.chaos --deaths 1000

mutation: export STRICT_TIMES := 1
mutation: $(VENV)/.peers
	nice $(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

# One benchmark after the other, side by side with the peers; all take half an hour of an idle machine.
# `make bench ONLY=http,engine ROUNDS=3` measures some of them, and fewer rounds.
bench: $(VENV)/.peers
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS))

$(VENV)/.peers: $(VENV)/.installed benchmarks/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@
