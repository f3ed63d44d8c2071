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

# What an author of plugins needs, under any prefix.
SDK_DIR = $(DESTDIR)$(prefix)/share/quidditch/sdk
.PHONY: install-sdk uninstall-sdk
install-sdk:
	$(INSTALL) -d $(DESTDIR)$(prefix)/include/quidditch $(DESTDIR)$(prefix)/lib/pkgconfig $(SDK_DIR)
	$(INSTALL) -m 644 $(SDK_HEADERS) $(DESTDIR)$(prefix)/include/quidditch
	sed -e 's/@version@/$(VERSION)/' -e 's/@build@/$(BUILD_ID)/' sdk/quidditch.pc.in > $(DESTDIR)$(prefix)/lib/pkgconfig/quidditch.pc
	$(INSTALL) -m 644 sdk/plugin.mk sdk/flags.mk sdk/CHANGES.md sdk/README.md $(SDK_DIR)
	@for d in $(patsubst sdk/%/,%,$(sort $(dir $(wildcard sdk/templates/*/* sdk/examples/*/* sdk/conformance/*)))); do \
		$(INSTALL) -d $(SDK_DIR)/$$d && $(INSTALL) -m 644 sdk/$$d/* $(SDK_DIR)/$$d || exit 1; done
uninstall-sdk:
	rm -rf $(DESTDIR)$(prefix)/include/quidditch $(DESTDIR)$(prefix)/lib/pkgconfig/quidditch.pc $(SDK_DIR)
install: install-sdk
uninstall: uninstall-sdk
