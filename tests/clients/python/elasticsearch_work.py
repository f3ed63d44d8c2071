"""elasticsearch_work.py URL: what programs do with elasticsearch-py 7.17, 8 and 9, and its helpers. TAP."""
import datetime

import elasticsearch
from elasticsearch import ConflictError, Elasticsearch, NotFoundError, helpers
from tap import check, done, equal, part, raises, url

major = elasticsearch.__version__[0]
BadRequest = elasticsearch.RequestError if major == 7 else elasticsearch.BadRequestError
es = Elasticsearch(url)


def call(method, body, **names):
    """With a body as version 7 takes it, and by keywords as later ones do."""
    return method(body=body, **names) if major == 7 else method(**body, **names)


check(es.ping(), "ping")
check(es.info()["version"]["number"].startswith("%d." % major), "info")

with part("templates"):
    call(es.cluster.put_component_template, {"template": {"mappings": {"properties": {
        "title": {"type": "text", "fields": {"raw": {"type": "keyword"}}}, "price": {"type": "double"},
        "tags": {"type": "keyword"}, "sold": {"type": "date"}, "stock": {"type": "integer"}}}}}, name="shop-fields")
    call(es.indices.put_index_template, {"index_patterns": ["shop-*"], "composed_of": ["shop-fields"], "priority": 10, "template": {
        "settings": {"number_of_shards": 2, "number_of_replicas": 0},
        "mappings": {"properties": {"reviews": {"type": "nested", "properties": {
            "by": {"type": "keyword"}, "stars": {"type": "integer"}}}}}, "aliases": {"shop": {}}}}, name="shop")
    made = es.indices.simulate_index_template(name="shop-x")["template"]
    check("reviews" in made["mappings"]["properties"] and "shop" in made["aliases"], "a template simulated", made)
    check(es.indices.create(index="shop-1")["acknowledged"], "create by a template")
    properties = es.indices.get_mapping(index="shop-1")["shop-1"]["mappings"]["properties"]
    equal(properties["title"]["fields"]["raw"]["type"], "keyword", "get_mapping")
    equal(es.indices.get_settings(index="shop-1")["shop-1"]["settings"]["index"]["number_of_shards"], "2", "get_settings")
    check(es.indices.exists(index="shop-1") and not es.indices.exists(index="none"), "exists")
    check(es.indices.exists_index_template(name="shop"), "exists_index_template")

with raises(BadRequest, "create of what exists", 400, "resource_already_exists_exception"):
    es.indices.create(index="shop-1")


def items(n):
    for i in range(n):
        yield {"_index": "shop-1", "_id": str(i), "title": "useful item number %d" % i, "price": i / 4, "tags": ["t%d" % (i % 5), "all"],
               "sold": (datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=i)), "stock": i % 10,
               "reviews": [{"by": "ann", "stars": i % 6}, {"by": "bob", "stars": (i + 3) % 6}]}


with part("helpers"):
    ok, errors = helpers.bulk(es, items(2000), chunk_size=300, refresh=True)
    check(ok == 2000 and not errors, "helpers.bulk", errors)
    with raises(helpers.BulkIndexError, "helpers.bulk of what does not fit"):
        helpers.bulk(es, [{"_index": "shop-1", "price": "dear"}])
    told = list(helpers.streaming_bulk(es, [{"_op_type": "create", "_index": "shop-1", "_id": "1"}, {"_op_type": "delete", "_index": "shop-1", "_id": "none"},
                                            {"_op_type": "update", "_index": "shop-1", "_id": "2", "doc": {"stock": 99}}], raise_on_error=False))
    equal([list(t.values())[0]["status"] for _, t in told], [409, 404, 200], "helpers.streaming_bulk")
    told = list(helpers.parallel_bulk(es, ({"_index": "shop-2", "_id": i, "title": "other %d" % i} for i in range(500)), thread_count=3, chunk_size=50))
    check(len(told) == 500 and all(ok for ok, _ in told), "helpers.parallel_bulk")
    es.indices.refresh(index="shop-*")
    equal(len({h["_id"] for h in helpers.scan(es, index="shop-1", query={"query": {"term": {"tags": "t3"}}}, size=70)}), 400, "helpers.scan")
    equal(es.count(index="shop")["count"], 2500, "count over an alias")
    n, _ = helpers.reindex(es, "shop-2", "shop-copied", chunk_size=100)
    equal(n, 500, "helpers.reindex")

