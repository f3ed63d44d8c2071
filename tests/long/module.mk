# The long suite: tests/long/NNN_part.t, one part each of less than an hour, run in order. It goes on
# where an interrupted run of the same tree stopped, inside of a part, too.
#   make check-long                       everything
#   make check-long PART=tsan             one part, from its start
#   ROUNDS= SEEDS= FLIPS= STRESS= SOAK_SECONDS= QUERIES= FUZZ_SECONDS= SEED=
#                                         how much of it, and from which seed on
.PHONY: check-long
check-long: all
	tests/long/run $(PART)
