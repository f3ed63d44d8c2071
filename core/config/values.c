/* values.c: the parsed value of every setting, by id. See schema.h. */
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

static int fill(qd_values *v, uint32_t id, int64_t memory, qd_err *err)
{
    const qd_setting_def *d = &v->schema->defs[id];
    qdi_parsed *p = &v->at[id];
    if (d->type == QD_ST_GROUP) return 0;
    qd_str key = qd_str_c(d->key);
    const qd_setting_value *own = v->settings ? qd_settings_get(v->settings, key) : NULL;
    if (own && own->kind == QD_SETTING_NULL) own = NULL;
    p->set = own != NULL;
    if (!own && !d->value) {
        p->text = QD_STR("");
        return 0;
    }
    p->text = own ? own->text : qd_str_c(d->value);
    if (d->type != QD_ST_LIST) return qdi_value_parse(d, key, p->text, memory, p, err);
    return split_list(v, p, own, err);
}

int qd_values_new(const qd_schema *schema, qd_settings *s, int64_t memory_bytes, qd_values **out,
                  qd_err *err)
{
    qd_values *v = qd_calloc(NULL, sizeof *v + schema->n * sizeof v->at[0]);
    if (!v) return qd_err_nomem(err, "settings");
    v->magic = VALUES_MAGIC;
    atomic_init(&v->refs, 1);
    v->schema = schema;
    v->memory = memory_bytes;
    v->settings = s ? qd_settings_ref(s) : NULL;
    qd_arena_init_small(&v->arena, NULL, 0);
    int rc = 0;
    for (uint32_t id = 0; id < schema->n && rc == 0; id++) rc = fill(v, id, memory_bytes, err);
    if (rc != 0) {
        qd_values_unref(v);
        return rc;
    }
    *out = v;
    return 0;
}

static const qdi_parsed *value(const qd_values *v, uint32_t id)
{
    QD_CHECK(v, VALUES_MAGIC);
    qd_assert(id < v->schema->n);
    return &v->at[id];
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
