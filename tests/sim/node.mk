# Whole nodes in a simulated world: everything from core/action down as it is; replication and engine once more,
# with the defects that can be switched on; coordination-raft as build/tests/sim/cluster has it.
NODE_SIM := $(OUT)/tests/sim/node
NODE_SIM_OBJS := $(patsubst %.c,$(OBJ)/tests/sim/node/%.o,$(sort $(wildcard tests/sim/node_*.c)) tests/sim/watch.c \
	$(sort $(wildcard core/replication/*.c core/engine/*.c)) \
	tests/lib/action_parts.c tests/lib/store_crash.c tests/lib/store_crash_disk.c tests/lib/coord_memory.c tests/lib/coord_memory_authority.c)
NODE_SIM_RAFT := $(patsubst %.c,$(OBJ)/tests/sim/cluster/%.o,tests/sim/cluster_uv.c tests/sim/cluster_store.c tests/sim/cluster_engine.c tests/sim/raft_disk.c \
	$(filter-out %/rows.c %/folder.c,$(sort $(wildcard plugins/coordination-common/*.c plugins/coordination-raft/*.c))) \
	$(filter-out %/disk_files.c,$(sort $(wildcard plugins/coordination-raft/consensus/*.c))))
$(NODE_SIM_OBJS): $(OBJ)/tests/sim/node/%.o: %.c
	@mkdir -p $(@D)
	@$(say) CC $< "(node)"
	$(CC) $(CPPFLAGS_ALL) -Itests -Itests/sim -Iplugins $(PINC_coordination-raft) -DREPL_VARIANTS -DQD_VARIANTS -DCR_VARIANTS $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(NODE_SIM): $(NODE_SIM_OBJS) $(NODE_SIM_RAFT) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(NODE_SIM_OBJS) $(NODE_SIM_RAFT) -Wl,--start-group $(CORE_LIBS) -Wl,--end-group $(SYSLIBS) -lcrypto
$(OUT)/tests/unit/replication/node_sim_t: $(NODE_SIM)
	@mkdir -p $(@D)
	ln -f $< $@
units: $(OUT)/tests/unit/replication/node_sim_t
ALL_OBJS += $(NODE_SIM_OBJS)
sims: $(NODE_SIM)
