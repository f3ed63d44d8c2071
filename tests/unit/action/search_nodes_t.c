/*
 * search_nodes_t.c: searches over three nodes answer byte for byte what one node answers over the
 * same documents, whichever node is asked: hits, sorts, aggregations, scrolls, points in time, many
 * searches at once. What differs by nature (times, ids) is blanked.
 */
#include "lib/action_cluster.h"
#include "unit/unit.h"
#include <stdio.h>
#include <stdlib.h>

#define DOCS 240u
#define NODES 3u

static const char *const index_x =
    "{\"settings\":{\"number_of_shards\":7,\"number_of_replicas\":0,\"refresh_interval\":\"-1\"},"
    "\"mappings\":{\"properties\":{\"words\":{\"type\":\"text\"},\"tag\":{\"type\":\"keyword\"},"
    "\"n\":{\"type\":\"long\"},\"d\":{\"type\":\"double\"},\"t\":{\"type\":\"date\"},"
    "\"ip\":{\"type\":\"ip\"},\"b\":{\"type\":\"boolean\"},\"m\":{\"type\":\"integer\"}}},"
    "\"aliases\":{\"odd\":{\"filter\":{\"term\":{\"b\":true}}}}}";
static const char *const index_y =
    "{\"settings\":{\"number_of_shards\":2,\"number_of_replicas\":0,\"refresh_interval\":\"-1\"},"
    "\"mappings\":{\"properties\":{\"words\":{\"type\":\"text\"},\"tag\":{\"type\":\"keyword\"},"
    "\"n\":{\"type\":\"double\"},\"t\":{\"type\":\"date\"},\"only_y\":{\"type\":\"long\"}}}}";

static void fill(action_cluster *c)
{
    static const char *const words[] = {"red", "green", "blue", "quick", "brown", "fox", "lazy"};
    char id[16], body[512];
    uint64_t r = 7;
    action_cluster_index(c, "x", index_x);
    action_cluster_index(c, "y", index_y);
    for (uint32_t i = 0; i < DOCS; i++) {
        r = r * 6364136223846793005ull + 1442695040888963407ull;
        uint32_t v = (uint32_t)(r >> 33);
        snprintf(id, sizeof id, "%u", i);
        snprintf(body, sizeof body,
                 "{\"words\":\"%s %s %s common\",\"tag\":\"t%u\",\"n\":%u,\"d\":%.3f,"
                 "\"t\":\"20%02u-%02u-%02uT0%u:00:00Z\",\"ip\":\"10.0.%u.%u\",\"b\":%s%s}",
                 words[v % 7], words[v / 7 % 7], words[v / 49 % 7], v % 11, v % 997,
                 (double)(v % 10007) / 7, 10 + i / 24, 1 + v % 12, 1 + v % 28, v % 10, v % 3,
                 v % 256, i % 2 ? "true" : "false", i % 5 ? ",\"m\":3" : "");
        action_cluster_put(c, "x", id, body);
        if (i % 4) continue;
        snprintf(body, sizeof body,
                 "{\"words\":\"%s common\",\"tag\":\"t%u\",\"n\":%.2f,\"only_y\":%u,"
                 "\"t\":\"2035-01-%02uT00:00:00Z\"}",
                 words[v % 7], v % 5, (double)(v % 997) + 0.25, i, 1 + v % 28);
        action_cluster_put(c, "y", id, body);
    }
    for (uint32_t i = 0; i < DOCS; i += 17) {
        snprintf(id, sizeof id, "%u", i);
        action_cluster_delete(c, "x", id);
    }
    action_cluster_refresh(c);
    /* a slow machine may have written segments between: what was deleted counts as long as it is
     * there */
    assert_int_equal(action_cluster_call(c, 0, "POST", "/_forcemerge?max_num_segments=1", NULL),
                     200);
    action_cluster_refresh(c);
}

/* --- comparing --- */

static const char *const blanked[] = {
    "\"took\":",       "\"time_in_nanos\":", "\"next_doc\":", "\"_node\":",     "\"node\":",
    "\"_scroll_id\":", "\"pit_id\":",        "\"id\":\"[",    "\"index_uuid\":"};

/* " in 27)": the number of a document in its segment, which depends on when segments were cut. */
static size_t number_in_segment(const char *text)
{
    if (strncmp(text, " in ", 4) != 0) return 0;
    size_t n = 4 + strspn(text + 4, "0123456789");
    return n > 4 && text[n] == ')' ? n : 0;
}

/* The answer with what differs by nature left out. */
static char *blank(const char *text)
{
    size_t n = strlen(text), k = 0;
    char *out = malloc(n + 1);
    assert_non_null(out);
    for (size_t i = 0; i < n;) {
        size_t skip = 0;
        for (size_t b = 0; b < QD_COUNT_OF(blanked) && !skip; b++) {
            size_t len = strlen(blanked[b]);
            if (strncmp(text + i, blanked[b], len) != 0) continue;
            skip = len;
            while (i + skip < n && text[i + skip] != ',' && text[i + skip] != '}') skip++;
        }
        if (!skip) skip = number_in_segment(text + i);
        if (skip)
            i += skip;
        else
            out[k++] = text[i++];
    }
    out[k] = 0;
    return out;
}

