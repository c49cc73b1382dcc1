PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
PORT ?= 8080
export PORT
STATIC := $(shell find zenow learn resilience -type f -path '*/static/*')

# A target's line says after ## what it does, which `make help` lists under its heading (##@).
.DEFAULT_GOAL := help
.PHONY: help install run demo serve lint test timings audit settings-page coverage mutation chaos interleaving \
	wheel matrix outages outages-database outages-cache outages-partner poolers forgotten leaks kept starts rolling wedged \
	ledger soak outage-table drills differential django-suites django-redis-suite bench clients schema-attack

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##@ Run it

install: $(VENV)/.installed ## Make .venv with the pinned dependencies; the others do so as needed

# `make run` and `make serve` need the runtime alone.
$(VENV)/.runtime: requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or later is needed; name it by: make PYTHON=python3.11'; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo 'Installing into $(VENV), which takes about a minute the first time'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.runtime requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# The catalogue is filled when it is empty; DEBUG serves static files from where they lie.
run: export DEBUG := 1
run: $(VENV)/.runtime ## Serve a catalogue of real courses at localhost:8080 (PORT=8081 for another port)
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

demo: $(VENV)/.runtime ## Break a server's database for 30 s before your eyes; nothing is left running
	@$(BIN)/python -m tests.demo

# Its start needs neither database nor cache; a missing variable stops it with one message.
serve: export DEBUG := $(or $(DEBUG),0)
serve: $(VENV)/.runtime ## Run the production server
	@$(MANAGE) check
	@$(MAKE) --no-print-directory staticfiles/staticfiles.json
	@exec $(BIN)/python -m zenow

staticfiles/staticfiles.json: $(VENV)/.runtime $(STATIC)
	$(MANAGE) collectstatic --noinput --verbosity 0
	@touch $@

##@ Change it

# The same four are the hooks of .pre-commit-config.yaml.
lint: install ## Check format, lint, import contracts and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# In three processes, because most of it waits for servers that recover. The system's servers are used where it has them;
# the last step proves that those in the wheels suffice.
test: export DJANGO_SETTINGS_MODULE := zenow.settings.test
test: lint ## Run all that CI runs
	$(MANAGE) check --fail-level WARNING
	$(MANAGE) makemigrations --check --dry-run
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder
	TEST_SERVERS=wheels $(BIN)/pytest tests/test_conftest.py

# One after the other and without the room that `make test` gives.
timings: export STRICT_TIMES := 1
timings: install ## Run the tests that bound a time, strictly: for a quiet machine
	$(BIN)/pytest $$(grep -lrE 'ROOM|takes\(|taking_at_most\(|deadline_kept\(' tests --include='test_*.py' | grep -v outages)

audit: install ## Look for known vulnerabilities of what runs in production; needs the network
	$(BIN)/pip-audit --strict --requirement requirements.txt --progress-spinner off

settings-page: export DJANGO_SETTINGS_MODULE := zenow.settings.test
settings-page: install ## Write the tables of docs/settings.md and docs/capacity.md from the code
	$(BIN)/python -m tests.docs

coverage: install ## Show that each branch of the primitives is tested
	$(BIN)/coverage run -m pytest -q tests/primitives
	$(BIN)/coverage report

