# make check-arm64 [CROSS=aarch64-linux-gnu-]: base, automaton, json, segment and the kernels of search and aggs for arm64
# with their unit tests, run by qemu-user (tests/integration/018_arm64.t).
CROSS ?= aarch64-linux-gnu-
.PHONY: check-arm64
check-arm64:
	QD_FULL=1 prove -v tests/integration/018_arm64.t
# Below: what that makes, with ARCH=aarch64, CC and AR of CROSS and the libraries below ARM64_ROOT.
ARM64_MODULES := base runtime json config automaton plugin store segment
ARM64_LIBS := $(foreach m,$(ARM64_MODULES),$(call lib_of,$(m)))
ARM64_KERNELS := $(patsubst %.c,$(OBJ)/%.o,$(wildcard core/search/kernels/*.c core/mapping/ann/vec*.c core/aggs/kernels/kern_*.c core/search/collect/topk.c))
ARM64_HELPERS := $(patsubst %.c,$(OBJ)/%.o,$(wildcard tests/lib/store_crash*.c tests/lib/store_adverse.c) tests/lib/store_tamper.c tests/unit/lib/parts.c tests/unit/lib/string_part.c tests/unit/lib/corpus.c tests/unit/lib/points_doors.c)
ARM64_UNITS := $(patsubst tests/unit/%.c,$(OUT)/arm64/%,$(wildcard tests/unit/base/*_t.c tests/unit/automaton/*_t.c tests/unit/json/*_t.c tests/unit/segment/*_t.c) tests/unit/search/kern_t.c tests/unit/search/vec_t.c tests/unit/aggs/kern_t.c)
$(OUT)/arm64/%_t: $(OBJ)/tests/unit/%_t.o $(ARM64_HELPERS) $(ARM64_KERNELS) $(ARM64_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(ARM64_HELPERS) $(ARM64_KERNELS) $(ARM64_LIBS) -Wl,--end-group \
		-L$(ARM64_ROOT)/usr/lib/aarch64-linux-gnu -lcmocka -luv -lzstd -lxxhash -ldl -lm -lrt
.PHONY: arm64-units arm64-list
arm64-list:
	@echo $(ARM64_UNITS)
arm64-units: $(ARM64_UNITS)