with part("search"):
    r = es.search(index="shop-1", body={
        "query": {"bool": {"must": {"match": {"title": "useful"}}, "filter": [{"range": {"price": {"gte": 100}}}, {"term": {"tags": "t1"}}],
                           "must_not": {"ids": {"values": ["401"]}}}}, "size": 3, "sort": [{"price": "desc"}, "_doc"],
        "highlight": {"fields": {"title": {}}}, "_source": ["title"], "fields": ["stock", {"field": "sold", "format": "yyyy"}], "track_total_hits": True})
    hit = r["hits"]["hits"][0]
    equal(r["hits"]["total"], {"value": 319, "relation": "eq"}, "the total of a bool query")
    equal((hit["_id"], hit["_source"], hit["highlight"]["title"]), ("1996", {"title": "useful item number 1996"}, ["<em>useful</em> item number 1996"]), "a hit")
    equal((hit["fields"], hit["sort"][0]), ({"stock": [6], "sold": ["2024"]}, 499.0), "its fields and sort values")
    r = es.search(index="shop-1", size=1, query={"nested": {"path": "reviews", "query": {"bool": {"must": [{"term": {"reviews.by": "ann"}}, {"term": {"reviews.stars": 5}}]}},
                                                            "inner_hits": {"size": 1}}})
    equal(r["hits"]["total"]["value"], 333, "a nested query")
    equal(r["hits"]["hits"][0]["inner_hits"]["reviews"]["hits"]["hits"][0]["_source"], {"by": "ann", "stars": 5}, "its inner_hits")
    r = es.search(index="shop-1", size=2, collapse={"field": "stock"}, sort=[{"stock": "desc"}])
    equal([h["fields"]["stock"] for h in r["hits"]["hits"]], [[99], [9]], "collapse")
    searches = [{"index": "shop-1"}, {"query": {"term": {"tags": "t0"}}, "size": 0}, {"index": "none"}, {}]
    r = es.msearch(body=searches) if major == 7 else es.msearch(searches=searches)
    equal([x["status"] for x in r["responses"]], [200, 404], "msearch")
    check(call(es.explain, {"query": {"match": {"title": "useful"}}}, index="shop-1", id="7")["matched"], "explain")
    equal(es.field_caps(index="shop-1", fields="pri*")["fields"]["price"]["double"]["aggregatable"], True, "field_caps")
    check(call(es.indices.validate_query, {"query": {"match_all": {}}}, index="shop-1")["valid"], "validate_query")
    equal([t["token"] for t in call(es.indices.analyze, {"analyzer": "english", "text": "The running foxes"})["tokens"]], ["run", "fox"], "analyze")
    check("useful" in call(es.termvectors, {"fields": ["title"]}, index="shop-1", id="7")["term_vectors"]["title"]["terms"], "termvectors")
    script = {"lang": "mustache", "source": {"query": {"term": {"tags": "{{tag}}"}}, "size": 1}}
    call(es.put_script, {"script": script}, id="by-tag")
    equal(call(es.search_template, {"id": "by-tag", "params": {"tag": "t2"}}, index="shop-1")["hits"]["total"]["value"], 400, "search_template")