typedef struct both {
    action_cluster *one, *many;
} both;

static int open_both(void **state)
{
    both *b = calloc(1, sizeof *b);
    if (!b) return -1;
    b->one = action_cluster_open(1, NULL);
    b->many = action_cluster_open(NODES, NULL);
    fill(b->one);
    fill(b->many);
    for (uint32_t i = 0; i < NODES; i++) {
        if (!action_cluster_shards(b->many, i, "x")) return -1; /* nothing would be asked of it */
    }
    *state = b;
    return 0;
}

static int close_both(void **state)
{
    both *b = *state;
    action_cluster_close(b->one);
    action_cluster_close(b->many);
    free(b);
    return 0;
}

static void same(both *b, const char *method, const char *path, const char *body)
{
    int status = action_cluster_call(b->one, 0, method, path, body);
    char *want = blank(action_cluster_body(b->one));
    for (uint32_t i = 0; i < NODES; i++) {
        int got_status = action_cluster_call(b->many, i, method, path, body);
        char *got = blank(action_cluster_body(b->many));
        if (got_status != status || strcmp(got, want) != 0) {
            size_t at = 0;
            while (want[at] && want[at] == got[at]) at++;
            fprintf(stderr, "# node %u: %s %s %s\n# is   %.160s\n# want %.160s\n", i, method, path,
                    body ? body : "", got + (at > 40 ? at - 40 : 0),
                    want + (at > 40 ? at - 40 : 0));
        }
        assert_string_equal(got, want);
        assert_int_equal(got_status, status);
        free(got);
    }
    free(want);
}

/* --- requests --- */

static const char *const bodies[] = {
    "{}",
    "{\"query\":{\"match\":{\"words\":\"quick fox\"}},\"size\":20}",
    "{\"query\":{\"match\":{\"words\":\"quick fox\"}},\"from\":15,\"size\":7,\"version\":true,"
    "\"seq_no_primary_term\":true}",
    "{\"query\":{\"match_all\":{}},\"sort\":[{\"n\":\"desc\"},{\"tag\":\"asc\"},\"_doc\"],"
    "\"size\":30}",
    "{\"sort\":[{\"tag\":\"desc\"},{\"d\":{\"order\":\"asc\",\"missing\":\"_first\"}}],\"size\":9,"
    "\"track_scores\":true,\"query\":{\"match\":{\"words\":\"red\"}}}",
    "{\"sort\":[{\"m\":{\"order\":\"asc\",\"missing\":-1}},{\"n\":\"asc\"}],\"size\":40,"
    "\"docvalue_fields\":[\"t\",\"ip\"],\"_source\":false}",
    "{\"sort\":[{\"t\":{\"order\":\"desc\",\"format\":\"yyyy-MM-dd\"}},{\"n\":\"asc\"}],\"size\":5,"
    "\"fields\":[\"n\",\"tag\",\"t\"]}",
    "{\"sort\":[{\"n\":\"asc\"},{\"_score\":\"desc\"}],\"size\":4,\"search_after\":[500,1.0],"
    "\"query\":{\"match\":{\"words\":\"common\"}}}",
    "{\"sort\":[{\"ip\":\"asc\"}],\"size\":6,\"track_total_hits\":5}",
    "{\"query\":{\"bool\":{\"must\":{\"match\":{\"words\":{\"query\":\"blue\",\"_name\":\"b\"}}},"
    "\"should\":{\"term\":{\"tag\":{\"value\":\"t3\",\"_name\":\"tag\"}}}}},"
    "\"highlight\":{\"fields\":{\"words\":{}}},\"size\":8}",
    "{\"query\":{\"match\":{\"words\":\"lazy\"}},\"explain\":true,\"size\":3}",
    "{\"query\":{\"match\":{\"words\":\"lazy\"}},\"post_filter\":{\"term\":{\"b\":true}},"
    "\"aggs\":{\"t\":{\"terms\":{\"field\":\"tag\"}}},\"size\":4}",
    "{\"query\":{\"match\":{\"words\":\"lazy\"}},\"min_score\":0.9}",
    "{\"query\":{\"match\":{\"words\":\"common\"}},\"terminate_after\":3,\"size\":50}",
    "{\"query\":{\"match\":{\"words\":\"common\"}},\"track_total_hits\":false}",
    "{\"query\":{\"match\":{\"words\":\"common\"}},\"track_total_hits\":true,\"size\":0}",
    "{\"query\":{\"range\":{\"n\":{\"gte\":900}}},\"stored_fields\":\"_none_\"}",
    "{\"query\":{\"ids\":{\"values\":[\"1\",\"2\",\"3\",\"200\"]}},\"profile\":true}",
    "{\"query\":{\"match\":{\"words\":\"nowhere\"}}}",
    "{\"size\":0,\"aggs\":{\"t\":{\"terms\":{\"field\":\"tag\",\"size\":3,\"shard_size\":4,"
    "\"show_term_doc_count_error\":true},\"aggs\":{\"s\":{\"stats\":{\"field\":\"d\"}},"
    "\"h\":{\"top_hits\":{\"size\":2,\"sort\":[{\"n\":\"desc\"}],\"_source\":[\"n\"]}}}}}}",
    "{\"size\":0,\"aggs\":{\"h\":{\"histogram\":{\"field\":\"n\",\"interval\":100},\"aggs\":"
    "{\"d\":{\"avg\":{\"field\":\"d\"}},\"c\":{\"cumulative_sum\":{\"buckets_path\":\"_count\"}}}},"
    "\"m\":{\"date_histogram\":{\"field\":\"t\",\"calendar_interval\":\"year\"},\"aggs\":"
    "{\"u\":{\"cardinality\":{\"field\":\"n\"}}}},\"x\":{\"max_bucket\":{\"buckets_path\":\"h>d\"}}"
    "}}",
    "{\"size\":0,\"aggs\":{\"p\":{\"percentiles\":{\"field\":\"d\"}},\"q\":{\"percentiles\":"
    "{\"field\":\"n\",\"hdr\":{}}},\"e\":{\"extended_stats\":{\"field\":\"d\"}},"
    "\"g\":{\"global\":{},\"aggs\":{\"c\":{\"value_count\":{\"field\":\"n\"}}}},"
    "\"w\":{\"weighted_avg\":{\"value\":{\"field\":\"d\"},\"weight\":{\"field\":\"n\"}}}},"
    "\"query\":{\"term\":{\"tag\":\"t4\"}}}",
    "{\"size\":0,\"aggs\":{\"c\":{\"composite\":{\"size\":9,\"sources\":[{\"t\":{\"terms\":"
    "{\"field\":\"tag\"}}},{\"b\":{\"terms\":{\"field\":\"b\"}}}]},\"aggs\":{\"m\":{\"max\":"
    "{\"field\":\"n\"}}}}}}",
    "{\"size\":1,\"aggs\":{\"r\":{\"range\":{\"field\":\"n\",\"ranges\":[{\"to\":100},"
    "{\"from\":100}]},\"aggs\":{\"f\":{\"filters\":{\"filters\":{\"r\":{\"match\":{\"words\":"
    "\"red\"}}},\"other_bucket\":true}}}},\"i\":{\"ip_range\":{\"field\":\"ip\",\"ranges\":"
    "[{\"mask\":\"10.0.1.0/24\"}]}}}}",
    "{\"query\":{\"match\":{\"gone\":\"x\"}},\"aggs\":{\"t\":{\"terms\":{\"field\":\"gone\"}}}}",
    "{\"query\":{\"range\":{\"t\":{\"gte\":\"2019-01-01\",\"lt\":\"2020-01-01\"}}},"
    "\"sort\":[{\"t\":\"asc\"},{\"n\":\"asc\"}]}",
    "{\"query\":{\"terms\":{\"tag\":[\"t1\",\"t2\"]}},\"sort\":[\"_score\",{\"n\":\"asc\"}],"
    "\"size\":15}",
    "{\"query\":{\"terms\":{\"n\":{\"index\":\"x\",\"id\":\"8\",\"path\":\"n\"}}}}",
    "{\"query\":{\"bool\":{\"should\":[{\"terms\":{\"tag\":{\"index\":\"x\",\"id\":\"3\",\"path\":"
    "\"tag\"}}},"
    "{\"terms\":{\"tag\":{\"index\":\"x\",\"id\":\"9\",\"path\":\"tag\"}}}]}},\"size\":50}",
    "{\"sort\":[{\"words\":\"asc\"}]}",
    "{\"query\":{\"term\":{\"n\":\"word\"}}}",
    "{\"size\":20000}",
};

