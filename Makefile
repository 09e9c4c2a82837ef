# SPDX-License-Identifier: MIT
# UMCG Lab: `make demo` to see it, `make test` to check it; `make help` for the rest.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3

# Debian packages and what they are for; `deps` installs those that are missing.
KERNEL_PACKAGES := build-essential bc bison flex libelf-dev libssl-dev perl xz-utils linux-source-6.1
GUEST_PACKAGES := qemu-system-x86 qemu-system-common busybox-static cpio
DEB_PACKAGES := dpkg-dev rsync kmod
PYTHON_PACKAGES := python3-venv python3-dev pkg-config
PACKAGES := $(KERNEL_PACKAGES) $(GUEST_PACKAGES) $(DEB_PACKAGES) $(PYTHON_PACKAGES)

demo: deps	## four experiments on the patched kernel against pthreads: a table and out/demo.html
	@$(BIN)/labkit demo

lab: deps	## JupyterLab with the course
	@$(BIN)/jupyter lab notebooks

bench: deps	## the benchmark suite: one results file, one report
	@$(BIN)/labkit bench

test: deps lint	## kernel image, conformance programs, libumcg, Python unit and guest tests
	@$(BIN)/pytest -q tests/unit
	@$(MAKE) -C kernel check CPUS=2
	@if [ -d tests/guest ]; then $(BIN)/labkit vm exec -- $(BIN)/pytest -q tests/guest; fi

# Every run is made even if one before it has failed.
test-debug: deps	## the conformance programs on 1, 2, 4 CPUs, all preemption models, debug kernels; hours
	@failed=; \
	run() { echo "== check $$*"; $(MAKE) -C kernel check "$$@" || failed="$$failed\n  check $$*"; }; \
	for cpus in 1 2 4; do \
		for model in none voluntary full; do run CPUS=$$cpus PREEMPT=$$model; done; \
	done; \
	for config in debug kasan kcsan; do \
		for cpus in 1 2 4; do run CONFIG=$$config CPUS=$$cpus; done; \
	done; \
	run T=umcg_stress ARGS=10000000 TIMEOUT=7200; \
	run T=umcg_fuzz ARGS=600 TIMEOUT=1200; \
	[ -z "$$failed" ] || { printf "failed:$$failed\n"; exit 1; }

lint: deps	## ruff, mypy, shell syntax
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@MYPYPATH=kernel/boot $(BIN)/mypy --strict kernel/boot kernel/cost
	@for f in $$(git ls-files -co --exclude-standard '*.sh' kernel/boot/init kernel/cost/init .ci/run); do sh -n $$f || exit 1; done

format: deps	## let ruff lay out the Python files
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

deps: packages $(VENV)/installed	## what is missing of Debian packages (sudo only then), and .venv

packages:
	@missing=; for p in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok' || missing="$$missing $$p"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if ! command -v apt-get >/dev/null; then \
		echo "Not a Debian system; needed here are the equivalents of:$$missing"; exit 0; \
	fi; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	echo "Installing Debian packages (to build the kernel, boot it in QEMU, set up Python):$$missing"; \
	$$sudo apt-get -q update && \
	found=; for p in $$missing; do \
		if apt-cache show $$p >/dev/null 2>&1; then found="$$found $$p"; \
		else echo "$$p: this release does not have it; going on without"; fi; \
	done; \
	$$sudo apt-get -q install -y --no-install-recommends $$found

$(VENV)/installed: pyproject.toml setup.py $(wildcard labkit/native/*.[ch] labkit/native/build.py kernel/libumcg/src/* kernel/libumcg/include/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(PYTHON) is older than 3.11: give PYTHON=")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing labkit and what it needs into $(VENV)"
	@$(BIN)/pip install -q --disable-pip-version-check -e '.[dev,lab]'
	@touch $@

clean:		## outputs of this folder (make -C kernel clean: the kernel's)
	rm -rf out build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info labkit/native/*.so labkit/native/_engine.c

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1	\2/p' Makefile | expand -t 14
	@echo '  make -C kernel help: patch, build, boot, check the kernel alone'

.PHONY: demo lab bench test test-debug lint format deps packages clean help