with part("pages"):
    r = es.search(index="shop-1", scroll="1m", size=900)
    pages = 0
    while r["hits"]["hits"]:
        pages += len(r["hits"]["hits"])
        r = es.scroll(scroll_id=r["_scroll_id"], scroll="1m")
    scroll = r["_scroll_id"]
    check(es.clear_scroll(scroll_id=scroll)["succeeded"] and pages == 2000, "scroll", pages)
    pit = es.open_point_in_time(index="shop-1", keep_alive="1m")["id"]
    es.delete(index="shop-1", id="5", refresh=True)
    seen, after = set(), None
    while True:
        more = {"search_after": after} if after else {}
        r = es.search(body=dict(size=700, pit={"id": pit, "keep_alive": "1m"}, sort=[{"sold": "asc"}], **more))
        if not r["hits"]["hits"]:
            break
        seen |= {h["_id"] for h in r["hits"]["hits"]}
        after, pit = r["hits"]["hits"][-1]["sort"], r["pit_id"]
    check("5" in seen and len(seen) == 2000, "a point in time and search_after", len(seen))
    check(call(es.close_point_in_time, {"id": pit})["succeeded"], "close_point_in_time")
    with raises(NotFoundError, "a scroll that was cleared", 404):
        es.scroll(scroll_id=scroll)

with part("aggregations"):
    a = es.search(index="shop-1", size=0, aggs={
        "tags": {"terms": {"field": "tags", "size": 10, "order": {"mean": "desc"}}, "aggs": {"mean": {"avg": {"field": "price"}}}},
        "months": {"date_histogram": {"field": "sold", "calendar_interval": "month"}, "aggs": {
            "money": {"sum": {"field": "price"}}, "all": {"cumulative_sum": {"buckets_path": "money"}}}},
        "prices": {"percentiles": {"field": "price"}}, "kinds": {"cardinality": {"field": "tags"}}, "stats": {"extended_stats": {"field": "price"}},
        "reviews": {"nested": {"path": "reviews"}, "aggs": {"by": {"terms": {"field": "reviews.by"}, "aggs": {"stars": {"avg": {"field": "reviews.stars"}}}}}},
        "cheap": {"filter": {"range": {"price": {"lt": 10}}}, "aggs": {"best": {"top_hits": {"size": 1, "sort": [{"price": "desc"}]}}}},
        "pages": {"composite": {"size": 3, "sources": [{"tag": {"terms": {"field": "tags"}}}]}},
        "ranges": {"range": {"field": "price", "ranges": [{"to": 100}, {"from": 100, "to": 200}, {"from": 200}]}}})["aggregations"]
    equal(len(a["tags"]["buckets"]), 6, "terms")
    equal([b["key_as_string"][:7] for b in a["months"]["buckets"]], ["2024-01", "2024-02", "2024-03"], "date_histogram")
    equal(a["months"]["buckets"][-1]["all"]["value"], a["stats"]["sum"], "cumulative_sum")
    equal((a["kinds"]["value"], a["stats"]["count"]), (6, 1999), "cardinality and extended_stats")
    equal([b["doc_count"] for b in a["reviews"]["by"]["buckets"]], [1999, 1999], "nested")
    equal(a["cheap"]["best"]["hits"]["hits"][0]["_id"], "39", "filter and top_hits")
    equal(a["pages"]["after_key"], {"tag": "t1"}, "composite")
    equal([b["doc_count"] for b in a["ranges"]["buckets"]], [399, 400, 1200], "range")
    with raises(BadRequest, "an aggregation that does not exist", 400):
        es.search(index="shop-1", size=0, aggs={"x": {"no_such": {"field": "tags"}}})

