# The simulation of coordination-k8s's core: its pure parts once more, with the broken variants that
# can be switched on. A unit test runs its schedules too.
KCORE_SIM := $(OUT)/tests/sim/kcore
KCORE_SIM_OBJS := $(patsubst %.c,$(OBJ)/tests/sim/kcore/%.o,$(sort $(wildcard tests/sim/kcore_*.c) tests/sim/watch.c \
	plugins/coordination-common/bytes.c $(wildcard plugins/coordination-k8s/core/*.c plugins/coordination-k8s/format/*.c)))
$(KCORE_SIM_OBJS): $(OBJ)/tests/sim/kcore/%.o: %.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -Itests -Iplugins -Iplugins/coordination-common -Iplugins/coordination-k8s -DQD_WITH_MUTANTS $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(KCORE_SIM): $(KCORE_SIM_OBJS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(KCORE_SIM_OBJS) -lcrypto -lzstd -ljansson
$(OUT)/tests/unit/coordination_k8s/sim_t: $(KCORE_SIM)
	@mkdir -p $(@D)
	ln -f $< $@
-include $(KCORE_SIM_OBJS:.o=.d)
units: $(OUT)/tests/unit/coordination_k8s/sim_t
