# Quidditch: one non-recursive Makefile. Each core/<module> may bring a module.mk; every *.c below a
# module's folder belongs to its static library, every folder below plugins/ is one plugin.
#
#   make [all]                 programs in build/bin, plugins in build/lib/quidditch/plugins
#   make SAN=address,undefined | SAN=thread | DEBUG=1 | CC=clang     variants, each in its own folder
#   make check | check-long [PART=] | bench | fuzz | coverage | lint | format | clean | help
#   make install [DESTDIR=] [prefix=]        V=1 shows the commands

VERSION := 0.1.0
# Identity of the plugin headers: plugins of this very build may use kinds that are still unstable.
SDK_HEADERS := $(sort $(wildcard sdk/include/quidditch/*))
BUILD_ID := $(VERSION)-$(shell cat $(SDK_HEADERS) | sha256sum | cut -c1-16)
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
# PREFIX is what others call it: who gives it does not mean /usr/local
prefix ?= $(or $(PREFIX),/usr/local)
libdir ?= $(prefix)/lib
bindir ?= $(prefix)/bin
datadir ?= $(prefix)/share
sysconfdir ?= $(if $(filter /usr,$(prefix)),/etc,$(prefix)/etc)
DESTDIR ?=
INSTALL ?= install
ifndef V
.SILENT:
endif
say = $(if $(V)$(findstring s,$(firstword -$(MAKEFLAGS))),:,echo " ")

comma := ,
CCNAME := $(notdir $(firstword $(filter-out ccache,$(CC))))
VARIANT := $(if $(SAN),san-$(subst $(comma),-,$(SAN)),)$(if $(DEBUG),-debug,)$(if $(COVERAGE),-coverage,)$(if $(filter gcc cc,$(CCNAME)),,-$(CCNAME))
VARIANT := $(patsubst -%,%,$(VARIANT))
OUT := build$(if $(VARIANT),/$(VARIANT),)
OBJ := $(OUT)/obj

ARCH := $(shell uname -m)
MARCH := $(if $(filter x86_64,$(ARCH)),-march=x86-64-v2,$(if $(filter aarch64,$(ARCH)),-march=armv8-a,))

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror=unused-result -Werror
# Sanitized code is compiled more often than it is debugged: -O1 -g1 take half of -O2 -g's time.
OPT := $(if $(DEBUG),-Og -DQD_DEBUG -DXXH_NO_INLINE_HINTS=1,$(if $(COVERAGE),-O0 --coverage,$(if $(SAN),-O1,-O2)))
# Debug and address-sanitized builds rank and count a second time with nothing skipped, and compare
# (core/search/run/run.c).
OPT += $(if $(DEBUG)$(findstring address,$(SAN)),-DQD_RESCORE)
# what gcc's -O1 sees of the flow of data it takes for faults of formats; -O2 judges them
WARN += $(if $(SAN),$(if $(filter gcc cc,$(CCNAME)),-Wno-format-overflow -Wno-format-truncation))
CPPFLAGS_ALL := -D_GNU_SOURCE -DQD_VERSION='"$(VERSION)"' -Icore -Isdk/include -Ilib $(CPPFLAGS)
CFLAGS_ALL := -std=c17 $(OPT) $(if $(SAN),-g1,-g) $(MARCH) -ffp-contract=off -fno-strict-overflow -fno-omit-frame-pointer \
	-fstack-protector-strong -fvisibility=hidden -pthread $(WARN) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all,) $(CFLAGS)
LDFLAGS_ALL := -pthread $(if $(SAN),-fsanitize=$(SAN),) $(if $(COVERAGE),--coverage,) $(LDFLAGS)

MODULES := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard core/*/README.md)))))
LIB_MODULES := $(filter-out main,$(MODULES))
PLUGINS := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard plugins/*/plugin.def)))))

# Libraries of Debian that the core links; module.mk files add to it.
LIBS :=
-include $(wildcard core/*/module.mk)
# of lib/kube, in tests; programs are linked with what they call alone
LIBS += -ljansson -lcurl -lyaml
LIBS := $(sort $(LIBS))
SYSLIBS = $(LIBS) -ldl -lm -lrt