with part("writes"):
    r = es.index(index="shop-1", id="w", document={"title": "w", "stock": 1})
    equal((r["result"], r["_version"]), ("created", 1), "index")
    with raises(ConflictError, "index with an old sequence number", 409, "version_conflict_engine_exception"):
        es.index(index="shop-1", id="w", document={}, if_seq_no=r["_seq_no"] + 1, if_primary_term=r["_primary_term"])
    with raises(ConflictError, "create of what exists", 409):
        es.create(index="shop-1", id="w", document={})
    add = {"source": "ctx._source.stock += params.n", "lang": "painless", "params": {"n": 4}}


    def update(i, **body):
        return call(es.update, body, index="shop-1", id=i)

    equal(update("w", script=add)["result"], "updated", "update by a script")
    equal(update("w", doc={"stock": 5})["result"], "noop", "update that changes nothing")
    equal(update("u", doc={"stock": 7}, doc_as_upsert=True)["result"], "created", "doc_as_upsert")
    equal(update("v", script=add, upsert={"stock": 1})["result"], "created", "upsert")
    equal([d["found"] for d in call(es.mget, {"ids": ["w", "none"]}, index="shop-1")["docs"]], [True, False], "mget")
    equal(es.get_source(index="shop-1", id="w")["stock"], 5, "get_source")
    check(es.exists(index="shop-1", id="w") and not es.exists(index="shop-1", id="none"), "exists")
    equal(es.delete(index="shop-1", id="v")["result"], "deleted", "delete")
    with raises(NotFoundError, "delete of nothing", 404):
        es.delete(index="shop-1", id="v")
    with raises(NotFoundError, "get of nothing", 404):
        es.get(index="shop-1", id="none")
    with raises(NotFoundError, "search of no index", 404, "index_not_found_exception"):
        es.search(index="none")
    with raises(BadRequest, "a query that does not parse", 400, "parsing_exception"):
        es.search(index="shop-1", query={"no_such_query": {}})

with part("by query"):
    es.indices.refresh(index="shop-*")
    r = call(es.update_by_query, {"query": {"term": {"tags": "t1"}}, "script": {"source": "ctx._source.stock = 77", "lang": "painless"}}, index="shop-1", refresh=True)
    equal((r["updated"], r["failures"], call(es.count, {"query": {"term": {"stock": 77}}}, index="shop-1")["count"]), (400, [], 400), "update_by_query")
    r = call(es.delete_by_query, {"query": {"term": {"tags": "t4"}}}, index="shop-1", refresh=True, conflicts="proceed", slices=2)
    equal(r["deleted"], 400, "delete_by_query")
    body = dict(source={"index": "shop-1", "query": {"term": {"tags": "t2"}}}, dest={"index": "shop-t2", "op_type": "create"}, script={"source": "ctx._source.from = ctx._id"})
    equal(call(es.reindex, body, refresh=True)["created"], 400, "reindex")
    body["dest"] = {"index": "shop-t2b"}
    task = call(es.reindex, body, wait_for_completion=False)["task"]
    r = es.tasks.get(task_id=task, wait_for_completion=True, timeout="30s")
    check(r["completed"] and r["response"]["created"] == 400, "a reindex as a task", r)

with part("aliases"):
    call(es.indices.update_aliases, {"actions": [
        {"add": {"index": "shop-1", "alias": "cheap", "filter": {"range": {"price": {"lt": 10}}}}},
        {"add": {"index": "shop-2", "alias": "write", "is_write_index": True}}, {"remove": {"index": "shop-2", "alias": "shop"}}]})
    equal(sorted(es.indices.get_alias(name="cheap")), ["shop-1"], "get_alias")
    check(es.indices.exists_alias(name="write") and es.count(index="cheap")["count"] == 31, "a filtered alias", es.count(index="cheap")["count"])
    es.index(index="write", document={"title": "through"})
    r = call(es.indices.rollover, {"conditions": {"max_docs": 1}}, alias="write", new_index="shop-000003")
    equal((r["rolled_over"], r["new_index"]), (True, "shop-000003"), "rollover")
    es.indices.put_settings(index="shop-1", body={"index": {"refresh_interval": "5s"}})
    call(es.indices.put_mapping, {"properties": {"added": {"type": "ip"}}}, index="shop-1")
    with raises(BadRequest, "a mapping that changes a type", 400, "illegal_argument_exception"):
        call(es.indices.put_mapping, {"properties": {"added": {"type": "text"}}}, index="shop-1")
    es.indices.close(index="shop-2")
    with raises(BadRequest, "a search of a closed index", 400, "index_closed_exception"):
        es.search(index="shop-2")
    es.indices.open(index="shop-2")

