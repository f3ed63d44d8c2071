"""haystack_work.py URL: the document stores and retrievers of Haystack. TAP."""
from haystack import Document
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from tap import check, done, equal, part, raises, url
from vectors_made import texts, vector

try:
    from haystack_integrations.components.retrievers.elasticsearch import ElasticsearchBM25Retriever as Words
    from haystack_integrations.components.retrievers.elasticsearch import ElasticsearchEmbeddingRetriever as Nearest
    from haystack_integrations.document_stores.elasticsearch import ElasticsearchDocumentStore

    filtered = {}

    def store(name, **more):
        return ElasticsearchDocumentStore(hosts=url, index=name, **more)
except ImportError:
    from haystack_integrations.components.retrievers.opensearch import OpenSearchBM25Retriever as Words
    from haystack_integrations.components.retrievers.opensearch import OpenSearchEmbeddingRetriever as Nearest
    from haystack_integrations.document_stores.opensearch import OpenSearchDocumentStore

    filtered = {"efficient_filtering": True}

    def store(name, **more):
        return OpenSearchDocumentStore(hosts=url, index=name, embedding_dim=8, use_ssl=False, **more)

documents = [Document(id=str(i), content=t, meta={"kind": t.split()[0], "n": i}, embedding=vector(t)) for i, t in enumerate(texts)]
below = {"operator": "AND", "conditions": [{"field": "meta.kind", "operator": "==", "value": "bird"}, {"field": "meta.n", "operator": "<", "value": 30}]}

with part("documents"):
    s = store("hs-docs")
    equal(s.write_documents(documents), 80, "write_documents")
    equal(s.count_documents(), 80, "count_documents")
    with raises(DuplicateDocumentError, "write_documents of what is there"):
        s.write_documents(documents[:2], policy=DuplicatePolicy.FAIL)
    equal(s.write_documents(documents[:2], policy=DuplicatePolicy.SKIP), 0, "DuplicatePolicy.SKIP")
    equal(s.write_documents(documents[:2], policy=DuplicatePolicy.OVERWRITE), 2, "DuplicatePolicy.OVERWRITE")
    equal(sorted(int(d.id) for d in s.filter_documents(below)), [i for i in range(30) if i % 4 == 2], "filter_documents")
    equal(len(s.filter_documents({"field": "meta.kind", "operator": "in", "value": ["sea", "tree"]})), 40, "a filter of several values")
    equal(len(s.filter_documents({"operator": "NOT", "conditions": [{"field": "meta.kind", "operator": "==", "value": "sea"}]})), 60, "a filter that negates")

with part("retrievers"):
    r = Words(document_store=s, top_k=3).run(query="bird story 42")["documents"]
    equal((r[0].id, len(r)), ("42", 3), "a retriever by words")
    r = Words(document_store=s, top_k=20, filters=below, fuzziness="AUTO").run(query="bird")["documents"]
    equal(len(r), 7, "a retriever by words, with filters")

with part("changes"):
    equal(s.update_by_filter(below, {"seen": "yes"}, refresh=True), 7, "update_by_filter")
    equal(len(s.filter_documents({"field": "meta.seen", "operator": "==", "value": "yes"})), 7, "what was updated is found")
    equal(s.delete_by_filter({"field": "meta.kind", "operator": "==", "value": "rock"}, refresh=True), 20, "delete_by_filter")
    s.delete_documents(["0", "4"])
    equal(s.count_documents(), 58, "delete_documents")
    s.delete_all_documents(recreate_index=True)
    equal(s.count_documents(), 0, "delete_all_documents")

with part("nearest by knn"):
    s = store("hs-knn")
    s.write_documents(documents)
    r = Nearest(document_store=s, top_k=6).run(query_embedding=vector("tree"))["documents"]
    equal({d.meta["kind"] for d in r}, {"tree"}, "a retriever by vectors")
    r = Nearest(document_store=s, top_k=6, filters=below, **filtered).run(query_embedding=vector("tree"))["documents"]
    check(r and {d.meta["kind"] for d in r} == {"bird"} and all(d.meta["n"] < 30 for d in r), "a retriever by vectors, with filters", [d.meta for d in r])

if filtered:
    with part("nearest by a graph"):
        s = store("hs-graph", method={"name": "hnsw", "engine": "faiss", "space_type": "innerproduct"})
        s.write_documents(documents)
        r = Nearest(document_store=s, top_k=6).run(query_embedding=vector("tree"))["documents"]
        equal({d.meta["kind"] for d in r}, {"tree"}, "a retriever by a graph")
done()
