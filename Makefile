# Everything a developer types. `make demo` and `make test` need nothing but this checkout and a Rust
# toolchain; what else is missing, tests/setup.sh installs or names.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test test-systemd test-vm attack endurance chaos fuzz trial bench bench-quick bench-venv packages packages-twice packages-lint venvs rootfs environments setup lint clean

export OSTLER_VENVS ?= $(CURDIR)/target/venvs
export OSTLER_ROOTFS ?= $(CURDIR)/target/rootfs
# Only root can boot a machine; everybody else leaves those tests out, and is told so.
root := $(filter 0,$(shell id -u))
# Tests wait more than they work; more than this makes a machine of two cores crowded.
export RUST_TEST_THREADS ?= 4

help:
	@echo 'make demo    a Django project under ostler: load, a deployment, three bad releases'
	@echo 'make test    every test, with real gunicorn 20.1, 23, 27 and the newest'
	@echo 'make test-systemd  all tests on a booted Debian 12, of which `make test` boots 13 and on 12 only the most important; as root'
	@echo 'make test-vm a machine with its controllers on: limits, ends for want of memory; as root'
	@echo 'make attack   what somebody who means no good, or a machine that fails, can do: each is tried and named; as root, half an hour'
	@echo 'make endurance  200,000 seeds of the simulator, a thousand rollouts, crashes, restarts and re-executions in a row, then an hour of `make fuzz`; as root'
	@echo 'make chaos   ostlerd killed, stopped, without disk or descriptors, a hundred times each, at random moments under load; as root'
	@echo 'make fuzz    every reader of foreign bytes under libFuzzer; an hour of it is in make endurance'
	@echo 'make trial   machines on one database, killed at random: nothing migrates twice, what is told is true; as root, an hour'
	@echo 'make bench   ostler beside gunicorn, Granian, uWSGI, circus, supervisord, systemd: writes tests/bench/results.md'
	@echo 'make bench-quick  shows in a minute or so that all of it runs'
	@echo 'make packages  a .deb and an .rpm in target/packages; packages-twice, packages-lint check them'
	@echo 'make lint    formatting, clippy, ruff, shellcheck, documentation'
	@echo 'make clean   remove what was built'

demo:
	@bash tests/setup.sh demo
	cargo build --release --locked
	target/release/ostler demo --once --dir target/demo

test: setup venvs $(if $(root),rootfs)
	bash tests/all.sh $(if $(root),,--skip booted::)
	@echo 'ostler: every test passed$(if $(root),,, but for those of systemd: they need root)'

test-systemd: setup venvs rootfs
	OSTLER_DEBIAN=12 cargo test --locked --test systemd booted::

test-vm: setup venvs $(if $(root),rootfs)
	@bash tests/vm.sh

# ATTACK='-k liars --without systemd' repeats a part. Most of it is in `make test`, where each has its own name too.
attack: setup venvs rootfs
	/usr/bin/python3 tests/attacks/run.py $(ATTACK)

endurance: setup venvs $(if $(root),rootfs)
	OSTLER_SIM_SEEDS=200000 cargo test --locked -p ostler-core --test sim
	OSTLER_ROUNDS=1000 cargo test --locked --test systemd booted::endurance -- --nocapture
	OSTLER_ROUNDS=100 cargo test --locked --test systemd booted::survival -- --nocapture
	FUZZ=$${FUZZ:-140} bash tests/fuzz/run.sh

# CHAOS='--seed 7 --only kill --rounds 20' repeats a part.
chaos: setup venvs $(if $(root),rootfs)
	OSTLER_CHAOS="--rounds $${OSTLER_ROUNDS:-100} $(CHAOS)" cargo test --locked --test systemd booted::chaos -- --nocapture

# FUZZ='600 import edge' tries only these laws, ten minutes each.
fuzz:
	@bash tests/setup.sh build
	@FUZZ='$(FUZZ)' bash tests/fuzz/run.sh

# TRIAL='--database mariadb --seed 7 --only rounds' repeats a part.
trial: setup venvs
	cargo build --locked --bins
	OSTLER_ROUNDS=$${OSTLER_ROUNDS:-100} /usr/bin/python3 tests/trial/run.py $(TRIAL)

# BENCH='--only latency --with uwsgi' repeats a part, and writes nothing of it into the checkout.
bench: bench-venv $(if $(root),rootfs)
	cargo bench --locked --bench ostler -- $(BENCH)

# Of the build that the tests have: only that it runs is of interest.
bench-quick: bench-venv
	cargo bench --locked --profile dev --bench ostler -- --quick

bench-venv: venvs
	@bash tests/setup.sh bench
	@bash tests/venvs.sh "$$OSTLER_VENVS" bench

packages:
	@bash tests/setup.sh packages
	@bash packaging/build.sh target/packages

packages-twice: packages
	@bash packaging/twice.sh

packages-lint:
	@bash packaging/lint.sh

setup:
	@bash tests/setup.sh

# All that `make test`, `make lint` and `make bench-quick` take from outside.
environments: venvs $(if $(root),rootfs)
	@bash tests/setup.sh lint
	@bash tests/venvs.sh "$$OSTLER_VENVS" lint bench

venvs: setup
	@bash tests/venvs.sh "$$OSTLER_VENVS"

# Debian 13, and 12 beside it; for each what the guide installs on it.
rootfs: setup
	@bash tests/rootfs.sh "$$OSTLER_ROOTFS" 13
	@bash tests/debs.sh "$$OSTLER_ROOTFS"
	@bash tests/rootfs.sh "$$OSTLER_ROOTFS-12" 12
	@bash tests/debs.sh "$$OSTLER_ROOTFS-12"

lint:
	@bash tests/setup.sh lint
	@bash tests/venvs.sh "$$OSTLER_VENVS" lint
	@bash tests/lint.sh
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items

clean:
	cargo clean
