/* update.c: partial updates: the present source and a partial document into a new source. */
#include "action/documents/documents_int.h"
#include "base/str.h"
#include "script/script.h"
#include "json/tree.h"
#include <stdarg.h>
#include <stdio.h>

#define SOURCE_MAX ((size_t)1 << 31)

/* Same value, numbers as written, objects whatever the order of their members. */
static bool equal(const qd_json_node *a, const qd_json_node *b)
{
    if (a->type != b->type || a->n != b->n) return false;
    switch (a->type) {
    case QD_JSON_T_BOOL:
        return a->truth == b->truth;
    case QD_JSON_T_NUMBER:
    case QD_JSON_T_STRING:
        return qd_str_eq(a->text, b->text);
    case QD_JSON_T_ARRAY:
        for (const qd_json_node *x = a->first, *y = b->first; x; x = x->next, y = y->next) {
            if (!equal(x, y)) return false;
        }
        return true;
    case QD_JSON_T_OBJECT:
        for (const qd_json_node *x = a->first; x; x = x->next) {
            const qd_json_node *y = qd_json_get_str(b, x->key);
            if (!y || !equal(x, y)) return false;
        }
        return true;
    default:
        return true;
    }
}

/* Writes base with patch laid over it: objects member by member, everything else replaced. */
static void merge(const qd_json_node *base, const qd_json_node *patch, bool *changed,
                  qd_json_writer *w)
{
    qd_json_object(w);
    for (const qd_json_node *m = base->first; m; m = m->next) {
        const qd_json_node *p = qd_json_get_str(patch, m->key);
        qd_json_key(w, m->key);
        if (!p) {
            qd_json_raw_value(w, m->raw);
        } else if (p->type == QD_JSON_T_OBJECT && m->type == QD_JSON_T_OBJECT) {
            merge(m, p, changed, w);
        } else {
            *changed |= !equal(m, p);
            qd_json_raw_value(w, p->raw);
        }
    }
    for (const qd_json_node *p = patch->first; p; p = p->next) {
        if (qd_json_get_str(base, p->key)) continue;
        *changed = true;
        qd_json_key(w, p->key);
        qd_json_raw_value(w, p->raw);
    }
    qd_json_object_end(w);
}

typedef struct update_body {
    const qd_json_node *doc, *upsert, *script;
    bool doc_as_upsert, detect_noop, scripted_upsert;
} update_body;

/* "[1:8] [UpdateRequest] ": the place of a value in the body. */
static int at(const doc_item *i, const char *place, qd_err *err, const char *fmt, ...)
{
    qd_json_reader r = QD_JSON_READER(NULL);
    uint32_t line, column;
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    qd_json_reader_init(&r, i->source, 0, 0);
    qd_json_position(&r, place, &line, &column);
    qd_json_reader_fini(&r);
    int rc = err && err->code
                 ? qd_err_wrap(err, QD_E_XCONTENT, "[%u:%u] [UpdateRequest] %s", line, column, text)
                 : qd_err_set(err, QD_E_XCONTENT, "[%u:%u] [UpdateRequest] %s", line, column, text);
    return rc;
}

