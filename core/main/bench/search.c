/*
 * search.c: `qd bench search`: queries over the segments of a folder, one thread (and with
 * --threads several at once, for queries per second), nothing cached between queries. Timed is what
 * Lucene's harness times: from the tree of the query to its hits, look-ups of terms included, ids
 * not.
 */
#include "engine/reader.h"
#include "main/args.h"
#include "main/bench/bench.h"
#include "main/bench/body.h"
#include "runtime/cpu.h"
#include "runtime/file.h"
#include "runtime/sync.h"
#include "search/plan/plan.h"
#include "segment/segment.h"
#include "json/number.h"
#include <stdio.h>
#include <stdlib.h>

#define CLAUSES_MAX 1024u /* of one query, as in Lucene; and words of a phrase */
#define FILE_BYTES_MAX (1u << 30)
#define SEGMENTS_MAX 4096u

typedef struct query {
    qd_str cls, text;
    uint32_t group; /* number of its class, in order of appearance */
    qd_node *root;
    qd_bench_body *body; /* NULL: words */
    double best, median;
} query;

typedef struct bench {
    const char *dir, *queries, *out, *label, *cmds, *mapping;
    qd_bench_schema *schema; /* of the mapping; NULL: queries are words */
    qd_account account;
    qd_str field, id_field;
    uint32_t rounds, threads; /* threads: 0: no figures of several at once */
    double warm_s;
    qd_bench_dir d;
    qd_segment **segments;
    uint32_t nsegments;
    qd_bench_es *engine; /* of an index made with --es */
    qd_searcher *searcher;
    qd_arena arena;   /* of the queries */
    qd_arena scratch; /* of one run */
    qd_buf file;
    query *q;
    uint32_t nq, q_cap;
    qd_str *groups;
    uint32_t ngroups, groups_cap;
    qd_file_out *to;
    qd_err err;
} bench;

typedef struct command {
    qd_str name;
    bool aggs;
    uint32_t k;     /* 0: COUNT */
    uint64_t count; /* hits are counted up to: 0, QD_TOTAL_EXACT */
} command;

/* Aggregations run under AGGS alone, sorts under TOP_k alone. */
static bool runs(const query *q, const command *c)
{
    if (c->aggs) return q->body && q->body->aggs;
    return !q->body || (!q->body->aggs && (!q->body->sorted || c->k));
}

/* --- queries: Searcher.java's syntax
 * --------------------------------------------------------------- */

/* A word, or a phrase of several; "" is a word that no document has. */
static qd_node *leaf(bench *b, qd_str text)
{
    uint32_t words = 1, n = 0;
    for (size_t i = 0; i < text.n; i++) words += text.p[i] == ' ';
    qd_phrase_term *t = qd_arena_calloc(&b->arena, words * sizeof *t);
    if (!t || words > CLAUSES_MAX) return NULL;
    for (size_t at = 0; at < text.n;) {
        size_t e = at;
        while (e < text.n && text.p[e] != ' ') e++;
        if (e > at) {
            t[n] = (qd_phrase_term){.term = {text.p + at, e - at}, .position = n};
            n++;
        }
        at = e + 1;
    }
    if (n <= 1) return qd_node_term_make(&b->arena, b->field, n ? t[0].term : QD_STR(""));
    qd_node *q = qd_node_make(&b->arena, QD_NATIVE_PHRASE);
    if (q) q->u.phrase = (qd_node_phrase){.field = b->field, .terms = t, .n = n};
    return q;
}

/* The clause at *at, with its sign: 0 must, 1 should, 2 must not. NULL: cannot be read. */
static qd_node *clause(bench *b, qd_str s, size_t *at, uint32_t *sign)
{
    char c = s.p[*at];
    *sign = c == '+' ? 0 : c == '-' ? 2 : 1;
    if (*sign != 1) {
        if (++*at == s.n || s.p[*at] == ' ') return NULL;
        c = s.p[*at];
    }
    char stop = c == '"' ? '"' : ' ';
    if (stop == '"') ++*at;
    size_t e = *at;
    while (e < s.n && s.p[e] != stop) e++;
    if (stop == '"' && e == s.n) return NULL;
    qd_node *x = leaf(b, (qd_str){s.p + *at, e - *at});
    *at = e + 1;
    return x;
}

