// main.go URL: what programs do with the low-level API of go-elasticsearch 7, 8 and 9, and its BulkIndexer. TAP.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/elastic/go-elasticsearch/v8/esutil"
)

type object = map[string]any

// answer decodes a response; status is what it must have.
func answer(r *esapi.Response, err error) func(status int, what string) any {
	return func(status int, what string) any {
		must(r, err)
		defer r.Body.Close()
		text := must(io.ReadAll(r.Body))
		var v any
		json.Unmarshal(text, &v)
		check(r.StatusCode == status, what, r.StatusCode, string(text))
		return v
	}
}

func main() {
	es := must(elasticsearch.NewClient(elasticsearch.Config{Addresses: []string{url}, CompressRequestBody: true}))
	body := func(v object) io.Reader { return esutil.NewJSONReader(v) }

	part("indices", func() {
		info := answer(es.Info())(200, "info")
		check(strings.HasPrefix(at(info, "version.number").(string), strings.Split(elasticsearch.Version, ".")[0]+"."), "the version")
		answer(es.Indices.PutIndexTemplate("films", body(object{"index_patterns": []string{"films-*"}, "template": object{
			"settings": object{"number_of_replicas": 0}, "mappings": object{"properties": object{
				"title": object{"type": "text"}, "year": object{"type": "integer"}, "tag": object{"type": "keyword"}, "made": object{"type": "date"},
				"cast": object{"type": "nested", "properties": object{"name": object{"type": "keyword"}}}}}}})))(200, "put an index template")
		answer(es.Indices.Create("films-1"))(200, "create")
		equal(at(answer(es.Indices.Create("films-1"))(400, "create of what exists"), "error.type"), "resource_already_exists_exception", "its type")
		r := must(es.Indices.Exists([]string{"films-1"}))
		check(r.StatusCode == 200, "exists")
	})
	part("BulkIndexer", func() {
		var failed int64
		b := must(esutil.NewBulkIndexer(esutil.BulkIndexerConfig{Client: es, Index: "films-1", NumWorkers: 2, FlushBytes: 40000, Refresh: "true"}))
		for i := 0; i < 2000; i++ {
			doc := must(json.Marshal(object{"title": fmt.Sprintf("long film %d", i), "year": 1900 + i%100, "tag": fmt.Sprintf("t%d", i%5),
				"made": time.Date(2024, time.Month(i%12+1), 3, 0, 0, 0, 0, time.UTC), "cast": []object{{"name": fmt.Sprintf("n%d", i%4)}}}))
			b.Add(context.Background(), esutil.BulkIndexerItem{Action: "index", DocumentID: fmt.Sprint(i), Body: bytes.NewReader(doc),
				OnFailure: func(context.Context, esutil.BulkIndexerItem, esutil.BulkIndexerResponseItem, error) { atomic.AddInt64(&failed, 1) }})
		}
		b.Add(context.Background(), esutil.BulkIndexerItem{Action: "create", DocumentID: "1", Body: strings.NewReader(`{}`),
			OnFailure: func(_ context.Context, _ esutil.BulkIndexerItem, r esutil.BulkIndexerResponseItem, _ error) {
				check(r.Status == 409 && r.Error.Type == "version_conflict_engine_exception", "a failed item", r)
			}})
		if err := b.Close(context.Background()); err != nil {
			panic(err)
		}
		check(b.Stats().NumFlushed == 2000 && b.Stats().NumIndexed == 2000 && failed == 0, "what was indexed", b.Stats(), failed)
	})
	part("search", func() {
		r := answer(es.Search(es.Search.WithIndex("films-*"), es.Search.WithTrackTotalHits(true), es.Search.WithBody(body(object{
			"query":     object{"bool": object{"must": object{"match": object{"title": "long"}}, "filter": []object{{"range": object{"year": object{"gte": 1990}}}, {"nested": object{"path": "cast", "query": object{"term": object{"cast.name": "n1"}}}}}}},
			"highlight": object{"fields": object{"title": object{}}}, "sort": []object{{"year": "desc"}}, "size": 2,
			"aggs": object{"tags": object{"terms": object{"field": "tag"}, "aggs": object{"y": object{"avg": object{"field": "year"}}}},
				"months": object{"date_histogram": object{"field": "made", "calendar_interval": "quarter"}}}}))))(200, "search")
		equal(at(r, "hits.total.value"), 40, "its total")
		check(strings.HasPrefix(at(r, "hits.hits.0.highlight.title.0").(string), "<em>long</em>"), "highlight")
		check(len(at(r, "aggregations.tags.buckets").([]any)) == 2 && at(r, "aggregations.months.buckets.0.key_as_string") == "2024-01-01T00:00:00.000Z", "aggregations", r)
		pit := at(answer(es.OpenPointInTime([]string{"films-1"}, "1m"))(200, "a point in time"), "id").(string)
		n, after := 0, any(nil)
		for {
			q := object{"size": 700, "pit": object{"id": pit, "keep_alive": "1m"}, "sort": []object{{"made": "asc"}, {"_shard_doc": "asc"}}}
			if after != nil {
				q["search_after"] = after
			}
			r := must(es.Search(es.Search.WithBody(body(q))))
			d := json.NewDecoder(r.Body)
			d.UseNumber()
			var page any
			d.Decode(&page)
			r.Body.Close()
			hits, _ := at(page, "hits.hits").([]any)
			if len(hits) == 0 {
				break
			}
			n += len(hits)
			after = at(hits[len(hits)-1], "sort")
		}
		equal(n, 2000, "search_after")
		answer(es.ClosePointInTime(es.ClosePointInTime.WithBody(body(object{"id": pit}))))(200, "close a point in time")
		r = answer(es.Search(es.Search.WithIndex("films-1"), es.Search.WithScroll(time.Minute), es.Search.WithSize(900)))(200, "scroll")
		n = 0
		for len(at(r, "hits.hits").([]any)) > 0 {
			n += len(at(r, "hits.hits").([]any))
			next := must(es.Scroll(es.Scroll.WithScrollID(at(r, "_scroll_id").(string)), es.Scroll.WithScroll(time.Minute)))
			r = nil
			json.NewDecoder(next.Body).Decode(&r)
		}
		equal(n, 2000, "all pages of a scroll")
		r = answer(es.Msearch(strings.NewReader("{\"index\":\"films-1\"}\n{\"size\":0}\n{\"index\":\"none\"}\n{}\n")))(200, "msearch")
		equal([]any{at(r, "responses.0.status"), at(r, "responses.1.status")}, []int{200, 404}, "its statuses")
		equal(at(answer(es.Count(es.Count.WithIndex("films-1"), es.Count.WithQuery("tag:t1")))(200, "count"), "count"), 400, "its count")
		equal(at(answer(es.Search(es.Search.WithIndex("none")))(404, "search of no index"), "error.type"), "index_not_found_exception", "its type")
		equal(at(answer(es.Search(es.Search.WithBody(strings.NewReader(`{"query":{"none":{}}}`))))(400, "a query that does not parse"), "error.root_cause.0.type"), "parsing_exception", "its type")
	})
	part("writes", func() {
		answer(es.Index("films-1", strings.NewReader(`{"year":1}`), es.Index.WithDocumentID("w"), es.Index.WithRefresh("true")))(201, "index")
		answer(es.Update("films-1", "w", strings.NewReader(`{"script":{"source":"ctx._source.year += 4"}}`)))(200, "update")
		equal(at(answer(es.Get("films-1", "w"))(200, "get"), "_source.year"), 5, "what it holds")
		answer(es.Get("films-1", "none"))(404, "get of nothing")
		answer(es.Create("films-1", "w", strings.NewReader(`{}`)))(409, "create of what exists")
		answer(es.Delete("films-1", "w"))(200, "delete")
		equal(at(answer(es.UpdateByQuery([]string{"films-1"}, es.UpdateByQuery.WithRefresh(true), es.UpdateByQuery.WithBody(body(object{"query": object{"term": object{"tag": "t1"}}, "script": object{"source": "ctx._source.year = 7"}}))))(200, "update by query"), "updated"), 400, "updated")
		equal(at(answer(es.DeleteByQuery([]string{"films-1"}, strings.NewReader(`{"query":{"term":{"tag":"t2"}}}`), es.DeleteByQuery.WithRefresh(true)))(200, "delete by query"), "deleted"), 400, "deleted")
		equal(at(answer(es.Reindex(strings.NewReader(`{"source":{"index":"films-1"},"dest":{"index":"copied"}}`), es.Reindex.WithRefresh(true)))(200, "reindex"), "created"), 1600, "created")
		answer(es.Indices.UpdateAliases(strings.NewReader(`{"actions":[{"add":{"index":"copied","alias":"c","is_write_index":true}}]}`)))(200, "aliases")
		equal(at(answer(es.Indices.Rollover("c", es.Indices.Rollover.WithNewIndex("copied-000002")))(200, "rollover"), "rolled_over"), true, "rolled over")
		answer(es.Ingest.PutPipeline("p", strings.NewReader(`{"processors":[{"set":{"field":"a","value":1}}]}`)))(200, "a pipeline")
		equal(at(answer(es.Ingest.Simulate(strings.NewReader(`{"docs":[{"_source":{}}]}`), es.Ingest.Simulate.WithPipelineID("p")))(200, "simulate"), "docs.0.doc._source.a"), 1, "what it makes")
	})
	part("administration", func() {
		equal(at(answer(es.Cluster.Health())(200, "health"), "timed_out"), false, "not timed out")
		answer(es.Cat.Indices(es.Cat.Indices.WithFormat("json")))(200, "cat indices")
		answer(es.Indices.Delete([]string{"films-1", "copied"}))(200, "delete")
	})
	done()
}
