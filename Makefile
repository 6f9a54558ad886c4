# make quickstart   deploy an example to three throwaway hosts on this machine, see a bad version undone, and go back
# make test         every test, also those on real hosts (root, or sudo)
# make check        formatting, lints and documentation
# make storm        500 rounds of faults at random moments, on real hosts behind HAProxy (an hour or more; root, or sudo)
# make bench        the parts, a plan and the standard deploy, timed, the latter beside other tools (root; see benches/README.md)

TARGET = $${CARGO_TARGET_DIR:-target}
# What cargo runs tests with: those on real hosts need root.
RUNNER = --config "target.'cfg(all())'.runner='.ci/as-root'"

.PHONY: help quickstart test storm check bench packages

help:
	@sed -n 's/^# make/make/p' Makefile

quickstart:
	cargo build --locked
	sh examples/quickstart/build.sh
	@windlass() { echo; echo "$$ windlass $$*"; "$(TARGET)/debug/windlass" -C examples/quickstart "$$@"; }; \
	trap 'windlass lab down' EXIT; set -e; \
	windlass run --set version=1.0; \
	windlass run --set version=1.1; \
	code=0; windlass run --set version=1.2 || code=$$?; \
	test $$code = 3 || { echo "1.2 is broken and was to end with exit code 3, not $$code" >&2; exit 1; }; \
	windlass rollback; \
	windlass status

test: packages
	cargo test --locked $(RUNNER)

storm: packages
	WINDLASS_STORM=$${WINDLASS_STORM:-500} cargo test --locked $(RUNNER) --test real storm -- --nocapture

check:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

bench:
	cargo build --release --locked
	benches/parts.py --windlass $(TARGET)/release/windlass $(TARGET)/bench
	benches/plan.py --windlass $(TARGET)/release/windlass $(TARGET)/bench
	benches/faults.py --windlass $(TARGET)/release/windlass $(TARGET)/bench
	benches/compare.py --windlass $(TARGET)/release/windlass $(BENCH) $(TARGET)/bench

packages:
	@.ci/packages