static qd_node *parse_query(bench *b, qd_str s)
{
    const qd_node *list[CLAUSES_MAX], **to[3];
    uint32_t sign[CLAUSES_MAX], n[3] = {0}, all = 0; /* must, should, must not */
    for (size_t at = 0; at < s.n;) {
        if (s.p[at] == ' ') {
            at++;
            continue;
        }
        if (all == CLAUSES_MAX) return NULL;
        list[all] = clause(b, s, &at, &sign[all]);
        if (!list[all]) return NULL;
        n[sign[all++]]++;
    }
    if (n[0] + n[1] == 1 && !n[2]) return (qd_node *)(uintptr_t)list[0];
    qd_node *q = qd_node_bool_make(&b->arena, n[0], n[1], 0, n[2], &to[0], &to[1], NULL, &to[2]);
    for (uint32_t i = 0; q && i < all; i++) *to[sign[i]]++ = list[i];
    return q;
}

static int group_of(bench *b, qd_str cls, uint32_t *out)
{
    uint32_t i = b->ngroups;
    while (i && !qd_str_eq(b->groups[i - 1], cls)) i--; /* mostly the last one */
    if (!i) {
        if (b->ngroups == b->groups_cap) {
            uint32_t cap = b->groups_cap ? b->groups_cap * 2 : 64;
            qd_str *grown = qd_realloc(NULL, b->groups, cap * sizeof *grown);
            if (!grown) return qd_err_nomem(&b->err, "queries");
            b->groups = grown;
            b->groups_cap = cap;
        }
        b->groups[b->ngroups++] = cls;
        i = b->ngroups;
    }
    *out = i - 1;
    return 0;
}

static int add_query(bench *b, qd_str line, uint64_t number)
{
    if (b->nq == b->q_cap) {
        uint32_t cap = b->q_cap ? b->q_cap * 2 : 4096;
        query *grown = qd_realloc(NULL, b->q, cap * sizeof *grown);
        if (!grown) return qd_err_nomem(&b->err, "queries");
        b->q = grown;
        b->q_cap = cap;
    }
    query *q = &b->q[b->nq];
    ptrdiff_t tab = qd_str_find(line, '\t');
    *q = (query){
        .cls = tab < 0 ? QD_STR("all") : qd_str_sub(line, 0, (size_t)tab),
        .text = qd_str_sub(line, (size_t)(tab + 1), line.n),
    };
    if (b->schema && q->text.n && q->text.p[0] == '{') {
        q->body = qd_arena_alloc(&b->arena, sizeof *q->body);
        if (!q->body) return qd_err_nomem(&b->err, "queries");
        int rc = qd_bench_body_read(b->schema, q->text, &b->arena, q->body, &b->err);
        if (rc) return rc;
        q->root = (qd_node *)(uintptr_t)q->body->root;
    } else {
        q->root = parse_query(b, q->text);
    }
    if (!q->root)
        return qd_err_set(&b->err, QD_E_ARG, "%s: line %llu: cannot read the query: %.*s",
                          b->queries, (unsigned long long)number, QD_STR_ARG(line));
    b->nq++;
    return group_of(b, q->cls, &q->group);
}

static int read_queries(bench *b)
{
    qd_buf_init(&b->file, NULL, FILE_BYTES_MAX);
    int rc = qd_file_read(b->queries, &b->file, &b->err);
    qd_str all = qd_buf_view(&b->file);
    uint64_t number = 0;
    for (size_t at = 0; at < all.n && !rc;) {
        const char *nl = memchr(all.p + at, '\n', all.n - at);
        qd_str line = {all.p + at, nl ? (size_t)(nl - all.p) - at : all.n - at};
        at += line.n + 1;
        number++;
        if (line.n && line.p[line.n - 1] == '\r') line.n--;
        if (line.n) rc = add_query(b, line, number);
    }
    return rc;
}

/* --- the index
 * ------------------------------------------------------------------------------------- */

static int open_one(void *arg, qd_str name, uint64_t bytes)
{
    bench *b = arg;
    (void)bytes;
    if (b->nsegments == SEGMENTS_MAX) return qd_err_set(&b->err, QD_E_LIMIT, "too many segments");
    int rc = qd_segment_open(b->d.store, name, NULL, &b->segments[b->nsegments], &b->err);
    if (!rc) b->nsegments++;
    return rc;
}