static void searches(void **state)
{
    both *b = *state;
    for (size_t i = 0; i < QD_COUNT_OF(bodies); i++) {
        same(b, "POST", "/x/_search", bodies[i]);
        same(b, "POST", "/_search", bodies[i]);
        same(b, "POST", "/odd,y/_search", bodies[i]);
        same(b, "POST", "/x/_search?search_type=dfs_query_then_fetch", bodies[i]);
    }
    for (size_t i = 0; i < 12; i++) {
        same(b, "POST", "/x/_search?routing=3", bodies[i]);
        same(b, "POST", "/y/_search?typed_keys&rest_total_hits_as_int=true", bodies[i]);
        same(b, "POST", "/x/_search?preference=_shards:1,4", bodies[i]);
        same(b, "POST", "/x/_search?preference=one&batched_reduce_size=2", bodies[i]);
    }
}

static void others(void **state)
{
    both *b = *state;
    same(b, "GET", "/x/_count", "{\"query\":{\"match\":{\"words\":\"red\"}}}");
    same(b, "GET", "/_count?q=tag:t1", NULL);
    same(b, "GET", "/x/_count?terminate_after=2&q=words:common", NULL);
    same(b, "GET", "/gone/_search", NULL);
    same(b, "GET", "/x/_search?q=words:fox&sort=n:desc&size=3&_source_includes=n", NULL);
    same(b, "POST", "/_msearch",
         "{\"index\":\"x\"}\n{\"query\":{\"match\":{\"words\":\"red\"}},\"size\":2}\n"
         "{\"index\":\"gone\"}\n{}\n{\"index\":\"x,y\",\"search_type\":\"dfs_query_then_fetch\"}\n"
         "{\"aggs\":{\"t\":{\"terms\":{\"field\":\"tag\"}}}}\n");
}

/* --- scrolls and points in time --- */

