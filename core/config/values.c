/*
 * values.c: the parsed value of every setting, by id. See schema.h.
 *
 * Ten thousand indices set a handful of the index settings each. What they don't set is parsed once
 * for all, and a byte a setting says whether an index has a value of its own.
 */
#include "base/arena.h"
#include "config/schema_int.h"
#include <stdatomic.h>

#define VALUES_MAGIC 0x5156414cu

struct qd_values {
    uint32_t magic;
    _Atomic uint32_t refs;
    const qd_schema *schema;
    qd_settings *settings;
    qd_arena arena;
    int64_t memory;
    const qd_values
        *defaults;      /* for what is not set; lives on. NULL: all values are in at, by id */
    const uint8_t *own; /* by id: 1 + the place in at of what is set, or 0 */
    qdi_parsed at[];
};

qd_values *qd_values_ref(qd_values *v)
{
    QD_CHECK(v, VALUES_MAGIC);
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}

void qd_values_unref(qd_values *v)
{
    if (!v) return;
    QD_CHECK(v, VALUES_MAGIC);
    if (atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1) return;
    v->magic = 0;
    qd_settings_unref(v->settings);
    qd_arena_fini(&v->arena);
    qd_free(v);
}

/* Trimmed; an empty one is none: an attribute without a name no node has. */
static int add_item(qd_values *v, qdi_parsed *p, qd_str *items, qd_str item, qd_err *err)
{
    item = qd_str_trim(item);
    if (item.n == 0) return 0;
    items[p->n] = qd_arena_str(&v->arena, item);
    return items[p->n++].p ? 0 : qd_err_nomem(err, "settings");
}

/* The items of a list, or the parts of a comma-separated text, as Elasticsearch reads a list given
 * as one string. */
static int split_list(qd_values *v, qdi_parsed *p, const qd_setting_value *own, qd_err *err)
{
    bool list = own && own->kind == QD_SETTING_LIST;
    uint32_t n = list ? own->n + 1 : 1;
    for (size_t i = 0; !list && i < p->text.n; i++) n += p->text.p[i] == ',';
    qd_str *items = qd_arena_alloc(&v->arena, n * sizeof *items);
    if (!items) return qd_err_nomem(err, "settings");
    qd_str rest = list ? (qd_str){NULL, 0} : p->text;
    int rc = 0;
    p->n = 0;
    for (uint32_t i = 0; list && i < own->n && !rc; i++)
        rc = add_item(v, p, items, own->items[i], err);
    while (rest.p && rest.n && !rc) rc = add_item(v, p, items, qd_str_split(&rest, ','), err);
    p->items = items;
    return rc;
}

/* What the settings say of a key; NULL: nothing. */
static const qd_setting_value *given(const qd_settings *s, const qd_setting_def *d)
{
    if (!s || d->type == QD_ST_GROUP) return NULL;
    const qd_setting_value *own = qd_settings_get(s, qd_str_c(d->key));
    return own && own->kind != QD_SETTING_NULL ? own : NULL;
}

static int fill(qd_values *v, uint32_t id, qdi_parsed *p, qd_err *err)
{
    const qd_setting_def *d = &v->schema->defs[id];
    if (d->type == QD_ST_GROUP) return 0;
    const qd_setting_value *own = given(v->settings, d);
    p->set = own != NULL;
    if (!own && !d->value) {
        p->text = QD_STR("");
        return 0;
    }
    p->text = own ? own->text : qd_str_c(d->value);
    if (d->type != QD_ST_LIST) {
        return qdi_value_parse(d, qd_str_c(d->key), p->text, v->memory, p, err);
    }
    return split_list(v, p, own, err);
}

static qd_values *values_make(const qd_schema *schema, qd_settings *s, int64_t memory, uint32_t n)
{
    qd_values *v = qd_calloc(NULL, sizeof *v + n * sizeof v->at[0]);
    if (!v) return NULL;
    v->magic = VALUES_MAGIC;
    atomic_init(&v->refs, 1);
    v->schema = schema;
    v->memory = memory;
    v->settings = s ? qd_settings_ref(s) : NULL;
    qd_arena_init_small(&v->arena, NULL, 0);
    return v;
}

