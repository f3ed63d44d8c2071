"""vectors.py DIR: hnswlib's and faiss's HNSW over the vectors of DIR (tests/bench/graph.c), one thread, CPU time.

Prints, for each program and ef, recall@10 and searches a CPU second; what is not installed is said and left out.
"""
import sys
import time

import numpy as np

dir_ = sys.argv[1]
n, dims, count = map(int, open(dir_ + "/shape").read().split())
base = np.fromfile(dir_ + "/base.f32", dtype="f4").reshape(n, dims)
query = np.fromfile(dir_ + "/query.f32", dtype="f4").reshape(count, dims)
K = 10
STEPS = [10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 400, 800]


def truth():
    square = (base * base).sum(1)
    out = []
    for q in query:
        d = square - 2 * (base @ q)
        out.append(set(np.argpartition(d, K)[:K]))
    return out


def lines(name, search):
    for ef in STEPS:
        best = None
        for _ in range(3):
            start = time.process_time()
            got = [search(q, ef) for q in query]
            took = time.process_time() - start
            best = took if best is None else min(best, took)
        recall = sum(len(want & set(ids)) for want, ids in zip(right, got)) / K / count
        print(f"{name:14} {ef:5} candidates  recall {recall:.4f}  {count / best:8.0f} searches a CPU second", flush=True)
        if recall >= 0.99:
            break


def run_hnswlib():
    import hnswlib
    start = time.process_time()
    index = hnswlib.Index("l2", dims)
    index.init_index(n, M=16, ef_construction=100)
    index.set_num_threads(1)
    index.add_items(base, num_threads=1)
    print(f"hnswlib: built in {time.process_time() - start:.1f} s")

    def search(q, ef):
        index.set_ef(ef)
        return index.knn_query(q, k=K, num_threads=1)[0][0]
    lines("hnswlib", search)


def run_faiss():
    import faiss
    faiss.omp_set_num_threads(1)
    start = time.process_time()
    index = faiss.IndexHNSWFlat(dims, 16)
    index.hnsw.efConstruction = 100
    index.add(base)
    print(f"faiss {faiss.__version__} HNSW: built in {time.process_time() - start:.1f} s")

    def search(q, ef):
        index.hnsw.efSearch = ef
        return index.search(q[None], K)[1][0]
    lines("faiss HNSW", search)


right = truth()
for run in (run_hnswlib, run_faiss):
    try:
        run()
    except ImportError as e:
        print(f"SKIPPED {run.__name__[4:]}: {e} (pip install hnswlib faiss-cpu numpy)")