with part("data streams"):
    call(es.indices.put_index_template, {"index_patterns": ["logs-app-*"], "data_stream": {}, "priority": 500, "template": {
        "settings": {"number_of_replicas": 0}, "mappings": {"properties": {"message": {"type": "text"}}}}}, name="logs-app")
    helpers.bulk(es, ({"_op_type": "create", "_index": "logs-app-a", "@timestamp": "2024-05-0%dT00:00:00Z" % (i % 9 + 1), "message": "line %d" % i} for i in range(90)))
    with raises(helpers.BulkIndexError, "index into a data stream"):
        helpers.bulk(es, [{"_index": "logs-app-a", "@timestamp": "2024-05-01", "_id": "1"}])
    es.indices.rollover(alias="logs-app-a")
    es.indices.refresh(index="logs-app-a")
    stream = es.indices.get_data_stream(name="logs-app-a")["data_streams"][0]
    equal((len(stream["indices"]), stream["generation"], stream["timestamp_field"]["name"]), (2, 2, "@timestamp"), "get_data_stream")
    equal(es.search(index="logs-app-a", query={"range": {"@timestamp": {"gte": "2024-05-05"}}}, size=0)["hits"]["total"]["value"], 50, "a search of a data stream")
    equal(es.indices.data_streams_stats(name="logs-app-a")["backing_indices"], 2, "data_streams_stats")
    check(es.indices.delete_data_stream(name="logs-app-a")["acknowledged"], "delete_data_stream")
    policy = {"phases": {"hot": {"actions": {"rollover": {"max_age": "30d"}}}, "delete": {"min_age": "60d", "actions": {"delete": {}}}}}
    name = {"policy" if major == 7 else "name": "keep"}
    call(es.ilm.put_lifecycle, {"policy": policy}, **name)
    equal(es.ilm.get_lifecycle(**name)["keep"]["policy"]["phases"]["delete"]["min_age"], "60d", "ilm")

with part("pipelines"):
    processors = [{"grok": {"field": "message", "patterns": ["%{IP:client} %{WORD:method} %{NUMBER:bytes:int}"]}}, {"date": {"field": "at", "formats": ["yyyy-MM-dd"], "target_field": "time"}},
                  {"lowercase": {"field": "method"}}, {"script": {"source": "ctx.kb = ctx.bytes / 1024", "if": "ctx.bytes > 1024"}},
                  {"remove": {"field": "at"}}]
    failed = [{"set": {"field": "error", "value": "{{ _ingest.on_failure_message }}"}}]
    call(es.ingest.put_pipeline, {"processors": processors, "on_failure": failed}, id="lines")
    docs = [{"_source": {"message": "10.1.2.3 GET 4096", "at": "2024-02-03"}}]
    doc = call(es.ingest.simulate, {"docs": docs}, id="lines")["docs"][0]["doc"]["_source"]
    equal((doc["client"], doc["method"], doc["bytes"], doc["kb"]), ("10.1.2.3", "get", 4096, 4), "simulate")
    es.index(index="lines", id="1", pipeline="lines", document=docs[0]["_source"])
    helpers.bulk(es, [{"_index": "lines", "_id": "2", "message": "no line", "at": "2024-02-03"}], pipeline="lines", refresh=True)
    equal(es.get(index="lines", id="1")["_source"]["client"], "10.1.2.3", "index through a pipeline")
    check("error" in es.get(index="lines", id="2")["_source"], "on_failure")
    check("lines" in es.ingest.get_pipeline(id="lines"), "get_pipeline")
    check("IP" in es.ingest.processor_grok()["patterns"], "processor_grok")