static int some(void *arg, qd_str name, uint64_t bytes)
{
    (void)name;
    (void)bytes;
    *(bool *)arg = true;
    return 0;
}

/* An index made with --es: through the engine's reader, deletions included. */
static int open_engine(bench *b)
{
    qd_bench_dir_close(&b->d);
    if (qd_str_is(b->id_field, "id")) b->id_field = QD_STR("_id");
    int rc = qd_bench_dir_open(&b->d, b->dir, QD_BENCH_WRITE, &b->err);
    qd_bench_es_options o = {
        .slots = 1, .ram_bytes = 64u << 20, .refresh_ms = 1000, .mapping = b->mapping};
    if (!rc) rc = qd_bench_es_open(&b->d, false, &o, &b->engine, &b->err);
    if (rc) return rc;
    qd_reader *r = qd_bench_es_reader(b->engine);
    qd_live *live[SEGMENTS_MAX];
    for (uint32_t i = 0; i < r->n && i < SEGMENTS_MAX; i++) {
        b->segments[i] = qd_segment_ref(r->leaf[i].segment);
        live[i] = r->leaf[i].live;
        b->nsegments++;
    }
    rc = qd_searcher_make(b->segments, live, b->nsegments, NULL, &b->searcher, &b->err);
    qd_reader_unref(r);
    return rc;
}

static int open_index(bench *b)
{
    int rc = qd_bench_dir_open(&b->d, b->dir, QD_BENCH_READ, &b->err);
    if (rc) return rc;
    b->segments = qd_calloc(NULL, SEGMENTS_MAX * sizeof(qd_segment *));
    if (!b->segments) return qd_err_nomem(&b->err, "segments");
    rc = qd_store_list(b->d.store, QD_STR("seg-"), open_one, b, &b->err);
    if (rc) return rc;
    bool engine = false;
    if (!b->nsegments)
        rc = qd_store_list(b->d.store, QD_STR(QD_BENCH_SHARD "/"), some, &engine, &b->err);
    if (rc) return rc;
    if (engine) return open_engine(b);
    return qd_searcher_make(b->segments, NULL, b->nsegments, NULL, &b->searcher, &b->err);
}

/* --- running
 * ----------------------------------------------------------------------------------------- */

typedef struct answer {
    qd_top_result top;
    qd_bench_sorted sorted;
    uint64_t hits;
    bool lower;
} answer;

/* One query, from its tree to its hits. The answer lives until the scratch's reset. */
static int run(bench *b, const query *q, const command *c, answer *out)
{
    static const qd_plan_options ranked = {.similarity = &qd_similarity_lucene};
    static const qd_plan_options counted = {.no_scores = true};
    qd_plan *p;
    if (c->aggs)
        return qd_bench_body_aggs(q->body, b->searcher, &b->account, &b->scratch, NULL, &b->err);
    if (q->body && q->body->sorted) {
        qd_bench_sorted *s = &out->sorted;
        int failed =
            qd_bench_body_sort(q->body, b->searcher, c->k, c->count, &b->scratch, s, &b->err);
        out->hits = c->count ? s->total : s->n;
        out->lower = c->count ? s->lower : s->n == c->k;
        return failed;
    }
    int rc =
        qd_plan_make(b->searcher, q->root, c->k ? &ranked : &counted, &b->scratch, &p, &b->err);
    if (rc) return rc;
    if (!c->k) {
        out->lower = false;
        return qd_plan_count(p, 0, &out->hits, &b->err);
    }
    qd_top_options o = {.k = c->k, .total = c->count};
    rc = qd_plan_top(p, &o, &out->top, &b->err);
    out->hits = c->count ? out->top.total : out->top.n;
    out->lower = c->count ? out->top.total_lower_bound : out->top.n == c->k;
    return rc;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const double *v, uint32_t n, double p)
{
    double at = p / 100 * (double)n;
    uint32_t i = (uint32_t)at;
    if ((double)i < at) i++;
    if (i) i--;
    return v[i < n ? i : n - 1];
}