static int parse_flag(const doc_item *i, const qd_json_node *n, bool *out, qd_err *err)
{
    if (n->type != QD_JSON_T_BOOL && n->type != QD_JSON_T_STRING) {
        return at(i, n->raw.p, err, "%.*s doesn't support values of type: %s", QD_STR_ARG(n->key),
                  qd_json_type_token(n->type));
    }
    if (!qd_json_truth(n, out)) return 0;
    (void)qd_err_set(err, QD_E_ARG,
                     "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                     QD_STR_ARG(qd_json_text(n)));
    return at(i, n->raw.p, err, "failed to parse field [%.*s]", QD_STR_ARG(n->key));
}

static int parse_object(const doc_item *i, const qd_json_node *n, const qd_json_node **out,
                        qd_err *err)
{
    *out = n;
    if (n->type == QD_JSON_T_OBJECT) return 0;
    return at(i, n->raw.p, err, "%.*s doesn't support values of type: %s", QD_STR_ARG(n->key),
              qd_json_type_token(n->type));
}

/* if_seq_no and if_primary_term may stand in the body. */
static int parse_number(const qd_json_node *n, int64_t *out, qd_err *err)
{
    if (qd_str_i64(qd_json_text(n), out) && *out >= 0) return 0;
    return qd_err_set(err, QD_E_XCONTENT, "[UpdateRequest] failed to parse field [%.*s]",
                      QD_STR_ARG(n->key));
}

static int parse_source(doc_item *i, const qd_json_node *n, qd_arena *a, qd_err *err)
{
    doc_source s;
    int rc = qdi_source_json(n, a, &s, err);
    i->want_source = s.want;
    i->source_filter = s.filter;
    return rc;
}

static int unknown_field(const doc_item *i, const qd_json_node *n, qd_err *err)
{
    static const char *const known[] = {
        "doc",         "upsert",  "script",    "scripted_upsert", "doc_as_upsert",
        "detect_noop", "_source", "if_seq_no", "if_primary_term",
    };
    const char *near = NULL;
    size_t least = n->key.n / 2 + 1;
    for (size_t k = 0; k < QD_COUNT_OF(known); k++) {
        size_t d = qd_str_distance(qd_str_c(known[k]), n->key);
        if (d >= least) continue;
        least = d;
        near = known[k];
    }
    bool inside = n->key.p > i->source.p && n->key.p < n->raw.p; /* without escapes: a view */
    return at(i, inside ? n->key.p - 1 : n->raw.p, err, "unknown field [%.*s]%s%s%s",
              QD_STR_ARG(n->key), near ? " did you mean [" : "", near ? near : "",
              near ? "]?" : "");
}

static int parse_body(doc_item *i, qd_arena *a, update_body *out, qd_err *err)
{
    qd_json_node *root;
    *out = (update_body){.detect_noop = true};
    if (i->source.n == 0) return 0;
    int rc = qd_json_parse(a, i->source, 0, &root, err);
    if (rc) return rc;
    if (root->type != QD_JSON_T_OBJECT) {
        return at(i, root->raw.p, err, "Expected START_OBJECT but was: %s",
                  qd_json_type_token(root->type));
    }
    for (const qd_json_node *n = root->first; n && !rc; n = n->next) {
        if (qd_str_is(n->key, "doc")) {
            rc = parse_object(i, n, &out->doc, err);
        } else if (qd_str_is(n->key, "upsert")) {
            rc = parse_object(i, n, &out->upsert, err);
        } else if (qd_str_is(n->key, "doc_as_upsert")) {
            rc = parse_flag(i, n, &out->doc_as_upsert, err);
        } else if (qd_str_is(n->key, "detect_noop")) {
            rc = parse_flag(i, n, &out->detect_noop, err);
        } else if (qd_str_is(n->key, "script")) {
            out->script = n;
        } else if (qd_str_is(n->key, "scripted_upsert")) {
            rc = parse_flag(i, n, &out->scripted_upsert, err);
        } else if (qd_str_is(n->key, "_source")) {
            rc = parse_source(i, n, a, err);
        } else if (qd_str_is(n->key, "if_seq_no")) {
            rc = parse_number(n, &i->if_seq_no, err);
        } else if (qd_str_is(n->key, "if_primary_term")) {
            rc = parse_number(n, &i->if_primary_term, err);
        } else {
            rc = unknown_field(i, n, err);
        }
    }
    return rc;
}

static void problems(const doc_item *i, const update_body *u, doc_problems *p)
{
    if (i->if_seq_no != QD_SEQ_NO_UNASSIGNED) {
        if (i->retry_on_conflict > 0) {
            qdi_problem(p, "compare and write operations can not be retried");
        }
        if (u->doc_as_upsert) {
            qdi_problem(p, "compare and write operations can not be used with upsert");
        }
        if (u->upsert) {
            qdi_problem(p, "upsert requests don't support `if_seq_no` and `if_primary_term`");
        }
    }
    if (!u->script && !u->doc) qdi_problem(p, "script or doc is missing");
    if (u->script && u->doc) qdi_problem(p, "can't provide both script and doc");
    if (!u->doc && u->doc_as_upsert) {
        qdi_problem(p, "doc must be specified if doc_as_upsert is enabled");
    }
}

/* The body, and all that is wrong with it. */
static int read_body(doc_item *i, qd_arena *a, update_body *u, doc_problems *p, qd_err *err)
{
    int rc = parse_body(i, a, u, err);
    if (rc) return rc;
    qdi_item_problems(i, p);
    problems(i, u, p);
    qd_script_ref ref;
    return p->n || !u->script ? 0 : qd_script_ref_parse(u->script, &ref, err);
}

int qdi_update_check(doc_item *i, qd_arena *a, doc_problems *p, qd_err *err)
{
    update_body u;
    return read_body(i, a, &u, p, err);
}

int qdi_update_source(doc_batch *b, doc_item *i, const qd_engine_doc *now, qd_str *source,
                      doc_change *change, qd_err *err)
{
    update_body u;
    *change = DOC_CHANGE_INDEX;
    doc_problems p;
    qdi_problems_init(&p, b->a->account);
    int rc = read_body(i, b->arena, &u, &p, err);
    int bad = qdi_problems_end(&p, rc ? NULL : err);
    if (rc || bad) return rc ? rc : bad;
    if (u.script && (now->found || (u.scripted_upsert && u.upsert))) {
        doc_script script = {u.script, u.upsert};
        return qdi_update_by_script(b, i, now, &script, source, change, err);
    }
    if (!now->found) {
        const qd_json_node *fresh = u.upsert ? u.upsert : u.doc_as_upsert ? u.doc : NULL;
        if (!fresh) return QD_E_DOC_MISSING; /* the caller knows the index for the text */
        *source = fresh->raw;
        return 0;
    }
    qd_json_node *base;
    if ((rc = qd_json_parse(b->arena, now->source, 0, &base, err))) return rc;
    if (base->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_XCONTENT, "[UpdateRequest] [doc] is not an object");
    }
    qd_buf out;
    qd_json_writer w;
    bool changed = false;
    qd_buf_init(&out, b->a->account, SOURCE_MAX);
    qd_json_writer_init(&w, &out, false);
    merge(base, u.doc, &changed, &w);
    rc = qd_buf_status(&out) ? qd_err_nomem(err, "updated document") : 0;
    if (!rc) {
        *source = qd_arena_str(b->arena, qd_buf_view(&out));
        if (!source->p) rc = qd_err_nomem(err, "updated document");
    }
    qd_buf_fini(&out);
    if (u.detect_noop && !changed) *change = DOC_CHANGE_NONE;
    return rc;
}
