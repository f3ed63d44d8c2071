"""dsl_work.py URL: documents, searches, facets and updates with the DSL, of elasticsearch-dsl 7 and of elasticsearch-py since 8.18. TAP."""
import datetime

try:
    from elasticsearch import dsl
    from elasticsearch.dsl import query
except ImportError:
    import elasticsearch_dsl as dsl
    from elasticsearch_dsl import query
from elasticsearch import ConflictError, NotFoundError, helpers
from tap import check, done, equal, part, raises, url

es = dsl.connections.create_connection(hosts=[url])


class Comment(dsl.InnerDoc):
    author = dsl.Keyword()
    text = dsl.Text(analyzer="snowball")
    made = dsl.Date()


class Post(dsl.Document):
    title = dsl.Text(fields={"raw": dsl.Keyword()}, analyzer=dsl.analyzer("folded", tokenizer="standard", filter=["lowercase", "asciifolding"]))
    category = dsl.Keyword()
    views = dsl.Integer()
    published = dsl.Date()
    comments = dsl.Nested(Comment)
    address = dsl.Object(properties={"city": dsl.Keyword()})
    place = dsl.GeoPoint()
    open = dsl.Boolean()

    class Index:
        name = "posts-1"
        settings = {"number_of_shards": 1, "number_of_replicas": 0}

    def add_comment(self, author, text):
        self.comments.append(Comment(author=author, text=text, made=datetime.datetime(2024, 1, 1)))


class PostSearch(dsl.FacetedSearch):
    index = "posts-1"
    doc_types = [Post]
    fields = ["title^2", "category"]
    facets = {"category": dsl.TermsFacet(field="category"), "month": dsl.DateHistogramFacet(field="published", calendar_interval="month"),
              "views": dsl.RangeFacet(field="views", ranges=[("few", (None, 50)), ("many", (50, None))]),
              "authors": dsl.NestedFacet("comments", dsl.TermsFacet(field="comments.author"))}


with part("documents"):
    Post.init()
    mapping = es.indices.get_mapping(index="posts-1")["posts-1"]["mappings"]["properties"]
    equal((mapping["comments"]["type"], mapping["title"]["analyzer"]), ("nested", "folded"), "init")
    p = Post(meta={"id": 1}, title="A first poßt with Ünicode", category="news", views=3, published=datetime.datetime(2024, 1, 2), open=True)
    p.add_comment("ann", "Comments are running")
    p.address = {"city": "Graz"}
    equal(p.save(), "created", "save")
    got = Post.get(id=1)
    equal((got.title, got.comments[0].author, got.published.year, got.address.city), (p.title, "ann", 2024, "Graz"), "get")
    equal(got.update(views=4, refresh=True), "updated", "update")
    got.update(script={"source": "ctx._source.views += params.n", "params": {"n": 5}}) if hasattr(dsl, "async_connections") else got.update(script="ctx._source.views += params.n", n=5)
    equal(Post.get(id=1).views, 9, "update by a script")
    old = Post.get(id=1)
    Post.get(id=1).update(views=10)
    with raises(ConflictError, "save of an old document", 409):
        old.save()
    with raises(NotFoundError, "get of nothing", 404):
        Post.get(id=99)
    check(Post.get(id=99, ignore=404) is None if not hasattr(dsl, "async_connections") else not Post.exists(id=99), "a document that is not there")
    posts = [Post(_id=i, title="post number %d" % i, category=["news", "sport", "art"][i % 3], views=i, published=datetime.datetime(2024, 1 + i % 6, 1),
                  comments=[Comment(author="a%d" % (i % 4), text="fine words")], place={"lat": 47 + i / 100, "lon": 15}) for i in range(2, 100)]
    helpers.bulk(es, (d.to_dict(include_meta=True) for d in posts), refresh=True)
    equal(Post.search().count(), 99, "bulk and count")
    equal([d.views if d else None for d in Post.mget([3, 4])], [3, 4], "mget")

