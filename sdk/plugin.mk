# plugin.mk: builds a plugin out of tree, against an installed Quidditch.
#
#   PLUGIN  = analysis-icu                 # [a-z0-9-]+; becomes analysis-icu.so
#   SRCS    = icu.c fold.c                 # .c and .cc
#   CFLAGS += ...                          # more flags
#   LIBS    = $(shell pkg-config --libs icu-uc)
#   CHECK   = --option query='{...}'       # arguments for `qd plugin check`
#   include $(shell pkg-config --variable=pluginmk quidditch)
#
# gives: all install uninstall check installcheck clean; DESTDIR=, SAN=address, CC=, CXX=.

ifndef PLUGIN
$(error set PLUGIN and SRCS before including plugin.mk)
endif
PKG_CONFIG ?= pkg-config
INSTALL ?= install
QD_CPPFLAGS := $(shell $(PKG_CONFIG) --cflags quidditch)
QD_BUILD_ID := $(shell $(PKG_CONFIG) --variable=build_id quidditch)
QD_PLUGINDIR := $(shell $(PKG_CONFIG) --variable=plugindir quidditch)
QD := $(shell $(PKG_CONFIG) --variable=qd quidditch)
ifeq ($(QD_PLUGINDIR),)
$(error pkg-config does not find quidditch: set PKG_CONFIG_PATH)
endif
include $(dir $(lastword $(MAKEFILE_LIST)))flags.mk

ifeq ($(origin CFLAGS),undefined)
CFLAGS := -O2 -g
endif
WARNINGS ?= -Wall -Wextra
ALL_FLAGS = $(QD_CPPFLAGS) $(if $(QD_BUILD_ID),-DQD_BUILD_ID='"$(QD_BUILD_ID)"') $(CPPFLAGS) $(CFLAGS) $(WARNINGS) -ffp-contract=off $(QD_PLUGIN_CFLAGS) -pthread \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
OBJS := $(patsubst %,build/%.o,$(basename $(SRCS)))
LINK := $(if $(filter %.cc,$(SRCS)),$(CXX),$(CC))

.PHONY: all install uninstall check installcheck clean
all: $(PLUGIN).so

$(PLUGIN).so: $(OBJS)
	$(LINK) $(if $(SAN),-fsanitize=$(SAN)) $(QD_PLUGIN_LDFLAGS) $(LDFLAGS) -o $@ $(OBJS) $(LIBS)
	@chmod go-w $@
build/%.o: %.c
	@mkdir -p $(@D)
	$(CC) -std=c17 $(ALL_FLAGS) -MMD -MP -c $< -o $@
build/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) -std=c++17 $(ALL_FLAGS) -fno-exceptions -MMD -MP -c $< -o $@
-include $(OBJS:.o=.d)

install: all
	$(INSTALL) -d -m 755 $(DESTDIR)$(QD_PLUGINDIR)
	$(INSTALL) -m 755 $(PLUGIN).so $(DESTDIR)$(QD_PLUGINDIR)/$(PLUGIN).so
uninstall:
	rm -f $(DESTDIR)$(QD_PLUGINDIR)/$(PLUGIN).so
check: all
	$(QD) plugin check $(CHECK) $(CURDIR)/$(PLUGIN).so
installcheck:
	$(QD) plugin check $(CHECK) $(DESTDIR)$(QD_PLUGINDIR)/$(PLUGIN).so
clean:
	rm -rf build $(PLUGIN).so
