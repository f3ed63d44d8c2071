/*
 * docs_bulk.c: _bulk, fed in pieces.
 *
 * Complete lines are applied in sub-batches of at most 4 MiB, each synced once per shard before its
 * items count as done. Items are rendered at once and kept compressed, since "errors" stands before
 * them in the answer: a body of a gigabyte needs some megabytes. A malformed action line ends the
 * request: in a body that came whole nothing is applied, in a streamed one what came before stays
 * applied and acknowledged, and the last item tells the error with its line.
 */
#include "action/docs_int.h"
#include "base/str.h"
#include "json/reader.h"
#include <stdio.h>
#include <string.h>
#define ZSTD_STATIC_LINKING_ONLY /* contexts in memory of ours */
#include <zstd.h>

#define WHOLE_BYTES                                                                                \
    ((size_t)1 << 20) /* bodies up to this are checked before anything is applied                  \
                       */
#define BATCH_BYTES ((size_t)4 << 20)
#define BATCH_ITEMS 10000u
#define RENDERED_MAX ((size_t)64 << 20)
#define TIMEOUT_MS 60000
#define NO_NEWLINE "The bulk request must be terminated by a newline [\\n]"

typedef struct bulk {
    qd_request *q;
    qd_response *r;
    qd_arena arena; /* of one sub-batch */
    doc_marks marks;
    bool typed; /* "_type" may stand in an action */
    int64_t timeout_ms, active;
    uint64_t start_ns, line, items;
    uint32_t hint;      /* one request stays on one indexing slot of a shard: fewer buffers fill */
    bool errors, ended; /* ended: by a malformed line */
    doc_item standard;  /* what the request's parameters give every item */
    QD_VEC(doc_item) batch;
    size_t batch_bytes;
    qd_buf rendered; /* items of the current chunk */
    ZSTD_CCtx *zc;
    qd_buf packed; /* compressed items of before */
} bulk;

static void *zstd_alloc(void *account, size_t n)
{
    return qd_alloc(account, n);
}

static void zstd_free(void *account, void *p)
{
    (void)account;
    qd_free(p);
}

static ZSTD_customMem zstd_mem(qd_account *account)
{
    return (ZSTD_customMem){zstd_alloc, zstd_free, account};
}

/* --- lines --- */

static int malformed(bulk *b, qd_err *err, const char *what)
{
    return qd_err_set(err, QD_E_ARG, "Malformed action/metadata line [%llu], %s",
                      (unsigned long long)b->line, what);
}

/* "_source" of an update: what of the new document the answer shows. */
static int meta_source(bulk *b, qd_json_reader *j, doc_item *i, qd_err *err)
{
    qd_str raw;
    qd_json_node *n;
    doc_source s;
    if (qd_json_raw(j, &raw)) return qd_json_fail(j, err);
    int rc = qd_json_parse(&b->arena, raw, 0, &n, err);
    if (!rc) rc = qdi_source_json(n, &b->arena, &s, err);
    if (rc) return rc;
    i->want_source = s.want;
    i->source_filter = s.filter;
    return 0;
}

