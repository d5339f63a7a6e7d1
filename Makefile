# `make demo` and `make test` are all a newcomer needs: both make .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UPSTREAM := .venv-upstream
TORCH := torch==2.13.0
# of `make test-py`, named after the Python: .venv-python3.13
PY_VENV := .venv-$(notdir $(PYTHON))
DEMO := configs/lpcam/deeplabv3_parts.py
DEMO_DATA := data/parts
DEMO_DIR := work_dirs/demo
QUICK := not slow and not fuzz and not kill
# processes that share the tests, a file at a time; each takes about 1 GiB
WORKERS ?= 2
# Warnings of other packages at import would drown the output.
export PYTHONWARNINGS := ignore

.PHONY: demo demo-full test test-slow test-fuzz test-kill test-upstream test-py docs lint format benchmark clean

$(VENV)/ready: pyproject.toml setup.py requirements/runtime.txt requirements/mm.txt requirements/tests.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q $(TORCH)
	MMCV_WITH_OPS=0 $(BIN)/pip install -q -r requirements/mm.txt
	$(BIN)/pip install -q -e '.[tests]'
	touch $@

# mmcv comes after PyTorch, against which its operators are compiled, on all
# cores by the ninja in PATH. They are imported, but never called: without CUDA
# they take minutes, not an hour.
$(UPSTREAM)/ready: pyproject.toml setup.py requirements/runtime.txt requirements/upstream.txt requirements/tests.txt
	$(PYTHON) -m venv $(UPSTREAM)
	$(UPSTREAM)/bin/pip install -q $(TORCH)
	$(UPSTREAM)/bin/pip install -q -r requirements/upstream.txt
	PATH="$(CURDIR)/$(UPSTREAM)/bin:$$PATH" MMCV_WITH_OPS=1 CUDA_VISIBLE_DEVICES= \
		$(UPSTREAM)/bin/pip install -q --no-build-isolation mmcv==2.1.0
	$(UPSTREAM)/bin/pip install -q -e '.[tests]'
	touch $@

## demo: image labels in, trained segmentor and pictures out (CPU, minutes)
demo: $(VENV)/ready
	$(BIN)/python tools/dataset_converters/make_parts_dataset.py $(DEMO_DATA)
	$(BIN)/python tools/train.py $(DEMO) --work-dir $(DEMO_DIR)
	$(BIN)/python tools/report.py $(DEMO) --work-dir $(DEMO_DIR)

## demo-full: the same segmentor trained on the true masks, for comparison
demo-full: $(VENV)/ready
	$(BIN)/python tools/dataset_converters/make_parts_dataset.py $(DEMO_DATA)
	$(BIN)/python tools/train.py configs/lpcam/deeplabv3_parts_true-masks.py \
		--work-dir $(DEMO_DIR)-true-masks

## test: lint and all quick tests
test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m '$(QUICK)'

## test-slow: whole chains, with interruption and on two processes
test-slow: $(VENV)/ready
	$(BIN)/python -m pytest -m slow

## test-fuzz: 3,500 generated inputs of all formats, with a table at the end
test-fuzz: $(VENV)/ready
	$(BIN)/python -m pytest tests/fuzz

## test-kill: 100 random kills of all chains, and 4 while a checkpoint is
## written; what is left must equal an unbroken run
test-kill: $(VENV)/ready
	$(BIN)/python -m pytest -m kill

## test-upstream: all quick tests with the original OpenMMLab packages; the
## first time compiles the operators of mmcv (11 minutes on two cores)
test-upstream: $(UPSTREAM)/ready
	$(UPSTREAM)/bin/python -m pytest -n $(WORKERS) --dist loadfile -m '$(QUICK)'

## test-py: all quick tests with another Python, such as PYTHON=python3.13
test-py:
	$(MAKE) VENV=$(PY_VENV) $(PY_VENV)/ready
	$(PY_VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile -m '$(QUICK)'

## docs: the site with all pages and the API, in build/docs; fails on warnings
docs: $(VENV)/ready
	$(BIN)/pip install -q -r requirements/docs.txt
	$(BIN)/python -m sphinx -W --keep-going -q -c docs -b html . build/docs
	@echo build/docs/docs/index.html

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/isort -cq .
	$(BIN)/yapf -dr mmlpcam tools configs examples tests setup.py
	$(BIN)/mypy

format: $(VENV)/ready
	$(BIN)/ruff check --fix .
	$(BIN)/isort -q .
	$(BIN)/yapf -ir mmlpcam tools configs examples tests setup.py

## benchmark: what mmlpcam computes against the plain way (10 minutes)
benchmark: $(VENV)/ready
	$(BIN)/python tools/benchmark.py maps
	$(BIN)/python tools/benchmark.py walk
	$(BIN)/python tools/benchmark.py crf

clean:
	rm -rf $(VENV) .venv-* work_dirs build *.egg-info
