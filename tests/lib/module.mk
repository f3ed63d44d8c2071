# Tools of the tests: the recorder of file changes (LD_PRELOAD), the maker of power losses, and a
# seeded load on a store.
TEST_TOOLS := $(OUT)/tests/librecorder.so $(OUT)/tests/powerloss $(OUT)/tests/record_probe $(OUT)/tests/store_tool $(OUT)/tests/coord_tool
$(OUT)/tests/librecorder.so: tests/lib/recorder.c tests/lib/record.h
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g $(WARN) -Itests -fPIC -shared -o $@ $< -ldl -pthread
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
ALL_OBJS += $(OBJ)/tests/lib/store_tool.o $(OBJ)/tests/lib/coord_tool.o
.PHONY: test-tools
test-tools: $(TEST_TOOLS)
units: $(TEST_TOOLS)
