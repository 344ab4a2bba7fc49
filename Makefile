# Argosy. Both targets need only python3, make and a package index; everything else installs itself.

# The machine's own certificates count: behind a company's proxy the bundled ones would not do.
export UV_SYSTEM_CERTS = 1

UV = $$(python3 scripts/bootstrap.py)
PLAN_REPORT = out/frontier-lab.html

.PHONY: run test test-free setup check docs bench-plan bench-place bench-run test-faults clean

setup: ## Install uv and the locked dependencies into .venv
	@uv=$(UV) && "$$uv" sync --frozen --quiet --compile-bytecode

run: setup ## Plan the bundled frontier-lab example over 16 futures: tables here, report in out/
	@mkdir -p out && uv=$(UV) && "$$uv" run --frozen argosy plan examples/frontier-lab --scenarios 16 --no-ranges --report $(PLAN_REPORT)

check: setup ## Style, types and import direction
	@uv=$(UV) && "$$uv" run --frozen ruff check . && "$$uv" run --frozen ruff format --check . \
	  && "$$uv" run --frozen mypy && "$$uv" run --frozen lint-imports

test: check ## All tests, fast ones first
	@uv=$(UV) && "$$uv" run --frozen pytest

test-free: setup ## The property tests once more, on examples that nobody has tried before
	@uv=$(UV) && "$$uv" run --frozen pytest --hypothesis-profile=free -m "not slow" tests/laws tests/unit tests/against

test-faults: setup ## 10,000 schedules of faults in memory, 500 on SQLite, 500 kill -9 of a server on SQLite, 100 on PostgreSQL
	@uv=$(UV) && "$$uv" run --frozen python -m bench.faults --seeds 0 10000 --both 100 \
	  && "$$uv" run --frozen python -m bench.faults --seeds 0 500 --store sqlite \
	  && ARGOSY_KILLS=500,100 "$$uv" run --frozen pytest tests/faults/test_run_kills.py

docs: setup ## Write the generated pages of docs/
	@uv=$(UV) && "$$uv" run --frozen python docs/generate.py

bench-plan: setup ## The planning benchmark, short form
	@uv=$(UV) && "$$uv" run --frozen python -m bench.plan --short

bench-place: setup ## The placement, transfer and simulation benchmarks on the shared traces, short form
	@uv=$(UV) && "$$uv" run --frozen python -m bench.place --short && "$$uv" run --frozen python -m bench.transfer \
	  && "$$uv" run --frozen python -m bench.policy --short && "$$uv" run --frozen python -m bench.simulate --short

bench-run: setup ## The control plane: submitting, placing, ticks, listing, fault schedules, recovery
	@uv=$(UV) && "$$uv" run --frozen python -m bench.run

clean: ## Remove what the other targets made
	rm -rf .venv .tools out
