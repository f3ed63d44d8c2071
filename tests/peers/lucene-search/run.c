/*
 * run.c: run DIR SEGMENT DELETE > results: what Oracle.java does, by core/search over a tier in
 * memory.
 */
#include "automaton/automaton.h"
#include "base/str.h"
#include "lib/store_crash.h"
#include "mapping/similarity.h"
#include "query/types/intervals_int.h"
#include "search/plan/plan.h"
#include "segment/live.h"
#include "segment/segment.h"
#include <stdio.h>
#include <stdlib.h>

#define SEGMENTS 64u
#define WORDS 256u

static qd_err err;
static qd_arena A;
static const char *P;

static void ok(int rc, int line)
{
    if (!rc) return;
    fprintf(stderr, "run.c:%d: %s: %s\n", line, qd_code_name(rc), qd_err_reason(&err));
    exit(1);
}
#define OK(x) ok((x), __LINE__)

static char *slurp(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *s = qd_calloc(NULL, (size_t)n + 64);
    if (!s || fread(s, 1, (size_t)n, f) != (size_t)n) exit(1);
    fclose(f);
    return s;
}

/* --- queries -----------------------------------------------------------------------------------
 */

static qd_str next(void)
{
    while (*P == ' ') P++;
    const char *from = P;
    if (*P == '(' || *P == ')')
        P++;
    else
        while (*P && *P != ' ' && *P != ')' && *P != '\n') P++;
    return (qd_str){from, (size_t)(P - from)};
}
static bool more(void)
{
    while (*P == ' ') P++;
    return *P != ')';
}
static long number(void)
{
    return strtol(next().p, NULL, 10);
}
static qd_str rest(void)
{
    while (*P == ' ') P++;
    const char *from = P;
    for (int depth = 1;; P++) {
        if (*P == '(') depth++;
        if (*P == ')' && --depth == 0) break;
    }
    return (qd_str){from, (size_t)(P++ - from)};
}

static qd_node *pattern(qd_pattern_kind kind, qd_str text)
{
    qd_node *q = qd_node_make(&A, QD_NATIVE_PATTERN);
    q->u.pattern = (qd_node_pattern){
        .field = QD_STR("body"), .text = text, .kind = kind, .regexp_flags = QD_REGEXP_ALL};
    return q;
}

static qd_node *phrase(void)
{
    qd_node *q = qd_node_make(&A, QD_NATIVE_PHRASE);
    qd_phrase_term *t = qd_arena_calloc(&A, 64 * sizeof *t);
    uint32_t n = 0, slop = (uint32_t)number();
    while (more()) {
        qd_str w = next();
        size_t at = w.n;
        while (w.p[at - 1] != '@') at--;
        uint32_t pos = (uint32_t)strtoul(w.p + at, NULL, 10);
        qd_str words = {w.p, at - 1};
        ptrdiff_t bar = qd_str_find(words, '|');
        t[n++] = (qd_phrase_term){.term = qd_str_sub(words, 0, bar < 0 ? words.n : (size_t)bar),
                                  .position = pos};
        if (bar >= 0)
            t[n++] = (qd_phrase_term){.term = qd_str_sub(words, (size_t)bar + 1, words.n),
                                      .position = pos};
    }
    q->u.phrase = (qd_node_phrase){.field = QD_STR("body"), .terms = t, .n = n, .slop = slop};
    return q;
}

/* --- spans and intervals -----------------------------------------------------------------------
 */

static qdi_builder B;

static const qd_prox *prox_term(qd_str word)
{
    qd_prox *x = qdi_prox_make(&B, QD_PROX_TERM, QD_STR("body"), 0, NULL, &err);
    x->term = word;
    x->of = x->field;
    return x;
}

static const qd_prox *prox_prefix(void)
{
    qd_prox *x = qdi_prox_make(&B, QD_PROX_MULTI, QD_STR("body"), 0, NULL, &err);
    x->multi = pattern(QD_PATTERN_PREFIX, next());
    return x;
}

static const qd_prox *spans(qd_str t)
{
    static const struct {
        const char *name;
        qd_prox_kind kind;
        uint32_t numbers;
    } kinds[] = {{"snear", QD_PROX_NEAR, 1},   {"suno", QD_PROX_ANY_ORDER, 1},
                 {"sor", QD_PROX_OR, 0},       {"snot", QD_PROX_NOT, 2},
                 {"sfirst", QD_PROX_FIRST, 1}, {"scon", QD_PROX_CONTAINING, 0},
                 {"swi", QD_PROX_WITHIN, 0},   {"sgap", QD_PROX_GAP, 1}};
    const qd_prox *list[16], **sub;
    uint32_t n = 0, k = 0;
    int32_t number_of[2] = {0};
    if (*t.p != '(') return prox_term(t);
    t = next();
    if (qd_str_is(t, "smul")) {
        const qd_prox *x = prox_prefix();
        next();
        return x;
    }
    while (!qd_str_is(t, kinds[k].name)) k++;
    for (uint32_t i = 0; i < kinds[k].numbers; i++) number_of[i] = (int32_t)number();
    while (more()) list[n++] = spans(next());
    next();
    qd_prox *x = qdi_prox_make(&B, kinds[k].kind, QD_STR("body"), n, &sub, &err);
    memcpy(sub, list, n * sizeof *sub);
    x->a = number_of[0];
    x->b = number_of[1];
    return x;
}

