// main.go URL: what programs do with olivere/elastic 7: services with strict types, the BulkProcessor, queries by builders. TAP.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/olivere/elastic/v7"
)

type film struct {
	Title string `json:"title"`
	Year  int    `json:"year"`
	Tag   string `json:"tag"`
}

func main() {
	es := must(elastic.NewClient(elastic.SetURL(url), elastic.SetSniff(true), elastic.SetHealthcheck(false)))
	ctx := context.Background()
	part("indices", func() {
		r := must(es.CreateIndex("films").BodyString(`{"settings":{"number_of_replicas":0},"mappings":{"properties":{"title":{"type":"text"},"year":{"type":"integer"},"tag":{"type":"keyword"},"cast":{"type":"nested"}}}}`).Do(ctx))
		check(r.Acknowledged && must(es.IndexExists("films").Do(ctx)), "create")
		_, err := es.CreateIndex("films").Do(ctx)
		e, ok := err.(*elastic.Error)
		check(ok && e.Status == 400 && e.Details.Type == "resource_already_exists_exception", "create of what exists", err)
		check(must(es.ElasticsearchVersion(url)) == "7.17.29", "the version")
	})
	part("documents", func() {
		p := must(es.BulkProcessor().Workers(2).BulkActions(100).Stats(true).Do(ctx))
		for i := 0; i < 1000; i++ {
			p.Add(elastic.NewBulkIndexRequest().Index("films").Id(fmt.Sprint(i)).Doc(film{fmt.Sprintf("long film %d", i), 1900 + i%100, fmt.Sprintf("t%d", i%5)}))
		}
		if err := p.Close(); err != nil {
			panic(err)
		}
		equal([]int64{p.Stats().Succeeded, p.Stats().Failed}, []int{1000, 0}, "BulkProcessor")
		must(es.Refresh("films").Do(ctx))
		equal(must(es.Index().Index("films").Id("w").BodyJson(film{Year: 1}).Refresh("true").Do(ctx)).Result, "created", "index")
		equal(must(es.Update().Index("films").Id("w").Script(elastic.NewScript("ctx._source.year += params.n").Param("n", 4)).Do(ctx)).Version, 2, "update")
		var f film
		json.Unmarshal(must(es.Get().Index("films").Id("w").Do(ctx)).Source, &f)
		equal(f.Year, 5, "get")
		_, err := es.Get().Index("films").Id("none").Do(ctx)
		check(elastic.IsNotFound(err), "get of nothing", err)
		_, err = es.Index().Index("films").Id("w").OpType("create").BodyJson(film{}).Do(ctx)
		check(elastic.IsConflict(err), "create of what exists", err)
		must(es.Delete().Index("films").Id("w").Refresh("true").Do(ctx))
	})
	part("search", func() {
		r := must(es.Search("films").Query(elastic.NewBoolQuery().Must(elastic.NewMatchQuery("title", "long")).Filter(elastic.NewTermQuery("tag", "t1"), elastic.NewRangeQuery("year").Gte(1950))).
			Sort("year", false).Size(2).Highlight(elastic.NewHighlight().Field("title")).TrackTotalHits(true).
			Aggregation("tags", elastic.NewTermsAggregation().Field("tag").SubAggregation("y", elastic.NewStatsAggregation().Field("year"))).
			Aggregation("years", elastic.NewHistogramAggregation().Field("year").Interval(10)).Do(ctx))
		tags, ok := r.Aggregations.Terms("tags")
		check(r.TotalHits() == 100 && len(r.Hits.Hits) == 2 && len(r.Hits.Hits[0].Highlight["title"]) == 1, "search", r.TotalHits())
		check(ok && tags.Buckets[0].DocCount == 100, "an aggregation")
		n := 0
		scroll := es.Scroll("films").Size(300)
		for {
			page, err := scroll.Do(ctx)
			if err == io.EOF {
				break
			}
			n += len(must(page, err).Hits.Hits)
		}
		scroll.Clear(ctx)
		equal(n, 1000, "scroll")
		p := must(es.OpenPointInTime("films").KeepAlive("1m").Do(ctx))
		page := must(es.Search().PointInTime(elastic.NewPointInTimeWithKeepAlive(p.Id, "1m")).Sort("year", true).Size(10).Do(ctx))
		next := must(es.Search().PointInTime(elastic.NewPointInTime(page.PitId)).Sort("year", true).SearchAfter(page.Hits.Hits[9].Sort...).Size(5).Do(ctx))
		equal(len(next.Hits.Hits), 5, "a point in time and search_after")
		equal(must(es.Count("films").Query(elastic.NewTermQuery("tag", "t2")).Do(ctx)), 200, "count")
		_, err := es.Search("none").Do(ctx)
		check(elastic.IsNotFound(err), "search of no index", err)
		_, err = es.Search("films").Query(elastic.NewRawStringQuery(`{"none":{}}`)).Do(ctx)
		check(elastic.IsStatusCode(err, 400), "a query that does not parse", err)
	})
	part("by query", func() {
		equal(must(es.UpdateByQuery("films").Query(elastic.NewTermQuery("tag", "t1")).Script(elastic.NewScript("ctx._source.year = 7")).Refresh("true").Do(ctx)).Updated, 200, "update by query")
		equal(must(es.DeleteByQuery("films").Query(elastic.NewTermQuery("tag", "t2")).Refresh("true").Do(ctx)).Deleted, 200, "delete by query")
		equal(must(es.Reindex().SourceIndex("films").DestinationIndex("copied").Refresh("true").Do(ctx)).Created, 800, "reindex")
		check(must(es.Alias().Add("copied", "c").Do(ctx)).Acknowledged && must(es.Aliases().Index("copied").Do(ctx)).Indices["copied"].HasAlias("c"), "aliases")
		must(es.IngestPutPipeline("p").BodyString(`{"processors":[{"set":{"field":"a","value":1}}]}`).Do(ctx))
		check(must(es.IngestGetPipeline("p").Do(ctx))["p"] != nil, "a pipeline")
		check(must(es.ClusterHealth().Do(ctx)).NumberOfNodes == 1 && must(es.NodesInfo().Do(ctx)).ClusterName == "test", "administration")
		must(es.ClusterStats().Do(ctx))
		must(es.IndexStats("films").Do(ctx))
		check(must(es.DeleteIndex("films", "copied").Do(ctx)).Acknowledged, "delete")
	})
	done()
}
