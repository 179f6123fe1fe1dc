# The targets of the project; "make help" lists them.
GO      ?= go
KILLS   ?= 100
FUZZ    ?= 60s
TAGS    ?=
LINT     = $(GO) tool -modfile=tools/go.mod golangci-lint
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)

.PHONY: help build size demo test test-race test-otlp parts lint fuzz bench chaos generate clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

build: ## build bin/oslcbus, one static binary; TAGS=otlp exports spans
	CGO_ENABLED=0 $(GO) build -tags "$(TAGS)" -trimpath -ldflags "-s -w" -o bin/oslcbus ./cmd/oslcbus

size: build ## tell what the binary takes, and fail above the limits of docs/dependencies.md
	@bytes=$$(wc -c <bin/oslcbus); modules=$$($(GO) version -m bin/oslcbus | grep -c "dep	"); \
	  echo "bin/oslcbus: $$((bytes / 1000000)) MB, $$modules modules"; test $$bytes -le 40000000 -a $$modules -le 55

demo: ## run the bus on sandbox tools, with nothing else needed
	$(GO) run ./cmd/oslcbus demo

test: ## run the tests; what needs a real part that is absent says so
	$(GO) test -shuffle=on -timeout 15m ./...

test-race: ## the same under the race detector
	$(GO) test -race -shuffle=on -timeout 20m ./...

test-otlp: ## check the build that exports spans, against a receiver in the test
	$(GO) vet -tags otlp ./cmd/oslcbus
	$(GO) test -tags otlp -run '^TestOTLP' -timeout 5m ./cmd/oslcbus

parts: ## fetch the real parts that tests run on (Kafka, MongoDB, OSLC clients) into .parts/
	internal/testkit/parts.sh

lint: ## check format, imports between packages, and the usual mistakes, on each system
	$(LINT) run ./...
	$(LINT) run --build-tags otlp ./cmd/oslcbus
	GOOS=windows $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...

fuzz: ## fuzz every reader, FUZZ=60s each
	@grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read d; do \
	  for f in $$(grep -hoE '^func (Fuzz[A-Za-z0-9_]+)' $$d/*_test.go | cut -d' ' -f2); do \
	    echo "$$d $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZ) $$d || exit 1; done; done

bench: ## run the benchmarks whose results docs/benchmarks.md holds
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m ./...

chaos: ## kill the program KILLS times under load and count what is lost
	OSLCBUS_CHAOS_KILLS=$(KILLS) $(GO) test -run '^TestKill' -v -timeout 120m ./internal/chaos

generate: ## write the generated files again
	$(GO) generate ./...

clean: ## remove what was built
	rm -rf bin