static const qd_prox *intervals(qd_str t)
{
    static const char *const filters[] = {"containing",       "contained_by",   "overlapping",
                                          "before",           "after",          "not_containing",
                                          "not_contained_by", "not_overlapping"};
    const qd_prox *list[16], *x = NULL;
    uint32_t n = 0, k = 0;
    if (*t.p != '(') return prox_term(t);
    t = next();
    qd_str f = qd_str_is(t, "ifil") ? next() : (qd_str){0};
    bool counted = qd_str_is(t, "iord") || qd_str_is(t, "iuno") || qd_str_is(t, "inol");
    int32_t a = counted || qd_str_is(t, "iext") ? (int32_t)number() : 0;
    if (qd_str_is(t, "ipre"))
        x = prox_prefix();
    else
        while (more()) list[n++] = intervals(next());
    next();
    if (counted)
        OK(qdi_intervals_combine(&B, list, n, a,
                                 qd_str_is(t, "iord")   ? QDI_MODE_ORDERED
                                 : qd_str_is(t, "iuno") ? QDI_MODE_UNORDERED
                                                        : QDI_MODE_NO_OVERLAP,
                                 &x, &err));
    else if (qd_str_is(t, "ior"))
        OK(qdi_intervals_or(&B, list, n, &x, &err));
    else if (qd_str_is(t, "iext"))
        OK(qdi_intervals_extend(&B, list[0], (uint32_t)a, &x, &err));
    if (!f.p) return x;
    while (!qd_str_is(f, filters[k])) k++;
    OK(qdi_intervals_filter(&B, list[0], QD_PROX_HOLDS + k, list[1], &x, &err));
    return x;
}

static qd_node *proximity(bool of_intervals)
{
    const qd_node *n;
    B.arena = &A;
    B.limits = QD_QUERY_LIMITS_DEFAULT;
    const qd_prox *x = of_intervals ? intervals(next()) : spans(next());
    OK(qdi_prox_node(&B, x, of_intervals, &n, &err));
    return (qd_node *)(uintptr_t)n;
}

static qd_node *parse(void);

static qd_node *parse_bool(void)
{
    const qd_node *list[4][32];
    uint32_t n[4] = {0}, min = (uint32_t)number();
    while (more()) {
        next();
        qd_str o = next();
        uint32_t k = qd_str_is(o, "must")     ? 0
                     : qd_str_is(o, "should") ? 1
                     : qd_str_is(o, "filter") ? 2
                                              : 3;
        const qd_node *x = parse();
        list[k][n[k]++] = x;
        next();
    }
    const qd_node **to[4];
    qd_node *q = qd_node_bool_make(&A, n[0], n[1], n[2], n[3], &to[0], &to[1], &to[2], &to[3]);
    for (uint32_t k = 0; k < 4; k++) memcpy(to[k], list[k], n[k] * sizeof *list[k]);
    q->u.boolean.min_should = min;
    return q;
}

static qd_str *words(uint32_t *n)
{
    qd_str *t = qd_arena_calloc(&A, 32 * sizeof *t);
    for (*n = 0; more();) t[(*n)++] = next();
    return t;
}