/* A text member of an answer; to be freed. */
static char *text_of(const char *answer, const char *key)
{
    char look[64];
    snprintf(look, sizeof look, "\"%s\":\"", key);
    const char *p = strstr(answer, look);
    if (!p) return NULL;
    p += strlen(look);
    size_t n = strcspn(p, "\"");
    char *out = malloc(n + 1);
    assert_non_null(out);
    memcpy(out, p, n);
    out[n] = 0;
    return out;
}

/* All pages of a scroll, one behind the other; each is asked of the next node. */
static char *pages(action_cluster *c, uint32_t nodes, uint32_t first, const char *path,
                   const char *body)
{
    qd_buf all;
    qd_buf_init(&all, NULL, 1 << 28);
    uint32_t at = first;
    assert_int_equal(action_cluster_call(c, at, "POST", path, body), 200);
    for (uint32_t page = 0;; page++) {
        char next[8192];
        char *id = text_of(action_cluster_body(c), "_scroll_id");
        char *shown = blank(action_cluster_body(c));
        bool last = strstr(shown, "\"hits\":[]") != NULL;
        assert_non_null(id);
        (void)qd_buf_str(&all, qd_str_c(shown));
        free(shown);
        at = (at + 1) % nodes;
        snprintf(next, sizeof next, "{\"scroll\":\"1m\",\"scroll_id\":\"%s\"}", id);
        if (last || page == 200) {
            snprintf(next, sizeof next, "{\"scroll_id\":[\"%s\"]}", id);
            assert_int_equal(action_cluster_call(c, at, "DELETE", "/_search/scroll", next), 200);
            assert_non_null(strstr(action_cluster_body(c), "\"num_freed\":1"));
            assert_int_equal(action_cluster_call(c, at, "DELETE", "/_search/scroll", next), 404);
            snprintf(next, sizeof next, "{\"scroll_id\":\"%s\"}", id);
            assert_int_equal(action_cluster_call(c, at, "POST", "/_search/scroll", next), 404);
            free(id);
            break;
        }
        assert_int_equal(action_cluster_call(c, at, "POST", "/_search/scroll", next), 200);
        free(id);
    }
    return all.p;
}

static void scrolls(void **state)
{
    both *b = *state;
    static const char *const asked[] = {
        "{\"size\":13}",
        "{\"size\":20,\"query\":{\"match\":{\"words\":\"red fox\"}}}",
        "{\"size\":17,\"sort\":[{\"n\":\"desc\"},{\"tag\":\"asc\"}]}",
        "{\"size\":50,\"sort\":[\"_doc\"],\"aggs\":{\"t\":{\"terms\":{\"field\":\"tag\"}}}}",
        "{\"size\":31,\"slice\":{\"id\":1,\"max\":3}}",
        "{\"size\":9,\"query\":{\"match\":{\"words\":\"nowhere\"}}}",
    };
    for (size_t i = 0; i < QD_COUNT_OF(asked); i++) {
        static const char *const paths[] = {"/x/_search?scroll=1m", "/_search?scroll=1m"};
        for (uint32_t p = 0; p < 2; p++) {
            char *want = pages(b->one, 1, 0, paths[p], asked[i]);
            for (uint32_t first = 0; first < NODES; first++) {
                char *got = pages(b->many, NODES, first, paths[p], asked[i]);
                assert_string_equal(got, want);
                qd_free(got);
            }
            qd_free(want);
        }
    }
    for (uint32_t i = 0; i < NODES; i++) {
        assert_int_equal(qd_scrolls_count(action_cluster_actions(b->many, i)), 0);
    }
}

static char *open_pit(action_cluster *c, uint32_t node)
{
    assert_int_equal(action_cluster_call(c, node, "POST", "/odd,y/_pit?keep_alive=1m", NULL), 200);
    char *id = text_of(action_cluster_body(c), "id");
    assert_non_null(id);
    return id;
}

static char *search_pit(action_cluster *c, uint32_t node, const char *id, const char *rest)
{
    char body[8192];
    snprintf(body, sizeof body, "{\"pit\":{\"id\":\"%s\",\"keep_alive\":\"2m\"}%s}", id, rest);
    int status = action_cluster_call(c, node, "POST", "/_search", body);
    if (status != 200) fprintf(stderr, "# %s\n", action_cluster_body(c));
    assert_int_equal(status, 200);
    return blank(action_cluster_body(c));
}

/* Pages behind each other by a sort: every document once, whichever node is asked. */
static void walk(action_cluster *c, uint32_t nodes, const char *id, const char *sort)
{
    char rest[256], last[64] = "";
    uint32_t seen = 0;
    for (uint32_t page = 0; page < 60; page++) {
        snprintf(rest, sizeof rest, ",\"size\":7,\"track_total_hits\":true,\"sort\":[%s]%s", sort,
                 last);
        char *got = search_pit(c, page % nodes, id, rest);
        uint32_t n = 0;
        const char *end = NULL;
        for (const char *p = got; (p = strstr(p, "\"sort\":[")); p++, n++) end = p + 7;
        if (n) snprintf(last, sizeof last, ",\"search_after\":%.*s]", (int)strcspn(end, "]"), end);
        const char *total = strstr(got, "\"value\":");
        assert_non_null(total);
        seen += n;
        uint32_t all = (uint32_t)atoi(total + 8);
        free(got);
        if (n) continue;
        assert_int_equal(seen, all);
        return;
    }
    fail_msg("%u documents and no end", seen);
}

