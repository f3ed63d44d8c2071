# make bench: ours, Lucene and tantivy over the same files in one run; writes PERFORMANCE.md and
# performance.json into build/bench. Stopped, it goes on where it was when run again.
#   make bench PART=logs                     one set of documents alone (head of tests/bench/run.pl)
#   make bench LIMIT=20000                   tries the wiring in minutes, in build/bench-20000
#   make bench BENCH="--rounds 5 --fresh"    options of tests/bench/run.pl
BENCH_COLUMNS := $(OUT)/tests/bench/columns
$(OBJ)/tests/bench/%.o: CPPFLAGS_ALL += -Itests
BENCH_PLUGINS := $(OUT)/tests/bench/plugins
$(BENCH_PLUGINS)/example-values.so: sdk/examples/aggregation-terms/values.c tests/bench/module.mk $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_FLAGS) -shared -Wl,-z,now,-z,relro,-z,nodelete -o $@ $<
$(OBJ)/tests/bench/columns.o: CPPFLAGS_ALL += -DBENCH_PLUGINS='"$(abspath $(BENCH_PLUGINS))"'
$(BENCH_COLUMNS): $(OBJ)/tests/bench/columns.o $(TEST_LIB) $(CORE_LIBS) | $(BENCH_PLUGINS)/example-values.so
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
# make bench-allocation: the allocator on 1,000 nodes and 100,000 shards.
BENCH_ALLOCATION := $(OUT)/tests/bench/allocation
$(BENCH_ALLOCATION): $(OBJ)/tests/bench/allocation.o $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
.PHONY: bench-allocation
bench-allocation: $(BENCH_ALLOCATION)
	$(BENCH_ALLOCATION)
# make bench-rpc: the transport between two nodes over loopback.
BENCH_RPC := $(OUT)/tests/bench/rpc
$(BENCH_RPC): $(OBJ)/tests/bench/rpc.o $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
.PHONY: bench-rpc
bench-rpc: $(BENCH_RPC)
	$(BENCH_RPC)
# make bench-ranges: what a range costs by points and by columns, which core/search/leaf/leaf_range.c chooses by.
BENCH_RANGES := $(OUT)/tests/bench/ranges
$(BENCH_RANGES): $(OBJ)/tests/bench/ranges.o $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
.PHONY: bench-ranges
bench-ranges: $(BENCH_RANGES)
	$(BENCH_RANGES)
# tests/bench/vectors.pl: recall and speed of searches by graphs, beside hnswlib and faiss.
BENCH_GRAPH := $(OUT)/tests/bench/graph
$(BENCH_GRAPH): $(OBJ)/tests/bench/graph.o $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
ALL_OBJS += $(OBJ)/tests/bench/graph.o
# make bench-vectors: nearest vectors by looking at all of them.
BENCH_VECTORS := $(OUT)/tests/bench/vectors
$(BENCH_VECTORS): $(OBJ)/tests/bench/vectors.o $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
.PHONY: bench-vectors
bench-vectors: $(BENCH_VECTORS)
	$(BENCH_VECTORS)
# make bench-hop: searches asked of a node that does not have the shard.
BENCH_HOP := $(OUT)/tests/bench/hop
$(BENCH_HOP): $(OBJ)/tests/bench/hop.o $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
.PHONY: bench-hop
bench-hop: $(BENCH_HOP)
	$(BENCH_HOP)
# make bench-json JSON=FILE.jsonl: reading documents and bulk bodies up to their events.
BENCH_JSON := $(OUT)/tests/bench/json
$(BENCH_JSON): $(OBJ)/tests/bench/json.o $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(CORE_LIBS) -Wl,--end-group $(SYSLIBS)
.PHONY: bench-json
bench-json: $(BENCH_JSON)
	$(BENCH_JSON) $(JSON)
# make bench PART=cluster: several nodes, and etcd; options of tests/bench/cluster.pl in BENCH.
BENCH_LOAD := $(OUT)/tests/bench/load
$(BENCH_LOAD): tests/bench/load.c
	@mkdir -p $(@D)
	$(CC) -std=c17 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -o $@ $< -lxxhash
# make bench PART=coordination: the state in a real Kubernetes API server, next to masters of their own.
units: $(BENCH_COLUMNS) $(BENCH_RANGES) $(BENCH_ALLOCATION) $(BENCH_RPC) $(BENCH_HOP) $(BENCH_LOAD)
.PHONY: bench
bench: all $(BENCH_GRAPH) $(BENCH_COLUMNS) $(BENCH_HOP) $(BENCH_LOAD) $(BENCH_JSON)
	perl $(if $(wildcard tests/bench/$(PART).pl),tests/bench/$(PART).pl,tests/bench/run.pl $(if $(LIMIT),--limit $(LIMIT)) $(if $(PART),--only $(PART))) $(BENCH)
# make bench-budget [UPDATE=1]: instructions of the hot paths against tests/bench/budget (head of budget.pl).
BENCH_BUDGET := $(OUT)/tests/bench/budget_run
BUDGET_OBJS := $(patsubst %,$(OBJ)/%.o,tests/bench/budget_run tests/bench/budget_corpus core/main/bench/body core/main/bench/es)
$(BENCH_BUDGET): $(BUDGET_OBJS) $(TEST_LIB) $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $(BUDGET_OBJS) -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
# The same with a loop too many in the parser: it has to be found.
$(BENCH_BUDGET)_slow: $(OBJ)/tests/bench/budget_slow.o $(BUDGET_OBJS) $(TEST_LIB) $(CORE_LIBS)
	$(CC) $(LDFLAGS_ALL) -Wl,--wrap=qd_json_next -o $@ $< $(BUDGET_OBJS) -Wl,--start-group $(TEST_LIB) $(CORE_LIBS) -Wl,--end-group -lcmocka $(SYSLIBS)
ALL_OBJS += $(patsubst %,$(OBJ)/tests/bench/%.o,budget_run budget_corpus budget_slow ranges)
units: $(BENCH_BUDGET) $(BENCH_BUDGET)_slow
.PHONY: bench-budget
bench-budget: $(BENCH_BUDGET)
	perl tests/bench/budget.pl $(if $(UPDATE),--update)
# make bench-ingest: conditions of pipelines, and a pipeline of five processors with grok.
BENCH_INGEST := $(OUT)/tests/bench/ingest
$(BENCH_INGEST): $(OBJ)/tests/bench/ingest.o $(CORE_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(CORE_LIBS) -Wl,--end-group $(SYSLIBS)
.PHONY: bench-ingest
bench-ingest: $(BENCH_INGEST)
	$(BENCH_INGEST)
