/* docs_update.c: partial updates: the present source and a partial document into a new source. */
#include "action/docs_int.h"
#include "base/str.h"
#include "json/tree.h"

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
    const qd_json_node *doc, *upsert;
    bool doc_as_upsert, detect_noop, scripted;
} update_body;

static int parse_flag(const qd_json_node *n, bool *out, qd_err *err)
{
    if (!qd_json_truth(n, out)) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Failed to parse value [%.*s] as only [true] or [false] are "
                      "allowed.",
                      QD_STR_ARG(qd_json_text(n)));
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
    return qd_err_set(err, QD_E_XCONTENT, "[1:%zu] [UpdateRequest] unknown field [%.*s]%s%s%s",
                      (size_t)(n->raw.p - i->source.p), QD_STR_ARG(n->key),
                      near ? " did you mean [" : "", near ? near : "", near ? "]?" : "");
}

static int parse_body(doc_item *i, qd_arena *a, update_body *out, qd_err *err)
{
    qd_json_node *root;
    *out = (update_body){.detect_noop = true};
    int rc = qd_json_parse(a, i->source, 0, &root, err);
    if (rc) return rc;
    if (root->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_XCONTENT, "[1:1] [UpdateRequest] Expected START_OBJECT");
    }
    for (const qd_json_node *n = root->first; n && !rc; n = n->next) {
        if (qd_str_is(n->key, "doc")) {
            out->doc = n;
        } else if (qd_str_is(n->key, "upsert")) {
            out->upsert = n;
        } else if (qd_str_is(n->key, "doc_as_upsert")) {
            rc = parse_flag(n, &out->doc_as_upsert, err);
        } else if (qd_str_is(n->key, "detect_noop")) {
            rc = parse_flag(n, &out->detect_noop, err);
        } else if (qd_str_is(n->key, "script") || qd_str_is(n->key, "scripted_upsert")) {
            rc = qd_err_set(err, QD_E_ARG, "scripts are not supported: [%.*s]", QD_STR_ARG(n->key));
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
    return rc ? rc : qdi_item_validate(i, err);
}

static int validation(qd_err *err, const char *what)
{
    return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: %s;", what);
}

int qdi_update_source(doc_batch *b, doc_item *i, const qd_engine_doc *now, qd_str *source,
                      bool *noop, qd_err *err)
{
    update_body u;
    *noop = false;
    int rc = parse_body(i, b->arena, &u, err);
    if (rc) return rc;
    if (!u.doc && !u.upsert) return validation(err, "script or doc is missing");
    if (u.doc_as_upsert && !u.doc)
        return validation(err, "doc must be specified if doc_as_upsert is enabled");
    if (!now->found) {
        const qd_json_node *fresh = u.upsert ? u.upsert : u.doc_as_upsert ? u.doc : NULL;
        if (!fresh) return QD_E_DOC_MISSING; /* the caller knows the index for the text */
        *source = fresh->raw;
        return 0;
    }
    if (!u.doc) return validation(err, "script or doc is missing");
    qd_json_node *base;
    if ((rc = qd_json_parse(b->arena, now->source, 0, &base, err))) return rc;
    if (u.doc->type != QD_JSON_T_OBJECT || base->type != QD_JSON_T_OBJECT) {
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
    *noop = u.detect_noop && !changed;
    return rc;
}