static int meta_value(bulk *b, qd_json_reader *j, doc_item *i, qd_str key, qd_err *err)
{
    if (qd_str_is(key, "_source")) return meta_source(b, j, i, err);
    qd_json_event ev = qd_json_next(j);
    int64_t n = 0;
    if (ev == QD_JSON_ERROR) return qd_json_fail(j, err);
    if (ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY) {
        if (qd_str_is(key, "dynamic_templates")) {
            return qd_json_skip(j) ? qd_json_fail(j, err) : 0;
        }
        return qd_err_set(
            err, QD_E_ARG,
            "Malformed action/metadata line [%llu], expected a simple value for field "
            "[%.*s] but found [%s]",
            (unsigned long long)b->line, QD_STR_ARG(key), qd_json_event_name(ev));
    }
    qd_str text = ev == QD_JSON_NULL    ? (qd_str){NULL, 0}
                  : ev == QD_JSON_TRUE  ? QD_STR("true")
                  : ev == QD_JSON_FALSE ? QD_STR("false")
                                        : j->text;
    bool number = ev == QD_JSON_NUMBER || ev == QD_JSON_STRING;
    qd_str kept = qd_arena_str(&b->arena, text);
    if (!kept.p) return qd_err_nomem(err, "bulk item");
    if (!text.p) kept = (qd_str){NULL, 0};
    if (qd_str_is(key, "_index")) {
        if (text.n) i->index = kept;
    } else if (qd_str_is(key, "_id")) {
        i->id = kept;
        i->empty_id = text.p && text.n == 0;
    } else if (qd_str_is(key, "routing")) {
        i->routing = kept;
    } else if (qd_str_is(key, "version")) {
        i->has_version = true;
        if (!number || !qd_str_i64(text, &i->version)) return malformed(b, err, "bad [version]");
    } else if (qd_str_is(key, "version_type")) {
        return qdi_version_type(kept, &i->version_type, err);
    } else if (qd_str_is(key, "if_seq_no")) {
        if (!number || !qd_str_i64(text, &n)) return malformed(b, err, "bad [if_seq_no]");
        i->if_seq_no = n;
    } else if (qd_str_is(key, "if_primary_term")) {
        if (!number || !qd_str_i64(text, &i->if_primary_term)) {
            return malformed(b, err, "bad [if_primary_term]");
        }
    } else if (qd_str_is(key, "retry_on_conflict")) {
        if (!number || !qd_str_i64(text, &i->retry_on_conflict)) {
            return malformed(b, err, "bad [retry_on_conflict]");
        }
    } else if (qd_str_is(key, "op_type")) {
        if (qd_str_is(text, "create")) i->op = DOC_CREATE;
    } else if (qd_str_is(key, "require_alias")) {
        i->require_alias = qd_str_is(text, "true");
    } else if (qd_str_is(key, "pipeline")) {
        i->pipeline = kept;
    } else if (qd_str_is(key, "require_data_stream") || qd_str_is(key, "list_executed_pipelines") ||
               (b->typed && qd_str_is(key, "_type"))) {
        return 0;
    } else {
        return qd_err_set(err, QD_E_ARG,
                          "Action/metadata line [%llu] contains an unknown parameter [%.*s]",
                          (unsigned long long)b->line, QD_STR_ARG(key));
    }
    return 0;
}

static bool op_of(qd_str name, doc_op *out)
{
    for (int op = DOC_INDEX; op <= DOC_DELETE; op++) {
        if (qd_str_is(name, qdi_doc_op_name((doc_op)op))) {
            *out = (doc_op)op;
            return true;
        }
    }
    return false;
}

/* One action a line. */
static int extra(bulk *b, qd_json_event ev, qd_err *err)
{
    char text[80];
    snprintf(text, sizeof text, "expected END_OBJECT but found [%s]", qd_json_event_name(ev));
    return malformed(b, err, text);
}

static int parse_meta(bulk *b, qd_json_reader *j, doc_item *i, qd_err *err)
{
    qd_json_event ev = qd_json_next(j);
    if (ev != QD_JSON_OBJECT) {
        return ev == QD_JSON_ERROR
                   ? qd_json_fail(j, err)
                   : qd_err_set(err, QD_E_ARG,
                                "Malformed action/metadata line [%llu], expected START_OBJECT or "
                                "END_OBJECT but found [%s]",
                                (unsigned long long)b->line, qd_json_event_name(ev));
    }
    while ((ev = qd_json_next(j)) == QD_JSON_KEY) {
        int rc = meta_value(b, j, i, j->text, err);
        if (rc) return rc;
    }
    if (ev != QD_JSON_OBJECT_END) return qd_json_fail(j, err);
    ev = qd_json_next(j);
    if (ev == QD_JSON_OBJECT_END) ev = qd_json_next(j);
    if (ev == QD_JSON_ERROR) return qd_json_fail(j, err);
    return ev == QD_JSON_EOF ? 0 : extra(b, ev, err);
}

static int parse_action(bulk *b, qd_str line, doc_item *i, qd_err *err)
{
    qd_json_reader j = QD_JSON_READER(NULL);
    qd_json_reader_init(&j, line, QD_JSON_STRICT_KEYS, 0);
    *i = b->standard;
    qd_err_init(&i->err);
    qd_json_event ev = qd_json_next(&j);
    int rc;
    if (ev != QD_JSON_OBJECT) {
        rc = ev == QD_JSON_ERROR
                 ? qd_json_fail(&j, err)
                 : qd_err_set(err, QD_E_ARG,
                              "Malformed action/metadata line [%llu], expected START_OBJECT but "
                              "found [%s]",
                              (unsigned long long)b->line, qd_json_event_name(ev));
    } else if ((ev = qd_json_next(&j)) != QD_JSON_KEY) {
        rc = ev == QD_JSON_ERROR ? qd_json_fail(&j, err)
                                 : malformed(b, err, "expected FIELD_NAME but found [END_OBJECT]");
    } else if (!op_of(j.text, &i->op)) {
        rc = qd_err_set(err, QD_E_ARG,
                        "Malformed action/metadata line [%llu], expected field [create], [delete], "
                        "[index] or [update] but found [%.*s]",
                        (unsigned long long)b->line, QD_STR_ARG(j.text));
    } else {
        rc = parse_meta(b, &j, i, err);
    }
    qd_json_reader_fini(&j);
    return rc;
}

