"""langchain_elasticsearch_work.py URL: stores, retrievers, caches and histories of langchain-elasticsearch. TAP."""
from elasticsearch import Elasticsearch
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import Generation
from langchain_elasticsearch import (BM25Strategy, DenseVectorScriptScoreStrategy, DenseVectorStrategy, DistanceStrategy, ElasticsearchCache,
                                     ElasticsearchChatMessageHistory, ElasticsearchEmbeddingsCache, ElasticsearchRetriever, ElasticsearchStore)
from tap import check, done, equal, part, url
from vectors_made import texts, vector


class Made(Embeddings):
    def embed_documents(self, texts):
        return [vector(t) for t in texts]

    def embed_query(self, text):
        return vector(text)


es = Elasticsearch(url)
documents = [Document(page_content=t, metadata={"n": i, "kind": t.split()[0]}) for i, t in enumerate(texts)]


def store(name, strategy, **more):
    return ElasticsearchStore.from_documents(documents, Made(), index_name=name, client=es, strategy=strategy, **more)


with part("exact search"):
    s = store("lc-exact", DenseVectorScriptScoreStrategy())
    equal({d.metadata["kind"] for d in s.similarity_search("bird", k=10)}, {"bird"}, "similarity_search")
    found = s.similarity_search_with_score("rock", k=3, filter=[{"range": {"metadata.n": {"lt": 9}}}])
    check(len(found) == 3 and found[0][0].metadata["kind"] == "rock" and found[0][1] >= found[1][1] and all(d.metadata["n"] < 9 for d, _ in found), "a filter and scores", found)
    ids = s.add_texts(["sea story that is new"], [{"n": 1000, "kind": "sea"}], refresh_indices=True)
    equal(s.similarity_search("sea story that is new", k=1)[0].metadata["n"], 1000, "add_texts")
    check(s.delete(ids, refresh_indices=True) is True, "delete")
    check(all(d.metadata["n"] != 1000 for d in s.similarity_search("sea story that is new", k=80)), "what was deleted is not found")
    for distance in [DistanceStrategy.DOT_PRODUCT, DistanceStrategy.EUCLIDEAN_DISTANCE] if hasattr(DistanceStrategy, "EUCLIDEAN_DISTANCE") else []:
        s = ElasticsearchStore(index_name="lc-" + distance.value.lower().replace("_", "-"), embedding=Made(), client=es, strategy=DenseVectorScriptScoreStrategy(), distance_strategy=distance)
        s.add_texts(texts[:20])
        check(s.similarity_search("tree", k=2)[0].page_content.startswith("tree"), "by " + distance.value)

with part("words"):
    s = store("lc-words", BM25Strategy(k1=1.1, b=0.6))
    found = s.similarity_search("story 17", k=1)
    equal(found[0].metadata["n"], 17, "BM25")
    retriever = ElasticsearchRetriever(index_name="lc-words", content_field="text", client=es, body_func=lambda q: {"query": {"match": {"text": q}}, "size": 4})
    equal(len(retriever.invoke("tree")), 4, "a retriever")
    equal({d.metadata["_source"]["metadata"]["kind"] for d in retriever.invoke("tree")}, {"tree"}, "what it retrieves")

with part("caches and histories"):
    h = ElasticsearchChatMessageHistory(index="lc-chat", session_id="s", client=es) if "client" in ElasticsearchChatMessageHistory.__init__.__code__.co_varnames else \
        ElasticsearchChatMessageHistory(index="lc-chat", session_id="s", es_connection=es)
    h.add_messages([HumanMessage("hello"), AIMessage("good day")])
    equal([m.content for m in h.messages], ["hello", "good day"], "a history of messages")
    h.clear()
    equal(h.messages, [], "clear")
    c = ElasticsearchCache(index_name="lc-cache", **({"client": es} if "client" in ElasticsearchCache.__init__.__code__.co_varnames else {"es_url": url}))
    check(c.lookup("prompt", "model") is None, "an empty cache")
    c.update("prompt", "model", [Generation(text="answer")])
    equal(c.lookup("prompt", "model")[0].text, "answer", "a cache of answers")
    e = ElasticsearchEmbeddingsCache(index_name="lc-vectors", **({"client": es} if "client" in ElasticsearchEmbeddingsCache.__init__.__code__.co_varnames else {"es_url": url}))
    e.mset([("a", b"\x01\x02"), ("b", b"\xff")])
    equal(list(e.mget(["a", "b", "c"])), [b"\x01\x02", b"\xff", None], "a cache of vectors")

with part("nearest by knn"):
    s = store("lc-knn", DenseVectorStrategy())
    equal({d.metadata["kind"] for d in s.similarity_search("bird", k=10, num_candidates=80)}, {"bird"}, "similarity_search by knn")
    found = s.max_marginal_relevance_search("bird", k=4, fetch_k=20)
    equal(len(found), 4, "max_marginal_relevance_search")
    found = s.similarity_search_by_vector_with_relevance_scores(vector("rock"), k=2, filter=[{"term": {"metadata.kind.keyword": "rock"}}])
    equal([d.metadata["kind"] for d, _ in found], ["rock", "rock"], "knn with a filter")

with part("words and vectors together"):
    s = store("lc-hybrid", DenseVectorStrategy(hybrid=True, rrf=False))
    equal(s.similarity_search("story 17", k=5)[0].metadata["kind"], "rock", "hybrid")

with part("reciprocal ranks"):
    s = store("lc-rrf", DenseVectorStrategy(hybrid=True))
    check(17 in [d.metadata["n"] for d in s.similarity_search("rock story 17", k=10)], "hybrid by rrf")
done()