static int make_all(const qd_schema *schema, qd_settings *s, int64_t memory, qd_values **out,
                    qd_err *err)
{
    qd_values *v = values_make(schema, s, memory, schema->n);
    int rc = v ? 0 : qd_err_nomem(err, "settings");
    for (uint32_t id = 0; id < schema->n && rc == 0; id++) rc = fill(v, id, &v->at[id], err);
    if (rc) qd_values_unref(v);
    *out = rc ? NULL : v;
    return rc;
}

/* Those of no memory, for all who set little. Never freed. */
static int defaults_of(const qd_schema *schema, const qd_values **out, qd_err *err)
{
    qd_values *none = NULL, *v = atomic_load_explicit(schema->defaults, memory_order_acquire);
    if (!v) {
        int rc = make_all(schema, NULL, 0, &v, err);
        if (rc) return rc;
        if (!atomic_compare_exchange_strong_explicit(schema->defaults, &none, v,
                                                     memory_order_acq_rel, memory_order_acquire)) {
            qd_values_unref(v); /* another thread was first */
            v = none;
        }
    }
    *out = v;
    return 0;
}

static int make_own(const qd_schema *schema, qd_settings *s, qd_values **out, qd_err *err)
{
    const qd_values *defaults;
    int rc = defaults_of(schema, &defaults, err);
    if (rc) return rc;
    size_t most = s ? qd_settings_count(s) : 0;
    uint32_t k = 0;
    if (most >= UINT8_MAX) return make_all(schema, s, 0, out, err);
    qd_values *v = values_make(schema, s, 0, (uint32_t)most);
    uint8_t *own = v ? qd_arena_calloc(&v->arena, schema->n) : NULL;
    if (!own) rc = qd_err_nomem(err, "settings");
    for (uint32_t id = 0; id < schema->n && rc == 0; id++) {
        if (!given(s, &schema->defs[id])) continue;
        own[id] = (uint8_t)(k + 1);
        rc = fill(v, id, &v->at[k++], err);
    }
    if (rc) {
        qd_values_unref(v);
        return rc;
    }
    v->defaults = defaults;
    v->own = own;
    *out = v;
    return 0;
}

int qd_values_new(const qd_schema *schema, qd_settings *s, int64_t memory_bytes, qd_values **out,
                  qd_err *err)
{
    if (schema->defaults && memory_bytes == 0) return make_own(schema, s, out, err);
    return make_all(schema, s, memory_bytes, out, err);
}

static const qdi_parsed *value(const qd_values *v, uint32_t id)
{
    QD_CHECK(v, VALUES_MAGIC);
    qd_assert(id < v->schema->n);
    if (!v->own) return &v->at[id];
    return v->own[id] ? &v->at[v->own[id] - 1] : &v->defaults->at[id];
}

int64_t qd_values_i64(const qd_values *v, uint32_t id)
{
    return value(v, id)->i;
}

int64_t qd_values_ms(const qd_values *v, uint32_t id)
{
    return value(v, id)->i / 1000000;
}

double qd_values_f64(const qd_values *v, uint32_t id)
{
    return value(v, id)->f;
}

qd_str qd_values_text(const qd_values *v, uint32_t id)
{
    return value(v, id)->text;
}

const qd_str *qd_values_list(const qd_values *v, uint32_t id, uint32_t *n)
{
    const qdi_parsed *p = value(v, id);
    *n = p->n;
    return p->items;
}

bool qd_values_is_set(const qd_values *v, uint32_t id)
{
    return value(v, id)->set;
}

int64_t qd_values_space_free(const qd_values *v, uint32_t id, int64_t total)
{
    const qdi_parsed *p = value(v, id);
    return p->f >= 0 ? (int64_t)((1.0 - p->f) * (double)total) : p->i;
}

int64_t qd_values_memory(const qd_values *v)
{
    QD_CHECK(v, VALUES_MAGIC);
    return v->memory;
}

const qd_settings *qd_values_settings(const qd_values *v)
{
    return v->settings;
}
