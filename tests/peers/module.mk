# Programs that take part in comparisons with other engines.
PEER_DUMP := $(OUT)/tests/peers/lucene-analysis/dump
$(PEER_DUMP): $(OBJ)/tests/peers/lucene-analysis/dump.o $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(CORE_LIBS) -Wl,--end-group $(SYSLIBS)
units: $(PEER_DUMP)
