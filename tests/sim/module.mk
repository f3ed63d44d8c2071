# Simulations. Replication's machines are built once more, with the defects that can be switched on.
REPL_SIM := $(OUT)/tests/unit/replication/sim_t
REPL_SIM_OBJS := $(patsubst %.c,$(OBJ)/tests/sim/repl/%.o,$(wildcard tests/sim/repl_*.c) tests/sim/watch.c core/replication/primary.c core/replication/copy.c core/replication/holds.c)
$(REPL_SIM_OBJS): $(OBJ)/tests/sim/repl/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -Itests/sim -DQD_WITH_MUTANTS $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(REPL_SIM): $(REPL_SIM_OBJS) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(REPL_SIM_OBJS) -Wl,--start-group $(CORE_LIBS) -Wl,--end-group $(SYSLIBS)
ALL_OBJS += $(REPL_SIM_OBJS)
units: $(REPL_SIM)
-include $(REPL_SIM_OBJS:.o=.d)