lib_of = $(OUT)/lib/libqd-$(1).a
CORE_LIBS := $(foreach m,$(LIB_MODULES),$(call lib_of,$(m)))

.DEFAULT_GOAL := all
.PHONY: all
all: programs plugins

# --- objects ---------------------------------------------------------------------------------
# gcc 12 loses mask registers around ThreadSanitizer's calls: kernels, which share nothing, go without.
NO_TSAN_512 := $(if $(filter thread,$(subst $(comma), ,$(SAN))),-fno-sanitize=thread,)
X86_FLAGS_avx2 := $(if $(filter x86_64,$(ARCH)),-march=x86-64-v3)
X86_FLAGS_avx512 := $(if $(filter x86_64,$(ARCH)),-march=x86-64-v4 -mavx512vbmi -mprefer-vector-width=512)
# psabi: vectors are passed within one file alone
kernel_flags = $(if $(filter %_avx2.c,$(1)),$(X86_FLAGS_avx2) -O3,$(if $(filter %_avx512.c,$(1)),$(X86_FLAGS_avx512) -O3 $(NO_TSAN_512),$(if $(filter %_scalar.c %_neon.c,$(1)),-O3 -Wno-psabi,)))

$(OBJ)/%.o: %.c
	@mkdir -p $(@D)
	@$(say) CC $<
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(call kernel_flags,$<) $(CFLAGS_$(subst /,_,$(patsubst %.c,%,$<))) -MMD -MP -c $< -o $@

define module_rules
SRCS_$(1) := $$(sort $$(wildcard core/$(1)/*.c core/$(1)/*/*.c))
OBJS_$(1) := $$(patsubst %.c,$(OBJ)/%.o,$$(SRCS_$(1)))
$(call lib_of,$(1)): $$(OBJS_$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(AR) qcs $$@ $$(OBJS_$(1))
ALL_OBJS += $$(OBJS_$(1))
endef
ALL_OBJS :=
$(foreach m,$(LIB_MODULES),$(eval $(call module_rules,$(m))))
include sdk/module.mk

# --- programs: core/main/daemon is quidditchd, core/main/qd and core/main/bench are qd; what stands
# beside the folders belongs to both -------------------------------------------------------------
PROGRAM_NAMES := quidditchd qd
PROGRAM_DIRS_quidditchd := daemon
PROGRAM_DIRS_qd := qd bench
PROGRAMS := $(patsubst %,$(OUT)/bin/%,$(PROGRAM_NAMES))
define program_rules
OBJS_prog_$(1) := $$(patsubst %.c,$(OBJ)/%.o,$$(wildcard core/main/*.c $$(PROGRAM_DIRS_$(1):%=core/main/%/*.c)))
$(OUT)/bin/$(1): $$(OBJS_prog_$(1)) $(CORE_LIBS) core/main/host.map
	@mkdir -p $$(@D)
	@$$(say) LD $$@
	$$(CC) $(LDFLAGS_ALL) -Wl,--as-needed -Wl,--version-script=core/main/host.map -Wl,-z,relro,-z,now -o $$@ $$(OBJS_prog_$(1)) -Wl,--start-group $(CORE_LIBS) -Wl,--end-group $$(SYSLIBS)
ALL_OBJS += $$(OBJS_prog_$(1))
endef
$(foreach p,$(PROGRAM_NAMES),$(eval $(call program_rules,$(p))))
.PHONY: programs
programs: $(CORE_LIBS) $(PROGRAMS)

# --- plugins: built as a user's would be, against the SDK alone; plugin.def names their libraries, and
# folders of sources that are compiled into several plugins, once for each (PLUGIN_PARTS) ---
include sdk/flags.mk
PLUGIN_FLAGS = -D_GNU_SOURCE -DQD_BUILD_ID='"$(BUILD_ID)"' -Isdk/include -Ilib $(filter-out -fvisibility=hidden,$(CFLAGS_ALL)) $(QD_PLUGIN_CFLAGS)
PLUGIN_LDFLAGS = $(QD_PLUGIN_LDFLAGS)
define plugin_rules
PLUGIN_LIBS :=
PLUGIN_PARTS :=
include plugins/$(1)/plugin.def
PLIBS_$(1) := $$(PLUGIN_LIBS)
PINC_$(1) := $$(patsubst %,-I%,plugins/$(1) $$(PLUGIN_PARTS))
PPARTS_$(1) := $$(sort $$(foreach d,$$(PLUGIN_PARTS),$$(wildcard $$(d)/*.c)))
POBJS_$(1) := $$(patsubst %.c,$(OBJ)/%.pic.o,$$(sort $$(wildcard plugins/$(1)/*.c plugins/$(1)/*/*.c))) \
	$$(patsubst %.c,$(OBJ)/parts/$(1)/%.pic.o,$$(PPARTS_$(1)))