static void points_in_time(void **state)
{
    both *b = *state;
    static const char *const asked[] = {
        ",\"size\":30,\"sort\":[{\"t\":\"asc\"}]",
        ",\"size\":4,\"query\":{\"match\":{\"words\":\"red\"}}",
        ",\"size\":0,\"aggs\":{\"t\":{\"terms\":{\"field\":\"tag\"}}}",
        ",\"size\":7,\"sort\":[{\"n\":\"desc\"}],\"search_after\":[300]",
        ",\"size\":9,\"slice\":{\"id\":0,\"max\":2}",
        ",\"size\":40,\"sort\":[{\"tag\":\"asc\"}]",
        ",\"size\":9,\"sort\":[{\"tag\":\"asc\"},{\"_shard_doc\":\"asc\"}],"
        "\"search_after\":[\"t1\",12884901890]",
        ",\"size\":9,\"sort\":[{\"tag\":\"asc\"},{\"_shard_doc\":\"desc\"}],"
        "\"search_after\":[\"t1\",12884901890]",
    };
    /* also those with many hits for one value: by shard and document they are told apart */
    static const char *const sorts[] = {
        "{\"_shard_doc\":\"asc\"}",
        "{\"_shard_doc\":\"desc\"}",
        "{\"tag\":\"asc\"}",
        "\"_score\"",
        "{\"tag\":\"desc\"},{\"_shard_doc\":\"desc\"}",
    };
    char body[8192], *want[QD_COUNT_OF(asked)];
    char *one = open_pit(b->one, 0), *many = open_pit(b->many, 1);
    for (size_t i = 0; i < QD_COUNT_OF(sorts); i++) {
        walk(b->one, 1, one, sorts[i]);
        walk(b->many, NODES, many, sorts[i]);
    }
    for (size_t i = 0; i < QD_COUNT_OF(asked); i++) want[i] = search_pit(b->one, 0, one, asked[i]);
    action_cluster_put(b->one, "x", "new", "{\"words\":\"red\",\"b\":true,\"n\":5}");
    action_cluster_put(b->many, "x", "new", "{\"words\":\"red\",\"b\":true,\"n\":5}");
    action_cluster_refresh(b->one);
    action_cluster_refresh(b->many);
    for (size_t i = 0; i < QD_COUNT_OF(asked); i++) {
        for (uint32_t node = 0; node < NODES; node++) {
            char *got = search_pit(b->many, node, many, asked[i]);
            assert_string_equal(got, want[i]);
            free(got);
        }
        free(want[i]);
    }
    snprintf(body, sizeof body, "{\"id\":\"%s\"}", many);
    assert_int_equal(action_cluster_call(b->many, 2, "DELETE", "/_pit", body), 200);
    assert_int_equal(action_cluster_call(b->many, 0, "DELETE", "/_pit", body), 404);
    snprintf(body, sizeof body, "{\"pit\":{\"id\":\"%s\"}}", many);
    assert_int_equal(action_cluster_call(b->many, 0, "POST", "/_search", body), 404);
    assert_int_equal(action_cluster_call(b->many, 0, "POST", "/x/_search", body), 400);
    snprintf(body, sizeof body, "{\"id\":\"%s\"}", one);
    assert_int_equal(action_cluster_call(b->one, 0, "DELETE", "/_pit", body), 200);
    free(one);
    free(many);
    action_cluster_delete(b->one, "x", "new");
    action_cluster_delete(b->many, "x", "new");
    action_cluster_refresh(b->one);
    action_cluster_refresh(b->many);
}

/* --- shards that cannot match --- */

static void shards_are_skipped(void **state)
{
    both *b = *state;
    action_cluster_index(b->many, "old", index_y);
    action_cluster_put(b->many, "old", "1", "{\"t\":\"1990-05-05T00:00:00Z\",\"n\":1}");
    action_cluster_put(b->many, "old", "2", "{\"t\":\"1991-05-05T00:00:00Z\",\"n\":2}");
    action_cluster_refresh(b->many);
    for (uint32_t i = 0; i < NODES; i++) {
        assert_int_equal(
            action_cluster_call(b->many, i, "POST", "/_search?pre_filter_shard_size=1",
                                "{\"query\":{\"range\":{\"t\":{\"lt\":\"1990-12-31\"}}}}"),
            200);
        assert_non_null(strstr(action_cluster_body(b->many),
                               "\"total\":11,\"successful\":11,\"skipped\":10,\"failed\":0"));
        assert_non_null(strstr(action_cluster_body(b->many), "\"_id\":\"1\""));
        assert_int_equal(
            action_cluster_call(b->many, i, "POST", "/_search?pre_filter_shard_size=1",
                                "{\"query\":{\"range\":{\"t\":{\"lt\":\"1890-12-31\"}}}}"),
            200);
        assert_non_null(strstr(action_cluster_body(b->many), "\"skipped\":10,\"failed\":0"));
        assert_int_equal(
            action_cluster_call(b->many, i, "POST", "/_search",
                                "{\"query\":{\"range\":{\"t\":{\"lt\":\"1990-12-31\"}}}}"),
            200);
        assert_non_null(strstr(action_cluster_body(b->many), "\"skipped\":0,\"failed\":0"));
    }
    assert_int_equal(action_cluster_call(b->many, 0, "DELETE", "/old", NULL), 200);
}

