import java.util.List;
import java.util.Map;
import org.apache.hc.core5.http.HttpHost;
import org.opensearch.client.json.JsonData;
import org.opensearch.client.opensearch.OpenSearchClient;
import org.opensearch.client.opensearch._types.FieldValue;
import org.opensearch.client.opensearch._types.OpenSearchException;
import org.opensearch.client.opensearch._types.Refresh;
import org.opensearch.client.opensearch._types.SortOrder;
import org.opensearch.client.opensearch._types.aggregations.CalendarInterval;
import org.opensearch.client.opensearch.core.BulkRequest;
import org.opensearch.client.opensearch.core.BulkResponse;
import org.opensearch.client.opensearch.core.SearchResponse;
import org.opensearch.client.transport.httpclient5.ApacheHttpClient5TransportBuilder;

/** What programs do with opensearch-java, whose decoders want every required member of an answer. */
public class OpensearchWork {
    // the transport lets what it throws itself at 409 through
    static Tap.Fails as(int status, String type) {
        return e -> e instanceof OpenSearchException x && x.status() == status && x.error().type().equals(type) || status == 409 && e.getMessage().contains(type);
    }

    static FieldValue value(String s) {
        return FieldValue.of(s);
    }

    public static void main(String[] args) throws Exception {
        OpenSearchClient os = new OpenSearchClient(ApacheHttpClient5TransportBuilder.builder(HttpHost.create(args[0])).build());
        Tap.part("indices", () -> {
            Tap.equal(os.info().version().distribution(), "opensearch", "info");
            os.indices().putIndexTemplate(t -> t.name("films").indexPatterns("films-*").template(x -> x.settings(s -> s.numberOfReplicas("0")).mappings(m -> m.properties("title", p -> p.text(k -> k))
                .properties("year", p -> p.integer(k -> k)).properties("tag", p -> p.keyword(k -> k)).properties("made", p -> p.date(k -> k)).properties("cast", p -> p.nested(n -> n.properties("name", q -> q.keyword(k -> k)))))));
            Tap.check(os.indices().create(c -> c.index("films-1")).acknowledged(), "create");
            Tap.raises("create of what exists", as(400, "resource_already_exists_exception"), () -> os.indices().create(c -> c.index("films-1")));
            Tap.check(os.indices().getMapping(g -> g.index("films-1")).get("films-1").mappings().properties().get("cast").isNested(), "a mapping in its types");
            Tap.check(os.indices().exists(e -> e.index("films-1")).value(), "exists");
        });
        Tap.part("documents", () -> {
            BulkRequest.Builder bulk = new BulkRequest.Builder().index("films-1").refresh(Refresh.True);
            for (int i = 0; i < 600; i++) {
                Map<String, Object> f = Map.of("title", "long film " + i, "year", 1900 + i % 100, "tag", "t" + i % 3, "made", "2024-0" + (i % 9 + 1) + "-03", "cast", List.of(Map.of("name", "n" + i % 4)));
                String id = "" + i;
                bulk.operations(x -> x.index(y -> y.id(id).document(f)));
            }
            BulkResponse r = os.bulk(bulk.build());
            Tap.check(!r.errors() && r.items().size() == 600, "bulk");
            Tap.equal(os.index(i -> i.index("films-1").id("w").document(Map.of("year", 1))).result().jsonValue(), "created", "index");
            Tap.equal(os.get(g -> g.index("films-1").id("w"), Map.class).source().get("year"), 1, "get");
            Tap.check(!os.get(g -> g.index("films-1").id("none"), Map.class).found(), "get of nothing");
            Tap.raises("create of what exists", as(409, "version_conflict_engine_exception"), () -> os.create(c -> c.index("films-1").id("w").document(Map.of())));
            Tap.equal(os.delete(d -> d.index("films-1").id("w").refresh(Refresh.True)).result().jsonValue(), "deleted", "delete");
        });
        Tap.part("search", () -> {
            SearchResponse<Map> r = os.search(s -> s.index("films-*").size(2).trackTotalHits(t -> t.enabled(true))
                .query(q -> q.bool(b -> b.must(m -> m.match(t -> t.field("title").query(value("long")))).filter(f -> f.term(t -> t.field("tag").value(value("t1"))))
                    .filter(f -> f.nested(n -> n.path("cast").query(x -> x.term(t -> t.field("cast.name").value(value("n1"))))))))
                .sort(x -> x.field(f -> f.field("year").order(SortOrder.Desc))).highlight(h -> h.fields("title", f -> f))
                .aggregations("tags", a -> a.terms(t -> t.field("tag")).aggregations("stats", b -> b.stats(t -> t.field("year"))))
                .aggregations("months", a -> a.dateHistogram(d -> d.field("made").calendarInterval(CalendarInterval.Month)))
                .aggregations("per", a -> a.percentiles(p -> p.field("year"))).aggregations("kinds", a -> a.cardinality(c -> c.field("tag"))), Map.class);
            Tap.check(r.hits().total().value() == 50 && r.hits().hits().get(0).highlight().get("title").get(0).startsWith("<em>long</em>"), "search");
            Tap.equal(r.aggregations().get("tags").sterms().buckets().array().get(0).aggregations().get("stats").stats().count(), 50L, "terms and stats");
            Tap.check(r.aggregations().get("months").dateHistogram().buckets().array().size() > 2 && r.aggregations().get("kinds").cardinality().value() == 1, "other aggregations");
            SearchResponse<Map> scroll = os.search(s -> s.index("films-1").size(400).scroll(t -> t.time("1m")), Map.class);
            Tap.equal(os.scroll(s -> s.scrollId(scroll.scrollId()).scroll(t -> t.time("1m")), Map.class).hits().hits().size(), 200, "scroll");
            Tap.equal(os.count(c -> c.index("films-1")).count(), 600L, "count");
            Tap.raises("search of no index", as(404, "index_not_found_exception"), () -> os.search(s -> s.index("none"), Map.class));
        });
        Tap.part("by query", () -> {
            Tap.equal(os.deleteByQuery(d -> d.index("films-1").refresh(true).query(q -> q.term(t -> t.field("tag").value(value("t2"))))).deleted(), 200L, "delete by query");
            Tap.equal(os.reindex(r -> r.source(s -> s.index("films-1")).dest(d -> d.index("copied")).refresh(true)).created(), 400L, "reindex");
            os.indices().updateAliases(u -> u.actions(a -> a.add(x -> x.index("copied").alias("c").isWriteIndex(true))));
            Tap.check(os.indices().rollover(r -> r.alias("c").newIndex("copied-000002")).rolledOver(), "rollover");
        });
        Tap.part("administration", () -> {
            Tap.check(!os.cluster().health().timedOut() && os.cluster().stats().nodes().count().total() == 1, "cluster");
            Tap.check(os.nodes().info().nodes().size() == 1 && os.nodes().stats().nodes().size() == 1, "nodes");
            Tap.check(os.indices().stats(s -> s.index("films-1")).indices().get("films-1").primaries().docs().count() > 0, "stats");
            Tap.check(os.indices().delete(d -> d.index("films-1", "copied")).acknowledged(), "delete");
        });
        Tap.done();
    }
}
