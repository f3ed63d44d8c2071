/* ilm_allocate.c: the actions of _ilm that say where copies are, and those of features that indices
 * here do not have. */
#include "action/api/admin_int.h"
#include "action/lifecycle/ilm_int.h"
#include "base/str.h"
#include "json/writer.h"

#define BODY_MAX ((size_t)1 << 20)

static const char *const kinds[] = {"include", "exclude", "require"};

int qdi_lc_check_allocate(const qd_json_node *o, qd_err *err)
{
    int64_t v;
    bool any = false;
    for (const qd_json_node *m = o->first; m; m = m->next) {
        bool map = false;
        for (size_t i = 0; i < QD_COUNT_OF(kinds); i++) map |= qd_str_is(m->key, kinds[i]);
        if (map && m->type == QD_JSON_T_OBJECT) {
            for (const qd_json_node *n = m->first; n; n = n->next) {
                if (n->type == QD_JSON_T_STRING) continue;
                return qd_err_set(err, QD_E_ARG, "[allocate] [%.*s] must be a string",
                                  QD_STR_ARG(n->key));
            }
            any |= m->n > 0;
        } else if (qd_str_is(m->key, "number_of_replicas")) {
            any = true;
            if (!qd_str_i64(qd_json_text(m), &v) || v < 0 || v > INT32_MAX)
                return qd_err_set(err, QD_E_ARG, "[number_of_replicas] must be >= 0");
        } else if (qd_str_is(m->key, "total_shards_per_node")) {
            any = true;
            if (!qd_str_i64(qd_json_text(m), &v) || v < -1 || v > INT32_MAX)
                return qd_err_set(err, QD_E_ARG, "[total_shards_per_node] must be >= -1");
        } else {
            return qd_err_set(err, QD_E_XCONTENT, "[allocate] unknown field [%.*s]",
                              QD_STR_ARG(m->key));
        }
    }
    if (any) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "At least one of [include, exclude, require] must contain attributes for "
                      "action allocate");
}

/* Writes a setting that the index has not yet. */
static uint32_t want(const lc_run *x, qd_json_writer *w, qd_str key, qd_str value)
{
    const qd_setting_value *v = qd_settings_get(x->m->settings, key);
    if (v && qd_str_eq(v->text, value)) return 0;
    qd_json_key(w, key);
    qd_json_str(w, value);
    return 1;
}

int qdi_lc_run_allocate(lc_run *x, qd_err *err)
{
    qdi_health h;
    qd_buf b;
    qd_json_writer w;
    const qd_json_node *root;
    uint32_t n = 0;
    qd_buf_init(&b, NULL, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    for (const qd_json_node *m = x->options->first; m; m = m->next) {
        if (qd_str_is(m->key, "number_of_replicas"))
            n += want(x, &w, QD_STR("index.number_of_replicas"), qd_json_text(m));
        if (qd_str_is(m->key, "total_shards_per_node"))
            n += want(x, &w, QD_STR("index.routing.allocation.total_shards_per_node"),
                      qd_json_text(m));
        for (const qd_json_node *k = m->type == QD_JSON_T_OBJECT ? m->first : NULL; k; k = k->next)
            n += want(x, &w,
                      qd_arena_printf(x->arena, "index.routing.allocation.%.*s.%.*s",
                                      QD_STR_ARG(m->key), QD_STR_ARG(k->key)),
                      qd_json_text(k));
    }
    qd_json_object_end(&w);
    qd_pair params[] = {{QD_STR("index"), x->m->name}, {QD_STR("if_uuid"), qd_str_c(x->m->uuid)}};
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "allocate") : 0;
    if (!rc && n)
        rc = qdi_bq_call(x->l->a, "indices.put_settings", params, 2, qd_buf_view(&b), x->arena,
                         &root, err);
    qd_buf_fini(&b);
    if (rc) return rc;
    qdi_health_of_index(x->state, x->m, &h);
    x->outcome = n || h.relocating || h.initializing || h.active_primaries < x->m->shards ? LC_WAITS
                                                                                          : LC_DONE;
    if (x->outcome == LC_WAITS) {
        x->step = "check-allocation";
        x->info = QD_STR("{\"message\":\"Waiting for all shard copies to be active\"}");
    }
    return 0;
}

int qdi_lc_check_migrate(const qd_json_node *o, qd_err *err)
{
    bool on = true;
    const qd_json_node *n = qd_json_get(o, "enabled");
    for (const qd_json_node *m = o->first; m; m = m->next)
        if (m != n)
            return qd_err_set(err, QD_E_XCONTENT, "[migrate] unknown field [%.*s]",
                              QD_STR_ARG(m->key));
    if (n && !qd_json_truth(n, &on) && !on) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "action [migrate] is supported with [enabled: false] only: "
                      "there are no data tiers in this version");
}

int qdi_lc_run_nothing(lc_run *x, qd_err *err)
{
    (void)err;
    x->outcome = LC_DONE;
    return 0;
}
