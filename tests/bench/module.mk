# make bench [BENCH="--docs 1000000 --rounds 5"]: ours and Lucene over the same files in one run;
# writes docs/PERFORMANCE.md and docs/performance.json.
.PHONY: bench
bench: all
	perl tests/bench/run.pl $(BENCH)
