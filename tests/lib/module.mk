# Tools of the tests: the recorder of file changes (LD_PRELOAD), the maker of power losses, and a
# seeded load on a store; calls on files that fail (LD_PRELOAD), a network.
TEST_TOOLS := $(OUT)/tests/librecorder.so $(OUT)/tests/libfaulty.so $(OUT)/tests/relay $(OUT)/tests/powerloss $(OUT)/tests/record_probe $(OUT)/tests/store_tool $(OUT)/tests/coord_tool $(OUT)/tests/kube_replay
$(OUT)/tests/librecorder.so: tests/lib/recorder.c tests/lib/record.h
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g $(WARN) -Itests -fPIC -shared -o $@ $< -ldl -pthread
$(OUT)/tests/libfaulty.so: tests/lib/faulty.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g $(WARN) -fPIC -shared -o $@ $< -ldl
$(OUT)/tests/relay: tests/lib/relay.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g $(WARN) -o $@ $<
$(OUT)/tests/powerloss: tests/lib/powerloss.c tests/lib/record.h
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g $(WARN) -Itests -o $@ $<
$(OUT)/tests/record_probe: tests/lib/record_probe.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g $(WARN) -o $@ $<
$(OUT)/tests/store_tool: $(OBJ)/tests/lib/store_tool.o $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group $(SYSLIBS)
$(OUT)/tests/coord_tool: $(OBJ)/tests/lib/coord_tool.o $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group $(SYSLIBS)
# Recorded requests to a real API server.
$(OUT)/tests/kube_replay: $(OBJ)/tests/k8s/replay.o $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group $(SYSLIBS)
# A daemon that speaks the transport's oldest version, for tests of rolling upgrades: its module once more
# with another QD_RPC_NEWEST.
OLDER_OBJS := $(patsubst core/rpc/%.c,$(OBJ)/tests/older/%.o,$(sort $(wildcard core/rpc/*.c)))
$(OLDER_OBJS): $(OBJ)/tests/older/%.o: core/rpc/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -DQD_RPC_NEWEST=0x0100u $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(OUT)/tests/older/bin/quidditchd: $(OBJS_prog_quidditchd) $(OLDER_OBJS) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -Wl,--as-needed -Wl,--version-script=core/main/host.map -o $@ $(OBJS_prog_quidditchd) $(OLDER_OBJS) -Wl,--start-group $(filter-out $(call lib_of,rpc),$(CORE_LIBS)) -Wl,--end-group $(SYSLIBS)
TEST_TOOLS += $(OUT)/tests/older/bin/quidditchd
ALL_OBJS += $(OLDER_OBJS)
ALL_OBJS += $(OBJ)/tests/lib/store_tool.o $(OBJ)/tests/lib/coord_tool.o $(OBJ)/tests/k8s/replay.o
.PHONY: test-tools
test-tools: $(TEST_TOOLS)
units: $(TEST_TOOLS)
