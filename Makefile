# Everything from here: a fresh Debian 12 with python3, python3-venv, python3-dev, g++, make and git is enough. The
# rest (cmake, ninja, Boost's headers, linters, peers) are Python wheels in .venv. `uv` is used when it is there.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
JOBS ?= $(shell nproc)
SIZE ?= full
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(JOBS)
unexport PYTHONPATH VIRTUAL_ENV

cpp_sources := $(shell find cpp tests/cpp bench/cpp cmake CMakeLists.txt -type f -not -name '*.md' 2>/dev/null)
cpp_formatted = $$(git ls-files 'cpp/*.cpp' 'cpp/*.hpp' 'tests/cpp/*.cpp' 'tests/cpp/*.hpp' 'bench/*.cpp')
uv := $(shell command -v uv 2>/dev/null)
ifneq ($(uv),)
  install := uv pip install --quiet --python $(BIN)/python
  make_venv := uv venv --quiet --allow-existing --python $(PYTHON) $(VENV)
else
  install := $(BIN)/python -m pip install --quiet --disable-pip-version-check
  make_venv := $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
endif

.PHONY: help demo test long bench asan tsan fuzz lint format package clean needs

help:
	@echo "make demo | test | long | bench [SIZE=small] | asan | tsan | fuzz | lint | format | package | clean"

# --- the environment: each stamp is made once and again when what it depends on changes

needs:
	@missing=""; \
	command -v $(PYTHON) >/dev/null || missing="$$missing python3"; \
	command -v $${CXX:-g++} >/dev/null || missing="$$missing g++"; \
	command -v git >/dev/null || missing="$$missing git"; \
	if command -v $(PYTHON) >/dev/null; then \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cdpstore needs Python 3.11 or newer: make PYTHON=python3.x"; exit 1; }; \
	  [ -n "$(uv)" ] || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	  $(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || missing="$$missing python3-dev"; \
	fi; \
	if [ -n "$$missing" ]; then echo "This machine lacks:$$missing"; echo "On Debian or Ubuntu: apt-get install$$missing"; exit 1; fi

$(STAMPS)/venv: | needs
	$(make_venv)
	mkdir -p $(STAMPS)
	touch $@

$(STAMPS)/dev: pyproject.toml $(STAMPS)/venv
	$(install) --group dev
	touch $@

$(STAMPS)/bench: pyproject.toml $(STAMPS)/dev
	$(install) --group bench
	touch $@

$(STAMPS)/long: pyproject.toml $(STAMPS)/dev
	$(install) --group long
	touch $@

# The package as an editable install, built as shipped, with the C++ tests beside it in build/python/tests.
$(STAMPS)/package: pyproject.toml $(cpp_sources) $(STAMPS)/dev
	PATH="$(CURDIR)/$(BIN):$$PATH" $(install) --no-build-isolation \
	  --config-settings=build-dir=build/python \
	  --config-settings=cmake.define.CDPSTORE_TESTS=ON \
	  --config-settings=cmake.define.CDPSTORE_WERROR=ON --editable .
	touch $@

# --- what there is to run

demo: $(STAMPS)/package
	$(BIN)/python -m examples.demo

test: $(STAMPS)/package
	$(BIN)/python -m pytest -q -n 2 tests

long: $(STAMPS)/package $(STAMPS)/long
	CDPSTORE_LONG=10 $(BIN)/python -m pytest -q -n 2 --timeout 3600 -m "long or not long" tests

bench: $(STAMPS)/package $(STAMPS)/bench
	mkdir -p bench/results
	flock --verbose bench/results/lock $(BIN)/python -m bench --size $(SIZE)

asan: $(STAMPS)/package
	$(call build_preset,asan-ubsan)
	$(call run_cpp_tests,asan-ubsan)
	$(call link_site,asan-ubsan)
	LD_PRELOAD="$$($${CXX:-g++} -print-file-name=libasan.so) $$($${CXX:-g++} -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc PYTHONPATH=$(CURDIR)/build/asan-ubsan/site CDPSTORE_CPP_BUILD=build/asan-ubsan \
	  $(BIN)/python -m pytest -q --timeout 600 tests/python tests/server

tsan: $(STAMPS)/dev
	$(call build_preset,tsan)
	$(call run_cpp_tests,tsan)

# Every C++ test again and again under the sanitizers, each time from another seed. FUZZ_ROUNDS=n for longer.
FUZZ_ROUNDS ?= 10
fuzz: $(STAMPS)/dev
	$(call build_preset,asan-ubsan)
	for round in $$(seq $(FUZZ_ROUNDS)); do \
	  export CDPSTORE_SEED=$$((RANDOM * 32768 + RANDOM)); echo "seed $$CDPSTORE_SEED"; \
	  for test in build/asan-ubsan/tests/*_test; do "$$test" >build/asan-ubsan/fuzz.log || { cat build/asan-ubsan/fuzz.log; exit 1; }; done; \
	  for fuzz in build/asan-ubsan/fuzz/*; do "$$fuzz" 100000 $$CDPSTORE_SEED >build/asan-ubsan/fuzz.log || { cat build/asan-ubsan/fuzz.log; exit 1; }; done; \
	done

lint: $(STAMPS)/package
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(cpp_formatted)
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/house/test_floors.py

format: $(STAMPS)/dev
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(cpp_formatted)

# A wheel from the source archive, tried in an environment of its own.
package: $(STAMPS)/package
	CDPSTORE_LONG=1 $(BIN)/python -m pytest -q -m long --timeout 3600 tests/house/test_package.py

clean:
	rm -rf build $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

define build_preset
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --preset $(1) -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python >/dev/null
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build build/$(1)
endef

define run_cpp_tests
	CDPSTORE_CPP_BUILD=build/$(1) $(BIN)/python -m pytest -q --timeout 1800 tests/cpp
endef

# A package folder whose engine is the sanitized one; sitecustomize takes the editable install out of the way.
define link_site
	mkdir -p build/$(1)/site/cdpstore
	ln -sfn $(CURDIR)/python/cdpstore/* build/$(1)/site/cdpstore/
	ln -sf $(CURDIR)/build/$(1)/_core*.so build/$(1)/site/cdpstore/
	echo 'import sys; sys.meta_path[:] = [f for f in sys.meta_path if "ScikitBuild" not in type(f).__name__]' \
	  >build/$(1)/site/sitecustomize.py
endef