/* --- what one shard's node answers --- */

static void explanations(void **state)
{
    both *b = *state;
    for (int id = 1; id < 40; id += 3) {
        char path[64];
        snprintf(path, sizeof path, "/x/_explain/%d", id);
        same(b, "POST", path, "{\"query\":{\"match\":{\"words\":\"red fox common\"}}}");
    }
    same(b, "POST", "/x/_explain/nobody", "{\"query\":{\"match_all\":{}}}");
    same(b, "POST", "/x/_validate/query?explain=true",
         "{\"query\":{\"match\":{\"words\":\"red\"}}}");
    same(b, "GET", "/x,y/_field_caps?fields=*", NULL);
}

static void deletions(void **state)
{
    both *b = *state;
    char path[64];
    action_cluster *all[] = {b->one, b->many};
    static const char *const more[NODES] = {"&max_docs=4", "&pretty"};
    for (uint32_t node = 0; node < NODES; node++) {
        snprintf(path, sizeof path, "/x/_delete_by_query?refresh=true%s",
                 more[node] ? more[node] : "");
        for (int k = 0; k < 2; k++) {
            char body[128];
            snprintf(body, sizeof body, "{\"query\":{\"term\":{\"tag\":\"t%u\"}}}", node);
            int status = action_cluster_call(all[k], k ? node : 0, "POST", path, body);
            if (status != 200) fprintf(stderr, "# %s\n", action_cluster_body(all[k]));
            assert_int_equal(status, 200);
            if (!node) assert_non_null(strstr(action_cluster_body(all[k]), "\"deleted\":4,"));
        }
        if (node)
            same(b, "POST", "/x/_search",
                 "{\"size\":200,\"sort\":[{\"n\":\"asc\"},{\"d\":\"asc\"}],\"query\":{\"bool\":{"
                 "\"must_not\":{\"term\":{\"tag\":\"t0\"}}}}}");
    }
}

/* A shard with too few copies keeps its documents, and the answer says why. */
static void deletions_wait_for_copies(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(NODES, NULL);
    action_cluster_index(c, "one",
                         "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":0}}");
    action_cluster_put(c, "one", "1", "{\"a\":1}");
    action_cluster_refresh(c);
    for (uint32_t i = 0; i < NODES; i++) { /* of the node with the shard, and of others */
        assert_int_equal(action_cluster_call(
                             c, i, "POST",
                             "/one/_delete_by_query?pretty&wait_for_active_shards=2&timeout=20ms",
                             "{\"query\":{\"match_all\":{}}}"),
                         503);
        assert_non_null(strstr(action_cluster_body(c), "\n  \"deleted\" : 0,"));
        assert_non_null(strstr(action_cluster_body(c), "\"unavailable_shards_exception\""));
        assert_int_equal(
            action_cluster_call(c, i, "POST",
                                "/one/_delete_by_query?wait_for_active_shards=2&timeout=20ms",
                                "{\"query\":{\"match_all\":{}}}"),
            503);
        assert_non_null(strstr(action_cluster_body(c), "\"deleted\":0,"));
        assert_non_null(strstr(action_cluster_body(c), "unavailable_shards_exception"));
        assert_non_null(strstr(action_cluster_body(c), "Not enough active copies"));
        assert_int_equal(action_cluster_call(c, i, "POST",
                                             "/one/_delete_by_query?wait_for_active_shards=-1",
                                             "{\"query\":{\"match_all\":{}}}"),
                         400);
    }
    assert_int_equal(action_cluster_call(c, 1, "POST",
                                         "/one/_delete_by_query?wait_for_active_shards=1",
                                         "{\"query\":{\"match_all\":{}}}"),
                     200);
    assert_non_null(strstr(action_cluster_body(c), "\"deleted\":1,"));
    action_cluster_close(c);
}

static void wait_for_docs(action_cluster *c, const char *text)
{
    uint64_t end = qd_env_mono_ns(qd_env_system()) + UINT64_C(60000000000);
    do {
        action_cluster_refresh(c);
        assert_int_equal(action_cluster_call(c, 0, "GET", "/one/_count", NULL), 200);
        if (strstr(action_cluster_body(c), text)) return;
    } while (qd_env_mono_ns(qd_env_system()) < end);
    fail_msg("%s: %s", text, action_cluster_body(c));
}

