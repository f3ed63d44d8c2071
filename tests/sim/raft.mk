# The simulation of coordination-raft: its pure parts once more, with the broken variants that can be
# switched on. A unit test runs its schedules too.
RAFT_SIM := $(OUT)/tests/sim/raft
RAFT_SIM_OBJS := $(patsubst %.c,$(OBJ)/tests/sim/raft/%.o,$(sort $(wildcard tests/sim/raft_*.c) tests/sim/watch.c \
	$(filter-out %/disk_files.c,$(wildcard plugins/coordination-raft/consensus/*.c)) \
	$(wildcard $(patsubst %,plugins/coordination-common/%.c,bytes keys entry pack snapshot members machine machine_* invariant))))
$(RAFT_SIM_OBJS): $(OBJ)/tests/sim/raft/%.o: %.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -Itests -Iplugins $(PINC_coordination-raft) -DQD_WITH_MUTANTS $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(RAFT_SIM): $(RAFT_SIM_OBJS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(RAFT_SIM_OBJS) -lcrypto -lzstd
$(OUT)/tests/unit/coordination/sim_t: $(RAFT_SIM)
	@mkdir -p $(@D)
	ln -f $< $@
-include $(RAFT_SIM_OBJS:.o=.d)
units: $(OUT)/tests/unit/coordination/sim_t
