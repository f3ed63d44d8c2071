import co.elastic.clients.elasticsearch.ElasticsearchClient;
import co.elastic.clients.elasticsearch._types.ElasticsearchException;
import co.elastic.clients.elasticsearch._types.Refresh;
import co.elastic.clients.elasticsearch._types.SortOrder;
import co.elastic.clients.elasticsearch._types.aggregations.CalendarInterval;
import co.elastic.clients.elasticsearch.core.BulkRequest;
import co.elastic.clients.elasticsearch.core.BulkResponse;
import co.elastic.clients.elasticsearch.core.SearchResponse;
import co.elastic.clients.elasticsearch.core.search.Hit;
import co.elastic.clients.json.JsonData;
import java.util.List;
import java.util.Map;

/** What programs do with elasticsearch-java 8 and 9, whose decoders want every required member of an answer. What they differ in is in Es8.java and Es9.java. */
public class ElasticsearchWork {
    public static class Film {
        public String title;
        public Integer year;
        public String tag;
        public String made;
        public List<Map<String, Object>> cast;
    }

    // the transport of version 8 lets what its RestClient throws at 409 through
    static Tap.Fails as(int status, String type) {
        return e -> e instanceof ElasticsearchException x && x.status() == status && x.error().type().equals(type) || status == 409 && e.getMessage().contains(type);
    }

