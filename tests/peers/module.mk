# Programs that take part in comparisons with other engines.
PEER_DUMP := $(OUT)/tests/peers/lucene-analysis/dump
$(OBJ)/tests/peers/%.o: CPPFLAGS_ALL += -Itests
$(PEER_DUMP): $(OBJ)/tests/peers/lucene-analysis/dump.o $(OBJ)/tests/unit/lib/analysis_dump.o $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) -Wl,--start-group $(CORE_LIBS) -Wl,--end-group $(SYSLIBS)
units: $(PEER_DUMP)
PEER_SEARCH := $(OUT)/tests/peers/lucene-search/run
$(PEER_SEARCH): $(OBJ)/tests/peers/lucene-search/run.o $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
units: $(PEER_SEARCH)
PEER_QUERY := $(OUT)/tests/peers/lucene-query/run
$(PEER_QUERY): $(OBJ)/tests/peers/lucene-query/run.o $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) -Wl,--start-group $(CORE_LIBS) -Wl,--end-group $(SYSLIBS)
units: $(PEER_QUERY)