#define GROUP_ALL UINT32_MAX

static void print_group(bench *b, const command *c, uint32_t group)
{
    double *best = qd_alloc(NULL, b->nq * sizeof *best), *med = qd_alloc(NULL, b->nq * sizeof *med);
    double sum[2] = {0, 0};
    uint32_t n = 0;
    for (uint32_t i = 0; best && med && i < b->nq; i++) {
        if (group != GROUP_ALL && b->q[i].group != group) continue;
        if (!runs(&b->q[i], c)) continue;
        sum[0] += best[n] = b->q[i].best;
        sum[1] += med[n++] = b->q[i].median;
    }
    if (n) {
        qd_str cls = group == GROUP_ALL ? QD_STR("ALL") : b->groups[group];
        qsort(best, n, sizeof *best, by_value);
        qsort(med, n, sizeof *med, by_value);
        printf("%s\t%.*s\t%.*s\tn=%u\tbest_p50=%.1f\tbest_p99=%.1f\tbest_mean=%.1f\tmed_p50=%.1f\t"
               "med_p99=%.1f\tmed_mean=%.1f\n",
               b->label, QD_STR_ARG(c->name), QD_STR_ARG(cls), n, percentile(best, n, 50),
               percentile(best, n, 99), sum[0] / n, percentile(med, n, 50), percentile(med, n, 99),
               sum[1] / n);
    }
    qd_free(best);
    qd_free(med);
}

/* In the order of Lucene's harness: the first class, all, the other classes. */
static void print_groups(bench *b, const command *c)
{
    for (uint32_t g = 0; g < b->ngroups; g++) {
        print_group(b, c, g);
        if (g == 0) print_group(b, c, GROUP_ALL);
    }
    fflush(stdout);
}

/* The id of a document; "null" where it has none. */
static int id_of(bench *b, uint32_t global, qd_str *id)
{
    const qd_leaf *l = qd_searcher_leaf_of(b->searcher, global);
    uint32_t doc = global - l->base;
    uint32_t f = qd_segment_field_find(l->segment, b->id_field);
    const qd_columns *set = qd_segment_columns(l->segment);
    const qd_column *col = f == QD_FIELD_NONE || !set ? NULL : qd_columns_get(set, f);
    bool found = false;
    int rc = 0;
    if (col) {
        qd_reads *r = qd_reads_make(&b->scratch, NULL);
        qd_column_reader *rd;
        if (!r) return qd_err_nomem(&b->err, "ids");
        rc = qd_column_plan_docs(col, &doc, 1, r, &b->scratch, &rd, &b->err);
        if (!rc) rc = qd_reads_fetch(r, &b->err);
        if (!rc) rc = qd_column_bytes(rd, doc, id, &found, &b->err);
    }
    if (!found) *id = QD_STR("null");
    return rc;
}

/* Appends "id:score" of a hit (digits: all of them), or "id:value" of a sort's. */
static int write_hit(bench *b, const query *q, const answer *a, uint32_t i, bool digits,
                     qd_buf *line)
{
    bool sorted = q->body && q->body->sorted;
    qd_str id;
    int rc = id_of(b, sorted ? a->sorted.hits[i].doc : a->top.hits[i].doc, &id);
    if (rc) return rc;
    (void)qd_buf_printf(line, "%.*s:", QD_STR_ARG(id));
    if (sorted)
        qd_bench_sort_value(q->body, &a->sorted.hits[i], line);
    else
        (void)qd_buf_printf(line, digits ? "%.9g" : "%.5f", (double)a->top.hits[i].score);
    return 0;
}

/* The first ten hits, and in a column of its own the rank and all digits of the last one. */
static int write_hits(bench *b, const query *q, const answer *a, qd_buf *line)
{
    uint32_t n = q->body && q->body->sorted ? a->sorted.n : a->top.n;
    int rc = 0;
    for (uint32_t i = 0; i < n && i < 10 && !rc; i++) {
        (void)qd_buf_printf(line, "%s", i ? " " : "\t");
        rc = write_hit(b, q, a, i, false, line);
    }
    if (n <= 10 || rc) return rc;
    (void)qd_buf_printf(line, "\t%u ", n);
    return write_hit(b, q, a, n - 1, true, line);
}

