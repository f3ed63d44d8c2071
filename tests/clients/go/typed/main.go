// main.go URL: what programs do with the typed API of go-elasticsearch 8 and 9: every answer is read into its types. TAP.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/typedapi/core/search"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/calendarinterval"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/refresh"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/sortorder"
)

type film struct {
	Title string `json:"title"`
	Year  int    `json:"year"`
	Tag   string `json:"tag"`
}

func failed(err error, status int, kind, what string) {
	var e *types.ElasticsearchError
	check(errors.As(err, &e) && e.Status == status && e.ErrorCause.Type == kind, what, err)
}

func main() {
	es := must(elasticsearch.NewTypedClient(elasticsearch.Config{Addresses: []string{url}}))
	ctx := context.Background()
	word := func(s string) *string { return &s }
	number := func(n int) *int { return &n }

	part("indices", func() {
		must(es.Indices.Create("films").Mappings(&types.TypeMapping{Properties: map[string]types.Property{
			"title": types.NewTextProperty(), "year": types.NewIntegerNumberProperty(), "tag": types.NewKeywordProperty(), "made": types.NewDateProperty()}}).
			Settings(&types.IndexSettings{NumberOfShards: word("1"), NumberOfReplicas: word("0")}).Do(ctx))
		_, err := es.Indices.Create("films").Do(ctx)
		failed(err, 400, "resource_already_exists_exception", "create of what exists")
		m := must(es.Indices.GetMapping().Index("films").Do(ctx))
		_, is := m["films"].Mappings.Properties["title"].(*types.TextProperty)
		check(is, "a mapping in its types")
		s := must(es.Indices.GetSettings().Index("films").Do(ctx))
		equal(*s["films"].Settings.Index.NumberOfShards, "1", "settings in their types")
		check(must(es.Indices.Exists("films").Do(ctx)), "exists")
	})
	part("documents", func() {
		bulk := es.Bulk().Index("films").Refresh(refresh.True)
		for i := 0; i < 300; i++ {
			if err := bulk.IndexOp(types.IndexOperation{Id_: word(fmt.Sprint(i))}, film{fmt.Sprintf("film %d", i), 1900 + i%100, fmt.Sprintf("t%d", i%3)}); err != nil {
				panic(err)
			}
		}
		r := must(bulk.Do(ctx))
		check(!r.Errors && len(r.Items) == 300, "bulk")
		w := must(es.Index("films").Id("w").Request(film{Title: "w"}).Refresh(refresh.True).Do(ctx))
		equal(w.Result.String(), "created", "index")
		g := must(es.Get("films", "w").Do(ctx))
		var f film
		json.Unmarshal(g.Source_, &f)
		check(g.Found && f.Title == "w", "get")
		must(es.Update("films", "w").Doc(map[string]int{"year": 7}).Do(ctx))
		u := must(es.Update("films", "w").Script(&types.Script{Source: word("ctx._source.year += 1")}).Do(ctx))
		equal(u.Version_, 3, "update")
		_, err := es.Create("films", "w").Request(film{}).Do(ctx)
		failed(err, 409, "version_conflict_engine_exception", "create of what exists")
		must(es.Delete("films", "w").Refresh(refresh.True).Do(ctx))
		n := must(es.Get("films", "w").Do(ctx))
		check(!n.Found, "get of nothing")
	})
	part("search", func() {
		r := must(es.Search().Index("films").Request(&search.Request{
			Query: &types.Query{Bool: &types.BoolQuery{Must: []types.Query{{Match: map[string]types.MatchQuery{"title": {Query: "film"}}}},
				Filter: []types.Query{{Term: map[string]types.TermQuery{"tag": {Value: "t1"}}}}}},
			Size: number(3), Sort: []types.SortCombinations{types.SortOptions{SortOptions: map[string]types.FieldSort{"year": {Order: &sortorder.Desc}}}},
			Highlight: &types.Highlight{Fields: highlighted()},
			Aggregations: map[string]types.Aggregations{"tags": {Terms: &types.TermsAggregation{Field: word("tag")},
				Aggregations: map[string]types.Aggregations{"stats": {Stats: &types.StatsAggregation{Field: word("year")}}, "top": {TopHits: &types.TopHitsAggregation{Size: number(1)}}}},
				"made":  {DateHistogram: &types.DateHistogramAggregation{Field: word("made"), CalendarInterval: &calendarinterval.Month}},
				"per":   {Percentiles: &types.PercentilesAggregation{Field: word("year")}},
				"kinds": {Cardinality: &types.CardinalityAggregation{Field: word("tag")}},
				"years": {Range: &types.RangeAggregation{Field: word("year"), Ranges: []types.AggregationRange{{To: float(1950)}, {From: float(1950)}}}},
			}}).Do(ctx))
		check(r.Hits.Total.Value == 100 && len(r.Hits.Hits) == 3 && len(r.Hits.Hits[0].Highlight["title"]) == 1, "search", r.Hits.Total)
		tags := r.Aggregations["tags"].(*types.StringTermsAggregate).Buckets.([]types.StringTermsBucket)
		check(len(tags) == 1 && tags[0].DocCount == 100 && tags[0].Aggregations["stats"].(*types.StatsAggregate).Count == 100, "terms in their types", tags)
		_, hits := tags[0].Aggregations["top"].(*types.TopHitsAggregate)
		check(hits, "top_hits in its type")
		kinds, ok := r.Aggregations["kinds"].(*types.CardinalityAggregate)
		check(ok && kinds.Value == 1, "cardinality in its type")
		_, ok = r.Aggregations["made"].(*types.DateHistogramAggregate)
		check(ok, "date_histogram in its type")
		_, ok = r.Aggregations["per"].(*types.TDigestPercentilesAggregate)
		check(ok, "percentiles in their type")
		_, ok = r.Aggregations["years"].(*types.RangeAggregate)
		check(ok, "range in its type")
		_, err := es.Search().Index("none").Do(ctx)
		failed(err, 404, "index_not_found_exception", "search of no index")
		c := must(es.Count().Index("films").Do(ctx))
		equal(c.Count, 300, "count")
		m := must(es.Mget().Index("films").Ids("1", "none").Do(ctx))
		check(len(m.Docs) == 2, "mget")
		p := must(es.OpenPointInTime("films").KeepAlive("1m").Do(ctx))
		must(es.ClosePointInTime().Id(p.Id).Do(ctx))
		f := must(es.FieldCaps().Index("films").Fields("*").Do(ctx))
		check(f.Fields["year"]["integer"].Searchable, "field_caps")
	})
	part("by query and the rest", func() {
		u := must(es.UpdateByQuery("films").Query(&types.Query{Term: map[string]types.TermQuery{"tag": {Value: "t1"}}}).Script(&types.Script{Source: word("ctx._source.year = 7")}).Refresh(true).Do(ctx))
		equal(*u.Updated, 100, "update by query")
		d := must(es.DeleteByQuery("films").Query(&types.Query{Term: map[string]types.TermQuery{"tag": {Value: "t2"}}}).Refresh(true).Do(ctx))
		equal(*d.Deleted, 100, "delete by query")
		r := must(es.Reindex().Source(&types.ReindexSource{Index: []string{"films"}}).Dest(&types.ReindexDestination{Index: "copied"}).Do(ctx))
		equal(*r.Created, 200, "reindex")
		must(es.Indices.PutAlias("copied", "c").Do(ctx))
		a := must(es.Indices.GetAlias().Name("c").Do(ctx))
		check(len(a) == 1, "aliases")
		must(es.Ingest.PutPipeline("p").Processors(types.ProcessorContainer{Set: &types.SetProcessor{Field: "a", Value: json.RawMessage(`1`)}}).Do(ctx))
		g := must(es.Ingest.GetPipeline().Id("p").Do(ctx))
		check(g["p"].Processors[0].Set.Field == "a", "a pipeline in its types")
	})
	part("administration", func() {
		h := must(es.Cluster.Health().Do(ctx))
		check(!h.TimedOut && h.NumberOfNodes == 1, "health")
		must(es.Cluster.Stats().Do(ctx))
		n := must(es.Nodes.Info().Do(ctx))
		check(len(n.Nodes) == 1, "nodes")
		must(es.Nodes.Stats().Do(ctx))
		must(es.Indices.Stats().Index("films").Do(ctx))
		must(es.Cat.Indices().Do(ctx))
		must(es.License.Get().Do(ctx))
		must(es.Tasks.List().Do(ctx))
		must(es.Indices.GetIndexTemplate().Do(ctx))
		must(es.Cluster.GetSettings().Do(ctx))
		must(es.Info().Do(ctx))
		check(must(es.Indices.Delete("films").Do(ctx)).Acknowledged, "all answers have their types")
	})
	done()
}

func float(f float64) *types.Float64 { v := types.Float64(f); return &v }

func highlighted() []map[string]types.HighlightField {
	return []map[string]types.HighlightField{{"title": {}}}
}
