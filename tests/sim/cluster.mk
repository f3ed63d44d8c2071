# The composed simulation: core/cluster and core/rpc as they are, coordination-raft but for files and
# SQLite, on fibers in place of libuv and threads; replication's machines with their defects.
CLUSTER_SIM := $(OUT)/tests/sim/cluster
CLUSTER_SIM_OBJS := $(patsubst %.c,$(OBJ)/tests/sim/cluster/%.o,$(sort $(wildcard tests/sim/cluster_*.c) \
	$(filter-out %/repl_main.c %/repl_world.c,$(wildcard tests/sim/repl_*.c)) tests/sim/raft_disk.c tests/sim/watch.c \
	core/replication/primary.c core/replication/copy.c $(wildcard core/cluster/*.c core/cluster/*/*.c) \
	$(filter-out %/rows.c %/folder.c,$(wildcard plugins/coordination-common/*.c plugins/coordination-raft/*.c)) \
	$(filter-out %/disk_files.c,$(wildcard plugins/coordination-raft/consensus/*.c))))
$(CLUSTER_SIM_OBJS): $(OBJ)/tests/sim/cluster/%.o: %.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) -Itests/sim/cluster_shim $(CPPFLAGS_ALL) -Itests -Itests/sim -Iplugins $(PINC_coordination-raft) -DREPL_VARIANTS -DCR_VARIANTS -DCLUSTER_VARIANTS \
		-DCR_SEGMENT_BYTES=32768u -DQD_BUILD_ID='"$(BUILD_ID)"' -Dqd_plugin_entry=qd_plugin_entry_coordination_raft \
		-Dqd_plugin_note_=qd_plugin_note_coordination_raft $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(CLUSTER_SIM): $(CLUSTER_SIM_OBJS) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(CLUSTER_SIM_OBJS) -Wl,--start-group $(CORE_LIBS) -Wl,--end-group $(SYSLIBS)
$(OUT)/tests/unit/cluster/sim_t: $(CLUSTER_SIM)
	@mkdir -p $(@D)
	ln -f $< $@
units: $(OUT)/tests/unit/cluster/sim_t
-include $(CLUSTER_SIM_OBJS:.o=.d)
ALL_OBJS += $(CLUSTER_SIM_OBJS)
