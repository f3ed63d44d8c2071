"""curator_work.py URL FOLDER: curator's command line keeps indices by age, count and name. TAP."""
import os
import subprocess
import sys

from elasticsearch8 import Elasticsearch
from tap import check, done, equal, folder, part, url

es = Elasticsearch(url)
config = os.path.join(folder, "curator.yml")
with open(config, "w") as f:
    f.write("elasticsearch:\n  client:\n    hosts: %s\nlogging:\n  loglevel: INFO\n" % url)


def curator(what, actions):
    path = os.path.join(folder, "actions.yml")
    with open(path, "w") as f:
        f.write("actions:\n  1:\n" + "".join("    %s\n" % line for line in actions.strip("\n").split("\n")))
    r = subprocess.run([os.path.join(os.path.dirname(sys.executable), "curator"), "--config", config, path], capture_output=True, text=True, timeout=120)
    check(r.returncode == 0, what, r.stdout[-700:] + r.stderr[-700:])


def names():
    return sorted(es.indices.get(index="logs-*", expand_wildcards="all"))


with part("curator"):
    for day in range(1, 8):
        es.indices.create(index="logs-2024.05.%02d" % day, settings={"number_of_replicas": 1})
        es.index(index="logs-2024.05.%02d" % day, document={"day": day}, refresh=True)
    curator("delete_indices by age in the name", """
action: delete_indices
options: {ignore_empty_list: false}
filters:
- {filtertype: pattern, kind: prefix, value: logs-}
- {filtertype: age, source: name, direction: older, timestring: '%Y.%m.%d', unit: days, unit_count: 1, epoch: 1714867200}
""")
    equal(names(), ["logs-2024.05.0%d" % d for d in (4, 5, 6, 7)], "old indices are gone")
    curator("replicas", """
action: replicas
options: {count: 0, wait_for_completion: true, max_wait: 60, wait_interval: 1}
filters:
- {filtertype: pattern, kind: prefix, value: logs-}
""")
    equal({es.indices.get_settings(index=n)[n]["settings"]["index"]["number_of_replicas"] for n in names()}, {"0"}, "there are no replicas")
    curator("forcemerge", """
action: forcemerge
options: {max_num_segments: 1, delay: 0, timeout_override: 300, ignore_empty_list: true}
filters:
- {filtertype: pattern, kind: prefix, value: logs-}
""")
    curator("alias", """
action: alias
options: {name: current, ignore_empty_list: false}
add:
  filters:
  - {filtertype: pattern, kind: suffix, value: '07'}
""")
    check("logs-2024.05.07" in es.indices.get_alias(name="current"), "the alias is there")
    curator("close", """
action: close
options: {ignore_empty_list: false}
filters:
- {filtertype: pattern, kind: suffix, value: '04'}
""")
    curator("delete_indices by count", """
action: delete_indices
options: {ignore_empty_list: false}
filters:
- {filtertype: pattern, kind: prefix, value: logs-}
- {filtertype: count, count: 2, use_age: true, source: creation_date, reverse: true}
""")
    equal(len(names()), 2, "two are left")
    curator("index_settings", """
action: index_settings
options: {index_settings: {index: {refresh_interval: 30s}}, ignore_unavailable: false, preserve_existing: false}
filters:
- {filtertype: pattern, kind: prefix, value: logs-}
""")
    curator("create_index", """
action: create_index
options: {name: made, extra_settings: {settings: {number_of_replicas: 0}}}
""")
    curator("reindex", """
action: reindex
options:
  wait_interval: 1
  max_wait: 60
  request_body: {source: {index: logs-2024.05.07}, dest: {index: copied}}
filters:
- {filtertype: none}
""")
    equal(es.count(index="copied")["count"] if not es.indices.refresh(index="copied")["_shards"]["failed"] else 0, 1, "the copy is there")
done()
