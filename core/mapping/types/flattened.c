/*
 * flattened.c: objects whose leaves are terms: of the field itself as they are, and of its hidden
 * field ._keyed as "path\0leaf". The number of keys has no bound, that of fields stays two.
 * flat_object is OpenSearch's type of that kind, which takes no parameters.
 */
#include "base/features.h"
#include "mapping/types/term_int.h"

#define DEPTH_DEFAULT 20
#define PATH_MAX_BYTES (1u << 20) /* of a path of keys: no term holds as many */

static const param_row params[] = {
    {"depth_limit", PARAM_DEPTH_LIMIT, KIND_INT, UPDATE_FREE, "20"},
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "true"},
    {"eager_global_ordinals", PARAM_EAGER, KIND_BOOL, UPDATE_FREE, "false"},
    {"ignore_above", PARAM_IGNORE_ABOVE, KIND_INT, UPDATE_FREE, "2147483647"},
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"index_options", PARAM_INDEX_OPTIONS, KIND_STRING, UPDATE_NEVER, "\"docs\""},
    {"null_value", PARAM_NULL_VALUE, KIND_SCALAR, UPDATE_NEVER, NULL},
    {"similarity", PARAM_SIMILARITY, KIND_STRING, UPDATE_NEVER, "null"},
    {"split_queries_on_whitespace", PARAM_SPLIT, KIND_BOOL, UPDATE_FREE, "false"},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

static int check(const qd_field *f, qd_err *err)
{
    const param_value *depth = qdi_param(f->def, PARAM_DEPTH_LIMIT);
    if (f->def->nmulti)
        return qd_err_set(err, QD_E_ARG, "%s field [%.*s] does not support [fields]", f->type->name,
                          QD_STR_ARG(f->leaf));
    if (f->def->ncopy_to)
        return qd_err_set(err, QD_E_ARG, "%s field [%.*s] does not support [copy_to]",
                          f->type->name, QD_STR_ARG(f->leaf));
    if (depth && depth->i < 0)
        return qd_err_set(err, QD_E_ARG, "[depth_limit] must be positive, got [%lld]",
                          (long long)depth->i);
    if (f->index_options > QD_INDEX_OPT_FREQS)
        return qd_err_set(
            err, QD_E_ARG,
            "Unknown value [%.*s] for field [index_options] - accepted values are [docs, freqs]",
            QD_STR_ARG(qdi_param(f->def, PARAM_INDEX_OPTIONS)->text));
    return qdi_term_above(f, err);
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    int rc = check(f, err);
    if (rc) return rc;
    qd_field *k = qdi_field_hide(b, f, f->type, "_keyed");
    if (!k) return qd_err_nomem(err, "mapping");
    k->indexed = f->indexed;
    k->doc_values = f->doc_values;
    k->index_options = f->index_options;
    k->split_on_whitespace = f->split_on_whitespace;
    f->keyed = k;
    f->whole = true;
    return 0;
}

static int finish_flat(field_builder *b, qd_field *f, qd_err *err)
{
    f->doc_values = true;
    return finish(b, f, err);
}

/* --- documents -------------------------------------------------------------------------------- */

/* The object being read: path[at[d]..] is the key at depth d. */
typedef struct walk {
    doc *d;
    const qd_field *f;
    qd_buf path;
    uint32_t start[QD_JSON_DEPTH_MAX + 2]; /* by depth: bytes of the path above */
    bool array[QD_JSON_DEPTH_MAX + 2];
    uint32_t open, objects;
    uint64_t limit; /* of depth */
    qd_err *err;
} walk;

static int immense(const walk *w, qd_str key, qd_str v)
{
    return qd_err_set(w->err, QD_E_ARG,
                      "Flattened field [%.*s] contains one immense field whose keyed encoding is "
                      "longer than the allowed max length of %u bytes. Key length: %zu, value "
                      "length: %zu for key starting with [%.*s]",
                      QD_STR_ARG(w->f->name), QDI_TERM_MAX, key.n, v.n,
                      QD_STR_ARG(qd_str_sub(key, 0, 50)));
}

static int add_leaf(walk *w, qd_str v)
{
    doc *d = w->d;
    qd_str key = qd_buf_view(&w->path);
    if (qdi_term_longer(v, w->f->ignore_above)) return 0;
    if (!w->f->indexed && !w->f->doc_values) return 0;
    size_t n = key.n + 1 + v.n;
    if (n > QDI_TERM_MAX) return immense(w, key, v);
    char *term = qd_arena_bytes(&d->arena, n + 1);
    if (!term) return qd_err_nomem(w->err, "values of a document");
    memcpy(term, key.p, key.n);
    term[key.n] = 0;
    if (v.n) memcpy(term + key.n + 1, v.p, v.n);
    int rc = qdi_doc_str(d, w->f, (qd_str){term + key.n + 1, v.n}, w->err);
    return rc ? rc : qdi_doc_str(d, w->f->keyed, (qd_str){term, n}, w->err);
}

static int add_key(walk *w, qd_str key)
{
    qd_buf *b = &w->path;
    if (memchr(key.p, 0, key.n))
        return qd_err_set(w->err, QD_E_ARG,
                          "Keys in [flattened] fields cannot contain the reserved character \\0. "
                          "Offending key: [%.*s].",
                          QD_STR_ARG(key));
    b->n = w->start[w->open];
    if (b->n) (void)qd_buf_char(b, '.');
    (void)qd_buf_str(b, key);
    if (!qd_buf_status(b)) return 0;
    return qd_err_set(w->err, QD_E_ARG, "A key of the %s field [%.*s] is longer than [%u] bytes",
                      w->f->type->name, QD_STR_ARG(w->f->name), PATH_MAX_BYTES);
}

static int open_one(walk *w, bool array)
{
    if (!array && w->open && ++w->objects >= w->limit)
        return qd_err_set(
            w->err, QD_E_ARG,
            "The provided [%s] field [%.*s] exceeds the maximum depth limit of [%llu].",
            w->f->type->name, QD_STR_ARG(w->f->name), (unsigned long long)w->limit);
    w->open++;
    w->start[w->open] = (uint32_t)w->path.n;
    w->array[w->open] = array;
    return 0;
}

static void close_one(walk *w)
{
    w->path.n = w->start[w->open];
    if (!w->array[w->open] && w->open > 1) w->objects--;
    w->open--;
    if (!w->open || w->array[w->open]) return;
    w->path.n = w->start[w->open];
}

static int step(walk *w, qd_json_event ev)
{
    switch (ev) {
    case QD_JSON_OBJECT:
    case QD_JSON_ARRAY:
        return open_one(w, ev == QD_JSON_ARRAY);
    case QD_JSON_OBJECT_END:
    case QD_JSON_ARRAY_END:
        close_one(w);
        return 0;
    case QD_JSON_KEY:
        return add_key(w, w->d->r.text);
    case QD_JSON_NULL:
        return w->f->has_null_value ? add_leaf(w, w->f->null_text) : 0;
    default:
        return add_leaf(w, qdi_doc_text(w->d));
    }
}

static int read_object(walk *w)
{
    int rc = open_one(w, false);
    while (!rc && w->open) {
        qd_json_event ev = qd_json_next(&w->d->r);
        if (ev < 0) return qd_json_fail(&w->d->r, w->err);
        rc = step(w, ev);
    }
    return rc;
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    const param_value *depth = qdi_param(f->def, PARAM_DEPTH_LIMIT);
    if (d->r.event != QD_JSON_OBJECT)
        return qd_err_set(err, QD_E_XCONTENT,
                          "Failed to parse object: expecting token of type [START_OBJECT] but "
                          "found [%s]",
                          qd_json_event_name(d->r.event));
    walk w; /* all members but what the stacks hold below `open` are set */
    w.d = d;
    w.f = f;
    w.open = w.objects = 0;
    w.start[0] = w.start[1] = 0;
    w.limit = depth ? (uint64_t)depth->i : DEPTH_DEFAULT;
    w.err = err;
    qd_buf_init(&w.path, d->account, PATH_MAX_BYTES);
    int rc = read_object(&w);
    qd_buf_fini(&w.path);
    return rc;
}

/* A null in place of the object is no value: null_value is for leaves. */
static int no_object(doc *d, const qd_field *f, qd_err *err)
{
    (void)d;
    (void)f;
    (void)err;
    return 0;
}

/* --- requests --------------------------------------------------------------------------------- */

static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    (void)f;
    (void)ctx;
    out->bytes = v.text;
    return 0;
}

#define REQUESTS                                                                                   \
    .value_class = QD_VALUE_TERM, .objects = true, .level = QD_FEATURES_TYPES_0_2, .value = value, \
    .null = no_object, .term = qdi_term_term, .range = qdi_term_range, .shown = shown

const struct qd_field_type qdi_type_flattened = {
    .name = "flattened",
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    REQUESTS,
};

const struct qd_field_type qdi_type_flat_object = {
    .name = "flat_object",
    .finish = finish_flat,
    REQUESTS,
};
