# The two commands are `make run` and `make test`; everything else is for those who work on oneport.

# Where the demo listens.
LISTEN ?= 127.0.0.1:8080
# Seconds that each fuzz target runs.
FUZZ_SECONDS ?= 20
CARGO ?= cargo
# Packages of their own, built beside the project.
MICRO = --manifest-path bench/micro/Cargo.toml --target-dir target/micro
INSTRUCTIONS = --manifest-path bench/instructions/Cargo.toml --target-dir target/instructions

.DEFAULT_GOAL := help
.PHONY: help run test check build size fuzz micro instructions docs

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: ## the demo: one port, three protocols, a page to look at (LISTEN=address:port)
	@$(CARGO) build --release --locked
	@exec target/release/oneport --demo --listen $(LISTEN)

test: ## all tests, with the peers they need (installed where they are missing)
	@tests/setup
	$(CARGO) test --locked
	$(CARGO) test --locked $(INSTRUCTIONS)

check: ## format and lints
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets --no-default-features -- -D warnings
	$(CARGO) fmt --check --manifest-path bench/micro/Cargo.toml
	$(CARGO) fmt --check --manifest-path bench/instructions/Cargo.toml
	$(CARGO) clippy --locked --all-targets $(MICRO) -- -D warnings
	$(CARGO) clippy --locked --all-targets $(INSTRUCTIONS) -- -D warnings

build: ## the binary as devices get it, without the demo
	$(CARGO) build --release --locked --no-default-features
	@ls -l target/release/oneport

size: build ## how large it is; fails from 1 MiB on
	@size=$$(wc -c < target/release/oneport); echo "$$size bytes of 1048576"; test "$$size" -lt 1048576

fuzz: ## a short run of every fuzz target (nightly and cargo-fuzz); a replay of the corpus where they are missing
	@if $(CARGO) +nightly fuzz --version >/dev/null 2>&1; then \
	    for target in $$($(CARGO) +nightly fuzz list); do \
	        $(CARGO) +nightly fuzz run "$$target" -- -verbosity=0 -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	    done; \
	else \
	    echo "no nightly with cargo-fuzz here: replaying the corpus"; \
	    $(CARGO) test --locked --test corpus_replay; \
	fi

micro: ## micro-benchmarks of what needs no socket: sniffing, heads, rules, balancing (FILTER=part of a name)
	$(CARGO) bench --locked $(MICRO) -- $(FILTER)

instructions: build ## instructions per unit of work beside the committed ones; fails above 5 % (BLESS=1: writes them)
	@tests/setup valgrind:valgrind
	@$(CARGO) run --quiet --locked $(INSTRUCTIONS) -- $(if $(BLESS),--bless)

docs: ## docs/keywords.md, written anew from the keyword table (a test fails when it is stale)
	ONEPORT_BLESS=1 $(CARGO) test --locked --lib keywords