with part("searches"):
    s = Post.search().query("match", title="post").filter("range", views={"gte": 50}).exclude("term", category="art").sort("-views")
    r = s[0:5].execute()
    equal((r.hits.total.value, [h.views for h in r]), (33, [99, 97, 96, 94, 93]), "query, filter, exclude and sort")
    check(isinstance(r[0], Post) and r.success() and r.took >= 0, "hits are documents")
    s = dsl.Search(index="posts-1").query(dsl.Q("multi_match", query="unicode", fields=["title", "category"]) | dsl.Q("term", category="none")).highlight("title", fragment_size=50)
    equal(list(s.execute()[0].meta.highlight.title), ["A first poßt with <em>Ünicode</em>"], "highlight")
    s = Post.search().query("nested", path="comments", query=dsl.Q("term", comments__author="a1"), inner_hits={})
    r = s.execute()
    equal((r.hits.total.value, r[0].meta.inner_hits.comments[0].author), (24, "a1"), "nested and inner_hits")
    s = Post.search().query(query.FunctionScore(query=dsl.Q("match_all"), functions=[dsl.SF("field_value_factor", field="views")], boost_mode="replace"))
    equal(s.execute()[0].views, 99, "function_score")
    equal(len(list(Post.search().filter("term", category="news").scan())), 34, "scan")
    r = dsl.Search(index="posts-1").source(["title"]).script_fields(twice={"script": {"source": "doc['views'].value * 2"}}).filter("ids", values=["7"]).execute()
    equal((r[0].title, list(r[0].twice)), ("post number 7", [14]), "source and script_fields")
    a, b = dsl.MultiSearch(index="posts-1").add(dsl.Search().filter("term", category="art")).add(dsl.Search().query("match_none")).execute()
    equal((a.hits.total.value, b.hits.total.value), (33, 0), "multi search")
    r = Post.search().filter("geo_distance", distance="5km", place={"lat": 47.5, "lon": 15}).execute()
    equal(r.hits.total.value, 9, "geo_distance")
    s = Post.search().extra(collapse={"field": "category"}).sort("views")
    equal([h.meta.id for h in s.execute()], ["2", "3", "4"], "collapse")
    if hasattr(dsl.Search, "search_after"):
        first = Post.search().sort("views")[0:10]
        r = first.execute()
        equal(r.search_after().execute()[0].views, 11, "search_after")
        with Post.search().point_in_time() as pit:
            equal(pit.sort("views").extra(size=3).execute()[0].views, 2, "point_in_time")
        equal(len(list(Post.search().sort("views").params(size=20).iterate())), 99, "iterate")

with part("aggregations"):
    s = Post.search()[0:0]
    s.aggs.bucket("by", "terms", field="category", order={"views": "desc"}).metric("views", "sum", field="views").metric("top", "top_hits", size=1, sort=[{"views": "desc"}])
    s.aggs.bucket("months", "date_histogram", field="published", calendar_interval="month", format="yyyy-MM").pipeline("change", "derivative", buckets_path="_count")
    s.aggs.bucket("nested", "nested", path="comments").bucket("who", "terms", field="comments.author").bucket("back", "reverse_nested").metric("m", "max", field="views")
    s.aggs.metric("per", "percentile_ranks", field="views", values=[50])
    a = s.execute().aggregations
    equal([(b.key, b.doc_count, b.top[0].views) for b in a.by.buckets], [("news", 34, 99), ("art", 33, 98), ("sport", 32, 97)], "terms and top_hits")
    equal(len(a.months.buckets), 6, "date_histogram")
    equal(sum(b.doc_count for b in a.nested.who.buckets), 99, "nested")
    check(40 < a.per.values["50.0"] < 60, "percentile_ranks")
    f = PostSearch("post", filters={"category": ["news"]}).execute()
    equal(([c[0] for c in f.facets.category if c[2]], len(f.facets.month), [v[:2] for v in f.facets.views]), (["news"], len(f.facets.month), [("few", 16), ("many", 17)]), "a faceted search")
    equal(sum(n for _, n, _ in f.facets.authors), 33, "a nested facet")

with part("updates"):
    u = dsl.UpdateByQuery(index="posts-1").filter("term", category="art").script(source="ctx._source.views = params.v", params={"v": 1000}, lang="painless").params(refresh=True)
    equal(u.execute().updated, 33, "UpdateByQuery")
    equal(Post.search().filter("term", views=1000).count(), 33, "what was updated is found")
    equal(Post.search().filter("term", category="sport").params(refresh=True).delete().deleted, 32, "delete by a search")
    Post.get(id=1).delete(refresh=True)
    equal(Post.search().count(), 66, "delete")

with part("indices"):
    i = dsl.Index("plain")
    i.settings(number_of_replicas=0)
    i.aliases(plain_alias={})
    i.analyzer(dsl.analyzer("own", tokenizer=dsl.tokenizer("tri", "ngram", min_gram=3, max_gram=3), filter=["lowercase"]))
    i.create()
    equal([t["token"] for t in i.analyze(body={"analyzer": "own", "text": "ABCD"})["tokens"]] if not hasattr(dsl, "async_connections") else
          [t["token"] for t in i.analyze(analyzer="own", text="ABCD")["tokens"]], ["abc", "bcd"], "an analyzer of its own")
    check(i.exists() and i.exists_alias(name="plain_alias"), "exists")
    m = dsl.Mapping()
    m.field("k", "keyword")
    m.meta("dynamic", "strict")
    m.save("plain")
    equal(dsl.Mapping.from_es("plain").to_dict()["dynamic"], "strict", "a mapping read back")
    if hasattr(Post._index, "as_composable_template"):
        Post._index.as_composable_template("posts", pattern="posts-*", priority=3).save()
        check(es.indices.exists_index_template(name="posts"), "a composable template")
    else:
        Post._index.as_template("posts", pattern="posts-*").save()
        check(es.indices.exists_template(name="posts"), "a template")
    i.delete()
    check(not i.exists(), "delete of an index")
done()
