# coordination-k8s, linked into tests of its own: the plugin but for api.c, in place of which rig_api.c
# puts a model of an API server; and the rig of several nodes around it. The shell shared with
# coordination-raft has the same names there: so this is a library of its own, searched first.
K8S_RIG := plugins/coordination-common plugins/coordination-k8s
K8S_RIG_OBJS := $(patsubst %.c,$(OBJ)/tests/k8s/%.o,$(sort $(filter-out %/api.c,$(wildcard $(addsuffix /*.c,$(K8S_RIG))))))
K8S_RIG_LIB := $(OUT)/lib/libqd-tests-k8s.a
$(K8S_RIG_OBJS): $(OBJ)/tests/k8s/%.o: %.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_FLAGS) $(PINC_coordination-k8s) -Dqd_plugin_entry=qd_plugin_entry_coordination_k8s -Dqd_plugin_note_=qd_plugin_note_coordination_k8s -MMD -MP -c $< -o $@
$(OBJ)/tests/k8s/rig.o: tests/unit/lib/coord_rig.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -Itests -DRIG_ENTRY=qd_plugin_entry_coordination_k8s $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(OBJ)/tests/k8s/rig_api.o: tests/unit/coordination_k8s/rig_api.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -Itests -Ilib $(PINC_coordination-k8s) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
K8S_RIG_OBJS += $(OBJ)/tests/k8s/rig.o $(OBJ)/tests/k8s/rig_api.o
$(K8S_RIG_LIB): $(K8S_RIG_OBJS)
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^
$(OBJ)/tests/unit/coordination_k8s/record_t.o: CPPFLAGS_ALL += $(PINC_coordination-k8s)
K8S_RIG_UNITS := $(addprefix $(OUT)/tests/unit/coordination_k8s/,cluster_t claim_t projections_t conform_faults_t move_t record_t)
$(K8S_RIG_UNITS): $(OUT)/tests/unit/%_t: $(OBJ)/tests/unit/%_t.o $(K8S_RIG_LIB) $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(K8S_RIG_LIB) $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
ALL_OBJS += $(K8S_RIG_OBJS)

# The kit under faults has to find broken variants: its program over masters once more, with those compiled in.
RAFT_BAD_OBJS := $(patsubst plugins/%.c,$(OBJ)/tests/raft-bad/%.o,$(sort $(wildcard plugins/coordination-common/*.c plugins/coordination-raft/*.c plugins/coordination-raft/*/*.c)))
$(RAFT_BAD_OBJS): $(OBJ)/tests/raft-bad/%.o: plugins/%.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_FLAGS) $(PINC_coordination-raft) -DQD_WITH_MUTANTS -Dqd_plugin_entry=qd_plugin_entry_coordination_raft -Dqd_plugin_note_=qd_plugin_note_coordination_raft -MMD -MP -c $< -o $@
RAFT_BAD_LIB := $(OUT)/lib/libqd-tests-raft-bad.a
# with the rig, so that the nodes are of this library
$(RAFT_BAD_LIB): $(RAFT_BAD_OBJS) $(OBJ)/tests/unit/lib/coord_rig.o
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^
$(OBJ)/tests/unit/coordination/conform_defects_t.o: tests/unit/coordination/conform_faults_t.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -DQD_WITH_MUTANTS $(CFLAGS_ALL) -MMD -MP -c $< -o $@
RAFT_DEFECTS := $(OUT)/tests/unit/coordination/conform_defects_t
$(RAFT_DEFECTS): $(OBJ)/tests/unit/coordination/conform_defects_t.o $(RAFT_BAD_LIB) $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(RAFT_BAD_LIB) $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
units: $(RAFT_DEFECTS)
ALL_OBJS += $(RAFT_BAD_OBJS) $(OBJ)/tests/unit/coordination/conform_defects_t.o
