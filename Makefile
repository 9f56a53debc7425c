# Every verb sets up what it needs in .venv; `make help` lists them.
#
# Verbs that measure take JSON=1: one JSON document on standard output, everything else on
# standard error, and the exit status says the same.

BIN := .venv/bin
SIGNALING := services/signaling
PEER := services/peer
SOURCES := $(SIGNALING)/src $(PEER)/src proto bench lab tests/abuse tests/adversary tests/crash \
	tests/fuzz tests/soak tests/mutation tests/skips.py tools
MAKEFLAGS += --no-print-directory

# What a verb takes: `make help` names them. Empty: the program's own default.
FILE ?=
WIRE ?=
SIZE ?=
CUTS ?=
MB ?=
ITEM ?=
KILLS ?=
SECONDS ?=
ROUNDS ?=
ONLY ?=
MINUTES ?=
SEED ?=
URL ?=
FAULTS ?=
JSON ?=
WORKERS ?=
TARGET ?=
ARGS ?=

json := $(if $(filter-out 0,$(JSON)),--json)
faults := $(if $(filter-out 0,$(FAULTS)),--faults)
file := $(if $(FILE),--file "$(FILE)")
wire := $(if $(WIRE),--wire "$(WIRE)")
size := $(if $(SIZE),--size "$(SIZE)")
cuts := $(if $(CUTS),--cuts "$(CUTS)")
mb := $(if $(MB),--mb "$(MB)")
item := $(if $(ITEM),--item $(ITEM))
kills := $(if $(KILLS),--kills "$(KILLS)")
seconds := $(if $(SECONDS),--seconds "$(SECONDS)")
only := $(if $(ONLY),--only "$(ONLY)")
minutes := $(if $(MINUTES),--minutes "$(MINUTES)")
seed := $(if $(SEED),--seed "$(SEED)")
url := $(if $(URL),--address "$(URL)")
target := $(if $(TARGET),--target "$(TARGET)")
rounds := $(if $(ROUNDS),--rounds "$(ROUNDS)")

# A user's own BROWSER names a program; on the command line it is a switch, and none of Python's.
browser :=
ifeq ($(origin BROWSER),command line)
browser := $(if $(filter-out 0,$(BROWSER)),--browser)
unexport BROWSER
endif

# Unit tests compute, so each core has a worker; of all tests half wait, so each core has two. What
# ARGS choose is mostly few tests, or wants a terminal (--pdb, -s): those run in this one process.
cores := $(shell getconf _NPROCESSORS_ONLN)
few := $(or $(WORKERS),$(if $(ARGS),0,$(cores)))
many := $(or $(WORKERS),$(if $(ARGS),0,$(shell expr 2 \* $(cores))))

.DEFAULT_GOAL := help

.PHONY: help
help:  ## list the verbs
	@echo 'make VERB; those that measure or judge take JSON=1: one JSON document on stdout'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup:  ## make .venv with pinned packages (every other verb does it too)
	@tools/setup

.PHONY: proto
proto: setup  ## generate the Python modules beside the .proto files
	@tools/generate

.PHONY: format
format: setup  ## rewrite the sources in the one format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: lint
lint: setup  ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: setup  ## mypy --strict over both services; pyright over a program with every public name
	@$(BIN)/mypy $(SOURCES)
	@tools/pyright

.PHONY: layers
layers: setup  ## import contracts: each layer imports only what is below it
	@$(BIN)/lint-imports --no-cache

.PHONY: measure
measure: setup  ## lengths of modules and functions, beside their limits
	@$(BIN)/python tools/measure.py

.PHONY: coverage
coverage: setup  ## branches of both protocol/ folders that no example in their tests takes: none
	@$(BIN)/coverage run -m pytest -q -m "not hypothesis" -k "not harness and not deliberate" \
		$(SIGNALING)/tests/protocol $(PEER)/tests/protocol
	@$(BIN)/coverage report

.PHONY: check
check: lint types layers measure coverage test-unit  ## lint, types, layers, measure, coverage, test-unit: before every commit

.PHONY: test-unit
test-unit: setup  ## only the tests without processes, sockets and files (WORKERS=number)
	@$(BIN)/pytest -q -n $(few) -m "not service" $(ARGS)

.PHONY: test-pythons
test-pythons: setup  ## the unit tests under each Python from 3.11 to 3.14 that is here (ARGS="3.11 newest")
	@tools/test-pythons $(ARGS)

.PHONY: test
test: setup  ## all tests that need no Docker (ARGS="-k name" chooses, WORKERS=number)
	@$(BIN)/pytest -n $(many) $(ARGS)

.PHONY: test-service
test-service: setup  ## only the tests with real processes, sockets and files
	@$(BIN)/pytest -n $(many) -m service $(ARGS)

.PHONY: browser-test
browser-test: setup  ## the TypeScript package in browser/: types, size, tests, in Chromium too; needs Node.js 20 (ARGS=part of a test's name)
	@tools/browser-test $(ARGS)

.PHONY: integration-test
integration-test: setup  ## the compose system from outside; needs Docker
	@tools/setup-docker --check
	@$(BIN)/pytest tests/integration $(ARGS)

.PHONY: check-kubernetes
check-kubernetes: setup  ## deploy/kubernetes against the schemas of the API; no cluster
	@tools/check-kubernetes

