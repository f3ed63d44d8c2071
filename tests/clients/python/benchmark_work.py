"""benchmark_work.py URL FOLDER: esrally or opensearch-benchmark, whichever is there, runs a small track of its own against the node. TAP."""
import json
import os
import subprocess
import sys

from tap import check, done, equal, folder, part, url

bin = os.path.dirname(sys.executable)
rally = os.path.exists(os.path.join(bin, "esrally"))
home = os.path.join(folder, "home")
track = os.path.join(folder, "track")
os.makedirs(home, exist_ok=True)
os.makedirs(track, exist_ok=True)
body = {"settings": {"index.number_of_replicas": 0, "index.number_of_shards": 1}, "mappings": {"dynamic": "strict", "properties": {
    "name": {"type": "text", "fields": {"raw": {"type": "keyword"}}}, "n": {"type": "integer"}, "at": {"type": "date"}, "place": {"type": "geo_point"}}}}
with open(os.path.join(track, "documents.json"), "w") as f:
    for i in range(5000):
        f.write(json.dumps({"name": "place number %d" % i, "n": i, "at": "2024-05-%02dT00:00:00Z" % (i % 28 + 1), "place": {"lat": i % 90, "lon": i % 180}}) + "\n")
with open(os.path.join(track, "index.json"), "w") as f:
    json.dump(body, f)


def search(name, **body):
    return {"operation": {"name": name, "operation-type": "search", "body": body}, "clients": 1, "warmup-iterations": 5, "iterations": 20, "target-throughput": 50}


steps = [{"operation": {"operation-type": "delete-index"}}, {"operation": {"operation-type": "create-index"}},
         {"operation": {"operation-type": "cluster-health", "request-params": {"wait_for_status": "green"}, "retry-until-success": True}},
         {"operation": {"operation-type": "bulk", "bulk-size": 500}, "clients": 2}, {"operation": {"operation-type": "refresh"}}, {"operation": {"operation-type": "force-merge"}},
         {"operation": {"operation-type": "index-stats"}}, {"operation": {"operation-type": "node-stats"}},
         search("default", query={"match_all": {}}), search("term", query={"term": {"name.raw": "place number 7"}}), search("words", query={"match": {"name": "place"}}, sort=[{"n": "desc"}]),
         search("days", size=0, aggs={"days": {"date_histogram": {"field": "at", "calendar_interval": "day"}, "aggs": {"n": {"avg": {"field": "n"}}}}}),
         {"operation": {"name": "scroll", "operation-type": "search", "pages": 5, "results-per-page": 500, "body": {"query": {"match_all": {}}}}, "clients": 1, "iterations": 3}]
made = {"version": 2, "description": "a small track", "indices": [{"name": "places", "body": "index.json"}],
        "corpora": [{"name": "places", "documents": [{"source-file": "documents.json", "document-count": 5000, "uncompressed-bytes": os.path.getsize(os.path.join(track, "documents.json"))}]}],
        "schedule": steps}
with open(os.path.join(track, "track.json" if rally else "workload.json"), "w") as f:
    json.dump(made, f)

with part("a track"):
    hosts = url.replace("http://", "")
    command = [os.path.join(bin, "esrally"), "race", "--pipeline=benchmark-only", "--offline", "--track-path=" + track, "--target-hosts=" + hosts, "--kill-running-processes"] if rally else \
        [os.path.join(bin, "opensearch-benchmark"), "run" if "run" in subprocess.run([os.path.join(bin, "opensearch-benchmark"), "-h"], capture_output=True, text=True).stdout.split("{")[1].split("}")[0].split(",") else "execute-test",
         "--pipeline=benchmark-only", "--offline", "--workload-path=" + track, "--target-hosts=" + hosts]
    report = os.path.join(folder, "report.csv")
    env = dict(os.environ, HOME=home, THESPLOG_FILE=os.path.join(home, "actor.log"))
    r = subprocess.run(command + ["--on-error=abort", "--report-format=csv", "--report-file=" + report], capture_output=True, text=True, timeout=500, env=env, cwd=folder)
    check(r.returncode == 0, "it comes to its end", r.stdout[-1500:] + r.stderr[-800:])
    rows = [line.strip().split(",") for line in open(report)]
    rates = {row[1]: float(row[2]) for row in rows if row[0] == "error rate"}
    check({"bulk", "default", "term", "words", "days", "scroll"} <= set(rates), "every task is in the report", rates)
    equal({t: e for t, e in rates.items() if e}, {}, "no task has errors")
done()