    public static void main(String[] args) {
        ElasticsearchClient es = Es.client(args[0]);
        Tap.part("indices", () -> {
            Tap.check(es.info().version().number().length() > 3, "info");
            es.cluster().putComponentTemplate(t -> t.name("fields").template(x -> x.mappings(m -> m.properties("title", p -> p.text(k -> k)).properties("year", p -> p.integer(k -> k)))));
            es.indices().putIndexTemplate(t -> t.name("films").indexPatterns("films-*").composedOf("fields").template(x -> x
                .settings(s -> s.numberOfReplicas("0")).mappings(m -> m.properties("tag", p -> p.keyword(k -> k)).properties("made", p -> p.date(k -> k))
                    .properties("cast", p -> p.nested(n -> n.properties("name", q -> q.keyword(k -> k)))))));
            Tap.equal(es.indices().getIndexTemplate(g -> g.name("films")).indexTemplates().get(0).indexTemplate().composedOf(), List.of("fields"), "index templates");
            Tap.check(es.indices().create(c -> c.index("films-1")).acknowledged(), "create");
            Tap.raises("create of what exists", as(400, "resource_already_exists_exception"), () -> es.indices().create(c -> c.index("films-1")));
            Tap.check(es.indices().getMapping(g -> g.index("films-1")).get("films-1").mappings().properties().get("cast").isNested(), "a mapping in its types");
            Tap.equal(es.indices().getSettings(g -> g.index("films-1")).get("films-1").settings().index().numberOfReplicas(), "0", "settings in their types");
            Tap.check(es.indices().exists(e -> e.index("films-1")).value() && !es.indices().exists(e -> e.index("none")).value(), "exists");
        });
        Tap.part("documents", () -> {
            BulkRequest.Builder bulk = new BulkRequest.Builder().index("films-1").refresh(Refresh.True);
            for (int i = 0; i < 600; i++) {
                Film f = new Film();
                f.title = "long film " + i;
                f.year = 1900 + i % 100;
                f.tag = "t" + i % 3;
                f.made = "2024-0" + (i % 9 + 1) + "-03";
                f.cast = List.of(Map.of("name", "n" + i % 4));
                String id = "" + i;
                bulk.operations(o -> o.index(x -> x.id(id).document(f)));
            }
            BulkResponse r = es.bulk(bulk.build());
            Tap.check(!r.errors() && r.items().size() == 600, "bulk");
            r = es.bulk(b -> b.operations(o -> o.create(c -> c.index("films-1").id("1").document(Map.of()))).operations(o -> o.delete(d -> d.index("films-1").id("none")))
                .operations(o -> o.update(u -> u.index("films-1").id("2").action(a -> a.doc(Map.of("year", 5))))));
            Tap.equal(r.items().stream().map(i -> i.status()).toList(), List.of(409, 404, 200), "items of a bulk");
            Tap.equal(r.items().get(0).error().type(), "version_conflict_engine_exception", "an error of a bulk");
            Tap.equal(es.index(i -> i.index("films-1").id("w").document(Map.of("year", 1))).result().jsonValue(), "created", "index");
            Tap.equal(es.update(u -> u.index("films-1").id("w").script(Es.script("ctx._source.year += 4")), Film.class).version(), 2L, "update");
            Tap.equal(es.get(g -> g.index("films-1").id("w"), Film.class).source().year, 5, "get");
            Tap.check(!es.get(g -> g.index("films-1").id("none"), Film.class).found(), "get of nothing");
            Tap.raises("create of what exists", as(409, "version_conflict_engine_exception"), () -> es.create(c -> c.index("films-1").id("w").document(Map.of())));
            Tap.equal(es.mget(m -> m.index("films-1").ids("w", "none"), Film.class).docs().size(), 2, "mget");
            Tap.equal(es.delete(d -> d.index("films-1").id("w").refresh(Refresh.True)).result().jsonValue(), "deleted", "delete");
        });
        Tap.part("search", () -> {
            SearchResponse<Film> r = es.search(s -> s.index("films-*").size(2).trackTotalHits(t -> t.enabled(true))
                .query(q -> q.bool(b -> b.must(m -> m.match(t -> t.field("title").query("long"))).filter(f -> f.term(t -> t.field("tag").value("t1")))
                    .filter(f -> f.nested(n -> n.path("cast").query(x -> x.term(t -> t.field("cast.name").value("n1"))).innerHits(h -> h.size(1))))))
                .sort(o -> o.field(f -> f.field("year").order(SortOrder.Desc))).highlight(Es.highlight("title"))
                .fields(f -> f.field("year"))
                .aggregations("tags", a -> a.terms(t -> t.field("tag")).aggregations("stats", b -> b.stats(t -> t.field("year"))).aggregations("top", b -> b.topHits(t -> t.size(1))))
                .aggregations("months", a -> a.dateHistogram(d -> d.field("made").calendarInterval(CalendarInterval.Month)))
                .aggregations("years", a -> a.histogram(h -> h.field("year").interval(10.0)))
                .aggregations("per", a -> a.percentiles(p -> p.field("year"))).aggregations("kinds", a -> a.cardinality(c -> c.field("tag")))
                .aggregations("ranges", a -> a.range(x -> x.field("year").ranges(y -> y.to(1950.0)))).aggregations("lost", a -> a.missing(m -> m.field("year")))
                .aggregations("pages", a -> a.composite(Es.composite("tag")))
                .aggregations("casts", a -> a.nested(n -> n.path("cast")).aggregations("names", b -> b.terms(t -> t.field("cast.name")))), Film.class);
            Tap.equal(r.hits().total().value(), 50L, "the total of a search");
            Hit<Film> hit = r.hits().hits().get(0);
            Tap.check(hit.highlight().get("title").get(0).startsWith("<em>long</em>") && hit.innerHits().get("cast").hits().total().value() == 1 && hit.fields().containsKey("year"), "a hit");
            Tap.equal(r.aggregations().get("tags").sterms().buckets().array().get(0).aggregations().get("stats").stats().count(), 50L, "terms and stats");
            Tap.equal(r.aggregations().get("tags").sterms().buckets().array().get(0).aggregations().get("top").topHits().hits().hits().size(), 1, "top_hits");
            Tap.check(r.aggregations().get("months").dateHistogram().buckets().array().size() > 2 && r.aggregations().get("years").histogram().buckets().array().size() > 2, "histograms");
            Tap.check(r.aggregations().get("per").tdigestPercentiles().values().isKeyed() && r.aggregations().get("kinds").cardinality().value() == 1, "percentiles and cardinality");
            Tap.check(r.aggregations().get("ranges").range().buckets().array().size() == 1 && r.aggregations().get("lost").missing().docCount() == 0, "range and missing");
            Tap.check(r.aggregations().get("pages").composite().buckets().array().size() == 1 && r.aggregations().get("casts").nested().docCount() == 50, "composite and nested");
            String pit = es.openPointInTime(o -> o.index("films-1").keepAlive(t -> t.time("1m"))).id();
            SearchResponse<Film> page = es.search(s -> s.pit(p -> p.id(pit).keepAlive(t -> t.time("1m"))).size(400).sort(o -> o.field(f -> f.field("year"))), Film.class);
            SearchResponse<Film> next = es.search(s -> s.pit(p -> p.id(page.pitId())).size(400).sort(o -> o.field(f -> f.field("year"))).searchAfter(page.hits().hits().get(399).sort()), Film.class);
            Tap.equal(next.hits().hits().size(), 200, "a point in time and search_after");
            Tap.check(es.closePointInTime(c -> c.id(pit)).succeeded(), "close a point in time");
            SearchResponse<Film> scroll = es.search(s -> s.index("films-1").size(500).scroll(t -> t.time("1m")), Film.class);
            Tap.equal(es.scroll(s -> s.scrollId(scroll.scrollId()).scroll(t -> t.time("1m")), Film.class).hits().hits().size(), 100, "scroll");
            Tap.equal(es.clearScroll(c -> c.scrollId(scroll.scrollId())).numFreed(), 1, "clear a scroll");
            Tap.equal(es.count(c -> c.index("films-1").query(q -> q.prefix(p -> p.field("tag").value("t")))).count(), 600L, "count");
            Tap.check(es.fieldCaps(f -> f.index("films-1").fields("*")).fields().get("year").get("integer").aggregatable(), "field_caps");
            Tap.equal(es.indices().analyze(a -> a.analyzer("english").text("running foxes")).tokens().size(), 2, "analyze");
            Tap.raises("search of no index", as(404, "index_not_found_exception"), () -> es.search(s -> s.index("none"), Film.class));
            Tap.raises("a sort by text", as(400, "search_phase_execution_exception"), () -> es.search(s -> s.index("films-1").sort(o -> o.field(f -> f.field("title"))), Film.class));
        });
        Tap.part("by query", () -> {
            Tap.equal(es.updateByQuery(u -> u.index("films-1").refresh(true).query(q -> q.term(t -> t.field("tag").value("t1"))).script(Es.script("ctx._source.year = 7"))).updated(), 200L, "update by query");
            Tap.equal(es.deleteByQuery(d -> d.index("films-1").refresh(true).query(q -> q.term(t -> t.field("tag").value("t2")))).deleted(), 200L, "delete by query");
            Tap.equal(es.reindex(r -> r.source(s -> s.index("films-1")).dest(d -> d.index("copied")).refresh(true)).created(), 400L, "reindex");
            String task = es.reindex(r -> r.source(s -> s.index("films-1")).dest(d -> d.index("again")).waitForCompletion(false)).task();
            Tap.check(es.tasks().get(t -> t.taskId(task).waitForCompletion(true).timeout(x -> x.time("30s"))).completed(), "reindex as a task");
            es.indices().updateAliases(u -> u.actions(a -> a.add(x -> x.index("copied").alias("c").isWriteIndex(true))));
            Tap.check(Es.aliases(es, "c").contains("copied"), "aliases");
            Tap.check(es.indices().rollover(r -> r.alias("c").newIndex("copied-000002").conditions(x -> x.maxDocs(1L))).rolledOver(), "rollover");
            es.indices().putIndexTemplate(t -> t.name("logs-j").indexPatterns("logs-j-*").priority(300L).dataStream(d -> d));
            es.indices().createDataStream(c -> c.name("logs-j-a"));
            es.create(c -> c.index("logs-j-a").id("1").document(Map.of("@timestamp", "2024-01-01")));
            Tap.equal(es.indices().getDataStream(g -> g.name("logs-j-a")).dataStreams().get(0).indices().size(), 1, "a data stream");
            es.indices().deleteDataStream(d -> d.name("logs-j-a"));
            es.ingest().putPipeline(p -> p.id("p").processors(x -> x.set(s -> s.field("a").value(JsonData.of(1)))).processors(x -> x.lowercase(s -> s.field("b"))));
            Tap.check(es.ingest().getPipeline(g -> g.id("p")).toString().contains("lowercase"), "a pipeline");
            Tap.equal(es.ingest().simulate(s -> s.id("p").docs(d -> d.source(JsonData.of(Map.of("b", "X"))))).docs().get(0).doc().source().size(), 2, "simulate");
        });
        Tap.part("administration", () -> {
            Tap.check(!es.cluster().health().timedOut() && es.cluster().stats().nodes().count().total() == 1, "cluster");
            Tap.check(es.nodes().info().nodes().size() == 1 && es.nodes().stats().nodes().size() == 1, "nodes");
            Tap.check(es.indices().stats(s -> s.index("films-1")).indices().get("films-1").primaries().docs().count() > 0, "stats");
            Tap.check(es.cat().indices().toString().contains("films-1") && es.cat().health() != null, "cat");
            Tap.check(es.cluster().getSettings().persistent() != null && es.license().get().license() != null, "settings and the license");
            Tap.check(es.tasks().list() != null && es.ilm().getLifecycle() != null, "tasks and lifecycles");
            Tap.check(es.indices().delete(d -> d.index("films-1", "copied", "again")).acknowledged(), "delete");
        });
        Tap.done();
    }
}
