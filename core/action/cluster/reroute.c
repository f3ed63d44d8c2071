/* reroute.c: POST /_cluster/reroute: commands about copies of shards, retry_failed. */
#include "action/cluster/allocation_int.h"
#include "base/str.h"
#include "base/vec.h"
#include "json/tree.h"

#define COMMANDS_MAX 10000u

typedef QD_VEC(qd_alloc_command) command_list;

/* Which fields a command takes and needs. */
static const struct {
    const char *name;
    qd_alloc_order order;
    const char *node, *to, *sure; /* names of its fields; NULL: none */
} known[] = {
    {"move", QD_ALLOC_MOVE, "from_node", "to_node", NULL},
    {"cancel", QD_ALLOC_CANCEL_SHARD, "node", NULL, "allow_primary"},
    {"allocate_replica", QD_ALLOC_REPLICA, "node", NULL, NULL},
    {"allocate_stale_primary", QD_ALLOC_STALE_PRIMARY, "node", NULL, "accept_data_loss"},
    {"allocate_empty_primary", QD_ALLOC_EMPTY_PRIMARY, "node", NULL, "accept_data_loss"},
};

static int unknown_field(const char *command, qd_str name, qd_err *err)
{
    return qd_err_set(err, QD_E_XCONTENT, "[%s] unknown field [%.*s]", command, QD_STR_ARG(name));
}

static int missing_field(const char *command, const char *name, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "[%s] missing the %s parameter", command, name);
}

static int parse_command(const qd_json_node *n, size_t k, qd_alloc_command *c, qd_err *err)
{
    bool has_shard = false;
    *c = (qd_alloc_command){.order = known[k].order};
    if (n->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_ES_PARSE, "[%s] must be an object", known[k].name);
    }
    for (const qd_json_node *f = n->first; f; f = f->next) {
        int64_t number;
        qd_str text = qd_json_text(f);
        if (qd_str_is(f->key, "index")) {
            c->index = text;
        } else if (qd_str_is(f->key, "shard")) {
            if (!qd_str_i64(text, &number) || number < 0 || number > UINT32_MAX) {
                return qd_err_set(err, QD_E_XCONTENT, "[%s] failed to parse field [shard]",
                                  known[k].name);
            }
            c->shard = (uint32_t)number;
            has_shard = true;
        } else if (qd_str_is(f->key, known[k].node)) {
            c->node = text;
        } else if (known[k].to && qd_str_is(f->key, known[k].to)) {
            c->to = text;
        } else if (known[k].sure && qd_str_is(f->key, known[k].sure)) {
            if (qd_json_truth(f, &c->sure)) {
                return qd_err_set(err, QD_E_XCONTENT, "[%s] failed to parse field [%s]",
                                  known[k].name, known[k].sure);
            }
        } else {
            return unknown_field(known[k].name, f->key, err);
        }
    }
    if (!c->index.n) return missing_field(known[k].name, "index", err);
    if (!has_shard) return missing_field(known[k].name, "shard", err);
    if (!c->node.n) return missing_field(known[k].name, known[k].node, err);
    if (known[k].to && !c->to.n) return missing_field(known[k].name, known[k].to, err);
    return 0;
}

static int parse_commands(const qd_json_node *list, command_list *out, qd_err *err)
{
    if (list->type != QD_JSON_T_ARRAY) {
        return qd_err_set(err, QD_E_XCONTENT,
                          "[cluster_reroute] failed to parse field [commands]: an array is needed");
    }
    if (list->n > COMMANDS_MAX) {
        return qd_err_set(err, QD_E_ARG, "%u commands, at most %u are taken", list->n,
                          COMMANDS_MAX);
    }
    for (const qd_json_node *n = list->first; n; n = n->next) {
        const qd_json_node *inner = n->type == QD_JSON_T_OBJECT ? n->first : NULL;
        qd_alloc_command c;
        size_t k = 0;
        if (!inner) {
            return qd_err_set(err, QD_E_ES_PARSE,
                              "[cluster_reroute] a command is an object with its name");
        }
        while (k < QD_COUNT_OF(known) && !qd_str_is(inner->key, known[k].name)) k++;
        if (k == QD_COUNT_OF(known)) {
            return qd_err_set(err, QD_E_XCONTENT,
                              "unknown command [%.*s]: one of [move], "
                              "[cancel], [allocate_replica], [allocate_stale_primary], "
                              "[allocate_empty_primary] is needed",
                              QD_STR_ARG(inner->key));
        }
        int rc = parse_command(inner, k, &c, err);
        if (rc) return rc;
        if (qd_vec_push(out, NULL, c)) return qd_err_nomem(err, "reroute");
    }
    return 0;
}