static int write_query(bench *b, const query *q, const command *c)
{
    answer a = {0};
    qd_buf line;
    int rc = run(b, q, c, &a);
    if (rc) return rc;
    qd_buf_init(&line, NULL, FILE_BYTES_MAX);
    (void)qd_buf_printf(&line, "%.*s\t%.*s\t%.*s\t%llu\t%.2f\t%.2f\t%s", QD_STR_ARG(c->name),
                        QD_STR_ARG(q->cls), QD_STR_ARG(q->text), (unsigned long long)a.hits,
                        q->best, q->median, a.lower ? ">" : "=");
    if (c->k) rc = write_hits(b, q, &a, &line);
    if (c->aggs) {
        (void)qd_buf_printf(&line, "\t");
        rc = qd_bench_body_aggs(q->body, b->searcher, &b->account, &b->scratch, &line, &b->err);
    }
    (void)qd_buf_printf(&line, "\n");
    if (!rc) rc = qd_buf_status(&line);
    if (!rc) rc = qd_file_out_write(b->to, line.p, line.n, &b->err);
    qd_buf_fini(&line);
    qd_arena_reset(&b->scratch);
    return rc;
}

static int measure(bench *b, const command *c)
{
    qd_env *env = qd_env_system();
    double *t = qd_alloc(NULL, ((size_t)b->nq * b->rounds + 1) * sizeof *t);
    if (!t) return qd_err_nomem(&b->err, "times");
    int rc = 0;
    for (uint32_t n = 0; n < b->rounds && !rc; n++)
        for (uint32_t i = 0; i < b->nq && !rc; i++) {
            answer a = {0};
            if (!runs(&b->q[i], c)) continue;
            uint64_t t0 = qd_env_mono_ns(env);
            rc = run(b, &b->q[i], c, &a);
            t[(size_t)i * b->rounds + n] = (double)(qd_env_mono_ns(env) - t0) / 1e3;
            qd_arena_reset(&b->scratch);
        }
    for (uint32_t i = 0; i < b->nq && !rc; i++) {
        double *x = t + (size_t)i * b->rounds;
        if (!runs(&b->q[i], c)) continue;
        qsort(x, b->rounds, sizeof *x, by_value);
        b->q[i].best = x[0];
        b->q[i].median = x[b->rounds / 2];
        if (b->to) rc = write_query(b, &b->q[i], c);
    }
    qd_free(t);
    if (!rc) print_groups(b, c);
    return rc;
}

/* --- several threads at once
 * ------------------------------------------------------------------- */

/* One of them: all queries of a command, begun at a place of its own. */
typedef struct lane {
    bench b; /* the caller's, with memory of its own */
    const command *c;
    uint32_t from;
    uint64_t done;
    qd_thread *thread;
    int rc;
} lane;

static void lane_main(void *arg)
{
    lane *l = arg;
    bench *b = &l->b;
    for (uint32_t n = 0; n < b->rounds && !l->rc; n++)
        for (uint32_t i = 0; i < b->nq && !l->rc; i++) {
            const query *q = &b->q[(i + l->from) % b->nq];
            answer a = {0};
            if (!runs(q, l->c)) continue;
            l->rc = run(b, q, l->c, &a);
            l->done++;
            qd_arena_reset(&b->scratch);
        }
}

/* Prints the queries per second of n threads that share the index. */
static int measure_threads(bench *b, const command *c, uint32_t n)
{
    qd_env *env = qd_env_system();
    lane *l = qd_calloc(NULL, n * sizeof *l);
    if (!l) return qd_err_nomem(&b->err, "threads");
    int rc = 0;
    uint64_t done = 0, t0 = qd_env_mono_ns(env);
    for (uint32_t i = 0; i < n; i++) {
        l[i].b = *b;
        l[i].c = c;
        l[i].from = (uint32_t)((uint64_t)b->nq * i / n);
        qd_err_init(&l[i].b.err);
        qd_arena_init(&l[i].b.scratch, NULL, 0);
        qd_account_init(&l[i].b.account, "bench", NULL, 0);
        if (!rc) rc = qd_thread_start(env, "bench", lane_main, &l[i], &l[i].thread, &b->err);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (l[i].thread) qd_thread_join(env, l[i].thread);
        done += l[i].done;
        if (l[i].rc && !rc) {
            rc = l[i].rc;
            qd_err_move(&b->err, &l[i].b.err);
        }
        qd_arena_fini(&l[i].b.scratch);
        qd_err_fini(&l[i].b.err);
    }
    double s = (double)(qd_env_mono_ns(env) - t0) / 1e9;
    if (!rc && done)
        printf("%s\t%.*s\tthreads=%u\tn=%llu\tseconds=%.3f\tqueries_per_s=%.1f\n", b->label,
               QD_STR_ARG(c->name), n, (unsigned long long)done, s, (double)done / s);
    fflush(stdout);
    qd_free(l);
    return rc;
}

