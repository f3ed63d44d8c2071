"""opensearch_work.py URL: what programs do with opensearch-py 2 and 3, its helpers and its DSL. TAP."""
import datetime

import opensearchpy
from opensearchpy import ConflictError, NotFoundError, OpenSearch, RequestError, helpers
from tap import check, done, equal, part, raises, url

client = OpenSearch(url, use_ssl=False)
info = client.info()
equal(info["version"]["distribution"], "opensearch", "info")
check(client.ping(), "ping")

with part("indices"):
    client.cluster.put_component_template(name="shop-fields", body={"template": {"mappings": {"properties": {"title": {"type": "text"}, "price": {"type": "double"}, "tags": {"type": "keyword"}}}}})
    client.indices.put_index_template(name="shop", body={"index_patterns": ["shop-*"], "composed_of": ["shop-fields"], "template": {
        "settings": {"number_of_shards": 2, "number_of_replicas": 0}, "mappings": {"properties": {"parts": {"type": "nested", "properties": {"name": {"type": "keyword"}, "n": {"type": "integer"}}},
                                                                                              "attributes": {"type": "flat_object"}}}}})
    client.indices.create(index="shop-1", body={"aliases": {"shop": {}}})
    equal(client.indices.get_mapping(index="shop-1")["shop-1"]["mappings"]["properties"]["parts"]["type"], "nested", "create by templates")
    with raises(RequestError, "create of what exists", 400, "resource_already_exists_exception"):
        client.indices.create(index="shop-1")
    ok, failed = helpers.bulk(client, ({"_index": "shop-1", "_id": str(i), "title": "red thing %d" % i, "price": i / 2, "tags": ["t%d" % (i % 4)], "at": datetime.datetime(2024, 1 + i % 12, 3),
                                        "attributes": {"size": {"value": "s%d" % (i % 3)}}, "parts": [{"name": "bolt", "n": i % 7}]} for i in range(1000)), chunk_size=150, refresh=True)
    equal((ok, failed), (1000, []), "helpers.bulk")
    with raises(helpers.BulkIndexError, "helpers.bulk of what does not fit") if hasattr(helpers, "BulkIndexError") else raises(opensearchpy.helpers.errors.BulkIndexError, "helpers.bulk of what does not fit"):
        helpers.bulk(client, [{"_index": "shop-1", "price": "dear"}])
    equal(len(list(helpers.scan(client, index="shop-1", query={"query": {"term": {"tags": "t1"}}}, size=60))), 250, "helpers.scan")
    equal(helpers.reindex(client, "shop-1", "copied", query={"query": {"term": {"tags": "t2"}}})[0], 250, "helpers.reindex")
    equal(sum(1 for ok, _ in helpers.parallel_bulk(client, ({"_op_type": "update", "_index": "shop-1", "_id": str(i), "doc": {"seen": True}} for i in range(300)), thread_count=2, chunk_size=40) if ok), 300, "helpers.parallel_bulk")
    client.indices.refresh(index="shop-1")

