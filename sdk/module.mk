# The conformance suites, against the SDK alone, as a library that the plugin module's runner calls.
SRCS_conformance := $(sort $(wildcard sdk/conformance/*.c))
OBJS_conformance := $(patsubst %.c,$(OBJ)/%.o,$(SRCS_conformance))
$(OBJ)/sdk/conformance/%.o: CPPFLAGS_ALL := -D_GNU_SOURCE -Isdk/include
LIB_CONFORMANCE := $(OUT)/lib/libqd-conformance.a
$(LIB_CONFORMANCE): $(OBJS_conformance)
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $(OBJS_conformance)
CORE_LIBS += $(LIB_CONFORMANCE)
ALL_OBJS += $(OBJS_conformance)