static qd_node *parse(void)
{
    qd_node *q = NULL;
    next();
    qd_str k = next();
    if (qd_str_is(k, "regexp")) return pattern(QD_PATTERN_REGEXP, rest());
    if (qd_str_is(k, "term")) {
        qd_str f = next();
        q = qd_node_term_make(&A, f, next());
    } else if (qd_str_is(k, "all")) {
        q = qd_node_make(&A, QD_NATIVE_MATCH_ALL);
    } else if (qd_str_is(k, "phrase")) {
        q = phrase();
    } else if (qd_str_is(k, "prefix")) {
        q = pattern(QD_PATTERN_PREFIX, next());
    } else if (qd_str_is(k, "wild")) {
        q = pattern(QD_PATTERN_WILDCARD, next());
    } else if (qd_str_is(k, "fuzzy")) {
        q = pattern(QD_PATTERN_FUZZY, next());
        q->u.pattern.rewrite = QD_REWRITE_TOP_BLENDED;
        q->u.pattern.max_edits = (uint8_t)number();
        q->u.pattern.prefix_length = (uint32_t)number();
        q->u.pattern.no_transpositions = number() == 0;
    } else if (qd_str_is(k, "range")) {
        q = qd_node_make(&A, QD_NATIVE_RANGE);
        long lo = number();
        q->u.range = (qd_node_range){.field = QD_STR("num"), .lo = lo, .hi = number()};
    } else if (qd_str_is(k, "terms")) {
        q = qd_node_make(&A, QD_NATIVE_TERM_SET);
        q->u.term_set.field = QD_STR("tag");
        q->u.term_set.terms = words(&q->u.term_set.n);
    } else if (qd_str_is(k, "syn")) {
        q = qd_node_make(&A, QD_NATIVE_SYNONYM);
        q->u.synonym.field = QD_STR("body");
        q->u.synonym.terms = words(&q->u.synonym.n);
    } else if (qd_str_is(k, "sp") || qd_str_is(k, "iv")) {
        q = proximity(qd_str_is(k, "iv"));
    } else if (qd_str_is(k, "const")) {
        q = qd_node_make(&A, QD_NATIVE_CONSTANT);
        q->u.child = parse();
    } else if (qd_str_is(k, "boost")) {
        q = qd_node_make(&A, QD_NATIVE_BOOST);
        q->boost = strtof(next().p, NULL);
        q->u.child = parse();
    } else if (qd_str_is(k, "dis")) {
        q = qd_node_make(&A, QD_NATIVE_DIS_MAX);
        const qd_node **kids = qd_arena_calloc(&A, 32 * sizeof *kids);
        q->u.dis_max = (qd_node_dis_max){.children = kids, .tie_breaker = strtof(next().p, NULL)};
        while (more()) kids[q->u.dis_max.n++] = parse();
    } else if (qd_str_is(k, "bool")) {
        q = parse_bool();
    }
    if (!q) {
        fprintf(stderr, "cannot read %.*s\n", QD_STR_ARG(k));
        exit(1);
    }
    next();
    return q;
}

/* --- documents
 * ------------------------------------------------------------------------------------ */

static void add(qd_buffer *b, const uint32_t *f, char *line)
{
    char *col[4] = {line};
    for (int i = 1; i < 4; i++) {
        col[i] = strchr(col[i - 1], '\t');
        *col[i]++ = 0;
    }
    OK(qd_buffer_doc_begin(b, NULL, &err));
    uint32_t off[WORDS], n = 0;
    uint16_t len[WORDS];
    for (char *p = col[1]; *p;) {
        size_t k = strcspn(p, " ");
        off[n] = (uint32_t)(p - col[1]);
        len[n++] = (uint16_t)k;
        p += k + (p[k] == ' ');
    }
    if (n)
        OK(qd_buffer_terms(b, f[0],
                           &(qd_term_batch){.text = col[1], .off = off, .len = len, .n = n}, &err));
    if (*col[2]) OK(qd_buffer_term(b, f[1], qd_str_c(col[2]), &err));
    if (*col[3]) {
        int64_t v = strtoll(col[3], NULL, 10);
        OK(qd_buffer_points_i64(b, f[2], &v, 1, &err));
    }
    OK(qd_buffer_column_bytes(b, f[3], qd_str_c(col[0]), &err));
    OK(qd_buffer_doc_commit(b, &err));
}

static void flush(qd_buffer *b, qd_store *store, qd_segment **seg, uint32_t s)
{
    char name[64];
    uint8_t id[16] = {(uint8_t)s};
    snprintf(name, sizeof name, "seg-%032u", s);
    qd_segment_attrs attrs = {.min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE};
    OK(qd_buffer_flush(b, store, qd_str_c(name), id, &attrs, true, NULL, &err));
    qd_buffer_reset(b);
    OK(qd_segment_open(store, qd_str_c(name), NULL, seg, &err));
}

/* --- similarities: TYPE:PARAMETER:…, as compare.t writes them ----------------------------------
 */

static void put(qd_settings *s, const char *key, const char *value)
{
    char name[128];
    snprintf(name, sizeof name, "index.similarity.default.%s", key);
    if (value) OK(qd_settings_put(s, qd_str_c(name), qd_str_c(value), &err));
}

static void put_normalization(qd_settings *s, const char *kind, const char *c)
{
    char name[64];
    put(s, "normalization", kind);
    snprintf(name, sizeof name, "normalization.%s.%s", kind, *kind == 'z' ? "z" : "c");
    if (*kind != 'n') put(s, name, c);
}

