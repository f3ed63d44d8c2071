# The composed simulation: core/cluster and core/rpc as they are, a back end of the coordination kind but for
# files and SQLite, on fibers in place of libuv and threads; replication's machines with their defects.
# One program over coordination-raft, one over coordination-k8s and a model of an API server.
CLUSTER_SIM_CC = $(CC) -Itests/sim/cluster_shim $(CPPFLAGS_ALL) -Itests -Ilib -Iplugins -DQD_WITH_MUTANTS \
	-DCR_SEGMENT_BYTES=32768u -DQD_BUILD_ID='"$(BUILD_ID)"'
CLUSTER_SIM := $(OUT)/tests/sim/cluster
CLUSTER_SIM_K8S := $(OUT)/tests/sim/cluster_k8s
CLUSTER_SIM_PARTS := $(patsubst %.c,$(OBJ)/tests/sim/cluster/%.o,\
	$(filter-out %/repl_main.c %/repl_world.c,$(sort $(wildcard tests/sim/repl_*.c))) \
	tests/sim/raft_disk.c tests/sim/watch.c core/replication/primary.c core/replication/copy.c core/replication/holds.c $(sort $(wildcard core/cluster/*.c core/cluster/*/*.c)))
CLUSTER_SIM_OBJS := $(patsubst %.c,$(OBJ)/tests/sim/cluster/%.o,$(filter-out tests/sim/cluster_k8s%,$(sort $(wildcard tests/sim/cluster_*.c))) \
	$(filter-out %/rows.c %/folder.c,$(sort $(wildcard plugins/coordination-common/*.c plugins/coordination-raft/*.c))) \
	$(filter-out %/disk_files.c,$(sort $(wildcard plugins/coordination-raft/consensus/*.c))))
$(CLUSTER_SIM_PARTS) $(CLUSTER_SIM_OBJS): $(OBJ)/tests/sim/cluster/%.o: %.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CLUSTER_SIM_CC) $(PINC_coordination-raft) -Itests/sim -Dqd_plugin_entry=qd_plugin_entry_coordination_raft \
		-DCLUSTER_PLUGIN=qd_plugin_entry_coordination_raft -Dqd_plugin_note_=qd_plugin_note_coordination_raft $(CFLAGS_ALL) -MMD -MP -c $< -o $@
CLUSTER_SIM_K8S_OBJS := $(patsubst %.c,$(OBJ)/tests/sim/cluster_k8s/%.o,$(filter-out %_raft.c %_engine.c %_store.c,$(sort $(wildcard tests/sim/cluster_*.c))) \
	tests/sim/cluster_k8s_store.c $(sort $(wildcard plugins/coordination-common/*.c plugins/coordination-k8s/*/*.c)) \
	$(filter-out %/api.c,$(sort $(wildcard plugins/coordination-k8s/*.c))) $(filter-out %_yaml.c,$(sort $(wildcard tests/lib/kube_model*.c))) \
	$(patsubst %,lib/kube/%.c,client kube lenient lines list loop result rules watch))
$(CLUSTER_SIM_K8S_OBJS): $(OBJ)/tests/sim/cluster_k8s/%.o: %.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CLUSTER_SIM_CC) $(PINC_coordination-k8s) -Itests/sim -Dqd_plugin_entry=qd_plugin_entry_coordination_k8s -DCLUSTER_K8S \
		-DCLUSTER_PLUGIN=qd_plugin_entry_coordination_k8s -Dqd_plugin_note_=qd_plugin_note_coordination_k8s $(CFLAGS_ALL) -MMD -MP -c $< -o $@
# The file of a control node is one of the simulation; what is committed is looked at on its way to pages.
$(OBJ)/tests/sim/cluster_k8s/plugins/coordination-k8s/record.o: CPPFLAGS_ALL += -include tests/sim/cluster_shim/files.h
$(OBJ)/tests/sim/cluster_k8s/plugins/coordination-k8s/home.o: CPPFLAGS_ALL += -Dck_pages_push=cluster_pages_push
$(CLUSTER_SIM): $(CLUSTER_SIM_OBJS) $(CLUSTER_SIM_PARTS) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(CLUSTER_SIM_OBJS) $(CLUSTER_SIM_PARTS) -Wl,--start-group $(CORE_LIBS) -Wl,--end-group $(SYSLIBS)
$(CLUSTER_SIM_K8S): $(CLUSTER_SIM_K8S_OBJS) $(CLUSTER_SIM_PARTS) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(CLUSTER_SIM_K8S_OBJS) $(CLUSTER_SIM_PARTS) -Wl,--start-group $(CORE_LIBS) -Wl,--end-group $(SYSLIBS) -ljansson
$(OUT)/tests/unit/cluster/sim_t: $(CLUSTER_SIM)
	@mkdir -p $(@D)
	ln -f $< $@
$(OUT)/tests/unit/coordination_k8s/sim_cluster_t: $(CLUSTER_SIM_K8S)
	@mkdir -p $(@D)
	ln -f $< $@
# Over Kubernetes a few schedules, most in the long suite: one costs ten times as much.
.PHONY: sims
sims: $(CLUSTER_SIM) $(CLUSTER_SIM_K8S)
units: $(OUT)/tests/unit/cluster/sim_t $(OUT)/tests/unit/coordination_k8s/sim_cluster_t
ALL_OBJS += $(CLUSTER_SIM_OBJS) $(CLUSTER_SIM_K8S_OBJS) $(CLUSTER_SIM_PARTS)