/* It waits between batches as long as it was told to; cancelled then, it says what it has done. */
static void deletions_have_a_pace(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(NODES, NULL);
    action_cluster_index(c, "one",
                         "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":0}}");
    for (int i = 0; i < 8; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        action_cluster_put(c, "one", id, "{\"a\":1}");
    }
    action_cluster_refresh(c);
    for (uint32_t i = 0; i < NODES; i++) {
        char left[32];
        action_errand *e = action_cluster_start(
            c, i, "POST", "/one/_delete_by_query?scroll_size=1&requests_per_second=0.001",
            "{\"query\":{\"match_all\":{}}}");
        snprintf(left, sizeof left, "\"count\":%u,", 7 - i);
        wait_for_docs(c, left);
        assert_int_equal(
            action_cluster_call(c, (i + 1) % NODES, "POST",
                                "/_tasks/_cancel?actions=indices:data/write/delete/byquery", NULL),
            200);
        int status = action_cluster_wait(c, e);
        const char *body = action_cluster_body(c);
        assert_non_null(strstr(body, "\"canceled\":\"by user request\""));
        assert_int_equal(status, 200);
        assert_non_null(strstr(body, "\"deleted\":1,"));
        assert_non_null(strstr(body, "\"failures\":[]"));
        assert_non_null(strstr(body, "\"requests_per_second\":0.001,"));
        wait_for_docs(c, left);
    }
    action_cluster_close(c);
}

/* --- a node that does not answer --- */

/* A figure of the request cache, over all nodes. */
static long cached(action_cluster *c, uint32_t node, const char *name)
{
    char field[64];
    assert_int_equal(action_cluster_call(c, node, "GET", "/one/_stats/request_cache", NULL), 200);
    snprintf(field, sizeof field, "\"%s\":", name);
    const char *at = strstr(action_cluster_body(c), field);
    assert_non_null(at);
    return strtol(at + strlen(field), NULL, 10);
}

/* Caches are cleared on all nodes, whichever is asked. */
static void caches_are_cleared_everywhere(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(NODES, NULL);
    action_cluster_index(c, "one",
                         "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":0}}");
    action_cluster_put(c, "one", "1", "{\"a\":1}");
    action_cluster_refresh(c);
    for (uint32_t i = 0; i < NODES; i++) { /* the node of the shard keeps the answer */
        assert_int_equal(action_cluster_call(c, i, "GET", "/one/_search?size=0", NULL), 200);
    }
    for (uint32_t i = 0; i < NODES; i++) {
        assert_int_equal(action_cluster_call(c, i, "GET", "/one/_search?size=0", NULL), 200);
        assert_true(cached(c, i, "memory_size_in_bytes") > 0);
        assert_int_equal(action_cluster_call(c, i, "POST", "/one/_cache/clear?request=false", NULL),
                         200);
        assert_true(cached(c, i, "memory_size_in_bytes") > 0);
        assert_int_equal(action_cluster_call(c, i, "POST", "/one/_cache/clear", NULL), 200);
        assert_string_equal(action_cluster_body(c),
                            "{\"_shards\":{\"total\":1,\"successful\":1,\"failed\":0}}");
        assert_int_equal(cached(c, i, "memory_size_in_bytes"), 0);
        for (uint32_t k = 0; k < NODES; k++)
            assert_int_equal(action_cluster_call(c, k, "GET", "/one/_search?size=0", NULL), 200);
    }
    action_cluster_close(c);
}

static char *next_of(action_cluster *c, char *next, size_t n)
{
    char *id = text_of(action_cluster_body(c), "_scroll_id");
    snprintf(next, n, "{\"scroll\":\"1m\",\"scroll_id\":\"%s\"}", id);
    free(id);
    return next;
}

/* Counts the hits of an answer; each only once in all. */
static uint32_t note_hits(const char *answer, bool *seen)
{
    uint32_t n = 0;
    for (const char *p = answer; (p = strstr(p, "\"_id\":\"")); n++) {
        unsigned long id = strtoul(p += strlen("\"_id\":\""), NULL, 10);
        assert_true(id < DOCS);
        assert_false(seen[id]);
        seen[id] = true;
    }
    return n;
}

/* The next page asked for at all nodes at once: who comes late is told so or gets a page of its
 * own: nothing is given twice, nothing is left out. */
static void a_page_is_asked_for_twice(void **state)
{
    both *b = *state;
    char next[8192];
    for (int round = 0; round < 6; round++) {
        action_errand *e[2 * NODES];
        bool seen[DOCS] = {false};
        uint32_t all = 0, page;
        assert_int_equal(action_cluster_call(b->many, 0, "GET", "/x/_count", NULL), 200);
        unsigned long there =
            strtoul(action_cluster_body(b->many) + strlen("{\"count\":"), NULL, 10);
        int begun = action_cluster_call(b->many, 0, "POST", "/x/_search?scroll=1m",
                                        "{\"size\":9,\"sort\":[{\"n\":\"desc\"}]}");
        if (begun != 200) fprintf(stderr, "# %s\n", action_cluster_body(b->many));
        assert_int_equal(begun, 200);
        all = note_hits(action_cluster_body(b->many), seen);
        next_of(b->many, next, sizeof next);
        for (uint32_t i = 0; i < QD_COUNT_OF(e); i++) {
            e[i] = action_cluster_start(b->many, i % NODES, "POST", "/_search/scroll", next);
        }
        for (uint32_t i = 0; i < QD_COUNT_OF(e); i++) {
            int status = action_cluster_wait(b->many, e[i]);
            assert_true(status == 200 || status == 429);
            if (status == 200) {
                page = note_hits(action_cluster_body(b->many), seen);
                assert_int_equal(page, 9);
                all += page;
            }
        }
        do {
            assert_int_equal(action_cluster_call(b->many, 0, "POST", "/_search/scroll", next), 200);
            page = note_hits(action_cluster_body(b->many), seen);
            all += page;
        } while (page);
        assert_int_equal(all, there);
        assert_int_equal(action_cluster_call(b->many, 1, "DELETE", "/_search/scroll/_all", NULL),
                         200);
    }
}

