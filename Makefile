# Everything a person needs: `make run` and `make test`. Both set up .venv first.
VENV := .venv
PY   := $(VENV)/bin/python
DEMO ?= demo
RUNS := tests/engine/test_native.py tests/engine/test_apply.py tests/engine/test_recover.py tests/gate/test_gate_loop.py \
  tests/gate/test_gate_undo.py tests/gate/test_gate_drift.py tests/faults/test_tracing.py

.PHONY: run test test-native test-faults native lint types bench docs docs-check lock clean

$(VENV)/ready: requirements.lock pyproject.toml
	python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(VENV)/ready  ## the whole loop on a sample workspace, told in the terminal; then the service on it
	@$(VENV)/bin/treegate demo $(DEMO) --serve

test: $(VENV)/ready  ## the tests; what was skipped, and why, is printed
	$(PY) -m pytest -n auto -m "not faults"

native: $(VENV)/ready  ## the optional native part, as a wheel in build/ (wants a C compiler and Python's headers)
	$(PY) -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w build ./native

test-native: native  ## what runs are made of, once more with the native part
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target build/native build/*native*.whl
	PYTHONPATH=build/native $(PY) -m pytest -n auto -m "not faults" $(RUNS)

test-faults: $(VENV)/ready  ## the longer sweeps: every crash point, second order; what was tried goes into docs/
	$(PY) -m pytest -n auto -m faults --timeout 7200 --proof docs/proof.json
	$(PY) docs/generate.py

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/ready
	$(VENV)/bin/mypy

bench: $(VENV)/ready  ## ratios against a bare loop of renames, interleaved in one run; then the service under readers, its page in a browser, and commands in sandboxes
	$(PY) bench/run.py
	$(PY) bench/peers.py
	$(PY) bench/whole.py --scattered
	$(PY) bench/recovery.py
	$(PY) bench/serve.py
	$(PY) bench/page.py
	$(PY) bench/queue.py
	$(PY) bench/sandbox.py

docs: $(VENV)/ready  ## the pages that are made from the code's own tables
	$(PY) docs/generate.py

docs-check: $(VENV)/ready  ## whether those pages are up to date
	$(PY) docs/generate.py --check

lock:  ## pin the dependencies anew (wants uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --all-extras --group dev --group build pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) build native/build native/*.egg-info .pytest_cache .mypy_cache .ruff_cache
