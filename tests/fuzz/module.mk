# Fuzzers: each tests/fuzz/<name>_fuzz.c is one libFuzzer program, built by clang with ASan and UBSan
# in a variant of its own. Its inputs are the archive tests/fuzz/corpus/<name>.tar (tests/fuzz/pack).
FUZZ_SRCS := $(sort $(wildcard tests/fuzz/*_fuzz.c))
FUZZ_SAN := fuzzer-no-link,address,undefined
FUZZERS := $(patsubst %.c,$(OUT)/%,$(FUZZ_SRCS))
$(OUT)/tests/fuzz/%_fuzz: $(OBJ)/tests/fuzz/%_fuzz.o $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	@$(say) FUZZ $@
	$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group $(SYSLIBS)
ALL_OBJS_FUZZ := $(patsubst %.c,$(OBJ)/%.o,$(FUZZ_SRCS))
-include $(ALL_OBJS_FUZZ:.o=.d)
.PHONY: fuzz fuzzers
fuzzers: $(FUZZERS)
CLANG ?= clang
fuzz:
	$(MAKE) CC="$(if $(filter ccache,$(CC)),ccache )$(CLANG)" SAN=$(FUZZ_SAN) fuzzers
