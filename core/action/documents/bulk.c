/*
 * bulk.c: _bulk, fed in pieces.
 *
 * Complete lines are applied in sub-batches of at most 4 MiB, each synced once per shard before its
 * items count as done, on several workers (groups.c). Items are rendered at once and kept
 * compressed (answer.c), since "errors" stands before them in the answer: a body of a gigabyte
 * needs some megabytes, and so does its answer, which is handed out as the client takes it. A
 * malformed action line ends the request: in a body that came whole nothing is applied, in a
 * streamed one what came before stays applied and acknowledged, and the last item tells the error
 * with its line.
 */
#include "action/api/admin_int.h"
#include "action/api/date_name.h"
#include "action/documents/documents_int.h"
#include "base/str.h"
#include "json/reader.h"
#include <stdio.h>
#include <string.h>

#define WHOLE_BYTES                                                                                \
    ((size_t)1 << 20) /* bodies up to this are checked before anything is applied                  \
                       */
#define BATCH_BYTES ((size_t)4 << 20)
#define BATCH_ITEMS 10000u
#define TIMEOUT_MS 60000
#define NO_NEWLINE "The bulk request must be terminated by a newline [\\n]"

typedef struct bulk {
    qd_request *q;
    qd_response *r;
    qd_arena arena; /* of one sub-batch */
    doc_marks marks;
    qd_json_reader actions; /* of all action lines: it knows their keys */
    bool typed;             /* "_type" may stand in an action */
    doc_request request;
    uint64_t start_ns, line, items;
    bool errors, ended; /* ended: by a malformed line, or with the body */
    bool cut;           /* the body ended early, for this reason: */
    qd_err why;
    doc_item standard; /* what the request's parameters give every item */
    QD_VEC(doc_item) batch;
    size_t batch_bytes;
    doc_answer *answer;
    uint64_t shown; /* items that filter_path leaves */
    qd_buf item;    /* one to be filtered */
    bool lost;      /* memory was lacking for one */
    char tail[4];   /* what follows the items */
    bool refreshed; /* what it wrote */
    bool answering; /* the answer has begun */
    uint64_t ingest_ns;
} bulk;

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
        if (!text.n) return 0;
        i->given = qdi_is_date_name(kept) ? kept : (qd_str){NULL, 0};
        return qdi_date_name(&b->arena, kept, qd_env_wall_ms(b->q->a->env), &i->index, err);
    } else if (qd_str_is(key, "_id")) {
        i->id = kept;
        i->empty_id = text.p && text.n == 0;
    } else if (qd_str_is(key, "routing")) {
        i->routing = kept;
    } else if (qd_str_is(key, "version")) {
        if (!number || !qd_str_i64(text, &i->version)) return malformed(b, err, "bad [version]");
        /* HLRC says what a creation wants by itself: any version, or none that is there */
        i->has_version = i->version != QD_VERSION_ANY &&
                         !(i->op == DOC_CREATE && i->version == QD_VERSION_DELETED);
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
    } else if (qd_str_is(key, "require_data_stream")) {
        i->require_stream = qd_str_is(text, "true");
    } else if (qd_str_is(key, "list_executed_pipelines") || (b->typed && qd_str_is(key, "_type"))) {
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

/* One action a line. Elasticsearch before 9 and OpenSearch go on where more members follow it. */
static int extra(bulk *b, qd_json_reader *j, qd_json_event ev, qd_err *err)
{
    char text[80];
    qdi_identity id;
    qdi_identity_get(b->q->a, &id);
    if (ev != QD_JSON_KEY || id.product == QDI_ES9) {
        snprintf(text, sizeof text, "expected END_OBJECT but found [%s]", qd_json_event_name(ev));
        return malformed(b, err, text);
    }
    while (ev > 0 && ev != QD_JSON_EOF) ev = qd_json_next(j);
    if (ev < 0) return qd_json_fail(j, err);
    if (!id.opensearch)
        qd_request_warn(b->q, "A bulk action object contained multiple keys. Additional keys are "
                              "currently ignored but will be rejected in a future version.");
    return 0;
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
    return ev == QD_JSON_EOF ? 0 : extra(b, j, ev, err);
}

/* slack: bytes of the body behind the line. */
static int parse_action(bulk *b, qd_str line, size_t slack, doc_item *i, qd_err *err)
{
    qd_json_reader *j = &b->actions;
    qd_json_reader_init_slack(j, line, slack, QD_JSON_STRICT_KEYS, 0);
    *i = b->standard;
    qd_json_event ev = qd_json_next(j);
    int rc;
    if (ev != QD_JSON_OBJECT) {
        rc = ev == QD_JSON_ERROR
                 ? qd_json_fail(j, err)
                 : qd_err_set(err, QD_E_ARG,
                              "Malformed action/metadata line [%llu], expected START_OBJECT but "
                              "found [%s]",
                              (unsigned long long)b->line, qd_json_event_name(ev));
    } else if ((ev = qd_json_next(j)) != QD_JSON_KEY) {
        rc = ev == QD_JSON_ERROR ? qd_json_fail(j, err)
                                 : malformed(b, err, "expected FIELD_NAME but found [END_OBJECT]");
    } else if (!op_of(j->text, &i->op)) {
        rc = qd_err_set(err, QD_E_ARG,
                        "Malformed action/metadata line [%llu], expected field [create], [delete], "
                        "[index] or [update] but found [%.*s]",
                        (unsigned long long)b->line, QD_STR_ARG(j->text));
    } else {
        rc = parse_meta(b, j, i, err);
    }
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

#define ITEMS_OPEN "{\"items\":["
#define ITEMS_CLOSE "]}"

/* What filter_path leaves of one item, as if it stood in the answer alone. */
static void add_filtered(bulk *b, qd_buf *to)
{
    qd_buf kept;
    qd_buf_init(&kept, b->q->a->account, (size_t)256 << 20);
    (void)qd_buf_c(&b->item, ITEMS_CLOSE);
    int rc = qd_buf_status(&b->item);
    if (!rc) rc = qd_json_filter_apply(b->q->filter, qd_buf_view(&b->item), false, &kept, NULL);
    qd_str v = qd_buf_view(&kept);
    size_t around = strlen(ITEMS_OPEN) + strlen(ITEMS_CLOSE);
    if (rc) {
        b->lost = true;
    } else if (v.n > around) {
        if (b->shown++) (void)qd_buf_char(to, ',');
        (void)qd_buf_add(to, v.p + strlen(ITEMS_OPEN), v.n - around);
    }
    qd_buf_fini(&kept);
    qd_buf_reset(&b->item);
}

static void render(bulk *b, const doc_item *i)
{
    qd_json_writer w;
    bool filter = b->q->filter != NULL;
    qd_buf *to = qdi_answer_items(b->answer);
    if (filter) {
        (void)qd_buf_c(&b->item, ITEMS_OPEN);
    } else if (b->shown++) {
        (void)qd_buf_char(to, ',');
    }
    qd_json_writer_init(&w, filter ? &b->item : to, false);
    qd_json_object(&w);
    qd_json_key_c(&w, qdi_doc_op_name(i->op));
    qd_json_object(&w);
    qdi_item_write(i, b->q->a, true, &w);
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    if (filter) add_filtered(b, to);
    b->items++;
    b->errors |= i->rc != 0;
}

/* --- sub-batches --- */

/* last: the request's; shards that cannot be refreshed then are told with its items. */
static int run_batch(bulk *b, bool last, qd_err *err)
{
    doc_run *g;
    if (b->batch.n == 0) return 0;
    int rc = qdi_docs_run(&b->request, b->batch.at, b->batch.n, b->batch_bytes, &b->arena, &g, err);
    if (rc) return rc;
    if (last && !b->q->task.stop) {
        qdi_marks_refresh(&b->marks, b->q->a, &b->q->task);
        qdi_marks_tell(&b->marks, b->batch.at, b->batch.n);
        b->refreshed = true;
    }
    for (size_t i = 0; i < b->batch.n; i++) render(b, &b->batch.at[i]);
    qdi_docs_free(g);
    b->batch.n = 0;
    b->batch_bytes = 0;
    qd_arena_reset(&b->arena);
    return b->lost ? qd_err_nomem(err, "answer of the bulk request")
                   : qdi_answer_pack(b->answer, err);
}

/* --- the stream --- */

static void drop(void *state)
{
    bulk *b = state;
    for (size_t i = 0; i < b->batch.n; i++) qdi_item_fini(&b->batch.at[i]);
    qd_vec_fini(&b->batch);
    qdi_marks_fini(&b->marks);
    qdi_answer_close(b->answer);
    qd_buf_fini(&b->item);
    qd_json_reader_fini(&b->actions);
    qd_arena_fini(&b->arena);
    qd_err_fini(&b->why);
    qd_free(b);
}

static int begin(qd_request *q, qd_response *r, void **state, qd_err *err)
{
    bulk *b = qd_calloc(q->a->account, sizeof *b);
    if (!b) return qd_err_nomem(err, "bulk request");
    b->q = q;
    b->r = r;
    b->start_ns = qd_env_mono_ns(q->a->env);
    b->request = (doc_request){.a = q->a,
                               .task = &q->task,
                               .hint = (uint32_t)qd_env_random_u64(q->a->env),
                               .marks = &b->marks,
                               .ingest_ns = &b->ingest_ns};
    qd_arena_init(&b->arena, q->a->account, 0);
    b->actions = QD_JSON_READER(q->a->account);
    qd_err_init(&b->why);
    qd_buf_init(&b->item, q->a->account, (size_t)256 << 20);
    qdi_item_init(&b->standard);
    b->standard.index = qd_param(q, "index");
    b->standard.given = qd_param(q, QDI_INDEX_GIVEN);
    b->standard.routing = qd_param(q, "routing");
    b->standard.pipeline = qd_param(q, "pipeline");
    b->typed = qdi_has_types(q->a);
    int rc = qdi_answer_open(q->a, &b->answer, err);
    if (!rc) rc = qd_param_ms(q, "timeout", TIMEOUT_MS, &b->request.timeout_ms, err);
    if (!rc) rc = qdi_refresh_param(q, &b->marks.refresh, err);
    if (!rc) rc = qdi_active_param(q, &b->request.active, err);
    if (!rc && qdi_source_asked(q)) {
        doc_source s;
        rc = qdi_source_param(q, &s, err);
        b->standard.want_source = s.want;
        b->standard.source_filter = s.filter;
    }
    if (!rc) rc = qd_param_bool(q, "require_alias", false, &b->standard.require_alias, err);
    if (!rc) rc = qd_param_bool(q, "require_data_stream", false, &b->standard.require_stream, err);
    if (rc) {
        drop(b);
        return rc;
    }
    *state = b;
    return 0;
}

/* Ends a streamed request at a bad line: the rest of it is answered by one item. */
static int end_with_error(bulk *b, qd_err *why, qd_err *err)
{
    doc_item i = b->standard;
    int rc = run_batch(b, false, err);
    if (rc) return rc;
    i.concrete = i.index.p ? i.index : QD_STR("");
    qdi_item_fail(&i, &b->arena, why);
    render(b, &i);
    qdi_item_fini(&i);
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
    int rc = parse_action(b, line, rest->n, &i, err);
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
    return rc ? rc : run_batch(b, true, err);
}

/* The complete lines of what has come. */
static int feed_lines(bulk *b, qd_str *rest, bool last, qd_err *err)
{
    bool more = true;
    int rc = 0;
    while (more && !rc && !b->ended) {
        qd_err why;
        qd_err_init(&why);
        if (take_line(b, rest, false, &more, &why)) {
            rc = end_with_error(b, &why, err);
        } else if (b->batch_bytes >= BATCH_BYTES || b->batch.n >= BATCH_ITEMS) {
            rc = run_batch(b, false, err);
        }
        qd_err_fini(&why);
    }
    /* items point into the bytes: they are applied before the caller moves them */
    return rc ? rc : run_batch(b, last, err);
}

static int feed(void *state, qd_str bytes, bool last, size_t *used, qd_err *err)
{
    bulk *b = state;
    qd_str rest = bytes;
    if (last && b->line == 0 && bytes.n <= WHOLE_BYTES && !b->ended) {
        *used = bytes.n;
        return feed_whole(b, bytes, err);
    }
    int rc = feed_lines(b, &rest, last, err);
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

/* The rest of the body will not come. Lines that were not fed are not applied; what was before them
 * is told, with a last item that names the line. */
static int cut(void *state, const qd_err *why, qd_err *err)
{
    bulk *b = state;
    if (b->ended) return 0;
    if (b->line == 0) { /* nothing has been applied */
        qd_err_copy(err, why);
        return why->code;
    }
    b->cut = true;
    b->line++;
    (void)qd_err_set(
        &b->why, why->code,
        "%s: the first [%llu] items were read and applied, nothing from line [%llu] on",
        qd_err_reason(why), (unsigned long long)b->items, (unsigned long long)b->line);
    qd_err_type(&b->why, NULL, qd_err_status(why));
    b->r->status = qd_err_status(why);
    qd_err of_item;
    qd_err_init(&of_item);
    qd_err_copy(&of_item, &b->why);
    int rc = end_with_error(b, &of_item, err);
    qd_err_fini(&of_item);
    return rc;
}

/* What stands before the items: of a body that ended early "error" and "status" too, as of any
 * answer with its status. */
static int summary(bulk *b, qd_buf *to)
{
    qd_json_writer w;
    qd_json_writer_init(&w, to, false);
    qd_json_object(&w);
    qd_json_field_int(&w, "took", (qd_env_mono_ns(b->q->a->env) - b->start_ns) / 1000000);
    if (b->ingest_ns) qd_json_field_int(&w, "ingest_took", (int64_t)(b->ingest_ns / 1000000));
    qd_json_field_bool(&w, "errors", b->errors);
    if (b->cut) {
        qd_json_key_c(&w, "error");
        qd_error_write_root(&w, &b->why);
        qd_json_field_int(&w, "status", b->r->status);
    }
    qd_json_object_end(&w);
    return qd_buf_status(to);
}

/* That; with filter_path what it leaves of it. */
static int head(bulk *b, qd_buf *to, qd_err *err)
{
    qd_buf all;
    qd_json_filter *f = b->q->filter;
    int rc = f ? 0 : summary(b, to);
    if (f) {
        qd_buf_init(&all, b->q->a->account, 65536);
        rc = summary(b, &all);
        if (!rc) rc = qd_json_filter_apply(f, qd_buf_view(&all), false, to, err);
        qd_buf_fini(&all);
    }
    if (rc) return err->code ? rc : qd_err_nomem(err, "answer of the bulk request");
    snprintf(b->tail, sizeof b->tail, "}");
    to->n--;
    if (f && !b->shown) return 0; /* no items at all */
    snprintf(b->tail, sizeof b->tail, ITEMS_CLOSE);
    (void)qd_buf_c(to, to->n > 1 ? ",\"items\":[" : "\"items\":[");
    return qd_buf_status(to) ? qd_err_nomem(err, "answer of the bulk request") : 0;
}

/* pretty needs the whole answer. */
static int end_pretty(bulk *b, int (*emit)(void *arg, qd_str piece), void *arg, qd_err *err)
{
    qd_buf whole;
    qd_str piece;
    qd_json_filter *all = NULL;
    int rc = head(b, b->r->out, err);
    while (!rc && !(rc = qdi_answer_next(b->answer, &piece, err)) && piece.n) {
        if (qd_buf_str(b->r->out, piece)) rc = qd_err_nomem(err, "answer of the bulk request");
    }
    if (!rc && qd_buf_c(b->r->out, b->tail)) rc = qd_err_nomem(err, "answer of the bulk request");
    qd_buf_init(&whole, b->q->a->account, (size_t)1 << 31);
    if (!rc) rc = qd_json_filter_path(b->q->arena, QD_STR("**"), &all, err);
    if (!rc) rc = qd_json_filter_apply(all, qd_buf_view(b->r->out), true, &whole, err);
    if (!rc) (void)qd_buf_char(&whole, '\n');
    if (!rc) (void)emit(arg, qd_buf_view(&whole));
    qd_buf_fini(&whole);
    qd_buf_reset(b->r->out);
    return rc;
}

/* Without it the answer goes out as it is unpacked, as far as the client takes it. */
static int end_direct(bulk *b, int (*emit)(void *arg, qd_str piece), void *arg)
{
    qd_str piece;
    int rc;
    do {
        if (qdi_answer_next(b->answer, &piece, NULL)) return 0; /* it stays cut: no JSON */
        rc = piece.n ? emit(arg, piece) : 0;
        if (rc == QD_ANSWER_FULL) return QD_STREAM_AGAIN;
    } while (!rc && piece.n);
    if (!rc) (void)emit(arg, qd_str_c(b->tail));
    return 0; /* or the client is gone */
}

static int end(void *state, int (*emit)(void *arg, qd_str piece), void *arg, qd_err *err)
{
    bulk *b = state;
    if (b->answering) return end_direct(b, emit, arg);
    if (!b->q->task.stop && !b->refreshed) qdi_marks_refresh(&b->marks, b->q->a, &b->q->task);
    int rc = qdi_answer_end(b->answer, err);
    if (rc) return rc;
    b->answering = true;
    if (b->q->pretty) return end_pretty(b, emit, arg, err);
    qd_buf_reset(&b->item);
    if ((rc = head(b, &b->item, err))) return rc;
    rc = emit(arg, qd_buf_view(&b->item));
    return rc == QD_ANSWER_FULL ? QD_STREAM_AGAIN : rc ? 0 : end_direct(b, emit, arg);
}

const qd_api_stream qdi_api_bulk = {begin, feed, cut, end, drop};
