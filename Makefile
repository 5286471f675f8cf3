# The two commands are `make run` and `make test`; everything else is for those who work on oneport.

# Where the demo listens.
LISTEN ?= 127.0.0.1:8080
# Seconds that each fuzz target runs.
FUZZ_SECONDS ?= 20
CARGO ?= cargo
# Packages of their own, built beside the project.
MICRO = --manifest-path bench/micro/Cargo.toml --target-dir target/micro
INSTRUCTIONS = --manifest-path bench/instructions/Cargo.toml --target-dir target/instructions
HARNESS = --manifest-path bench/Cargo.toml --target-dir target/bench-harness
# Of the benchmark: parts of it (1 to 10, g for growth), and what else its harness takes (--help lists it).
CASES ?= 1,2,3,4,5,6,7,8,9,10,g
BENCH ?=

.DEFAULT_GOAL := help
.PHONY: help run test check build size fuzz micro instructions docs bench bench-oneport bench-harness

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: ## the demo: one port, three protocols, a page to look at (LISTEN=address:port)
	@$(CARGO) build --release --locked
	@exec target/release/oneport --demo --listen $(LISTEN)

test: ## all tests, with the peers they need (installed where they are missing)
	@tests/setup
# The tests wait more than they compute: more of them at a time than there are cores.
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-3} $(CARGO) test --locked
	$(CARGO) test --locked $(INSTRUCTIONS)
	$(CARGO) test --locked $(HARNESS)

check: ## format and lints
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test boards --test packages --test boot -- -D warnings
	$(CARGO) clippy --locked --all-targets --no-default-features -- -D warnings
	$(CARGO) fmt --check --manifest-path bench/micro/Cargo.toml
	$(CARGO) fmt --check --manifest-path bench/instructions/Cargo.toml
	$(CARGO) clippy --locked --all-targets $(MICRO) -- -D warnings
	$(CARGO) clippy --locked --all-targets $(INSTRUCTIONS) -- -D warnings
	$(CARGO) fmt --check --manifest-path bench/Cargo.toml
	$(CARGO) clippy --locked --all-targets $(HARNESS) -- -D warnings

build: ## the binary as devices get it, without the demo
	$(CARGO) build --release --locked --no-default-features
	@ls -l target/release/oneport

# MIPS code is the largest: where that fits, every board does. (A build for this machine carries the standard library's
# backtraces, 130 KB that no board has.)
size: cross-setup ## how large the binary is where it is largest, on MIPS; fails from 1 MiB on
	@$(MAKE) --no-print-directory BOARD=ath79-mips BOARDS=ath79-mips board

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

# A device gets a static binary, so that is what is measured; ONEPORT=path measures another one.
HOST_TARGET = $(shell rustc -vV | sed -n 's/^host: //p')
BENCH_BINARY = target/bench/$(HOST_TARGET)/release/oneport

bench: ## oneport beside HAProxy, sslh and nginx; writes bench/RESULTS.md (CASES=1,4 BENCH=--quick ONEPORT=path)
	@bench/setup
	@$(MAKE) --no-print-directory -j2 bench-harness $(if $(ONEPORT),,bench-oneport)
	target/bench-harness/release/oneport-bench --oneport $(or $(ONEPORT),$(BENCH_BINARY)) --cases $(CASES) \
	    --write bench/RESULTS.md $(BENCH)

bench-oneport:
	RUSTFLAGS='-C target-feature=+crt-static' $(CARGO) build --release --locked --no-default-features \
	    --target $(HOST_TARGET) --target-dir target/bench

bench-harness:
	$(CARGO) build --release --locked $(HARNESS)

include boards/boards.mk
