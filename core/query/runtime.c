/* runtime.c: see runtime.h. */
#include "query/runtime.h"

/* What a script of the definition may emit. */
static qd_script_context context_of(const qd_runtime_field *d)
{
    const qd_field *f = d->fields[0];
    if (d->composite) return QD_SCRIPT_COMPOSITE_FIELD;
    switch (f->value_class) {
    case QD_VALUE_TERM:
        return QD_SCRIPT_KEYWORD_FIELD;
    case QD_VALUE_BOOL:
        return QD_SCRIPT_BOOLEAN_FIELD;
    case QD_VALUE_IP:
        return QD_SCRIPT_IP_FIELD;
    case QD_VALUE_GEO:
        return QD_SCRIPT_GEO_POINT_FIELD;
    default:
        return f->dates                        ? QD_SCRIPT_DATE_FIELD
               : f->number == QD_NUMBER_DOUBLE ? QD_SCRIPT_DOUBLE_FIELD
                                               : QD_SCRIPT_LONG_FIELD;
    }
}

int qd_runtime_bind(const qd_query_context *c, const qd_runtime_field *d,
                    const qd_script_bind **out, qd_err *err)
{
    qd_json_node *n;
    qd_script_given given;
    const qd_query_reading how = {.arena = c->arena};
    int rc = qd_json_parse(c->arena, d->script, 0, &n, err);
    if (!rc) rc = qd_script_given_of(&how, n, &given, err);
    return rc ? rc : qd_script_bind_make(c, &given, context_of(d), out, err);
}

int qd_runtime_check(const qd_mapping *m, qd_err *err)
{
    const qd_runtime_field *const *all;
    uint32_t n = qd_mapping_runtime(m, &all);
    qd_arena arena;
    int rc = 0;
    qd_arena_init(&arena, NULL, 64u << 20);
    for (uint32_t i = 0; i < n && !rc; i++) {
        const qd_query_context c = {.arena = &arena, .mapping = m};
        const qd_script_bind *unused;
        if (all[i]->script.p) rc = qd_runtime_bind(&c, all[i], &unused, err);
    }
    qd_arena_fini(&arena);
    if (rc != QD_E_ARG || !err) return rc;
    char reason[256];
    qd_str text = qd_str_sub(qd_str_c(qd_err_reason(err)), 0, sizeof reason - 1);
    memcpy(reason, text.p, text.n);
    reason[text.n] = 0;
    (void)qd_err_wrap(err, QD_E_MAPPER_PARSING, "Failed to parse mapping: %s", reason);
    return QD_E_MAPPER_PARSING;
}