/* The next whole line; false when there is none yet. */
static bool next_line(qd_str *rest, bool last, qd_str *line)
{
    if (rest->n == 0) return false;
    ptrdiff_t end = qd_str_find(*rest, '\n');
    if (end < 0 && !last) return false;
    size_t n = end < 0 ? rest->n : (size_t)end;
    *line = (qd_str){rest->p, n};
    if (n && rest->p[n - 1] == '\r') line->n--;
    *rest = qd_str_sub(*rest, end < 0 ? n : n + 1, rest->n);
    return true;
}

/* --- rendering --- */

/* Moves the rendered items into the compressed store. */
static int pack(bulk *b, bool end, qd_err *err)
{
    ZSTD_inBuffer in = {b->rendered.p ? b->rendered.p : "", b->rendered.n, 0};
    for (;;) {
        char *at = qd_buf_reserve(&b->packed, 65536);
        if (!at)
            return qd_err_set(err, QD_E_BREAKER,
                              "[request] answer of the bulk request is too large");
        ZSTD_outBuffer out = {at, 65536, 0};
        size_t left = ZSTD_compressStream2(b->zc, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
        b->packed.n += out.pos;
        if (ZSTD_isError(left))
            return qd_err_set(err, QD_E_INTERNAL, "zstd: %s", ZSTD_getErrorName(left));
        if (in.pos == in.size && (!end || left == 0)) break;
    }
    qd_buf_reset(&b->rendered);
    return 0;
}

static void render(bulk *b, const doc_item *i)
{
    qd_json_writer w;
    if (b->items++) (void)qd_buf_char(&b->rendered, ',');
    qd_json_writer_init(&w, &b->rendered, false);
    qd_json_object(&w);
    qd_json_key_c(&w, qdi_doc_op_name(i->op));
    qd_json_object(&w);
    qdi_item_write(i, b->q->a, true, &w);
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    b->errors |= i->rc != 0;
}

/* --- sub-batches --- */

static int run_batch(bulk *b, qd_err *err)
{
    doc_batch d;
    if (b->batch.n == 0) return 0;
    qdi_batch_begin(&d, b->q->a, &b->arena, &b->q->task, b->timeout_ms);
    d.hint = b->hint;
    d.active = b->active;
    for (size_t i = 0; i < b->batch.n; i++) qdi_batch_apply(&d, &b->batch.at[i]);
    qdi_batch_sync(&d, b->batch.at, b->batch.n);
    qdi_batch_mark(&d, &b->marks, b->batch.at, b->batch.n);
    qdi_batch_end(&d);
    for (size_t i = 0; i < b->batch.n; i++) {
        render(b, &b->batch.at[i]);
        qdi_item_fini(&b->batch.at[i]);
    }
    b->batch.n = 0;
    b->batch_bytes = 0;
    qd_arena_reset(&b->arena);
    if (qd_buf_status(&b->rendered)) return qd_err_nomem(err, "answer of the bulk request");
    return b->rendered.n > 65536 ? pack(b, false, err) : 0;
}

/* --- the stream --- */

static void drop(void *state)
{
    bulk *b = state;
    for (size_t i = 0; i < b->batch.n; i++) qdi_item_fini(&b->batch.at[i]);
    qd_vec_fini(&b->batch);
    qdi_marks_fini(&b->marks);
    qd_buf_fini(&b->rendered);
    qd_buf_fini(&b->packed);
    ZSTD_freeCCtx(b->zc);
    qd_arena_fini(&b->arena);
    qd_free(b);
}

static int begin(qd_request *q, qd_response *r, void **state, qd_err *err)
{
    bulk *b = qd_calloc(q->a->account, sizeof *b);
    if (!b) return qd_err_nomem(err, "bulk request");
    b->q = q;
    b->r = r;
    b->start_ns = qd_env_mono_ns(q->a->env);
    b->hint = (uint32_t)qd_env_random_u64(q->a->env);
    qd_arena_init(&b->arena, q->a->account, 0);
    qd_buf_init(&b->rendered, q->a->account, RENDERED_MAX);
    qd_buf_init(&b->packed, q->a->account, (size_t)1 << 31);
    qdi_item_init(&b->standard);
    b->standard.index = qd_param(q, "index");
    b->standard.routing = qd_param(q, "routing");
    b->standard.pipeline = qd_param(q, "pipeline");
    b->typed = qdi_has_types(q->a);
    b->zc = ZSTD_createCCtx_advanced(zstd_mem(q->a->account));
    int rc = b->zc ? 0 : qd_err_nomem(err, "bulk request");
    if (!rc) rc = qd_param_ms(q, "timeout", TIMEOUT_MS, &b->timeout_ms, err);
    if (!rc) rc = qdi_refresh_param(q, &b->marks.refresh, err);
    if (!rc) rc = qdi_active_param(q, &b->active, err);
    if (!rc && qdi_source_asked(q)) {
        doc_source s;
        rc = qdi_source_param(q, &s, err);
        b->standard.want_source = s.want;
        b->standard.source_filter = s.filter;
    }
    if (!rc) rc = qd_param_bool(q, "require_alias", false, &b->standard.require_alias, err);
    if (rc) {
        drop(b);
        return rc;
    }
    (void)ZSTD_CCtx_setParameter(b->zc, ZSTD_c_compressionLevel, 1);
    *state = b;
    return 0;
}

/* Ends a streamed request at a bad line: the rest of it is answered by one item. */
static int end_with_error(bulk *b, qd_err *why, qd_err *err)
{
    doc_item i = b->standard;
    int rc = run_batch(b, err);
    if (rc) return rc;
    i.rc = why->code;
    i.status = qd_err_status(why);
    i.concrete = i.index.p ? i.index : QD_STR("");
    i.err = *why;
    if (why->reason == why->text) i.err.reason = i.err.text;
    render(b, &i);
    qd_err_fini(why);
    b->ended = true;
    return 0;
}

static int take_line(bulk *b, qd_str *rest, bool last, bool *more, qd_err *err)
{
    qd_str line, before = *rest;
    doc_item i;
    *more = next_line(rest, last, &line);
    if (!*more) return 0;
    if (qd_str_trim(line).n == 0) {
        b->line++;
        return 0;
    }
    b->line++;
    int rc = parse_action(b, line, &i, err);
    if (rc) return rc;
    if (i.op != DOC_DELETE && !next_line(rest, last, &i.source)) {
        b->line--;
        if (!last) {
            *rest = before; /* its document is still on the way */
            *more = false;
            return 0;
        }
        *more = false; /* an action without its document, at the end: Elasticsearch drops it */
        return 0;
    }
    b->line += i.op != DOC_DELETE;
    b->batch_bytes += line.n + i.source.n;
    return qd_vec_push(&b->batch, b->q->a->account, i) ? qd_err_nomem(err, "bulk request") : 0;
}

/* Elasticsearch validates a whole request before it applies anything of it. */
static int validate_all(bulk *b, qd_err *err)
{
    doc_problems p;
    int rc = 0;
    qdi_problems_init(&p, b->q->a->account);
    for (size_t k = 0; k < b->batch.n && !rc; k++) {
        doc_item *i = &b->batch.at[k];
        if (i->op != DOC_UPDATE) {
            qdi_item_problems(i, &p);
        } else if (i->has_version || i->version_type != QD_VERSION_INTERNAL) {
            rc = qd_err_set(err, QD_E_ARG,
                            "Update requests do not support versioning. Please use `if_seq_no` and "
                            "`if_primary_term` instead");
        } else {
            rc = qdi_update_check(i, &b->arena, &p, err);
        }
    }
    int bad = qdi_problems_end(&p, rc ? NULL : err);
    return rc ? rc : bad;
}

/* All lines of a request that has come whole: nothing is applied unless all can be read. */
static int feed_whole(bulk *b, qd_str bytes, qd_err *err)
{
    bool more = true;
    int rc = 0;
    if (bytes.n && bytes.p[bytes.n - 1] != '\n') {
        return qd_err_set(err, QD_E_ARG, NO_NEWLINE);
    }
    while (more && !rc) rc = take_line(b, &bytes, true, &more, err);
    if (!rc && b->batch.n == 0) {
        rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: no requests added;");
    }
    if (!rc) rc = validate_all(b, err);
    return rc ? rc : run_batch(b, err);
}

/* The complete lines of what has come. */
static int feed_lines(bulk *b, qd_str *rest, qd_err *err)
{
    bool more = true;
    int rc = 0;
    while (more && !rc && !b->ended) {
        qd_err why;
        qd_err_init(&why);
        if (take_line(b, rest, false, &more, &why)) {
            rc = end_with_error(b, &why, err);
        } else if (b->batch_bytes >= BATCH_BYTES || b->batch.n >= BATCH_ITEMS) {
            rc = run_batch(b, err);
        }
        qd_err_fini(&why);
    }
    /* items point into the bytes: they are applied before the caller moves them */
    return rc ? rc : run_batch(b, err);
}

static int feed(void *state, qd_str bytes, bool last, size_t *used, qd_err *err)
{
    bulk *b = state;
    qd_str rest = bytes;
    if (last && b->line == 0 && bytes.n <= WHOLE_BYTES && !b->ended) {
        *used = bytes.n;
        return feed_whole(b, bytes, err);
    }
    int rc = feed_lines(b, &rest, err);
    if (!rc && last && !b->ended && rest.n && rest.p[rest.n - 1] != '\n') {
        qd_err why;
        qd_err_init(&why);
        qd_err_set(&why, QD_E_ARG, NO_NEWLINE);
        rc = end_with_error(b, &why, err);
        qd_err_fini(&why);
    }
    if (!rc && last && b->items == 0) {
        rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: no requests added;");
    }
    *used = last || b->ended ? bytes.n : bytes.n - rest.n;
    return rc;
}

static int end(void *state, int (*emit)(void *arg, qd_str piece), void *arg, qd_err *err)
{
    bulk *b = state;
    char head[96], out[65536];
    if (!b->q->task.stop) qdi_marks_refresh(&b->marks, b->q->a);
    uint64_t took = (qd_env_mono_ns(b->q->a->env) - b->start_ns) / 1000000;
    int rc = pack(b, true, err);
    if (rc) return rc;
    int n = snprintf(head, sizeof head, "{\"took\":%llu,\"errors\":%s,\"items\":[",
                     (unsigned long long)took, b->errors ? "true" : "false");
    ZSTD_DCtx *z = ZSTD_createDCtx_advanced(zstd_mem(b->q->a->account));
    if (!z) return qd_err_nomem(err, "answer of the bulk request");
    ZSTD_inBuffer in = {b->packed.p, b->packed.n, 0};
    /* pretty and filter_path need the whole answer; without them it goes out as it is unpacked */
    bool direct = !b->q->pretty && !b->q->filter;
    rc = direct ? emit(arg, (qd_str){head, (size_t)n}) : qd_buf_add(b->r->out, head, (size_t)n);
    while (!rc && in.pos < in.size) {
        ZSTD_outBuffer o = {out, sizeof out, 0};
        size_t left = ZSTD_decompressStream(z, &o, &in);
        if (ZSTD_isError(left)) {
            rc = QD_E_INTERNAL;
            break;
        }
        rc = direct ? emit(arg, (qd_str){out, o.pos}) : qd_buf_add(b->r->out, out, o.pos);
    }
    ZSTD_freeDCtx(z);
    if (!rc) rc = direct ? emit(arg, QD_STR("]}")) : qd_buf_c(b->r->out, "]}");
    if (rc || direct) return 0; /* the client is gone, or all is sent */
    qd_buf whole;
    qd_json_filter *f = b->q->filter;
    qd_buf_init(&whole, b->q->a->account, (size_t)1 << 31);
    if (!f) rc = qd_json_filter_path(b->q->arena, QD_STR("**"), &f, err);
    if (!rc) rc = qd_json_filter_apply(f, qd_buf_view(b->r->out), b->q->pretty, &whole, err);
    if (!rc && b->q->pretty) (void)qd_buf_char(&whole, '\n');
    if (!rc) (void)emit(arg, qd_buf_view(&whole));
    qd_buf_fini(&whole);
    qd_buf_reset(b->r->out);
    return rc;
}

const qd_api_stream qdi_api_bulk = {begin, feed, end, drop};