with part("scripts"):
    r = es.search(index="shop-1", size=1, query={"function_score": {"query": {"exists": {"field": "price"}}, "script_score": {"script": {"source": "doc['price'].value * params.f", "params": {"f": 2}}}}},
                  script_fields={"twice": {"script": "doc['price'].value * 2"}})
    equal(r["hits"]["hits"][0]["_score"], r["hits"]["hits"][0]["fields"]["twice"][0], "script_score and script_fields")
    call(es.put_script, {"script": {"lang": "painless", "source": "ctx._source.stock += params.by"}}, id="bump")
    update("w", script={"id": "bump", "params": {"by": 10}})
    equal(es.get(index="shop-1", id="w")["_source"]["stock"], 15, "a stored script")
    equal(es.get_script(id="bump")["script"]["lang"], "painless", "get_script")
    with raises(BadRequest, "a script that does not compile", 400, "compile error"):
        update("w", script="ctx._source.stock +=")
    equal(call(es.scripts_painless_execute, {"script": {"source": "params.a * 3", "params": {"a": 14}}})["result"], "42", "scripts_painless_execute")

with part("vectors"):
    es.indices.create(index="vectors", mappings={"properties": {"v": {"type": "dense_vector", "dims": 3, "index": True, "similarity": "cosine"}, "k": {"type": "keyword"}}})
    helpers.bulk(es, ({"_index": "vectors", "_id": str(i), "v": [1, i, i % 3], "k": "k%d" % (i % 2)} for i in range(50)), refresh=True)
    score = {"script_score": {"query": {"match_all": {}}, "script": {"source": "cosineSimilarity(params.q, 'v') + 1.0", "params": {"q": [1, 7, 1]}}}}
    equal(es.search(index="vectors", query=score, size=1)["hits"]["hits"][0]["_id"], "7", "cosineSimilarity")
    if major > 7:
        r = es.search(index="vectors", knn={"field": "v", "query_vector": [1, 7, 1], "k": 3, "num_candidates": 20, "filter": {"term": {"k": "k0"}}}, size=3)
        check(len(r["hits"]["hits"]) == 3 and all(int(h["_id"]) % 2 == 0 for h in r["hits"]["hits"]), "knn with a filter", r)
        r = es.search(index="vectors", query={"knn": {"field": "v", "query_vector": [1, 7, 1], "num_candidates": 5}}, size=1)
        equal(r["hits"]["hits"][0]["_id"], "7", "a query knn")
    with raises(BadRequest, "a vector of other dimensions", 400):
        es.index(index="vectors", document={"v": [1, 2]})

with part("administration"):
    equal(es.cluster.health(wait_for_status="yellow", timeout="10s")["timed_out"], False, "cluster.health")
    check(any(r["index"] == "shop-1" for r in es.cat.indices(format="json", h="index,docs.count")), "cat.indices")
    check("shop-1" in es.indices.stats(index="shop-1")["indices"], "indices.stats")
    check(es.nodes.info()["_nodes"]["successful"] == 1 and es.nodes.stats(metric="os,jvm")["_nodes"]["failed"] == 0, "nodes")
    check("metadata" in es.cluster.state(metric="metadata"), "cluster.state")
    call(es.cluster.put_settings, {"persistent": {"action.auto_create_index": "true"}})
    equal(es.license.get()["license"]["status"], "active", "license")
    check("features" in es.xpack.info(), "xpack.info")
    with raises(BadRequest, "security is refused by name", 400, "security.get_user"):
        es.security.get_user()
    check(es.indices.forcemerge(index="shop-1", max_num_segments=1)["_shards"]["failed"] == 0, "forcemerge")
    check(es.indices.delete(index=["shop-1", "shop-2", "lines"])["acknowledged"], "delete")
done()