/* COUNT, TOP_k, TOP_k_COUNT, and TOP_k_COUNT_n, which counts hits up to n. */
static int parse_command(bench *b, qd_str name, command *c)
{
    uint64_t k = 0;
    *c = (command){.name = name};
    if (qd_str_is(name, "COUNT")) return 0;
    c->aggs = qd_str_is(name, "AGGS");
    if (c->aggs) return 0;
    qd_str rest = qd_str_starts(name, QD_STR("TOP_")) ? qd_str_sub(name, 4, name.n) : QD_STR("");
    ptrdiff_t end = qd_str_find(rest, '_');
    qd_str digits = end < 0 ? rest : qd_str_sub(rest, 0, (size_t)end);
    qd_str tail = end < 0 ? QD_STR("") : qd_str_sub(rest, (size_t)end, rest.n);
    bool good = !qd_u64_parse(digits, &k) && k && k <= 10000000;
    c->k = (uint32_t)k;
    if (qd_str_is(tail, "_COUNT"))
        c->count = QD_TOTAL_EXACT;
    else if (qd_str_starts(tail, QD_STR("_COUNT_")))
        good = good && !qd_u64_parse(qd_str_sub(tail, 7, tail.n), &c->count) && c->count;
    else
        good = good && !tail.n;
    return good ? 0
                : qd_err_set(&b->err, QD_E_ARG,
                             "unknown command %.*s: COUNT, AGGS, TOP_k or TOP_k_COUNT",
                             QD_STR_ARG(name));
}

/* The next command of the list, which has been checked. */
static bool next_command(bench *b, const char **at, command *c)
{
    size_t n = 0;
    while (**at == ',') ++*at;
    while ((*at)[n] && (*at)[n] != ',') n++;
    if (!n) return false;
    qd_str name = {*at, n};
    *at += n;
    return !parse_command(b, name, c);
}

static int run_all(bench *b)
{
    qd_env *env = qd_env_system();
    uint64_t end = qd_env_mono_ns(env) + (uint64_t)(b->warm_s * 1e9);
    command c;
    int rc = 0;
    uint32_t passes = 0;
    fprintf(stderr, "%s: %u docs, %u segments, %u queries, %s\n", b->label,
            qd_searcher_live_docs(b->searcher), b->nsegments, b->nq, qd_cpu_name(qd_cpu_level()));
    do { /* warm-up over all commands, mixed */
        for (const char *at = b->cmds; !rc && next_command(b, &at, &c);)
            for (uint32_t i = 0; i < b->nq && !rc; i++) {
                answer a = {0};
                if (!runs(&b->q[i], &c)) continue;
                rc = run(b, &b->q[i], &c, &a);
                qd_arena_reset(&b->scratch);
            }
        passes++;
    } while (!rc && qd_env_mono_ns(env) < end);
    fprintf(stderr, "warm-up passes %u\n", passes);
    for (const char *at = b->cmds; !rc && next_command(b, &at, &c);) {
        rc = measure(b, &c);
        for (uint32_t n = 1; n <= b->threads && !rc; n++) rc = measure_threads(b, &c, n);
    }
    return rc;
}

enum { INDEX = 1, QUERIES, CMDS, ROUNDS, WARM, OUT, FIELD, ID_FIELD, LABEL, MAPPING, THREADS };
static const qd_option options[] = {
    {"index", true, INDEX},     {"queries", true, QUERIES},  {"cmds", true, CMDS},
    {"rounds", true, ROUNDS},   {"warm-sec", true, WARM},    {"out", true, OUT},
    {"field", true, FIELD},     {"idfield", true, ID_FIELD}, {"label", true, LABEL},
    {"mapping", true, MAPPING}, {"threads", true, THREADS},  {0},
};

