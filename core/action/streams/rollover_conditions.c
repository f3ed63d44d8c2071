/* rollover_conditions.c: when an index has been written to for long enough. See rollover_int.h. */
#include "action/streams/rollover_int.h"
#include "base/str.h"
#include "config/value.h"

static const struct {
    const char *name; /* behind max_ and min_ */
    rollover_measure of;
} measures[] = {
    {"age", ROLLOVER_AGE},
    {"docs", ROLLOVER_DOCS},
    {"size", ROLLOVER_SIZE},
    {"primary_shard_size", ROLLOVER_SHARD_SIZE},
    {"primary_shard_docs", ROLLOVER_SHARD_DOCS},
};

static int value_of(const rollover_condition *c, const char *name, qd_str text, int64_t *out,
                    qd_err *err)
{
    int64_t ns;
    int rc = 0;
    switch (c->of) {
    case ROLLOVER_AGE:
        rc = qd_value_time(text, name, &ns, err);
        if (!rc) *out = ns / 1000000;
        return rc;
    case ROLLOVER_SIZE:
    case ROLLOVER_SHARD_SIZE:
        return qd_value_bytes(text, name, out, err);
    default:
        if (qd_str_i64(text, out)) return 0;
        return qd_err_set(err, QD_E_ARG, "[%s] must be a whole number, not [%.*s]", name,
                          QD_STR_ARG(text));
    }
}

int qdi_rollover_condition(qd_arena *a, qd_str name, const qd_json_node *value,
                           rollover_conditions *out, qd_err *err)
{
    bool max = qd_str_starts(name, QD_STR("max_")), min = qd_str_starts(name, QD_STR("min_"));
    qd_str rest = max || min ? qd_str_sub(name, 4, name.n) : (qd_str){NULL, 0};
    qd_str text = qd_json_text(value);
    rollover_condition c = {.of = ROLLOVER_MEASURES, .min = min};
    for (size_t i = 0; i < QD_COUNT_OF(measures); i++)
        if (qd_str_is(rest, measures[i].name)) c.of = measures[i].of;
    if (c.of == ROLLOVER_MEASURES) {
        return qd_err_set(err, QD_E_XCONTENT, "[conditions] unknown field [%.*s]",
                          QD_STR_ARG(name));
    }
    if (value->type != QD_JSON_T_STRING && value->type != QD_JSON_T_NUMBER) {
        return qd_err_set(err, QD_E_XCONTENT, "[conditions] failed to parse field [%.*s]",
                          QD_STR_ARG(name));
    }
    qd_str copy = qd_arena_str(a, name);
    c.text = qd_arena_printf(a, "%.*s: %.*s", QD_STR_ARG(name), QD_STR_ARG(text));
    if (!copy.p || !c.text.p) return qd_err_nomem(err, "conditions");
    int rc = value_of(&c, copy.p, text, &c.value, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < out->n; i++) {
        if (out->at[i].of != c.of || out->at[i].min != min) continue;
        return qd_err_set(err, QD_E_ARG, "%.*s condition is already set", QD_STR_ARG(name));
    }
    out->at[out->n++] = c;
    return 0;
}

/* Bytes that documents take: an empty index has none. */
static int64_t bytes_of(const copy_stats *f)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < f->nsegments; i++) n += (int64_t)f->segments[i].bytes;
    return n;
}

int qdi_rollover_measure(qd_request *q, const qd_state *s, const qd_index_meta *m,
                         rollover_conditions *c, bool *due, qd_err *err)
{
    int64_t v[ROLLOVER_MEASURES] = {0};
    copy_stats_list f;
    const qd_index_meta *one[] = {m};
    qd_resolved only = {one, 1};
    uint32_t first;
    *due = !c->n;
    if (!c->n) return 0;
    int rc = qdi_copy_stats_collect(q, s, &only, QDI_COPY_STATS_SEGMENTS, &f, err);
    if (rc) return rc;
    uint32_t n = qdi_copy_stats_of(&f, m->uuid, &first);
    for (uint32_t i = first; i < first + n; i++) {
        if (!f.at[i].open || !qdi_copy_stats_primary(s, m, &f.at[i])) continue;
        int64_t docs = f.at[i].stats.v[QDI_DOCS], bytes = bytes_of(&f.at[i]);
        v[ROLLOVER_DOCS] += docs;
        v[ROLLOVER_SIZE] += bytes;
        if (docs > v[ROLLOVER_SHARD_DOCS]) v[ROLLOVER_SHARD_DOCS] = docs;
        if (bytes > v[ROLLOVER_SHARD_SIZE]) v[ROLLOVER_SHARD_SIZE] = bytes;
    }
    v[ROLLOVER_AGE] = qd_env_wall_ms(q->a->env) - m->created_ms;
    bool enough = true, any = false;
    for (uint32_t i = 0; i < c->n; i++) {
        rollover_condition *x = &c->at[i];
        x->met = v[x->of] >= x->value;
        if (x->min)
            enough &= x->met;
        else
            any |= x->met;
    }
    *due = any && enough;
    return 0;
}
