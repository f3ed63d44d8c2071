# Plugins for the loader's tests: toy.c once for each line, sound but for what its macros say.
TOYS := good twin major minor nonote noentry undefined initfail startfail loop-a loop-b lonely \
	old-dep after-fail noslot badflag kind-minor kind-lies unstable rival required lies nouv idle older
TOY_good :=
TOY_twin := -DTOY_DEP='"toy-good"'
TOY_major := -DTOY_MAJOR=2
TOY_minor := -DTOY_MINOR=99
TOY_nonote := -DTOY_NO_NOTE
TOY_noentry := -DTOY_NO_ENTRY
TOY_undefined := -DTOY_UNDEFINED
TOY_initfail := -DTOY_INIT_FAILS
TOY_startfail := -DTOY_START_FAILS
TOY_loop-a := -DTOY_DEP='"toy-loop-b"'
TOY_loop-b := -DTOY_DEP='"toy-loop-a"'
TOY_lonely := -DTOY_DEP='"toy-absent"'
TOY_old-dep := -DTOY_DEP='"toy-good"' -DTOY_DEP_VERSION='"1.10.0"'
TOY_after-fail := -DTOY_DEP='"toy-initfail"'
TOY_noslot := -DTOY_NO_SLOT
TOY_badflag := -DTOY_BAD_FLAG
TOY_kind-minor := -DTOY_KIND_MINOR=9
TOY_kind-lies := -DTOY_KIND_MINOR=9 -DTOY_KIND_LIES
TOY_unstable := -UQD_BUILD_ID
TOY_rival := -DTOY_PROVIDES='"toy-good"'
TOY_required := -DTOY_REQUIRED
TOY_lies := -DTOY_LIES
TOY_idle := -DTOY_IDLE=1
TOY_older := -DTOY_MINOR=5 -DQD_ABI_TARGET=5
TOY_nouv := -DTOY_FLAGS=QD_PLUGIN_NEEDS_UV
TOY_FILES := $(patsubst %,$(OUT)/tests/plugins/toy-%.so,$(TOYS))

# Linked as plugin.mk does, but for -z,defs: one of them lacks a symbol.
$(OUT)/tests/plugins/toy-%.so: tests/plugins/toy.c tests/plugins/module.mk $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(PLUGIN_FLAGS)) -DTOY_NAME='"toy-$*"' $(TOY_$*) \
		-shared -Wl,-z,now,-z,relro,-z,nodelete -Wl,--exclude-libs,ALL -o $@ $<

$(OUT)/tests/unit/plugin/loader_t $(OUT)/tests/unit/plugin/conform_t: $(TOY_FILES)
$(OBJ)/tests/unit/plugin/%.o: CPPFLAGS_ALL += -DTOY_DIR='"$(abspath $(OUT))/tests/plugins"'

# The skeleton of a coordination store, saying that it is not run by the node: one process long.
$(OUT)/tests/plugins/toy-outside.so: sdk/templates/coordination/plugin.c tests/plugins/module.mk $(SDK_HEADERS)
	@mkdir -p $(@D)
	sed -e '/define _GNU_SOURCE/d' -e 's/@NAME@/toy-outside/g' -e 's/, QD_COORD_LINEARIZABLE)/, QD_COORD_LINEARIZABLE | QD_COORD_EXTERNAL)/' $< > $(@:.so=.c)
	$(CC) $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(PLUGIN_FLAGS)) -shared -Wl,-z,now,-z,relro,-z,nodelete \
		-o $@ $(@:.so=.c) -lcrypto

# coordination-raft under another name, which takes settings of whatever store it stands in for: two
# stores in one node, for migrations.
SECOND_DIR := $(OUT)/tests/plugins/second
$(OUT)/tests/plugins/toy-second.so: $(POBJS_coordination-raft) tests/plugins/module.mk
	@mkdir -p $(SECOND_DIR)
	sed -e 's/"coordination-raft"/"toy-second"/g' plugins/coordination-raft/home.h > $(SECOND_DIR)/home.h
	sed -e 's/^    else$$/    else if (o->key.n > 4 \&\& memcmp(o->key.p, "k8s.", 4) == 0) return 0; else/' plugins/coordination-raft/home.c > $(SECOND_DIR)/home.c
	$(CC) $(PLUGIN_FLAGS) -I$(SECOND_DIR) $(PINC_coordination-raft) $(LDFLAGS_ALL) $(PLUGIN_LDFLAGS) -o $@ \
		plugins/coordination-raft/plugin.c plugins/coordination-common/init.c $(SECOND_DIR)/home.c \
		$(filter-out %/plugin.pic.o %/init.pic.o %/home.pic.o,$(POBJS_coordination-raft)) $(PLIBS_coordination-raft)
units: $(OUT)/tests/plugins/toy-outside.so $(OUT)/tests/plugins/toy-second.so

# The skeleton of a storage tier: as it is, which has no logs, and with logs that are as volatile as all of it.
$(OUT)/tests/plugins/toy-nolog.so: sdk/templates/storage/plugin.c tests/plugins/module.mk $(SDK_HEADERS)
	@mkdir -p $(@D)
	sed -e 's/@NAME@/toy-nolog/g' $< > $(@:.so=.c)
	$(CC) $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(PLUGIN_FLAGS)) -shared -Wl,-z,now,-z,relro,-z,nodelete -o $@ $(@:.so=.c)