with part("search"):
    r = client.search(index="shop", body={"size": 2, "query": {"bool": {"must": [{"match": {"title": "red"}}], "filter": [{"range": {"price": {"gte": 400}}}]}}, "sort": [{"price": {"order": "desc"}}],
                                          "highlight": {"fields": {"title": {}}}, "aggs": {"tags": {"terms": {"field": "tags"}, "aggs": {"p": {"stats": {"field": "price"}}}},
                                                                                            "months": {"date_histogram": {"field": "at", "calendar_interval": "month"}}}})
    equal((r["hits"]["total"]["value"], [h["_id"] for h in r["hits"]["hits"]]), (200, ["999", "998"]), "search")
    equal((r["hits"]["hits"][0]["highlight"]["title"], len(r["aggregations"]["months"]["buckets"]), r["aggregations"]["tags"]["buckets"][0]["doc_count"]), (["<em>red</em> thing 999"], 12, 50), "highlight and aggregations")
    equal(client.count(index="shop-1", body={"query": {"nested": {"path": "parts", "query": {"term": {"parts.n": 6}}}}})["count"], 142, "nested")
    equal(client.count(index="shop-1", body={"query": {"term": {"attributes.size.value": "s1"}}})["count"], 333, "flat_object")
    pit = client.create_pit(index="shop-1", params={"keep_alive": "1m"})["pit_id"]
    seen, after = 0, None
    while True:
        r = client.search(body={"size": 300, "pit": {"id": pit, "keep_alive": "1m"}, "sort": [{"price": "asc"}], **({"search_after": after} if after else {})})
        if not r["hits"]["hits"]:
            break
        seen, after = seen + len(r["hits"]["hits"]), r["hits"]["hits"][-1]["sort"]
    equal(seen, 1000, "a point in time and search_after")
    check(client.delete_pit(body={"pit_id": [pit]})["pits"][0]["successful"], "delete_pit")
    r = client.search(index="shop-1", scroll="1m", size=400, body={})
    r = client.scroll(body={"scroll_id": r["_scroll_id"], "scroll": "1m"})
    equal((len(r["hits"]["hits"]), client.clear_scroll(scroll_id=r["_scroll_id"])["num_freed"]), (400, 1), "scroll")
    equal([x.get("status") for x in client.msearch(body=[{"index": "shop-1"}, {"size": 0}, {"index": "none"}, {}])["responses"]], [200, 404], "msearch")

with part("writes"):
    equal(client.index(index="shop-1", id="w", body={"n": 1})["result"], "created", "index")
    equal(client.update(index="shop-1", id="w", body={"script": {"source": "ctx._source.n += 2", "lang": "painless"}})["result"], "updated", "update")
    with raises(ConflictError, "create of what exists", 409, "version_conflict_engine_exception"):
        client.create(index="shop-1", id="w", body={})
    with raises(NotFoundError, "get of nothing", 404):
        client.get(index="shop-1", id="none")
    with raises(NotFoundError, "search of no index", 404, "index_not_found_exception"):
        client.search(index="none")
    with raises(RequestError, "a query that does not parse", 400, "parsing_exception"):
        client.search(index="shop-1", body={"query": {"no_such": {}}})
    client.indices.refresh(index="shop-1")
    equal(client.update_by_query(index="shop-1", body={"query": {"term": {"tags": "t1"}}, "script": {"source": "ctx._source.m = 1"}}, params={"refresh": "true"})["updated"], 250, "update_by_query")
    equal(client.delete_by_query(index="shop-1", body={"query": {"term": {"tags": "t3"}}}, params={"refresh": "true"})["deleted"], 250, "delete_by_query")
    task = client.reindex(body={"source": {"index": "shop-1"}, "dest": {"index": "again"}}, params={"wait_for_completion": "false"})["task"]
    check(client.tasks.get(task_id=task, params={"wait_for_completion": "true"})["completed"], "reindex as a task")
    client.indices.update_aliases(body={"actions": [{"add": {"index": "again", "alias": "a", "is_write_index": True}}]})
    client.indices.refresh(index="again")
    check(client.indices.rollover(alias="a", body={"conditions": {"max_docs": 1}}, new_index="again-000002")["rolled_over"], "rollover")

