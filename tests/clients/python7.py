"""python7.py URL: elasticsearch-py 7.17 bulk-indexes, reads and searches. TAP."""
import sys
import warnings

from elasticsearch import Elasticsearch, NotFoundError, ConflictError, helpers

warnings.simplefilter("ignore")
es = Elasticsearch(sys.argv[1])
n = 0


def check(ok, what):
    global n
    n += 1
    print("%s %d - %s" % ("ok" if ok else "not ok", n, what))


check(es.ping(), "ping")
check("number" in es.info()["version"], "info")
es.indices.create(index="books", body={"mappings": {"properties": {
    "title": {"type": "text"}, "year": {"type": "integer"}, "tag": {"type": "keyword"}}}})
docs = ({"_index": "books", "_id": str(i),
         "_source": {"title": "book number %d of \u00e4 shelf" % i, "year": 1900 + i % 100, "tag": "t%d" % (i % 7)}}
        for i in range(5000))
ok, errors = helpers.bulk(es, docs, chunk_size=700)
check(ok == 5000 and not errors, "helpers.bulk")
results = list(helpers.streaming_bulk(es, [{"_op_type": "create", "_index": "books", "_id": "1", "title": "x"}],
                                      raise_on_error=False))
check(results[0][0] is False and results[0][1]["create"]["status"] == 409, "a conflict in a bulk")
done = list(helpers.parallel_bulk(es, ({"_op_type": "update", "_index": "books", "_id": str(i), "doc": {"read": True}}
                                       for i in range(1000)), thread_count=3, chunk_size=100))
check(all(x[0] for x in done) and len(done) == 1000, "helpers.parallel_bulk")
check(es.get(index="books", id="17")["_source"]["read"] is True, "get")
check(es.exists(index="books", id="17") and not es.exists(index="books", id="none"), "exists")
check([d["found"] for d in es.mget(index="books", body={"ids": ["1", "none"]})["docs"]] == [True, False], "mget")
r = es.index(index="books", id="17", body={"title": "new"})
check(r["result"] == "updated" and r["_version"] == 3, "index")
try:
    es.create(index="books", id="17", body={})
    check(False, "create of what exists")
except ConflictError as e:
    check(e.status_code == 409, "create of what exists")
try:
    es.get(index="books", id="none")
    check(False, "get of nothing")
except NotFoundError as e:
    check(e.status_code == 404, "get of nothing")
check(es.delete(index="books", id="17")["result"] == "deleted", "delete")
es.indices.refresh(index="books")
if "search" in sys.argv:
    check(es.count(index="books")["count"] == 4999, "count")
    r = es.search(index="books", body={"query": {"match": {"title": "shelf"}}, "size": 3})
    check(r["hits"]["total"]["value"] == 4999 and len(r["hits"]["hits"]) == 3, "search")
    seen = {h["_id"] for h in helpers.scan(es, index="books", query={"query": {"term": {"tag": "t3"}}}, size=100)}
    check(len(seen) == 713, "helpers.scan")
if "aggs" in sys.argv:
    r = es.search(index="books", body={"size": 0, "aggs": {"tags": {"terms": {"field": "tag"}}}})
    check(len(r["aggregations"]["tags"]["buckets"]) == 7, "an aggregation")
check(es.indices.delete(index="books")["acknowledged"], "delete of the index")
print("1..%d" % n)