$(OUT)/tests/plugins/toy-volatile.so: sdk/templates/storage/plugin.c tests/plugins/volatile_log.h tests/plugins/module.mk $(SDK_HEADERS)
	@mkdir -p $(@D)
	sed -e 's/@NAME@/toy-volatile/g' -e 's/, STORAGE, 0)/, STORAGE, QD_STORAGE_APPEND)/' \
		-e 's/^static const qd_storage_vtable/#include "volatile_log.h"\n&/' \
		-e 's/^    \.remove = remove_names,/&\n    .log_open = log_open, .log_append_v = log_append_v, .log_sync = log_sync, .log_read = log_read,\n    .log_truncate = log_truncate, .log_close = log_close,/' \
		$< > $(@:.so=.c)
	$(CC) $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(PLUGIN_FLAGS)) -shared -Wl,-z,now,-z,relro,-z,nodelete -Itests/plugins -o $@ $(@:.so=.c)

# An operator, and parts of analyzers, that misbehave on request.
$(OUT)/tests/plugins/toy-operator.so: tests/plugins/toy_operator.c
$(OUT)/tests/plugins/toy-views.so: tests/plugins/toy_views.c
$(OUT)/tests/plugins/toy-analysis.so: tests/plugins/toy_analysis.c
$(OUT)/tests/plugins/toy-operator.so $(OUT)/tests/plugins/toy-views.so $(OUT)/tests/plugins/toy-analysis.so: tests/plugins/module.mk $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(PLUGIN_FLAGS)) -shared -Wl,-z,now,-z,relro,-z,nodelete -o $@ $(filter %.c,$^)

# Aggregations that misbehave on request, a version of them whose results are others, and one with the name of a built-in aggregation.
TOY_AGG_aggregation := toy_agg
TOY_AGG_taken := avg
$(OUT)/tests/plugins/version-2/toy-aggregation.so: tests/plugins/toy_aggregation.c tests/plugins/module.mk $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(PLUGIN_FLAGS)) -DTOY_NAME='"toy-aggregation"' -DTOY_AGG='"toy_agg"' -DTOY_VERSION=2 \
		-shared -Wl,-z,now,-z,relro,-z,nodelete -o $@ $<
$(OUT)/tests/plugins/toy-aggregation.so $(OUT)/tests/plugins/toy-taken.so: $(OUT)/tests/plugins/toy-%.so: tests/plugins/toy_aggregation.c tests/plugins/module.mk $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(PLUGIN_FLAGS)) -DTOY_NAME='"toy-$*"' -DTOY_AGG='"$(TOY_AGG_$*)"' \
		-shared -Wl,-z,now,-z,relro,-z,nodelete -o $@ $<

# A field type that shows its values, and misbehaves for some; and one that shows none.
$(OUT)/tests/plugins/toy-field.so: tests/plugins/toy_field.c tests/plugins/module.mk $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(PLUGIN_FLAGS)) -shared -Wl,-z,now,-z,relro,-z,nodelete -o $@ $<

# A tier over a tier, two that could close a circle, and one that looks up when it starts.
TOY_WRAP_late := -DTOY_LATE
WRAP_FILES := $(patsubst %,$(OUT)/tests/plugins/toy-%.so,wrap wrap-b late)
$(WRAP_FILES): $(OUT)/tests/plugins/toy-%.so: tests/plugins/toy_wrap.c tests/plugins/module.mk $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(PLUGIN_FLAGS)) -DTOY_NAME='"toy-$*"' $(TOY_WRAP_$*) \
		-shared -Wl,-z,now,-z,relro,-z,nodelete -o $@ $<
$(OUT)/tests/unit/plugin/lookup_t: $(WRAP_FILES) $(OUT)/tests/plugins/toy-volatile.so

# One that uses the services of the host, and ones whose route is taken or breaks the rules.
TOY_PATH_route-health := -DTOY_METHODS='"GET"' -DTOY_PATH='"/_cluster/{what}"'
TOY_PATH_route-toy := -DTOY_METHODS='"POST|GET"' -DTOY_PATH='"/_toy/{other}"'
TOY_PATH_route-index := -DTOY_METHODS='"GET"' -DTOY_PATH='"/toys/{other}"'
SERVICE_FILES := $(patsubst %,$(OUT)/tests/plugins/toy-%.so,services route-health route-toy route-index)
$(SERVICE_FILES): $(OUT)/tests/plugins/toy-%.so: tests/plugins/toy_services.c tests/plugins/module.mk $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(PLUGIN_FLAGS)) -DTOY_NAME='"toy-$*"' $(TOY_PATH_$*) \
		-shared -Wl,-z,now,-z,relro,-z,nodelete -o $@ $<

# A processor that misbehaves on request, and one with the name of a built-in processor.
TOY_PROCESSOR_processor := toy_processor
TOY_PROCESSOR_trim := trim
$(OUT)/tests/plugins/toy-processor.so $(OUT)/tests/plugins/toy-trim.so: $(OUT)/tests/plugins/toy-%.so: tests/plugins/toy_processor.c tests/plugins/module.mk $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(PLUGIN_FLAGS)) -DTOY_NAME='"toy-$*"' -DTOY_PROCESSOR='"$(TOY_PROCESSOR_$*)"' \
		-shared -Wl,-z,now,-z,relro,-z,nodelete -o $@ $<
