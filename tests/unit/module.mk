# Tests named *_broken_t break rules of the modules below one at a time (core/<module>/variant.h): they are
# linked with these modules built once more, with QD_VARIANTS.
BROKEN_MODULES := engine
BROKEN_OBJS := $(foreach m,$(BROKEN_MODULES),$(patsubst %.o,$(OBJ)/broken/%.o,$(patsubst $(OBJ)/%,%,$(OBJS_$(m)))))
BROKEN_LIB := $(OUT)/lib/libqd-broken.a
$(OBJ)/broken/%.o: %.c
	@mkdir -p $(@D)
	@$(say) CC $< "(rules can be broken)"
	$(CC) $(CPPFLAGS_ALL) -DQD_VARIANTS $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(BROKEN_LIB): $(BROKEN_OBJS)
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^
$(OBJ)/tests/unit/%_broken_t.o: CPPFLAGS_ALL += -DQD_VARIANTS
$(OUT)/tests/unit/%_broken_t: $(OBJ)/tests/unit/%_broken_t.o $(BROKEN_LIB) $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(BROKEN_LIB) $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
-include $(BROKEN_OBJS:.o=.d)
