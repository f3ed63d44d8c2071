"""llama_index_opensearch_work.py URL: the vector store of llama-index over OpenSearch. TAP."""
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import ExactMatchFilter, MetadataFilters, VectorStoreQuery, VectorStoreQueryMode
from llama_index.vector_stores.opensearch import OpensearchVectorClient, OpensearchVectorStore
from tap import check, done, equal, part, url
from vectors_made import texts, vector


def nodes():
    return [TextNode(id_="n%d" % i, text=t, embedding=vector(t), metadata={"kind": t.split()[0], "n": i},
                     relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc%d" % (i % 8))}) for i, t in enumerate(texts)]


def work(name, mode, **how):
    client = OpensearchVectorClient(url, name, 8, **how)
    s = OpensearchVectorStore(client)
    equal(len(s.add(nodes())), 80, name + ": add")
    client._os_client.indices.refresh(index=name)
    query = dict(query_str="bird", query_embedding=vector("bird"), similarity_top_k=5, mode=mode)
    r = s.query(VectorStoreQuery(**query))
    equal({n.metadata["kind"] for n in r.nodes}, {"bird"}, name + ": query")
    r = s.query(VectorStoreQuery(filters=MetadataFilters(filters=[ExactMatchFilter(key="kind", value="bird")]), **query))
    check(len(r.nodes) == 5 and all(n.metadata["kind"] == "bird" for n in r.nodes), name + ": a query with filters", [n.metadata for n in r.nodes])
    s.delete("doc2")
    client._os_client.indices.refresh(index=name)
    r = s.query(VectorStoreQuery(**dict(query, similarity_top_k=80)))
    check(r.nodes and all(n.ref_doc_id != "doc2" for n in r.nodes), name + ": delete of a document")
    s.delete_nodes([n.node_id for n in r.nodes[:3]])
    s.clear()
    s.close()


plain = {"settings": {"index": {"knn": True}}, "mappings": {"properties": {"embedding": {"type": "knn_vector", "dimension": 8}}}}
with part("nearest by knn"):
    work("li-plain", VectorStoreQueryMode.DEFAULT, idx_conf=plain)
with part("words"):
    work("li-words", VectorStoreQueryMode.TEXT_SEARCH, idx_conf=plain)
with part("exact search by scripts"):
    from llama_index.core.vector_stores.types import VectorStoreQuery as Q
    client = OpensearchVectorClient(url, "li-script", 8, idx_conf=plain)
    OpensearchVectorStore(client).add(nodes())
    client._os_client.indices.refresh(index="li-script")
    for space in ["l2Squared", "cosineSimilarity", "l1Norm"]:
        body = client._default_scoring_script_query(vector("bird"), 4, space_type=space)
        r = client._os_client.search(index="li-script", body=body)
        equal({h["_source"]["metadata"]["kind"] for h in r["hits"]["hits"]}, {"bird"}, "a Painless script with " + space)
    client.is_aoss = True
    for space in ["l2", "l1", "cosinesimil"]:
        r = client._os_client.search(index="li-script", body=client._default_scoring_script_query(vector("bird"), 4, space_type=space))
        equal({h["_source"]["metadata"]["kind"] for h in r["hits"]["hits"]}, {"bird"}, "knn_score with " + space)
with part("nearest by a graph"):
    work("li-graph", VectorStoreQueryMode.DEFAULT)
done()
