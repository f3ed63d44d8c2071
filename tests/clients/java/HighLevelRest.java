import java.util.List;
import java.util.Map;
import org.apache.http.HttpHost;
import org.elasticsearch.ElasticsearchStatusException;
import org.elasticsearch.action.admin.indices.alias.IndicesAliasesRequest;
import org.elasticsearch.action.admin.indices.delete.DeleteIndexRequest;
import org.elasticsearch.action.bulk.BulkRequest;
import org.elasticsearch.action.bulk.BulkResponse;
import org.elasticsearch.action.delete.DeleteRequest;
import org.elasticsearch.action.get.GetRequest;
import org.elasticsearch.action.get.MultiGetRequest;
import org.elasticsearch.action.index.IndexRequest;
import org.elasticsearch.action.search.ClearScrollRequest;
import org.elasticsearch.action.search.MultiSearchRequest;
import org.elasticsearch.action.search.SearchRequest;
import org.elasticsearch.action.search.SearchResponse;
import org.elasticsearch.action.search.SearchScrollRequest;
import org.elasticsearch.action.support.WriteRequest;
import org.elasticsearch.action.update.UpdateRequest;
import org.elasticsearch.client.RequestOptions;
import org.elasticsearch.client.RestClient;
import org.elasticsearch.client.RestHighLevelClient;
import org.elasticsearch.client.core.CountRequest;
import org.elasticsearch.client.indices.CreateIndexRequest;
import org.elasticsearch.client.indices.GetIndexRequest;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.index.query.QueryBuilders;
import org.elasticsearch.index.reindex.DeleteByQueryRequest;
import org.elasticsearch.index.reindex.ReindexRequest;
import org.elasticsearch.index.reindex.UpdateByQueryRequest;
import org.elasticsearch.script.Script;
import org.elasticsearch.search.aggregations.AggregationBuilders;
import org.elasticsearch.search.aggregations.bucket.histogram.DateHistogramInterval;
import org.elasticsearch.search.aggregations.bucket.histogram.Histogram;
import org.elasticsearch.search.aggregations.bucket.nested.Nested;
import org.elasticsearch.search.aggregations.bucket.terms.Terms;
import org.elasticsearch.search.aggregations.metrics.Stats;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.fetch.subphase.highlight.HighlightBuilder;
import org.elasticsearch.search.sort.SortOrder;
import org.elasticsearch.xcontent.XContentType;

/** What programs do with the high level REST client 7.17, which reads every answer by strict parsers. */
public class HighLevelRest {
    static Tap.Fails as(int status, String type) {
        return e -> e instanceof ElasticsearchStatusException x && x.status().getStatus() == status && x.getMessage().contains("type=" + type);
    }

