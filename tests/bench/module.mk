# make bench: ours and Lucene over the same files in one run; writes docs/PERFORMANCE.md and
# docs/performance.json. Stopped, it goes on where it was when run again.
#   make bench LIMIT=20000                   tries the wiring in minutes, writes into build/ only
#   make bench BENCH="--rounds 5 --fresh"    options of tests/bench/run.pl
.PHONY: bench
bench: all
	perl tests/bench/run.pl $(if $(LIMIT),--limit $(LIMIT)) $(BENCH)