$$(POBJS_$(1)): PLUGIN_FLAGS += $$(PINC_$(1))
$(OBJ)/parts/$(1)/%.pic.o: %.c $(SDK_HEADERS)
	@mkdir -p $$(@D)
	@$$(say) CC $$< "($(1))"
	$$(CC) $$(PLUGIN_FLAGS) -MMD -MP -c $$< -o $$@
$(OUT)/lib/quidditch/plugins/$(1).so: $$(POBJS_$(1))
	@mkdir -p $$(@D)
	@$$(say) PLUGIN $$@
	$$(CC) $(LDFLAGS_ALL) $(PLUGIN_LDFLAGS) -o $$@ $$(POBJS_$(1)) $$(PLIBS_$(1))
ALL_OBJS += $$(POBJS_$(1))
endef
$(foreach p,$(PLUGINS),$(eval $(call plugin_rules,$(p))))
$(OBJ)/plugins/%.pic.o: plugins/%.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	@$(say) CC $<
	$(CC) $(PLUGIN_FLAGS) -MMD -MP -c $< -o $@
.PHONY: plugins
plugins: $(patsubst %,$(OUT)/lib/quidditch/plugins/%.so,$(PLUGINS))

# --- unit tests: every tests/unit/<module>/*_t.c is one cmocka program with TAP output ---------
UNIT_SRCS := $(sort $(wildcard tests/unit/*/*_t.c))
UNIT_HELPERS := $(patsubst %.c,$(OBJ)/%.o,$(filter-out %_t.c,$(sort $(wildcard tests/unit/lib/*.c) $(filter-out tests/lib/store_tool.c,$(wildcard tests/lib/store_*.c tests/lib/coord_*.c tests/lib/action_*.c tests/lib/alloc_*.c tests/lib/kube_*.c)))))
# storage-nvme once more, linked into tests: entry and note get names of their own.
TEST_NVME := $(patsubst plugins/%.c,$(OBJ)/tests/plugins/%.o,$(sort $(wildcard plugins/storage-nvme/*.c)))
$(TEST_NVME): $(OBJ)/tests/plugins/%.o: plugins/%.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_FLAGS) -Dqd_plugin_entry=qd_plugin_entry_storage_nvme -Dqd_plugin_note_=qd_plugin_note_storage_nvme -MMD -MP -c $< -o $@
# coordination-raft too: its pure parts by themselves, and all of it, several nodes in one process.
TEST_COORD := $(patsubst plugins/%.c,$(OBJ)/tests/plugins/%.o,$(sort $(wildcard plugins/coordination-common/*.c plugins/coordination-raft/*.c plugins/coordination-raft/*/*.c)))
$(TEST_COORD): $(OBJ)/tests/plugins/%.o: plugins/%.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_FLAGS) $(PINC_coordination-raft) -Dqd_plugin_entry=qd_plugin_entry_coordination_raft -Dqd_plugin_note_=qd_plugin_note_coordination_raft -MMD -MP -c $< -o $@
# lib/kube, which plugins compile in by PLUGIN_PARTS.
TEST_KUBE := $(patsubst lib/%.c,$(OBJ)/tests/parts/lib/%.o,$(sort $(wildcard lib/*/*.c)))
$(TEST_KUBE): $(OBJ)/tests/parts/lib/%.o: lib/%.c $(SDK_HEADERS)
	@mkdir -p $(@D)
	@$(say) CC $<
	$(CC) $(PLUGIN_FLAGS) -MMD -MP -c $< -o $@
TEST_LIB := $(OUT)/lib/libqd-tests.a
$(TEST_LIB): $(UNIT_HELPERS) $(TEST_NVME) $(TEST_COORD) $(TEST_KUBE) Makefile
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $(filter %.o,$^)
ALL_OBJS += $(TEST_NVME) $(TEST_COORD) $(TEST_KUBE)
UNITS := $(patsubst %.c,$(OUT)/%,$(UNIT_SRCS))
$(OUT)/tests/unit/%_t: $(OBJ)/tests/unit/%_t.o $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
$(OBJ)/tests/%.o: CPPFLAGS_ALL += -Itests -Ilib
$(OBJ)/tests/unit/coordination/%.o $(OBJ)/tests/fuzz/coord%.o: CPPFLAGS_ALL += -Iplugins $(PINC_coordination-raft)
ALL_OBJS += $(patsubst %.c,$(OBJ)/%.o,$(UNIT_SRCS)) $(UNIT_HELPERS)
.PHONY: units
units: $(UNITS)

-include $(wildcard tests/*/module.mk tests/sim/raft.mk tests/sim/kcore.mk tests/sim/cluster.mk tests/sim/node.mk)
# last: the parts above add their objects
-include $(ALL_OBJS:.o=.d)

.PHONY: check lint clean format help coverage install uninstall
check: all
	./run-tests --no-install
lint:
	prove tests/lint
format:
	git ls-files '*.c' '*.h' | xargs clang-format -i
coverage:
	$(MAKE) COVERAGE=1 units
	find build/coverage -name '*.gcda' -delete
	prove -e '' $$(find build/coverage/tests/unit -name '*_t' -type f | sort)
	tests/lib/coverage build/coverage
clean:
	rm -rf build
help:
	@sed -n '4,8s/^# \{0,1\}//p' Makefile

# --- install: an installed copy finds everything relative to its programs ----------------------------
# (headers, plugin.mk and quidditch.pc: install-sdk of sdk/module.mk)
D := $(DESTDIR)
install: all
	$(INSTALL) -d $(D)$(bindir) $(D)$(libdir)/quidditch/plugins $(D)$(datadir)/quidditch $(D)$(sysconfdir)/quidditch
	$(INSTALL) -m 755 $(PROGRAMS) $(D)$(bindir)
	$(if $(PLUGINS),$(INSTALL) -m 755 $(patsubst %,$(OUT)/lib/quidditch/plugins/%.so,$(PLUGINS)) $(D)$(libdir)/quidditch/plugins)
	for d in $(wildcard conf/samples conf/schemas); do cp -R $$d $(D)$(datadir)/quidditch/; done
	test -f $(D)$(sysconfdir)/quidditch/quidditch.yml || \
		$(INSTALL) -m 644 conf/quidditch.yml $(D)$(sysconfdir)/quidditch/quidditch.yml
	$(INSTALL) -m 644 conf/quidditch.yml $(D)$(datadir)/quidditch/quidditch.yml.default
	$(INSTALL) -m 644 LICENSE $(D)$(datadir)/quidditch/LICENSE
uninstall:
	rm -f $(patsubst %,$(D)$(bindir)/%,$(notdir $(PROGRAMS)))
	rm -f $(patsubst %,$(D)$(libdir)/quidditch/plugins/%.so,$(PLUGINS)) $(D)$(datadir)/quidditch/quidditch.yml.default $(D)$(datadir)/quidditch/LICENSE
	rm -rf $(patsubst conf/%,$(D)$(datadir)/quidditch/%,$(wildcard conf/samples conf/schemas))
	for d in $(D)$(libdir)/quidditch/plugins $(D)$(libdir)/quidditch $(D)$(datadir)/quidditch; do \
		test ! -d $$d || rmdir $$d 2>/dev/null || echo "make uninstall: what others put into $$d stays"; done
include deploy/packages.mk
include deploy/images.mk
.SECONDARY:
