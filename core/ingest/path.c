/* path.c: dotted paths of documents, with Elasticsearch's reasons where they lead nowhere. */
#include "ingest/ingest_int.h"

#define ELEMENTS_MAX 100u

bool qdi_is_meta(qd_str key)
{
    static const char *const names[] = {
        "_index",   "_id",           "_routing",   "_type",
        "_version", "_version_type", "_if_seq_no", "_if_primary_term"};
    if (!key.n || key.p[0] != '_') return false;
    for (size_t k = 0; k < QD_COUNT_OF(names); k++) {
        if (qd_str_is(key, names[k])) return true;
    }
    return false;
}

int qdi_path_make(qd_arena *a, qd_str text, qdi_path *out, qd_err *err)
{
    qd_str rest = text;
    uint32_t n = 1;
    if (!text.n) return qd_err_set(err, QD_E_ARG, "path cannot be null nor empty");
    *out = (qdi_path){.full = text, .root = QDI_ROOT_SOURCE};
    if (qd_str_starts(text, QD_STR("_ingest."))) {
        out->root = QDI_ROOT_INGEST;
        rest = qd_str_sub(text, 8, text.n);
    } else if (qd_str_starts(text, QD_STR("_source."))) {
        rest = qd_str_sub(text, 8, text.n);
    }
    if (!rest.n) return qd_err_set(err, QD_E_ARG, "path [%.*s] is not valid", QD_STR_ARG(text));
    for (size_t k = 0; k < rest.n; k++) n += rest.p[k] == '.';
    if (n > ELEMENTS_MAX)
        return qd_err_set(err, QD_E_ARG, "path [%.*s] has [%u] parts, at most [%u] are supported",
                          QD_STR_ARG(text), n, ELEMENTS_MAX);
    out->at = qd_arena_alloc(a, n * sizeof *out->at);
    if (!out->at) return qd_err_nomem(err, "path");
    while (rest.p) {
        qd_str part = qd_str_split(&rest, '.');
        if (part.n) out->at[out->n++] = part;
    }
    if (!out->n) return qd_err_set(err, QD_E_ARG, "path [%.*s] is not valid", QD_STR_ARG(text));
    if (out->root == QDI_ROOT_SOURCE && out->full.p == out->at[0].p && qdi_is_meta(out->at[0]))
        out->root = QDI_ROOT_META;
    return 0;
}

static qd_iv *root_of(qd_ingest_run *r, const qdi_path *p)
{
    return p->root == QDI_ROOT_META     ? &r->meta
           : p->root == QDI_ROOT_INGEST ? &r->ingest
                                        : &r->source;
}

static int not_present(const qdi_path *p, qd_str part, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "field [%.*s] not present as part of path [%.*s]",
                      QD_STR_ARG(part), QD_STR_ARG(p->full));
}

/* The element of a list that a part names. */
static int element(const qdi_path *p, const qd_iv *list, qd_str part, uint32_t *out, qd_err *err)
{
    int64_t at;
    if (!qd_str_i64(part, &at) || at > INT32_MAX || at < INT32_MIN)
        return qd_err_set(
            err, QD_E_ARG,
            "[%.*s] is not an integer, cannot be used as an index as part of path [%.*s]",
            QD_STR_ARG(part), QD_STR_ARG(p->full));
    if (at < 0 || at >= list->n)
        return qd_err_set(
            err, QD_E_ARG,
            "[%lld] is out of bounds for array with length [%u] as part of path [%.*s]",
            (long long)at, list->n, QD_STR_ARG(p->full));
    *out = (uint32_t)at;
    return 0;
}

static int cannot(const char *verb, const char *with, const qdi_path *p, qd_str part,
                  const qd_iv *in, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "cannot %s [%.*s] %s of type [%s] as part of path [%.*s]",
                      verb, QD_STR_ARG(part), with, qd_iv_class(in), QD_STR_ARG(p->full));
}

/* One step down; made: objects that are not there are made. */
static int step(qd_ingest_run *r, const qdi_path *p, qd_str part, bool made, qd_iv **at,
                qd_err *err)
{
    qd_iv *in = *at;
    uint32_t k;
    int rc;
    switch ((qd_iv_kind)in->kind) {
    case QD_IV_NULL:
        return qd_err_set(err, QD_E_ARG, "cannot resolve [%.*s] from null as part of path [%.*s]",
                          QD_STR_ARG(part), QD_STR_ARG(p->full));
    case QD_IV_MAP:
        if ((*at = qd_iv_get(in, part))) return 0;
        if (!made) return not_present(p, part, err);
        if (!(*at = qd_iv_put(&r->arena, in, part))) return qdi_run_nomem(err);
        (*at)->kind = QD_IV_MAP;
        return 0;
    case QD_IV_LIST:
        rc = element(p, in, part, &k, err);
        if (!rc) *at = &in->items[k];
        return rc;
    default:
        return cannot("resolve", "from object", p, part, in, err);
    }
}

static int descend(qd_ingest_run *r, const qdi_path *p, uint32_t n, bool made, qd_iv **out,
                   qd_err *err)
{
    int rc = 0;
    *out = root_of(r, p);
    for (uint32_t k = 0; k < n && !rc; k++) rc = step(r, p, p->at[k], made, out, err);
    return rc;
}

int qdi_path_get(qd_ingest_run *r, const qdi_path *p, qd_iv **out, qd_err *err)
{
    return descend(r, p, p->n, false, out, err);
}

qd_iv *qdi_path_look(qd_ingest_run *r, const qdi_path *p)
{
    qd_iv *at = root_of(r, p);
    for (uint32_t k = 0; k < p->n && at; k++) {
        int64_t i;
        if (at->kind == QD_IV_MAP)
            at = qd_iv_get(at, p->at[k]);
        else if (at->kind == QD_IV_LIST && qd_str_i64(p->at[k], &i) && i >= 0 && i < at->n)
            at = &at->items[i];
        else
            at = NULL;
    }
    return at;
}

int qdi_path_set(qd_ingest_run *r, const qdi_path *p, qd_iv v, qd_err *err)
{
    qd_iv *in;
    uint32_t k;
    qd_str leaf = p->at[p->n - 1];
    int rc = descend(r, p, p->n - 1, true, &in, err);
    if (rc) return rc;
    switch ((qd_iv_kind)in->kind) {
    case QD_IV_NULL:
        return qd_err_set(err, QD_E_ARG,
                          "cannot set [%.*s] with null parent as part of path [%.*s]",
                          QD_STR_ARG(leaf), QD_STR_ARG(p->full));
    case QD_IV_MAP: {
        qd_iv *at = qd_iv_put(&r->arena, in, leaf);
        if (!at) return qdi_run_nomem(err);
        *at = v;
        return 0;
    }
    case QD_IV_LIST:
        rc = element(p, in, leaf, &k, err);
        if (!rc) in->items[k] = v;
        return rc;
    default:
        return cannot("set", "with parent object", p, leaf, in, err);
    }
}

/* Adds one value to a list. */
static int add(qd_ingest_run *r, qd_iv *list, const qd_iv *v, bool duplicates, qd_err *err)
{
    /* comparing with all of a long list counts as processors do */
    if (!duplicates && (r->steps += list->n / 4096) > QDI_STEPS_MAX)
        return qd_err_set(err, QD_E_ARG, "a list of [%u] values is too long to keep duplicates out",
                          list->n);
    for (uint32_t k = 0; k < list->n && !duplicates; k++) {
        if (qd_iv_equal(&list->items[k], v)) return 0;
    }
    qd_iv *at = qd_iv_push(&r->arena, list);
    if (!at) return qdi_run_nomem(err);
    *at = *v;
    return 0;
}

int qdi_path_append(qd_ingest_run *r, const qdi_path *p, const qd_iv *v, bool duplicates,
                    qd_err *err)
{
    qd_iv *at = qdi_path_look(r, p), list = {.kind = QD_IV_LIST};
    bool was = at && at->kind == QD_IV_LIST;
    int rc = 0;
    if (was)
        list = *at;
    else if (at)
        rc = add(r, &list, at, true, err);
    uint32_t more = v->kind == QD_IV_LIST ? v->n : 1, before = list.n;
    for (uint32_t k = 0; k < more && !rc; k++)
        rc = add(r, &list, v->kind == QD_IV_LIST ? &v->items[k] : v, duplicates, err);
    if (rc) return rc;
    if (at && !was && list.n == before) return 0; /* the one value that is there stays one */
    if (at) {
        *at = list;
        return 0;
    }
    return qdi_path_set(r, p, list, err);
}

int qdi_path_check_removal(const qdi_path *p, qd_err *err)
{
    qd_str name = p->at[0];
    if (p->root != QDI_ROOT_META || (!qd_str_is(name, "_index") && !qd_str_is(name, "_version") &&
                                     !qd_str_is(name, "_version_type")))
        return 0;
    return qd_err_set(err, QD_E_ARG, "cannot remove metadata field [%.*s]", QD_STR_ARG(p->full));
}

int qdi_path_remove(qd_ingest_run *r, const qdi_path *p, qd_err *err)
{
    qd_iv *in;
    uint32_t k;
    qd_str leaf = p->at[p->n - 1];
    int rc = descend(r, p, p->n - 1, false, &in, err);
    if (rc) return rc;
    switch ((qd_iv_kind)in->kind) {
    case QD_IV_NULL:
        return qd_err_set(err, QD_E_ARG, "cannot remove [%.*s] from null as part of path [%.*s]",
                          QD_STR_ARG(leaf), QD_STR_ARG(p->full));
    case QD_IV_MAP:
        return qd_iv_remove(in, leaf) ? 0 : not_present(p, leaf, err);
    case QD_IV_LIST:
        rc = element(p, in, leaf, &k, err);
        if (!rc) qd_iv_cut(in, k);
        return rc;
    default:
        return cannot("remove", "from object", p, leaf, in, err);
    }
}

int qdi_cannot_cast(const qdi_path *p, const qd_iv *v, const char *to, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "field [%.*s] of type [%s] cannot be cast to [%s]",
                      QD_STR_ARG(p->full), qd_iv_class(v), to);
}

int qdi_is_null(const qdi_path *p, const char *verb, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "field [%.*s] is null, cannot %s it.", QD_STR_ARG(p->full),
                      verb);
}

int qdi_path_text(qd_ingest_run *r, const qdi_path *p, bool ignore, qd_str *out, bool *missing,
                  qd_err *err)
{
    qd_iv *v = qdi_path_look(r, p);
    *missing = ignore && (!v || v->kind == QD_IV_NULL);
    if (*missing) return 0;
    int rc = v ? 0 : qdi_path_get(r, p, &v, err);
    if (rc) return rc;
    if (v->kind == QD_IV_NULL) return qdi_is_null(p, "process", err);
    if (v->kind != QD_IV_STR) return qdi_cannot_cast(p, v, "java.lang.String", err);
    *out = v->s.p ? v->s : QD_STR("");
    return 0;
}
