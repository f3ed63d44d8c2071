/* policy.c: what an enrich policy says, as requests bring it and as the cluster state keeps it. */
#include "action/enrich/enrich_int.h"
#include <string.h>

#define LIST_MAX 1000u

static const char *const types[] = {"match", "range"};

/* A text, or a list of texts, as a list. */
static int list_of(const qd_json_node *m, const qd_json_node **out, qd_arena *arena, qd_err *err)
{
    qd_json_node *one;
    if (m->type == QD_JSON_T_STRING) {
        qd_json_node *list = qd_arena_calloc(arena, sizeof *list);
        if (!list || !(one = qd_arena_alloc(arena, sizeof *one)))
            return qd_err_nomem(err, "an enrich policy");
        *one = *m;
        one->next = NULL;
        *list = (qd_json_node){.type = QD_JSON_T_ARRAY, .n = 1, .first = one};
        *out = list;
        return 0;
    }
    bool texts = m->type == QD_JSON_T_ARRAY && m->n <= LIST_MAX;
    for (const qd_json_node *k = texts ? m->first : NULL; k; k = k->next)
        texts = texts && k->type == QD_JSON_T_STRING && k->text.n;
    if (!texts)
        return qd_err_set(err, QD_E_XCONTENT,
                          "[policy] [%.*s] must be a text or a list of at most %u texts",
                          QD_STR_ARG(m->key), LIST_MAX);
    *out = m;
    return 0;
}

static int member(const qd_json_node *m, qd_arena *arena, enrich_policy *p, qd_err *err)
{
    if (qd_str_is(m->key, "indices")) return list_of(m, &p->indices, arena, err);
    if (qd_str_is(m->key, "enrich_fields")) return list_of(m, &p->fields, arena, err);
    if (qd_str_is(m->key, "match_field") && m->type == QD_JSON_T_STRING) {
        p->match_field = m->text;
        return 0;
    }
    if (qd_str_is(m->key, "query") && m->type == QD_JSON_T_OBJECT) {
        p->query = m->raw;
        return 0;
    }
    /* Elasticsearch's own, of policies that it has stored */
    if (qd_str_is(m->key, "name") || qd_str_is(m->key, "elasticsearch_version")) return 0;
    return qd_err_set(err, QD_E_XCONTENT, "[policy] unknown field [%.*s]", QD_STR_ARG(m->key));
}

static int missing(const enrich_policy *p, qd_err *err)
{
    const char *what[3];
    uint32_t n = 0;
    if (!p->indices || !p->indices->n) what[n++] = "indices";
    if (!p->match_field.n) what[n++] = "match_field";
    if (!p->fields || !p->fields->n) what[n++] = "enrich_fields";
    if (!n) return 0;
    return qd_err_set(err, QD_E_ARG, "Required [%s%s%s%s%s]", what[0], n > 1 ? ", " : "",
                      n > 1 ? what[1] : "", n > 2 ? ", " : "", n > 2 ? what[2] : "");
}

int qdi_enrich_policy_parse(qd_str name, qd_str body, qd_arena *arena, enrich_policy *out,
                            qd_err *err)
{
    qd_json_node *root = NULL;
    uint32_t type = 0;
    int rc = qd_json_parse(arena, body, 0, &root, err);
    if (rc) return rc;
    const qd_json_node *of = root->type == QD_JSON_T_OBJECT ? root->first : NULL;
    if (!of || of->next || of->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_PARSE,
                          "an enrich policy is an object with one member, its type: [match] or "
                          "[range]");
    while (type < QD_COUNT_OF(types) && !qd_str_is(of->key, types[type])) type++;
    if (qd_str_is(of->key, "geo_match"))
        return qd_err_set(err, QD_E_ARG,
                          "enrich policies of type [geo_match] are not supported by this version");
    if (type == QD_COUNT_OF(types))
        return qd_err_set(err, QD_E_ARG,
                          "unsupported policy type [%.*s], supported types are [match, range]",
                          QD_STR_ARG(of->key));
    *out = (enrich_policy){.type = (enrich_type)type, .name = name};
    for (const qd_json_node *m = of->first; m && !rc; m = m->next) rc = member(m, arena, out, err);
    return rc ? rc : missing(out, err);
}

static void write_list(const char *key, const qd_json_node *list, qd_json_writer *w)
{
    qd_json_key_c(w, key);
    qd_json_array(w);
    for (const qd_json_node *k = list->first; k; k = k->next) qd_json_str(w, k->text);
    qd_json_array_end(w);
}

void qdi_enrich_policy_write(const enrich_policy *p, bool shown, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_key_c(w, types[p->type]);
    qd_json_object(w);
    if (shown) qd_json_field_str(w, "name", p->name);
    write_list("indices", p->indices, w);
    qd_json_field_str(w, "match_field", p->match_field);
    write_list("enrich_fields", p->fields, w);
    if (p->query.p) {
        qd_json_key_c(w, "query");
        qd_json_raw_value(w, p->query);
    }
    qd_json_object_end(w);
    qd_json_object_end(w);
}

int qdi_enrich_policy_get(const qd_state *s, qd_str name, qd_arena *arena, enrich_policy *out,
                          qd_err *err)
{
    qd_str key = qd_arena_printf(arena, ENRICH_KEY "%.*s", QD_STR_ARG(name));
    const qd_state_document_record *d = key.p ? qd_state_document(s, key) : NULL;
    if (!key.p) return qd_err_nomem(err, "an enrich policy");
    if (!d) return qd_err_set(err, QD_E_NOTFOUND, "policy [%.*s] does not exist", QD_STR_ARG(name));
    qd_str value = qd_arena_str(arena, d->value);
    if (!value.p) return qd_err_nomem(err, "an enrich policy");
    return qdi_enrich_policy_parse(name, value, arena, out, err);
}

bool qdi_enrich_policy_is(qd_str key, qd_str *name)
{
    if (!qd_str_starts(key, QD_STR(ENRICH_KEY))) return false;
    *name = qd_str_sub(key, sizeof ENRICH_KEY - 1, key.n);
    return true;
}

const qd_index_meta *qdi_enrich_index(const qd_state *s, qd_str policy)
{
    char name[512];
    size_t prefix = sizeof ENRICH_ALIAS - 1;
    if (policy.n > sizeof name - prefix) return NULL;
    memcpy(name, ENRICH_ALIAS, prefix);
    if (policy.n) memcpy(name + prefix, policy.p, policy.n);
    const qd_alias_group *g = qd_state_alias(s, (qd_str){name, prefix + policy.n});
    return g && g->n && !g->is_stream ? g->indices[0] : NULL;
}

bool qdi_enrich_is_index(qd_str index, qd_str policy, int64_t *made_ms)
{
    size_t prefix = sizeof ENRICH_ALIAS - 1;
    if (!qd_str_starts(index, QD_STR(ENRICH_ALIAS))) return false;
    qd_str rest = qd_str_sub(index, prefix, index.n);
    if (!qd_str_starts(rest, policy) || rest.n < policy.n + 2 || rest.p[policy.n] != '-')
        return false;
    return qd_str_i64(qd_str_sub(rest, policy.n + 1, rest.n), made_ms) && *made_ms >= 0;
}
