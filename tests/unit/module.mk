# Tests named *_broken_t break rules of the modules below one at a time (core/<module>/mutants.h): they are
# linked with these modules built once more, with QD_WITH_MUTANTS.
BROKEN_MODULES := engine
BROKEN_OBJS := $(foreach m,$(BROKEN_MODULES),$(patsubst %.o,$(OBJ)/broken/%.o,$(patsubst $(OBJ)/%,%,$(OBJS_$(m)))))
BROKEN_LIB := $(OUT)/lib/libqd-broken.a
$(OBJ)/broken/%.o: %.c
	@mkdir -p $(@D)
	@$(say) CC $< "(rules can be broken)"
	$(CC) $(CPPFLAGS_ALL) -DQD_WITH_MUTANTS $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(BROKEN_LIB): $(BROKEN_OBJS)
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^
$(OBJ)/tests/unit/%_broken_t.o: CPPFLAGS_ALL += -DQD_WITH_MUTANTS
$(OUT)/tests/unit/%_broken_t: $(OBJ)/tests/unit/%_broken_t.o $(BROKEN_LIB) $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(BROKEN_LIB) $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
-include $(BROKEN_OBJS:.o=.d)
# The pure parts of coordination-k8s, linked into tests.
TEST_K8S := $(patsubst plugins/%.c,$(OBJ)/tests/plugins/%.o,$(sort $(wildcard plugins/coordination-k8s/*/*.c)))
$(TEST_K8S): $(OBJ)/tests/plugins/%.o: plugins/%.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_FLAGS) -Iplugins/coordination-common -Iplugins/coordination-k8s -MMD -MP -c $< -o $@
$(TEST_LIB): $(TEST_K8S)
ALL_OBJS += $(TEST_K8S)
$(OBJ)/tests/unit/coordination_k8s/%.o $(OBJ)/tests/fuzz/kube%.o: CPPFLAGS_ALL += -Iplugins -Iplugins/coordination-common -Iplugins/coordination-k8s
$(OUT)/tests/unit/coordination_k8s/%_t $(OUT)/tests/fuzz/kube%_fuzz: SYSLIBS += -ljansson
-include tests/unit/k8s.mk
