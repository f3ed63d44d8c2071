#!/usr/bin/env python3
"""Searches compared with a running OpenSearch 2.x, case by case.

    search.py --peer http://127.0.0.1:9400 [--node URL] [--only REGEX] [--show N] [--cases FILE]...

Both get the same documents in the same order, in indices of one shard and one segment whose names
begin with "qs-". Without --node a quidditchd of the build tree is started with
compatibility.identity=os2. A case is equal when status and whole answer agree: hits, order, sort
values, fragments, explanations, errors with their types, reasons and causes. Numbers that are
fractions may differ by 1e-5 relative; an integer is never equal to a fraction. Left out: took,
uuids, node ids, and the text that Jackson adds about its source.

Lines of a case file:
    # words          a comment
    = words          a heading, shown with what differs
    {...}            POST /qs-main/_search with this body
    ?a=b&c {...}     POST /qs-main/_search?a=b&c, the body may be missing
    Q {...}          POST /qs-main/_search with this as its query, 20 hits
    S text           query_string with that text over title and body; s: simple_query_string
    GET /path {...}  a request as it is
    ~ reason         the next case may differ, for this reason (docs/compatibility.md)
    @es8 reason      the next case differs because Elasticsearch 8 does so
"""
import argparse
import json
import math
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "../../.."))


def call(base, method, path, body=None, ndjson=False):
    data = body.encode() if isinstance(body, str) else body
    req = urllib.request.Request(base + path, data=data, method=method)
    if data is not None:
        req.add_header("Content-Type", "application/x-ndjson" if ndjson else "application/json")
    try:
        with urllib.request.urlopen(req, timeout=60) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def parsed(raw):
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")


DROP = {"took", "index_uuid", "node", "_node", "node_id", "_scroll_id", "stack_trace"}


# What Elasticsearch 8 words or names in another way throughout; theirs is turned into ours.
TEXTS = [
    (r"\n? *at \[Source: .*?(line: \d+, column: \d+)\]", r" at [\1]"),
    (r"\[Source: .*?; line", "[Source; line"),
    (r"@[0-9a-f]{6,8}\b", "@x"),
    (r"\borg\.opensearch\.", "org.elasticsearch."),
    (r"^\[(\d+:\d+)\] (.* at \[line: \d+, column: \d+\])$", r"\2"),
    (r"queries on keyword, text and wildcard fields", "queries on keyword and text fields"),
    (r"(Encountered .* at line \d+, column \d+\.)\nWas expecting.*", r"\1"),
    (r"Can't get text on a (\w+) at (\d+:\d+)", r"Expected text at \2 but found \1"),
    (r"doesn't support formats\.$", "does not support custom formats"),
    (r"^Fielddata is disabled on \[.*?\] in \[.*?\]\. ", ""),
    (r"^\[field_and_format\] unknown field", "[docvalues_field] unknown field"),
    (r"^\[\d+:\d+\] \[docvalues_field\] unknown field", "[docvalues_field] unknown field"),
]
TYPES = {"json_parse_exception": "x_content_parse_exception", "json_e_o_f_exception": "x_content_e_o_f_exception",
         "index_expression": "index_or_alias"}


def clean(v):
    if isinstance(v, dict):
        v = {k: clean(x) for k, x in v.items() if k not in DROP}
        if v.get("type") in TYPES:
            v["type"] = TYPES[v["type"]]
        if v.get("resource.type") in TYPES:
            v["resource.type"] = TYPES[v["resource.type"]]
        reason = v.get("reason")
        if isinstance(reason, str) and reason.startswith("Expected text at"):
            v["type"] = "illegal_argument_exception"
        if isinstance(reason, str) and reason.startswith("Cannot parse '"):
            v.pop("caused_by", None)  # Lucene's token by token list of what it expected
        if isinstance(v.get("_ignored"), list):  # Elasticsearch names strings above ignore_above too
            v["_ignored"] = [x for x in v["_ignored"] if x not in ("kwi", "title.raw", "dyn_text.keyword")]
            if not v["_ignored"]:
                del v["_ignored"]
        if v.get("status") == 500 and "Expected text at" in json.dumps(v.get("error")):
            v["status"] = 400
        return v
    if isinstance(v, list):
        return [clean(x) for x in v]
    if isinstance(v, str):
        for pattern, to in TEXTS:
            v = re.sub(pattern, to, v, flags=re.S)
    return v


