# Whole nodes in a simulated world: everything from core/action down as it is; replication and engine once more,
# with the defects that can be switched on and the points at which a scene stops threads;
# coordination-raft as build/tests/sim/cluster has it, coordination-k8s and the model of an API server as
# build/tests/sim/cluster_k8s. Both plugins have coordination-common: the symbols of the second one are its own.
NODE_SIM := $(OUT)/tests/sim/node
NODE_SIM_OBJS := $(patsubst %.c,$(OBJ)/tests/sim/node/%.o,$(sort $(wildcard tests/sim/node_*.c)) tests/sim/watch.c \
	$(sort $(wildcard core/replication/*.c core/engine/*.c)) core/runtime/point.c \
	tests/lib/action_parts.c tests/lib/store_crash.c tests/lib/store_crash_disk.c tests/lib/store_adverse.c tests/lib/coord_memory.c tests/lib/coord_memory_authority.c)
NODE_SIM_RAFT := $(patsubst %.c,$(OBJ)/tests/sim/cluster/%.o,tests/sim/cluster_uv.c tests/sim/cluster_store.c tests/sim/cluster_engine.c tests/sim/raft_disk.c \
	$(filter-out %/rows.c %/folder.c,$(sort $(wildcard plugins/coordination-common/*.c plugins/coordination-raft/*.c))) \
	$(filter-out %/disk_files.c,$(sort $(wildcard plugins/coordination-raft/consensus/*.c))))
NODE_SIM_K8S_OBJS := $(patsubst %.c,$(OBJ)/tests/sim/cluster_k8s/%.o,tests/sim/cluster_k8s_store.c tests/sim/cluster_k8s_file.c \
	$(sort $(wildcard plugins/coordination-common/*.c plugins/coordination-k8s/*/*.c)) $(filter-out %/api.c,$(sort $(wildcard plugins/coordination-k8s/*.c))) \
	$(filter-out %_yaml.c,$(sort $(wildcard tests/lib/kube_model*.c))) $(patsubst %,lib/kube/%.c,client kube lenient lines list loop result rules watch))
NODE_SIM_K8S := $(OBJ)/tests/sim/node/k8s.o
$(NODE_SIM_K8S): $(NODE_SIM_K8S_OBJS)
	@mkdir -p $(@D)
	$(LD) -r -o $@.all $(NODE_SIM_K8S_OBJS)
	$(OBJCOPY) -w -L 'cr_*' -L 'crm_*' -L '__odr_asan.*' --redefine-sym cluster_store_leads=cluster_k8s_store_leads \
		--redefine-sym cluster_store_term=cluster_k8s_store_term -L cluster_store_hash -L cluster_store_life -L cluster_store_knows $@.all $@
OBJCOPY ?= objcopy
$(NODE_SIM_OBJS): $(OBJ)/tests/sim/node/%.o: %.c
	@mkdir -p $(@D)
	@$(say) CC $< "(node)"
	$(CC) $(CPPFLAGS_ALL) -Itests -Itests/sim -Ilib -Iplugins $(PINC_coordination-raft) -DQD_WITH_MUTANTS -DQD_POINTS $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(NODE_SIM): $(NODE_SIM_OBJS) $(NODE_SIM_RAFT) $(NODE_SIM_K8S) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(NODE_SIM_OBJS) $(NODE_SIM_RAFT) $(NODE_SIM_K8S) -Wl,--start-group $(CORE_LIBS) -Wl,--end-group $(SYSLIBS) -lcrypto -ljansson
$(OUT)/tests/unit/replication/node_sim_t: $(NODE_SIM)
	@mkdir -p $(@D)
	ln -f $< $@
units: $(OUT)/tests/unit/replication/node_sim_t
ALL_OBJS += $(NODE_SIM_OBJS)
sims: $(NODE_SIM)