    public static void main(String[] args) throws Exception {
        RestHighLevelClient es = new RestHighLevelClient(RestClient.builder(HttpHost.create(args[0])));
        RequestOptions o = RequestOptions.DEFAULT;
        Tap.part("indices", () -> {
            Tap.check(es.info(o).getVersion().getNumber().startsWith("7.17"), "info");
            Tap.check(es.indices().create(new CreateIndexRequest("films").source("{\"settings\":{\"number_of_replicas\":0},\"mappings\":{\"properties\":{\"title\":{\"type\":\"text\"},\"year\":{\"type\":\"integer\"},"
                + "\"tag\":{\"type\":\"keyword\"},\"made\":{\"type\":\"date\"},\"cast\":{\"type\":\"nested\",\"properties\":{\"name\":{\"type\":\"keyword\"}}}}}}", XContentType.JSON), o).isAcknowledged(), "create");
            Tap.raises("create of what exists", as(400, "resource_already_exists_exception"), () -> es.indices().create(new CreateIndexRequest("films"), o));
            Tap.check(es.indices().exists(new GetIndexRequest("films"), o) && !es.indices().exists(new GetIndexRequest("none"), o), "exists");
            Tap.check(es.indices().get(new GetIndexRequest("films"), o).getMappings().get("films").sourceAsMap().containsKey("properties"), "get");
        });
        Tap.part("documents", () -> {
            BulkRequest bulk = new BulkRequest("films").setRefreshPolicy(WriteRequest.RefreshPolicy.IMMEDIATE);
            for (int i = 0; i < 600; i++)
                bulk.add(new IndexRequest().id("" + i).source(Map.of("title", "long film " + i, "year", 1900 + i % 100, "tag", "t" + i % 3, "made", "2024-0" + (i % 9 + 1) + "-03", "cast", List.of(Map.of("name", "n" + i % 4)))));
            bulk.add(new IndexRequest().id("1").create(true).source(Map.of()));
            BulkResponse r = es.bulk(bulk, o);
            Tap.check(r.hasFailures() && r.getItems().length == 601 && r.getItems()[600].getFailure().getStatus().getStatus() == 409 && !r.getItems()[5].isFailed(), "bulk");
            Tap.equal(es.index(new IndexRequest("films").id("w").source(Map.of("year", 1)), o).getResult().getLowercase(), "created", "index");
            Tap.equal(es.update(new UpdateRequest("films", "w").script(new Script("ctx._source.year += 4")).fetchSource(true), o).getGetResult().sourceAsMap().get("year"), 5, "update");
            Tap.equal(es.get(new GetRequest("films", "w"), o).getSource().get("year"), 5, "get");
            Tap.check(!es.get(new GetRequest("films", "none"), o).isExists() && es.exists(new GetRequest("films", "w"), o), "get of nothing");
            Tap.raises("create of what exists", as(409, "version_conflict_engine_exception"), () -> es.index(new IndexRequest("films").id("w").create(true).source(Map.of()), o));
            Tap.equal(es.mget(new MultiGetRequest().add("films", "1").add("films", "none"), o).getResponses().length, 2, "mget");
            Tap.equal(es.delete(new DeleteRequest("films", "w").setRefreshPolicy(WriteRequest.RefreshPolicy.IMMEDIATE), o).status().getStatus(), 200, "delete");
        });
        Tap.part("search", () -> {
            SearchResponse r = es.search(new SearchRequest("films").source(new SearchSourceBuilder().size(2).trackTotalHits(true)
                .query(QueryBuilders.boolQuery().must(QueryBuilders.matchQuery("title", "long")).filter(QueryBuilders.termQuery("tag", "t1"))
                    .filter(QueryBuilders.nestedQuery("cast", QueryBuilders.termQuery("cast.name", "n1"), org.apache.lucene.search.join.ScoreMode.None)))
                .sort("year", SortOrder.DESC).highlighter(new HighlightBuilder().field("title"))
                .aggregation(AggregationBuilders.terms("tags").field("tag").subAggregation(AggregationBuilders.stats("stats").field("year")))
                .aggregation(AggregationBuilders.dateHistogram("months").field("made").calendarInterval(DateHistogramInterval.MONTH))
                .aggregation(AggregationBuilders.nested("casts", "cast").subAggregation(AggregationBuilders.terms("names").field("cast.name")))
                .aggregation(AggregationBuilders.percentiles("per").field("year")).aggregation(AggregationBuilders.topHits("top").size(1))), o);
            Tap.equal(r.getHits().getTotalHits().value, 50L, "the total of a search");
            Tap.check(r.getHits().getHits()[0].getHighlightFields().get("title").fragments()[0].string().startsWith("<em>long</em>"), "highlight");
            Terms tags = r.getAggregations().get("tags");
            Stats stats = tags.getBuckets().get(0).getAggregations().get("stats");
            Histogram months = r.getAggregations().get("months");
            Nested casts = r.getAggregations().get("casts");
            Tap.check(stats.getCount() == 50 && months.getBuckets().size() > 2 && casts.getDocCount() == 50, "aggregations");
            SearchResponse s = es.search(new SearchRequest("films").scroll(TimeValue.timeValueMinutes(1)).source(new SearchSourceBuilder().size(400)), o);
            Tap.equal(es.scroll(new SearchScrollRequest(s.getScrollId()).scroll(TimeValue.timeValueMinutes(1)), o).getHits().getHits().length, 200, "scroll");
            ClearScrollRequest clear = new ClearScrollRequest();
            clear.addScrollId(s.getScrollId());
            Tap.check(es.clearScroll(clear, o).isSucceeded(), "clear a scroll");
            Tap.equal(es.msearch(new MultiSearchRequest().add(new SearchRequest("films")).add(new SearchRequest("none")), o).getResponses()[1].getFailure() != null, true, "msearch");
            Tap.equal(es.count(new CountRequest("films").query(QueryBuilders.prefixQuery("tag", "t")), o).getCount(), 600L, "count");
            Tap.raises("search of no index", as(404, "index_not_found_exception"), () -> es.search(new SearchRequest("none"), o));
            Tap.raises("a sort by text", as(400, "search_phase_execution_exception"), () -> es.search(new SearchRequest("films").source(new SearchSourceBuilder().sort("title")), o));
        });
        Tap.part("by query", () -> {
            Tap.equal(es.updateByQuery(new UpdateByQueryRequest("films").setQuery(QueryBuilders.termQuery("tag", "t1")).setScript(new Script("ctx._source.year = 7")).setRefresh(true), o).getUpdated(), 200L, "update by query");
            Tap.equal(es.deleteByQuery(new DeleteByQueryRequest("films").setQuery(QueryBuilders.termQuery("tag", "t2")).setRefresh(true), o).getDeleted(), 200L, "delete by query");
            Tap.equal(es.reindex(new ReindexRequest().setSourceIndices("films").setDestIndex("copied").setRefresh(true), o).getCreated(), 400L, "reindex");
            Tap.check(es.indices().updateAliases(new IndicesAliasesRequest().addAliasAction(IndicesAliasesRequest.AliasActions.add().index("copied").alias("c")), o).isAcknowledged(), "aliases");
        });
        Tap.part("administration", () -> {
            Tap.check(!es.cluster().health(new org.elasticsearch.action.admin.cluster.health.ClusterHealthRequest(), o).isTimedOut(), "health");
            Tap.check(es.ping(o), "ping");
            Tap.check(es.indices().delete(new DeleteIndexRequest("films", "copied"), o).isAcknowledged(), "delete");
        });
        Tap.done();
    }
}
