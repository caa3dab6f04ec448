# `make` prints the targets. CI runs `make check`, and nothing that is not here.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BUF_VERSION := v1.75.0
BUF         := bin/buf-$(BUF_VERSION)
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
IMAGE       ?= earshot:$(VERSION)
# End-to-end tests are in one package and called TestE2E….
E2E_PACKAGE := ./services/earshot
FUZZTIME    ?= 5s

##@ Run

.PHONY: run
run: ## start everything in one process, data in ./data, desk on http://127.0.0.1:8080
	go run ./services/earshot serve

.PHONY: demo
demo: ## the same on a made-up day of mentions, data in ./data-demo; nothing leaves the machine
	go run ./services/earshot serve --demo

##@ Build

.PHONY: build
build: ## build bin/earshot, static
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/earshot ./services/earshot

.PHONY: image
image: ## build the container image
	docker build --file deploy/Dockerfile --build-arg VERSION=$(VERSION) --tag $(IMAGE) .

.PHONY: proto
proto: $(BUF) ## generate Go from proto/
	cd proto && ../$(BUF) generate

.PHONY: docs
docs: ## generate docs/configuration.md
	go run ./services/earshot docs > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md

.PHONY: screens
screens: ## take pictures of the demo's desk into ./screens and renew those in docs/; needs Chromium
	go test -count=1 -timeout 20m -run '^TestPictures$$' $(E2E_PACKAGE) -pictures $(CURDIR)/screens -pictures-docs

$(BUF):
	GOBIN=$(CURDIR)/bin go install github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)
	mv bin/buf $@

##@ Test

.PHONY: test
test: ## all tests; needs Go, and Chromium for the browser tests
	go test -timeout 20m ./...

# SQLite is C turned into Go: instrumented, it is ten times slower, and what it
# does in its own memory is not ours. It takes part in no generic code, of which
# the linker could take its copy for all.
RACE := -race -gcflags=modernc.org/sqlite/lib=-race=false

.PHONY: race
race: ## all but the end-to-end tests, with the race detector; needs a C compiler
	go test $(RACE) -vet=off -timeout 15m -skip '^TestE2E' ./...

.PHONY: e2e
e2e: ## end-to-end tests only: all-in-one and split, in a real browser
	go test -vet=off -count=1 -timeout 15m -run '^TestE2E' $(E2E_PACKAGE)

.PHONY: bench
bench: ## measure throughput, latency, start and memory; wants an idle machine
	go test -run '^$$' -bench 'ShortPosts|Worst|New' -cpu 1 ./pkg/classify
	go test -run '^$$' -bench 'Matcher/(match|build)/10000$$|JetstreamEvent' -cpu 1 ./pkg/query ./pkg/source
	go run ./services/earshot bench

.PHONY: quality
quality: ## how good verdicts are, on texts that nothing was learned from
	go run ./services/earshot quality --channels --errors 3

.PHONY: folds
folds: ## how good verdicts are on the training part, each hand judged by what the others teach
	go test -count=1 -run '^TestQualityByOtherHands' -v ./pkg/classify -folds

.PHONY: model
model: ## pack the rules and train the embedded model anew, after its corpus or rules have changed
	go test -count=1 -timeout 1h -run "^TestEmbedded" ./pkg/classify -update

# One fuzzer runs in a process at a time, so each gets one of its own with one
# worker, in as many packages at once as there are cores. A run that its time
# limit ends within an input is reported as failed with "context deadline
# exceeded" (Go issue 48591); a finding names the input it has written.
.PHONY: fuzz
fuzz: ## run every fuzz test for FUZZTIME (5s)
	bin=$$(mktemp -d); trap 'rm -rf "$$bin"' EXIT; export bin; \
	grep -rHE --include='*_test.go' '^func Fuzz' pkg services \
	| sed -E 's|/[^/]*:.*||' | sort | uniq -c | sort -rn | sed -E 's|^ *[0-9]+ ||' \
	| xargs -r -n 1 -P "$$(getconf _NPROCESSORS_ONLN)" nice bash -euo pipefail -c \
		'test="$$bin/$${0//\//.}"; go test -vet=off -c -fuzz . -o "$$test" "./$$0"; cache=$$(go env GOCACHE)/fuzz/$$0; cd "$$0"; \
		for f in $$(grep -hoE "^func Fuzz[A-Za-z0-9_]+" *_test.go | cut -c 6-); do \
			out=$$("$$test" -test.run "^$$" -test.fuzz "^$$f\$$" -test.fuzztime $(FUZZTIME) -test.parallel 1 -test.fuzzcachedir "$$cache" 2>&1) && ok=1 || ok=; \
			echo "$$0 $$f: $$(grep -E "^fuzz: elapsed" <<<"$$out" | tail -n 1)"; \
			[[ $$ok || $$out == *"context deadline exceeded"* && $$out != *"Failing input"* ]] || { echo "$$out"; exit 1; }; \
		done'

##@ Check

.PHONY: fmt
fmt: ## format, and modernise what `go fix` knows
	go fix ./...
	gofmt -s -w pkg services k8s

.PHONY: lint
lint: ## formatting, go vet, staticcheck
	unformatted=$$(gofmt -s -l pkg services k8s); \
	if [ -n "$$unformatted" ]; then printf 'not formatted, run make fmt:\n%s\n' "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

.PHONY: verify
verify: $(BUF) ## generated files and go.mod are current; messages still read what is stored
	cd proto && ../$(BUF) lint
	tag=$$(git describe --tags --abbrev=0 2>/dev/null || true); \
	if [ -n "$$tag" ]; then cd proto && ../$(BUF) breaking --against "../.git#tag=$$tag,subdir=proto"; fi
	new=$$(mktemp -d); trap 'rm -rf "$$new"' EXIT; \
	(cd proto && ../$(BUF) generate --output "$$new/proto"); \
	go run ./services/earshot docs > "$$new/configuration.md"; \
	diff -r --exclude='*.proto' --exclude='buf*.yaml' "$$new/proto" proto || { echo 'proto: stale, run make proto'; exit 1; }; \
	diff "$$new/configuration.md" docs/configuration.md || { echo 'docs: stale, run make docs'; exit 1; }
	go mod tidy -diff
	go test -vet=off -count=1 -timeout 20m ./pkg/classify

# The end-to-end tests mostly wait, and the fuzzers let them go first.
.PHONY: check
check: lint verify race ## everything CI runs
	$(MAKE) -j 2 fuzz e2e

##@ Other

.PHONY: clean
clean: ## remove what was built; data stays
	rm -rf bin coverage.out

.PHONY: help
help: ## print this
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