static int parse_body(const qd_request *q, command_list *out, bool *dry_run, qd_err *err)
{
    qd_json_node *root = NULL;
    int rc = 0;
    if (!qd_str_trim(q->body).n) return 0;
    rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (rc) return rc;
    if (root->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_XCONTENT, "[cluster_reroute] Expected START_OBJECT but was: %s",
                          qd_json_type_token(root->type));
    }
    for (const qd_json_node *n = root->first; n && !rc; n = n->next) {
        if (qd_str_is(n->key, "commands")) {
            rc = parse_commands(n, out, err);
        } else if (qd_str_is(n->key, "dry_run")) {
            rc = qd_json_truth(n, dry_run);
            if (rc)
                rc = qd_err_set(err, QD_E_XCONTENT,
                                "[cluster_reroute] failed to parse field [dry_run]");
        } else {
            rc = unknown_field("cluster_reroute", n->key, err);
        }
    }
    return rc;
}

static void write_explanations(const qd_reroute *r, qd_json_writer *w)
{
    qd_json_key_c(w, "explanations");
    qd_json_array(w);
    for (uint32_t i = 0; i < r->n; i++) {
        const qd_alloc_command *c = &r->commands[i];
        size_t k = 0;
        while (known[k].order != c->order) k++;
        qd_json_object(w);
        qd_json_field_c(w, "command", known[k].name);
        qd_json_key_c(w, "parameters");
        qd_json_object(w);
        qd_json_field_str(w, "index", c->index);
        qd_json_field_int(w, "shard", c->shard);
        qd_json_field_str(w, known[k].node, c->node);
        if (known[k].to) qd_json_field_str(w, known[k].to, c->to);
        if (known[k].sure) qd_json_field_bool(w, known[k].sure, c->sure);
        qd_json_object_end(w);
        qdi_alloc_words_write(r->words[i].words, r->words[i].nwords, "decisions", w);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
}

int qdi_api_cluster_reroute(qd_request *q, qd_response *r, qd_err *err)
{
    command_list list = {0};
    qd_reroute x = {0};
    qd_state *s = NULL;
    qd_str metric = qd_param(q, "metric");
    int rc = qd_param_bool(q, "dry_run", false, &x.dry_run, err);
    if (!rc) rc = qd_param_bool(q, "explain", false, &x.explain, err);
    if (!rc) rc = qd_param_bool(q, "retry_failed", false, &x.retry_failed, err);
    if (!rc) rc = parse_body(q, &list, &x.dry_run, err);
    x.commands = list.at;
    x.n = (uint32_t)list.n;
    qdi_alloc_facts_of(q->a, &x.facts);
    if (!rc) rc = qd_cluster_reroute_run(q->a->cluster, &x, q->arena, &s, err);
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_field_bool(&r->w, "acknowledged", x.dry_run || qdi_all_applied(q));
        if (!qd_str_is(metric, "none")) {
            qd_json_key_c(&r->w, "state");
            rc = qdi_state_write(q, s, metric, x.dry_run ? &x : NULL, &r->w, err);
        }
        if (!rc && x.explain) write_explanations(&x, &r->w);
        if (!rc) qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    qd_vec_fini(&list);
    return rc;
}