.PHONY: demo
demo: setup  ## five payload types, two peers (FILE=path WIRE=webrtc|websocket|both SIZE=small|normal|large); BROWSER=1: a page
	@$(BIN)/actr demo $(browser) $(file) $(wire) $(size) $(json) $(ARGS)

.PHONY: bench-failover
bench-failover: setup  ## cut wires under traffic: lost, doubled, gap (CUTS=number)
	@$(BIN)/python -m bench.network.failover $(cuts) $(json) $(ARGS)

.PHONY: bench-priority
bench-priority: setup  ## an urgent call behind a bulk transfer (MB=number ITEM=bytes)
	@$(BIN)/python -m bench.priority $(mb) $(item) $(json) $(ARGS)

.PHONY: bench-tls
bench-tls: setup  ## what TLS costs a WebSocket wire, beside plain ones in the same run
	@$(BIN)/python -m bench.network.tls $(json) $(ARGS)

.PHONY: bench-trust
bench-trust: setup  ## what certificates cost actors on WebRTC, beside the same without (ARGS="--wire webrtc websocket")
	@$(BIN)/python -m bench.network.trust $(json) $(ARGS)

.PHONY: bench-stream
bench-stream: setup  ## items a second of 1, 200 and 5,000 streams, beside grpc.aio, websockets, picows, aiortc
	@$(BIN)/python -m bench.stream $(json) $(ARGS)

.PHONY: bench-many
bench-many: setup  ## what grows from 10 to 5,000 streams; a slow consumer (ARGS="--slow 60")
	@$(BIN)/python -m bench.many $(json) $(ARGS)

.PHONY: bench-calls
bench-calls: setup  ## unary calls in memory beside bare echoes and grpc.aio (SECONDS=number ROUNDS=number ONLY=word)
	@$(BIN)/python -m bench.network.calls $(seconds) $(rounds) $(only) $(json) $(ARGS)

.PHONY: bench-links
bench-links: setup  ## what 1, 10 and 50 links cost, idle, called, dialled; beside aiortc and grpc.aio
	@$(BIN)/python -m bench.network.links $(json) $(ARGS)

.PHONY: bench-signaling
bench-signaling: setup  ## relays and connections of one signaling service, beside npm peer, ws, socket.io, FastAPI, picows
	@$(BIN)/python -m bench.network.signaling $(json) $(ARGS)

.PHONY: bench-files
bench-files: setup  ## a file under cuts and restarts: hash equal (MB=number)
	@$(BIN)/python -m bench.files $(mb) $(json) $(ARGS)

.PHONY: bench-media
bench-media: setup  ## video of 5 to 50 Mbit/s, frames of 1.2 MB, and adding a track (SECONDS=number)
	@$(BIN)/python -m bench.media $(seconds) $(json) $(ARGS)

.PHONY: bench-state
bench-state: setup  ## durable calls per second, beside grpc.aio and raw SQLite (SECONDS=number ROUNDS=number)
	@$(BIN)/python -m bench.state $(seconds) $(rounds) $(json) $(ARGS)

.PHONY: crash-test
crash-test: setup  ## kill peers with SIGKILL under durable calls, compare (KILLS=number)
	@$(BIN)/python -m tests.crash $(kills) $(json) $(ARGS)

.PHONY: fault-test
fault-test: setup  ## cut, freeze and lose on real wires, compare (SIZE=small|normal|full)
	@$(BIN)/python -m tests.faults $(size) $(json) $(ARGS)

.PHONY: gameday-test
gameday-test: setup  ## plant faults: a real Prometheus raises that alert and no other (ARGS="-k redis")
	@$(BIN)/pytest -q tests/gameday $(ARGS)

.PHONY: abuse-test
abuse-test: setup  ## abuse signaling and a peer's door, beside fifty honest clients (ONLY=word STORE=redis)
	@$(BIN)/python -m tests.abuse $(only) $(json) $(ARGS)

.PHONY: adversary-test
adversary-test: setup  ## attack what carries and who comes: refused, counted, named (ONLY=word FAULTS=1: without each check)
	@$(BIN)/python -m tests.adversary $(only) $(faults) $(json) $(ARGS)

.PHONY: fuzz
fuzz: setup  ## give parsers of strangers' bytes inputs that nobody thought of (SECONDS=number TARGET=word)
	@$(BIN)/python -m tests.fuzz $(seconds) $(target) $(seed) $(json) $(ARGS)

.PHONY: mutation-test
mutation-test: setup  ## break critical lines one at a time; the tests must notice (ONLY=word)
	@$(BIN)/python -m tests.mutation $(only) $(json) $(ARGS)

.PHONY: soak-test
soak-test: setup  ## peers at work while everything around them breaks (MINUTES=number SEED=number)
	@$(BIN)/python -m tests.soak $(minutes) $(seed) $(json) $(ARGS)

.PHONY: package
package: setup  ## wheels and their sums in dist/, tried in an empty environment (URL=https://…)
	@$(BIN)/python -m tools.package $(url) $(ARGS)

.PHONY: up
up:  ## build and start the compose system, wait until it is healthy
	@docker compose up --build --detach --wait

.PHONY: down
down:  ## stop the compose system; mailboxes stay
	@docker compose down

.PHONY: logs
logs:  ## follow the logs of the compose system
	@docker compose logs --follow --tail 100

.PHONY: lock
lock: setup  ## pin with hashes: requirements/*.txt, services/*/requirements.txt, [tool.uv] (ARGS=--upgrade)
	@tools/lock $(ARGS)