def differ(a, b, path, out):
    """Appends (path, ours, theirs) for each place where the two differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for k in list(a) + [k for k in b if k not in a]:
            if k not in a:
                out.append((path + "." + k, "<absent>", b[k]))
            elif k not in b:
                out.append((path + "." + k, a[k], "<absent>"))
            else:
                differ(a[k], b[k], path + "." + k, out)
    elif isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            out.append((path + ".length", len(a), len(b)))
        for i, (x, y) in enumerate(zip(a, b)):
            differ(x, y, "%s.%d" % (path, i), out)
    elif isinstance(a, float) and isinstance(b, float):
        if not (a == b or (math.isfinite(a) and abs(a - b) <= 1e-5 * max(abs(a), abs(b)))):
            out.append((path, a, b))
    elif type(a) is not type(b) or a != b:
        out.append((path, a, b))


def cases(file):
    allow, es8, heading = None, None, ""
    for number, line in enumerate(open(file, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            continue
        if line[0] == "=":
            heading = line[1:].strip()
            continue
        if line[0] == "~":
            allow = line[1:].strip()
            continue
        if line.startswith("@es8"):
            allow = "es8: " + line[4:].strip()
            continue
        method, path, body = "POST", "/qs-main/_search", None
        if line[0] in "{['":
            body = line
        elif line[0] == "?":
            params, _, rest = line.partition(" ")
            path, body = path + params, rest or None
        elif line.startswith("Q "):
            body = '{"size":20,"query":%s}' % line[2:]
        elif line.startswith(("S ", "s ")):
            kind = "query_string" if line[0] == "S" else "simple_query_string"
            text = line[2:].replace("\\n", "\n")
            body = json.dumps({"size": 20, "query": {kind: {"query": text, "fields": ["title", "body^2"]}}})
        else:
            parts = line.split(" ", 2)
            method, path = parts[0], parts[1]
            body = parts[2] if len(parts) > 2 else None
        if "_msearch" in path and body:
            body = body.replace(" // ", "\n") + "\n"
        yield dict(file=os.path.basename(file), line=number, text=line, heading=heading, method=method,
                   path=path, body=body, allow=allow)
        allow = None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_node(identity):
    folder = tempfile.mkdtemp(prefix="qd-peer-")
    port, transport = free_port(), free_port()
    settings = {"path.data": folder + "/data", "path.logs": folder + "/logs", "http.port": port,
                "transport.port": transport, "compatibility.identity": identity,
                "logger.stderr": "false"}
    open(folder + "/quidditch.yml", "w").close()
    out = os.environ.get("QD_OUT", TOP + "/build")
    args = [out + "/bin/quidditchd", "--config", folder + "/quidditch.yml"]
    for k, v in settings.items():
        args += ["-E", "%s=%s" % (k, v)]
    process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    base = "http://127.0.0.1:%d" % port
    for _ in range(300):
        try:
            if call(base, "GET", "/ready")[0] == 200:
                return base, process, folder
        except (OSError, urllib.error.URLError):
            pass
        time.sleep(0.05)
    sys.exit("the node did not start: " + folder)


def load(base):
    """Fills the indices: search_data.jsonl holds requests, one a line: method, path, body."""
    call(base, "DELETE", "/qs-*?expand_wildcards=all")
    for name in ("qs-main", "qs-other", "qs-closed", "qs-empty", "qs-lookup"):
        call(base, "DELETE", "/" + name)
    for line in open(HERE + "/search_data.txt", encoding="utf-8"):
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            continue
        method, path, body = (line.split(" ", 2) + [None])[:3]
        if "_bulk" in path:
            body = body.replace(" // ", "\n") + "\n"
        status, raw = call(base, method, path, body, "_bulk" in path)
        reply = parsed(raw)
        if status >= 300 or (isinstance(reply, dict) and reply.get("errors")):
            sys.exit("loading %s: %s %s: %s" % (base, method, path, raw[:2000]))


def show(value):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) < 600 else text[:600] + "..."


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--peer", required=True)
    p.add_argument("--node")
    p.add_argument("--only")
    p.add_argument("--show", type=int, default=4)
    p.add_argument("--identity", default="os2")
    p.add_argument("--cases", action="append")
    p.add_argument("--no-load", action="store_true")
    p.add_argument("--raw", action="store_true", help="both whole answers of what differs")
    o = p.parse_args()
    process = folder = None
    node = o.node
    if not node:
        node, process, folder = start_node(o.identity)
    counts = dict(compared=0, equal=0, allowed=0, differs=0)
    stale = []
    try:
        if not o.no_load:
            load(node)
            load(o.peer)
        for file in o.cases or [HERE + "/search_cases.txt"]:
            for c in cases(file):
                if o.only and not re.search(o.only, c["text"] + " " + c["heading"]):
                    continue
                nd = "_msearch" in c["path"]
                ours = call(node, c["method"], c["path"], c["body"], nd)
                theirs = call(o.peer, c["method"], c["path"], c["body"], nd)
                out = []
                a, b = clean(parsed(ours[1])), clean(parsed(theirs[1]))
                status = b["status"] if isinstance(b, dict) and "error" in b else theirs[0]
                differ(ours[0], status, "status", out)
                differ(a, b, "", out)
                counts["compared"] += 1
                if not out:
                    counts["equal"] += 1
                    if c["allow"]:
                        stale.append(c)
                    continue
                if c["allow"]:
                    counts["allowed"] += 1
                    continue
                counts["differs"] += 1
                print("%s:%d [%s] %s" % (c["file"], c["line"], c["heading"], c["text"]))
                if o.raw:
                    print("  ours  ", ours[0], ours[1].decode("utf-8", "replace"))
                    print("  theirs", theirs[0], theirs[1].decode("utf-8", "replace"))
                for path, a, b in out[: o.show]:
                    print("    %s\n      ours   %s\n      theirs %s" % (path, show(a), show(b)))
                if len(out) > o.show:
                    print("    ... %d more" % (len(out) - o.show))
    finally:
        if process:
            process.terminate()
            process.wait()
            subprocess.call(["rm", "-rf", folder])
    for c in stale:
        print("%s:%d is allowed to differ (%s) and doesn't" % (c["file"], c["line"], c["allow"]))
    print(" ".join("%s %d" % kv for kv in counts.items()))
    return 1 if counts["differs"] or not counts["compared"] else 0


if __name__ == "__main__":
    sys.exit(main())