mutation: export STRICT_TIMES := 1
mutation: $(VENV)/.peers ## Show that the tests notice what is changed in the primitives
	nice $(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

wheel: install ## Build the distribution django-resilience into dist/: the app alone
	$(BIN)/python -m hatchling build -d dist

# In an environment of their own, beside Node and Java of the system. Without them their tests are skipped.
clients: .venv-clients/.installed ## Install the generators whose clients the tests try; needs node, npm and java

.venv-clients/.installed: tests/clients/requirements.txt tests/clients/package.json tests/clients/package-lock.json
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
	cp tests/clients/package.json tests/clients/package-lock.json .venv-clients/
	npm ci --silent --no-audit --no-fund --prefix .venv-clients
	@touch $@

##@ Prove it: longer proofs, which `make test` has in a short form or not at all

leaks: export LEAKS ?= 10000
leaks: install ## Show that no plain view shows to one client what is another's: 10,000 requests
	$(BIN)/pytest -q tests/leaks

# 200 writes whose connection is killed, 200 whose disk fills.
kept: install ## Lose no write whose view catches the error that ended its transaction
	@$(BIN)/python -m tests.kept

# What ends differently is listed with its reason.
django-suites: install ## Run Django's own suites on its engines and on ours
	nice $(BIN)/python -m tests.django_suites

django-redis-suite: install ## Run django-redis' own suite on its cache behind the guard
	nice $(BIN)/python -m tests.django_suites.django_redis

# A cell whose Python is not on the machine is told. Each is a new environment, so it needs the network.
matrix: install ## Run the app's tests from its wheel on each Django and Python: 10 min
	@$(BIN)/python -m tests.alone

# `make test` has open intervals of 1 s.
outages: install ## Break real servers under load, with the open intervals of production
	@$(MAKE) --no-print-directory --keep-going --jobs 3 --output-sync=target outages-database outages-cache outages-partner

outages-database: export OUTAGE_OPEN_FOR := 15
outages-database: export STRICT_TIMES := 1
outages-database: install ## … PostgreSQL alone
	$(BIN)/pytest -q tests/functional/test_database_*.py tests/functional/test_steward_lost.py

outages-cache: export OUTAGE_OPEN_FOR := 10
outages-cache: export STRICT_TIMES := 1
outages-cache: install ## … Redis alone
	$(BIN)/pytest -q tests/functional/test_cache_outages.py

outages-partner: export OUTAGE_OPEN_FOR := 30
outages-partner: export STRICT_TIMES := 1
outages-partner: install ## … the partner's API alone
	$(BIN)/pytest -q tests/functional/test_partner_outages.py

poolers: export POOLERS := all
poolers: install ## Run the site behind PgBouncer in each mode, and behind other proxies
	$(BIN)/pytest -q tests/functional/test_poolers.py tests/resilience/db/test_repeated_reads.py \
		tests/resilience/db/test_pooled.py tests/resilience/db/test_start_up.py

# Under 40 requests a second.
forgotten: export FORGOTTEN_SECONDS := 40
forgotten: export STRICT_TIMES := 1
forgotten: install ## Forget, reset and half close the connections of a healthy PostgreSQL: 2 min
	$(BIN)/pytest -q tests/functional/test_forgotten.py

ledger: export OUTAGE_OPEN_FOR := 1
ledger: install ## Write with keys while PostgreSQL is killed, frozen and not heard, and count
	@$(BIN)/python -m benchmarks --only ledger

soak: install ## Load the site while dependencies break at random and workers are killed: 20 min
	@$(BIN)/python -m benchmarks --only soak

# With production's settings.
outage-table: install ## Read for a minute through each outage, and tell what was answered: 12 min
	@$(BIN)/python -m benchmarks --only outages

# These are rows of the table above.
rolling: install ## Replace the server under load, healthy and with everything dead
	$(BIN)/python -m tests.outage_table --only replaced

starts: export STARTS := 20
starts: install ## Start a host 20 times, whose database dies just after the server is ready
	$(BIN)/pytest -q --timeout=300 tests/functional/test_first_seconds.py

# Under load, healthy and with everything dead. An endless loop is told by its processor time, so the machine has to be quiet.
wedged: export WEDGED := all
wedged: install ## Hang workers in each way that we know of, and starve others: 15 min
	$(BIN)/pytest -q -rA --timeout=300 tests/functional/test_wedged.py

# With production's settings; the reports lie in var/drills.
drills: install ## Drill each dependency by each fault, real servers killed and frozen too: 15 min
	@$(BIN)/python -m benchmarks --only drills

differential: export DIFFERENTIAL_QUESTIONS := 6000
differential: install ## Ask SQLite, PostgreSQL and the static copy 6000 questions: the same answers
	$(BIN)/pytest -q --timeout=900 tests/learn/test_same_everywhere.py

# 180 for each of some 28 operations, healthy and in an outage.
schema-attack: export SCHEMA_CASES := 180
schema-attack: install ## Make up 10,000 requests from the schema: each answer is as it says
	$(BIN)/pytest -q tests/security/test_schema_attack.py

# The store in each order of steps: all with few preemptions or a death, then 100,000 seeds of three processes.
interleaving: install ## Run the host's store in each order of its processes' steps (ARGS='--only record')
	nice $(BIN)/python -m tests.interleaving $(ARGS)

chaos: install ## Kill, stop and interrupt 1000 workers around one host store
	$(BIN)/python -m tests.chaos --deaths 1000

# Side by side with the peers, on an idle machine. `make bench ONLY=http,engine ROUNDS=3` measures some, in fewer rounds.
bench: $(VENV)/.peers ## Measure all beside the peers: 60 min (ONLY=http,engine for some)
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS))

$(VENV)/.peers: $(VENV)/.installed benchmarks/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@