with part("data streams and pipelines"):
    client.indices.put_index_template(name="logs", body={"index_patterns": ["logs-*"], "data_stream": {"timestamp_field": {"name": "@timestamp"}}, "priority": 300})
    client.indices.create_data_stream(name="logs-a")
    client.index(index="logs-a", body={"@timestamp": "2024-01-01T00:00:00Z"}, params={"op_type": "create", "refresh": "true"})
    equal(client.indices.get_data_stream(name="logs-a")["data_streams"][0]["timestamp_field"]["name"], "@timestamp", "a data stream")
    client.indices.delete_data_stream(name="logs-a")
    client.ingest.put_pipeline(id="p", body={"processors": [{"set": {"field": "a", "value": "{{b}}!"}}, {"rename": {"field": "b", "target_field": "c"}}, {"split": {"field": "l", "separator": ","}}]})
    equal(client.ingest.simulate(id="p", body={"docs": [{"_source": {"b": "x", "l": "1,2"}}]})["docs"][0]["doc"]["_source"], {"a": "x!", "c": "x", "l": ["1", "2"]}, "a pipeline")
    client.index(index="piped", id="1", body={"b": "x", "l": "1,2"}, params={"pipeline": "p"})
    equal(client.get(index="piped", id="1")["_source"]["c"], "x", "index through a pipeline")

with part("vectors"):
    client.indices.create(index="vectors", body={"settings": {"index.knn": True}, "mappings": {"properties": {"v": {"type": "knn_vector", "dimension": 3, "space_type": "l2"}, "k": {"type": "keyword"}}}})
    helpers.bulk(client, ({"_index": "vectors", "_id": str(i), "v": [1, i, i % 3], "k": "k%d" % (i % 2)} for i in range(60)), refresh=True)
    r = client.search(index="vectors", body={"size": 3, "query": {"knn": {"v": {"vector": [1, 7, 1], "k": 3}}}})
    equal(r["hits"]["hits"][0]["_id"], "7", "knn")
    r = client.search(index="vectors", body={"size": 3, "query": {"knn": {"v": {"vector": [1, 7, 1], "k": 3, "filter": {"term": {"k": "k0"}}}}}})
    check(all(int(h["_id"]) % 2 == 0 for h in r["hits"]["hits"]) and len(r["hits"]["hits"]) == 3, "knn with a filter")
    r = client.search(index="vectors", body={"size": 1, "query": {"script_score": {"query": {"match_all": {}}, "script": {"source": "knn_score", "lang": "knn", "params": {
        "field": "v", "query_value": [1, 7, 1], "space_type": "l2"}}}}})
    equal(r["hits"]["hits"][0]["_id"], "7", "knn_score")

with part("the DSL"):
    from opensearchpy import A, Document, Integer, Keyword, Q, Search, Text, UpdateByQuery, connections
    connections.add_connection("default", client)

    class Post(Document):
        title = Text()
        kind = Keyword()
        n = Integer()

        class Index:
            name = "posts"

    Post.init()
    for i in range(6):
        Post(meta={"id": i}, title="post %d" % i, kind="k%d" % (i % 2), n=i).save(refresh=True)
    s = Search(index="posts").query(Q("match", title="post") & Q("range", n={"gte": 2})).sort("-n")
    s.aggs.bucket("kinds", A("terms", field="kind")).metric("n", "avg", field="n")
    r = s.execute()
    equal((r.hits.total.value, r[0].n, r.aggregations.kinds.buckets[0].n.value), (4, 5, 3.0), "a search")
    equal(UpdateByQuery(index="posts").filter("term", kind="k1").script(source="ctx._source.n = 50").execute().updated, 3, "UpdateByQuery")
    Post.get(id=1).delete()
    with raises(NotFoundError, "a document that was deleted", 404):
        Post.get(id=1)

with part("administration"):
    equal(client.cluster.health(wait_for_status="yellow")["discovered_cluster_manager"], True, "cluster.health")
    check(any(x["index"] == "shop-1" for x in client.cat.indices(format="json")), "cat.indices")
    check(client.nodes.info()["_nodes"]["total"] == 1 and "indices" in client.nodes.stats()["nodes"].popitem()[1], "nodes")
    check(client.cat.cluster_manager(format="json")[0]["node"], "cat.cluster_manager")
    check(client.cluster.put_settings(body={"persistent": {"action.auto_create_index": "true"}})["acknowledged"], "cluster.put_settings")
    check(client.indices.delete(index="shop-1,again,piped,vectors,posts")["acknowledged"], "delete")
done()