/* Every shard with its copies, wherever it is asked; a routing leads to some of them. */
static void shards_of_a_search(void **state)
{
    both *b = *state;
    char node[64];
    for (uint32_t i = 0; i < NODES; i++) {
        assert_int_equal(action_cluster_call(b->many, i, "GET", "/odd/_search_shards", NULL), 200);
        const char *at = action_cluster_body(b->many);
        assert_non_null(strstr(
            at,
            "\"indices\":{\"x\":{\"aliases\":[\"odd\"],\"filter\":{\"term\":{\"b\":{\"value\":true,"
            "\"boost\":1.0}}}}}"));
        for (uint32_t k = 0; k < NODES; k++) {
            snprintf(node, sizeof node, "\"node\":\"nodeidnodeidnodeid%04u\"", k);
            assert_non_null(strstr(at, node));
        }
        for (uint32_t k = 0; k < 7; k++) {
            snprintf(node, sizeof node, "\"shard\":%u,\"index\":\"x\"", k);
            at = strstr(at, node);
            assert_non_null(at);
        }
        assert_int_equal(
            action_cluster_call(b->many, i, "GET", "/x/_search_shards?routing=a", NULL), 200);
        at = strstr(action_cluster_body(b->many), "\"state\":\"STARTED\",\"primary\":true");
        assert_non_null(at);
        assert_null(strstr(at + 1, "\"state\""));
    }
    assert_int_equal(action_cluster_call(b->many, 0, "GET", "/nowhere/_search_shards", NULL), 404);
}

/* Where an index has gone already, a node that does not know yet may still send its hits. */
static void an_index_goes_between_pages(void **state)
{
    (void)state;
    char next[8192], id[16];
    action_cluster *c = action_cluster_open(NODES, NULL);
    for (int round = 0; round < 6; round++) {
        action_cluster_index(c, "gone",
                             "{\"settings\":{\"number_of_shards\":3,\"number_of_replicas\":0}}");
        for (uint32_t i = 0; i < 30; i++) {
            snprintf(id, sizeof id, "%u", i);
            action_cluster_put(c, "gone", id, "{\"a\":1}");
        }
        action_cluster_refresh(c);
        assert_int_equal(
            action_cluster_call(c, 0, "POST", "/gone/_search?scroll=1m", "{\"size\":3}"), 200);
        next_of(c, next, sizeof next);
        assert_int_equal(action_cluster_call(c, 0, "DELETE", "/gone", NULL), 200);
        int status = action_cluster_call(c, 0, "POST", "/_search/scroll", next);
        assert_true(status == 404 || status == 200 || status == 503);
        assert_null(strstr(action_cluster_body(c), "\"_index\":\"gone\""));
    }
    action_cluster_close(c);
}

static void a_node_is_lost(void **state)
{
    both *b = *state;
    char want[128];
    uint32_t lost = action_cluster_shards(b->many, 2, "x");
    assert_int_equal(
        action_cluster_call(b->many, 0, "POST", "/x/_search?scroll=1m", "{\"size\":5}"), 200);
    char *id = text_of(action_cluster_body(b->many), "_scroll_id");
    action_cluster_cut(b->many, 2);
    assert_int_equal(action_cluster_call(b->many, 0, "POST", "/x/_search", "{}"), 200);
    snprintf(want, sizeof want,
             "\"total\":7,\"successful\":%u,\"skipped\":0,\"failed\":%u,\"failures\":[", 7 - lost,
             lost);
    assert_non_null(strstr(action_cluster_body(b->many), want));
    assert_non_null(strstr(action_cluster_body(b->many), "\"node\":\"nodeidnodeidnodeid0002\""));
    assert_int_equal(action_cluster_call(b->many, 1, "POST",
                                         "/x/_search?allow_partial_search_results=false", "{}"),
                     503);
    char next[8192];
    snprintf(next, sizeof next, "{\"scroll\":\"1m\",\"scroll_id\":\"%s\"}", id);
    assert_int_equal(action_cluster_call(b->many, 1, "POST", "/_search/scroll", next), 200);
    snprintf(want, sizeof want, "\"failed\":%u,\"failures\":[{\"shard\":-1,\"index\":null", lost);
    assert_non_null(strstr(action_cluster_body(b->many), want));
    free(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches),
        cmocka_unit_test(others),
        cmocka_unit_test(scrolls),
        cmocka_unit_test(points_in_time),
        cmocka_unit_test(shards_are_skipped),
        cmocka_unit_test(explanations),
        cmocka_unit_test(shards_of_a_search),
        cmocka_unit_test(deletions),
        cmocka_unit_test(deletions_wait_for_copies),
        cmocka_unit_test(deletions_have_a_pace),
        cmocka_unit_test(caches_are_cleared_everywhere),
        cmocka_unit_test(a_page_is_asked_for_twice),
        cmocka_unit_test(an_index_goes_between_pages),
        cmocka_unit_test(a_node_is_lost),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_both, close_both);
}
