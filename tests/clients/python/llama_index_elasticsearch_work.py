"""llama_index_elasticsearch_work.py URL: the vector store of llama-index over Elasticsearch. TAP."""
from elasticsearch.helpers.vectorstore import AsyncBM25Strategy, AsyncDenseVectorStrategy
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import ExactMatchFilter, MetadataFilters, VectorStoreQuery, VectorStoreQueryMode
from llama_index.vector_stores.elasticsearch import ElasticsearchStore
from tap import check, done, equal, part, url
from vectors_made import texts, vector


def nodes():
    return [TextNode(id_="n%d" % i, text=t, embedding=vector(t), metadata={"kind": t.split()[0], "name": "name%d" % i},
                     relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc%d" % (i % 8))}) for i, t in enumerate(texts)]


def work(name, strategy, mode):
    s = ElasticsearchStore(index_name=name, es_url=url, retrieval_strategy=strategy)
    equal(len(s.add(nodes())), 80, name + ": add")
    query = dict(query_str="bird", query_embedding=vector("bird"), similarity_top_k=5, mode=mode)
    r = s.query(VectorStoreQuery(**query))
    equal({n.metadata["kind"] for n in r.nodes}, {"bird"}, name + ": query")
    check(len(r.similarities) == 5 and r.similarities == sorted(r.similarities, reverse=True), name + ": similarities", r.similarities)
    r = s.query(VectorStoreQuery(filters=MetadataFilters(filters=[ExactMatchFilter(key="kind", value="bird"), ExactMatchFilter(key="name", value="name18")]), **query))
    equal([n.node_id for n in r.nodes], ["n18"], name + ": a query with filters")
    s.delete("doc2")
    r = s.query(VectorStoreQuery(**dict(query, similarity_top_k=80)))
    check(r.nodes and all(n.ref_doc_id != "doc2" for n in r.nodes), name + ": delete of a document")
    s.close()


with part("words"):
    work("li-words", AsyncBM25Strategy(), VectorStoreQueryMode.TEXT_SEARCH)
with part("nearest by knn"):
    work("li-knn", AsyncDenseVectorStrategy(), VectorStoreQueryMode.DEFAULT)
with part("words and vectors together"):
    work("li-hybrid", AsyncDenseVectorStrategy(hybrid=True, rrf=False), VectorStoreQueryMode.HYBRID)
done()