static qd_similarities *read_similarity(char *spec)
{
    char *p[8] = {0};
    uint32_t n = 0;
    qd_settings *s;
    qd_similarities *out;
    for (char *at = strtok(spec, ":"); at && n < 8; at = strtok(NULL, ":")) p[n++] = at;
    OK(qd_settings_new(NULL, &s, &err));
    put(s, "type", p[0]);
    if (!strcmp(p[0], "BM25")) {
        put(s, "k1", p[1]);
        put(s, "b", p[2]);
    } else if (!strcmp(p[0], "DFR")) {
        put(s, "basic_model", p[1]);
        put(s, "after_effect", p[2]);
        put_normalization(s, p[3], p[4]);
    } else if (!strcmp(p[0], "IB")) {
        put(s, "distribution", p[1]);
        put(s, "lambda", p[2]);
        put_normalization(s, p[3], p[4]);
    } else if (!strcmp(p[0], "DFI")) {
        put(s, "independence_measure", p[1]);
    } else {
        put(s, strcmp(p[0], "LMDirichlet") ? "lambda" : "mu", p[1]);
    }
    OK(qd_settings_seal(s, &err));
    OK(qd_similarities_make(s, &out, &err));
    qd_settings_unref(s);
    return out;
}

static const qd_similarity *similarity_of(void *arg, qd_str field)
{
    (void)field;
    return qd_similarity_default(arg);
}

int main(int argc, char **argv)
{
    static const qd_field_info infos[4] = {
        {.name = {"body", 4}, .index = QD_INDEX_POSITIONS, .norms = 1},
        {.name = {"tag", 3}, .index = QD_INDEX_DOCS},
        {.name = {"num", 3}, .point = QD_POINT_I64},
        {.name = {"id", 2}, .column = QD_COLUMN_BYTES},
    };
    if (argc < 4) return 2;
    uint32_t per = (uint32_t)atol(argv[2]), every = (uint32_t)atol(argv[3]), f[4], n = 0, nseg = 0;
    qd_err_init(&err);
    qd_arena_init(&A, NULL, 0);
    store_crash *disk = store_crash_make(NULL);
    qd_store *store;
    qd_buffer *b;
    qd_segment *seg[SEGMENTS];
    qd_live *live[SEGMENTS] = {0};
    OK(store_crash_open(disk, &store, &err));
    OK(qd_buffer_create(NULL, &b, &err));
    char *docs = slurp(argv[1], "docs");
    for (char *line = docs; *line;) {
        char *nl = strchr(line, '\n');
        *nl = 0;
        if (n % per == 0)
            for (uint32_t i = 0; i < 4; i++) OK(qd_buffer_field(b, &infos[i], &f[i], &err));
        add(b, f, line);
        if (++n % per == 0) flush(b, store, &seg[nseg], nseg), nseg++;
        line = nl + 1;
    }
    if (n % per) flush(b, store, &seg[nseg], nseg), nseg++;
    for (uint32_t s = 0; s < nseg; s++) {
        OK(qd_live_make(qd_segment_docs(seg[s]), NULL, &live[s], &err));
        for (uint32_t d = 0; every && d < qd_segment_docs(seg[s]); d++)
            if ((s * per + d) % every == 0) qd_live_delete(live[s], d);
    }
    qd_similarities *similarities = argc > 4 ? read_similarity(argv[4]) : NULL;
    qd_searcher *searcher;
    OK(qd_searcher_make(seg, live, nseg, NULL, &searcher, &err));
    char *queries = slurp(argv[1], "queries");
    for (P = queries; *P; P = strchr(P, '\n') + 1) {
        qd_plan *p;
        qd_top_result r;
        qd_plan_options o = {.similarity = &qd_similarity_lucene,
                             .similarity_of = similarities ? similarity_of : NULL,
                             .similarity_arg = similarities};
        OK(qd_plan_make(searcher, parse(), &o, &A, &p, &err));
        OK(qd_plan_top(p, &(qd_top_options){.k = 20, .total = QD_TOTAL_EXACT}, &r, &err));
        printf("%llu", (unsigned long long)r.total);
        for (uint32_t i = 0; i < r.n; i++)
            printf(" d%u:%.9g", r.hits[i].doc, (double)r.hits[i].score);
        printf("\n");
        qd_arena_reset(&A);
    }
    qd_similarities_unref(similarities);
    qd_searcher_unref(searcher);
    for (uint32_t s = 0; s < nseg; s++) {
        qd_segment_unref(seg[s]);
        qd_live_unref(live[s]);
    }
    qd_buffer_destroy(b);
    qd_store_close(store);
    store_crash_free(disk);
    qd_free(docs);
    qd_free(queries);
    qd_arena_fini(&A);
    return 0;
}
