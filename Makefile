# Everything from a bare checkout: `make demo` and `make test` set up .venv themselves.
# PYTHON=…      the Python (3.11 or newer) to build .venv with; found by itself otherwise
# ARGS=…        more arguments for the command that the target runs
# IMAGE=…       the image's name; BUILD_ARGS=… more arguments for `docker build`

BIN := .venv/bin
IMAGE ?= cfcontra
export PYTHON BUILD_ARGS

.PHONY: help demo test lint types wheel-check image image-test clean
.NOTPARALLEL:

help:
	@echo 'make demo         train, adapt, export and segment on generated streets'
	@echo 'make test         run the tests'
	@echo 'make lint         check style and format'
	@echo 'make types        check types'
	@echo 'make wheel-check  build the wheel and import all of it from there'
	@echo 'make image        build the container image (docker or buildah)'
	@echo 'make image-test   build it, run the quickstart inside, ask its demo for a page'
	@echo 'make clean        remove caches and build products (not .venv, not runs/)'

demo:
	@.ci/venv
	$(BIN)/cfcontra-quickstart $(ARGS)

test:
	@.ci/venv dev
	$(BIN)/python -m pytest $(ARGS)

lint:
	@.ci/venv dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	@.ci/venv dev
	$(BIN)/python -m mypy cfcontra train export serve

wheel-check:
	@.ci/venv dev
	$(BIN)/python -m pytest tests/integration/test_wheel.py -m '' $(ARGS)

image:
	.ci/image $(IMAGE)

image-test: image
	.ci/image-test $(IMAGE)

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -not -path './.venv/*' -type d -prune -exec rm -rf {} +
