# `make` alone lists what there is. Go, git and make are enough for all of it;
# the race detector wants a C compiler besides.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO          ?= go
GO_VERSION  := $(shell awk '$$1 == "go" { print $$2 }' go.mod)
LINT        := $(GO) tool -modfile=tools.mod golangci-lint
PKG         ?= ./...
BENCH       ?= .
COUNT       ?= 1
FUZZTIME    ?= 10s
TESTFLAGS   ?=

# Go keeps its caches at home. Without a home that can be written to, they go
# into .cache beside this file.
ifneq ($(shell [ -d "$${HOME:-}" ] && [ -w "$$HOME" ] && echo yes),yes)
export GOPATH             ?= $(CURDIR)/.cache/go
export GOCACHE            ?= $(CURDIR)/.cache/go-build
export GOLANGCI_LINT_CACHE ?= $(CURDIR)/.cache/golangci-lint
$(info HOME is not a directory that can be written to: Go keeps its caches in .cache)
endif

# The race detector is built with cgo, which takes a C compiler.
ifeq ($(origin CC),default)
CC := $(notdir $(firstword $(shell command -v cc gcc clang)))
endif
ifneq ($(and $(CC),$(filter-out 0,$(or $(CGO_ENABLED),1))),)
RACE      := -race
RACE_NOTE := with the race detector
test: export CGO_ENABLED := 1
test: export CC := $(CC)
# Every package's tests would sleep for a second before they exit.
test: export GORACE ?= atexit_sleep_ms=100
else
RACE_NOTE := WITHOUT the race detector: there is no C compiler (cc, gcc or clang), or CGO_ENABLED is 0
endif

# Git may refuse to look into a clone that somebody else owns.
VCS := $(if $(shell git rev-parse HEAD 2>/dev/null),,-buildvcs=false)

##@ Use

.PHONY: help
help: ## list what there is to make
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n  PKG=./rag/... narrows test, lint, bench and fuzz. README.md has the settings of the program.\n'

.PHONY: run
run: bin/voiceassist ## start everything on this machine: API, worker, scheduler, engines
	@exec bin/voiceassist up

.PHONY: build
build: bin/voiceassist bin/api bin/worker bin/scheduler ## build the four programs into bin/

# Go knows better than make what is out of date.
.PHONY: bin/voiceassist bin/api bin/worker bin/scheduler
bin/voiceassist bin/api bin/worker bin/scheduler: need-go
	@$(GO) build $(VCS) -o $@ ./cmd/$(@F)

##@ Check

.PHONY: test
test: need-go ## vet and run the tests, with the race detector where it can be built
	@echo "tests run $(RACE_NOTE)"
	$(GO) vet $(PKG)
	$(GO) test $(RACE) -shuffle=on -count=1 -timeout=20m $(TESTFLAGS) $(PKG)

.PHONY: lint
lint: need-go ## run golangci-lint, which checks the format as well
	$(LINT) run $(PKG)

.PHONY: tidy-diff
tidy-diff: need-go ## fail if go.mod or go.sum want tidying
	$(GO) mod tidy -diff

.PHONY: fix-diff
fix-diff: need-go ## fail if `go fix` would modernise anything
	$(GO) fix -diff $(PKG)

.PHONY: check
check: tidy-diff fix-diff lint test ## everything that has to hold before a commit

.PHONY: fmt
fmt: need-go ## format the code
	$(LINT) fmt

.PHONY: openapi
openapi: need-go ## write docs/openapi.json, the published description, anew
	$(GO) test ./httpapi -run=TestThePublishedOpenAPIDocument -count=1 -update

##@ Measure

.PHONY: bench
bench: need-go ## run the benchmarks (BENCH=regexp COUNT=10 for benchstat)
	$(GO) test -run='^$$' -bench='$(BENCH)' -benchmem -count=$(COUNT) $(PKG)

.PHONY: fuzz
fuzz: need-go ## run every fuzz target for FUZZTIME (10s)
	@for pkg in $$($(GO) list $(PKG)); do \
		dir=$$($(GO) list -f '{{.Dir}}' $$pkg); \
		for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$$dir"/*_test.go 2>/dev/null | cut -c6-); do \
			echo "== $$pkg $$target"; \
			$(GO) test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) $$pkg; \
		done; \
	done

.PHONY: fuzz-api
fuzz-api: need-go ## hold a fresh system against its OpenAPI document (EXAMPLES=100)
	.ci/fuzz $(or $(EXAMPLES),100)

.PHONY: need-go
need-go:
	@if ! command -v $(firstword $(GO)) >/dev/null; then \
		echo "Go is missing. Version $(GO_VERSION) or newer is needed: https://go.dev/dl/" >&2; exit 1; \
	fi
	@if ! have=$$($(GO) env GOVERSION 2>&1); then \
		echo "Go $(GO_VERSION) or newer is needed, and this one cannot fetch it: $$have" >&2; exit 1; \
	elif [ "$$(printf '%s\n%s\n' "$(GO_VERSION)" "$${have#go}" | sort -V | head -n1)" != "$(GO_VERSION)" ]; then \
		echo "Go $(GO_VERSION) or newer is needed; this is $$have: https://go.dev/dl/" >&2; exit 1; \
	fi