static int set_option(bench *b, int id, const char *value)
{
    uint64_t n;
    if (id == INDEX)
        b->dir = value;
    else if (id == QUERIES)
        b->queries = value;
    else if (id == CMDS)
        b->cmds = value;
    else if (id == OUT)
        b->out = value;
    else if (id == FIELD)
        b->field = qd_str_c(value);
    else if (id == ID_FIELD)
        b->id_field = qd_str_c(value);
    else if (id == LABEL)
        b->label = value;
    else if (id == MAPPING)
        b->mapping = value;
    else if (id == WARM) {
        if (qd_f64_parse(qd_str_c(value), &b->warm_s) || !(b->warm_s >= 0 && b->warm_s <= 1e6))
            return qd_err_set(&b->err, QD_E_ARG, "--warm-sec %s: not a number of seconds", value);
    } else if (id == THREADS) {
        if (qd_u64_parse(qd_str_c(value), &n) || n < 1 || n > QD_BENCH_THREADS_MAX)
            return qd_err_set(&b->err, QD_E_ARG, "--threads is 1 to %u", QD_BENCH_THREADS_MAX);
        b->threads = (uint32_t)n;
    } else {
        if (qd_u64_parse(qd_str_c(value), &n) || n < 1 || n > 100000)
            return qd_err_set(&b->err, QD_E_ARG, "--rounds is 1 to 100000");
        b->rounds = (uint32_t)n;
    }
    return 0;
}

static int parse(bench *b, int argc, char **argv)
{
    qd_args a;
    int id;
    qd_args_init(&a, argc, argv, 1, options);
    while ((id = qd_args_next(&a, &b->err)) != QD_ARGS_END) {
        if (id == QD_ARGS_BAD) return QD_E_ARG;
        if (id == QD_ARGS_WORD)
            return qd_err_set(&b->err, QD_E_ARG, "unexpected argument %s", a.value);
        int rc = set_option(b, id, a.value);
        if (rc) return rc;
    }
    if (!b->dir || !b->queries)
        return qd_err_set(&b->err, QD_E_ARG, "--index and --queries are needed");
    command c;
    for (const char *at = b->cmds; next_command(b, &at, &c);) {}
    return b->err.code;
}

int qd_bench_search(int argc, char **argv)
{
    bench b = {.label = "quidditch",
               .field = QD_STR("body"),
               .id_field = QD_STR("id"),
               .cmds = "TOP_10,TOP_1000,COUNT",
               .rounds = 10,
               .warm_s = 10};
    qd_err_init(&b.err);
    qd_arena_init(&b.arena, NULL, 0);
    qd_arena_init(&b.scratch, NULL, 0);
    qd_account_init(&b.account, "bench", NULL, 0);
    qd_buf_init(&b.file, NULL, 1);
    int rc = parse(&b, argc, argv), bad = rc;
    if (!rc && b.mapping) rc = qd_bench_schema_open(b.mapping, &b.schema, &b.err);
    if (!rc) rc = read_queries(&b);
    if (!rc) rc = open_index(&b);
    if (!rc && b.out) rc = qd_file_out_open(b.out, true, 0644, &b.to, &b.err);
    if (!rc) rc = run_all(&b);
    if (rc) fprintf(stderr, "qd bench search: %s\n", qd_err_reason(&b.err));
    qd_file_out_close(b.to);
    qd_searcher_unref(b.searcher);
    for (uint32_t i = 0; i < b.nsegments; i++) qd_segment_unref(b.segments[i]);
    qd_bench_es_close(b.engine);
    qd_free(b.segments);
    qd_free(b.q);
    qd_free(b.groups);
    qd_buf_fini(&b.file);
    qd_arena_fini(&b.scratch);
    qd_arena_fini(&b.arena);
    qd_bench_schema_close(b.schema);
    qd_bench_dir_close(&b.d);
    qd_err_fini(&b.err);
    return bad ? QD_EXIT_USAGE : rc ? 1 : 0;
}
