// main.go URL: what programs do with opensearch-go 4, which reads answers into its types, and its BulkIndexer. TAP.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/opensearchapi"
	"github.com/opensearch-project/opensearch-go/v4/opensearchutil"
)

func failed(err error, status int, kind, what string) {
	var e *opensearch.StructError
	check(errors.As(err, &e) && e.Status == status && e.Err.Type == kind, what, err)
}

func main() {
	os := must(opensearchapi.NewClient(opensearchapi.Config{Client: opensearch.Config{Addresses: []string{url}}}))
	ctx := context.Background()
	part("indices", func() {
		equal(must(os.Info(ctx, nil)).Version.Distribution, "opensearch", "info")
		check(must(os.Indices.Create(ctx, opensearchapi.IndicesCreateReq{Index: "films", Body: strings.NewReader(`{"settings":{"number_of_replicas":0},"mappings":{"properties":{"title":{"type":"text"},"tag":{"type":"keyword"}}}}`)})).Acknowledged, "create")
		_, err := os.Indices.Create(ctx, opensearchapi.IndicesCreateReq{Index: "films"})
		failed(err, 400, "resource_already_exists_exception", "create of what exists")
	})
	part("documents", func() {
		b := must(opensearchutil.NewBulkIndexer(opensearchutil.BulkIndexerConfig{Client: os, Index: "films", NumWorkers: 2, Refresh: "true"}))
		for i := 0; i < 1000; i++ {
			b.Add(ctx, opensearchutil.BulkIndexerItem{Action: "index", DocumentID: fmt.Sprint(i), Body: bytes.NewReader([]byte(fmt.Sprintf(`{"title":"long film %d","tag":"t%d","year":%d}`, i, i%5, i)))})
		}
		if err := b.Close(ctx); err != nil {
			panic(err)
		}
		equal(b.Stats().NumFailed, 0, "BulkIndexer")
		equal(must(os.Index(ctx, opensearchapi.IndexReq{Index: "films", DocumentID: "w", Body: strings.NewReader(`{"year":1}`)})).Result, "created", "index")
		equal(must(os.Update(ctx, opensearchapi.UpdateReq{Index: "films", DocumentID: "w", Body: strings.NewReader(`{"script":{"source":"ctx._source.year += 4"}}`)})).Version, 2, "update")
		_, err := os.Document.Create(ctx, opensearchapi.DocumentCreateReq{Index: "films", DocumentID: "w", Body: strings.NewReader(`{}`)})
		failed(err, 409, "version_conflict_engine_exception", "create of what exists")
		check(must(os.Document.Get(ctx, opensearchapi.DocumentGetReq{Index: "films", DocumentID: "w"})).Found, "get")
		must(os.Document.Delete(ctx, opensearchapi.DocumentDeleteReq{Index: "films", DocumentID: "w"}))
	})
	part("search", func() {
		r := must(os.Search(ctx, &opensearchapi.SearchReq{Indices: []string{"films"}, Body: strings.NewReader(`{"query":{"bool":{"must":{"match":{"title":"long"}},"filter":{"term":{"tag":"t1"}}}},"aggs":{"t":{"terms":{"field":"tag"}}},"size":2,"sort":[{"year":"desc"}]}`)}))
		check(r.Hits.Total.Value == 200 && len(r.Hits.Hits) == 2 && strings.Contains(string(r.Aggregations), `"doc_count":200`), "search", r.Hits.Total, string(r.Aggregations))
		_, err := os.Search(ctx, &opensearchapi.SearchReq{Indices: []string{"none"}})
		failed(err, 404, "index_not_found_exception", "search of no index")
		p := must(os.PointInTime.Create(ctx, opensearchapi.PointInTimeCreateReq{Indices: []string{"films"}, Params: opensearchapi.PointInTimeCreateParams{KeepAlive: 60e9}}))
		check(p.PitID != "" && must(os.PointInTime.Delete(ctx, opensearchapi.PointInTimeDeleteReq{PitID: []string{p.PitID}})).Pits[0].Successful, "a point in time")
	})
	part("the rest", func() {
		equal(must(os.UpdateByQuery(ctx, opensearchapi.UpdateByQueryReq{Indices: []string{"films"}, Body: strings.NewReader(`{"query":{"term":{"tag":"t1"}},"script":{"source":"ctx._source.year = 7"}}`)})).Updated, 200, "update by query")
		equal(must(os.Reindex(ctx, opensearchapi.ReindexReq{Body: strings.NewReader(`{"source":{"index":"films"},"dest":{"index":"copied"}}`)})).Created, 1000, "reindex")
		check(must(os.Aliases(ctx, opensearchapi.AliasesReq{Body: strings.NewReader(`{"actions":[{"add":{"index":"copied","alias":"c"}}]}`)})).Acknowledged, "aliases")
		check(must(os.Cluster.Health(ctx, nil)).NumberOfNodes == 1, "health")
		must(os.Cat.Indices(ctx, nil))
		must(os.Nodes.Info(ctx, nil))
		check(must(os.Indices.Delete(ctx, opensearchapi.IndicesDeleteReq{Indices: []string{"films", "copied"}})).Acknowledged, "delete")
	})
	done()
}
