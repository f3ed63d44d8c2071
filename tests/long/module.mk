# The long suite: tests/long/NNN_part.t, one part each, run in order. It goes on where an interrupted
# run of the same commit stopped.
#   make check-long                       everything
#   make check-long PART=tsan             one part, from its start
#   ROUNDS= SEEDS= FUZZ_SECONDS=          how much of it (kills, simulated runs, seconds a fuzzer)
.PHONY: check-long
check-long: all
	tests/long/run $(PART)
