/*
 * masters.c: the members of the coordination store: _quidditch/masters and
 * _cluster/voting_config_exclusions.
 */
#include "cluster/masters.h"
#include "action/api/admin_int.h"
#include "base/features.h"
#include "base/str.h"
#include "json/tree.h"

#define TIMEOUT_MS 30000

static int timeout_of(const qd_request *q, int64_t *out, qd_err *err)
{
    return qd_param_ms(q, qd_param_has(q, "timeout") ? "timeout" : "master_timeout", TIMEOUT_MS,
                       out, err);
}

int qdi_api_masters_list(qd_request *q, qd_response *r, qd_err *err)
{
    const qd_master *list;
    uint32_t n;
    int64_t ms;
    int rc = timeout_of(q, &ms, err);
    if (!rc) rc = qd_masters_list(q->a->cluster, ms, q->arena, &list, &n, err);
    if (rc) return rc;
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "masters");
    qd_json_array(&r->w);
    for (uint32_t i = 0; i < n; i++) {
        qd_json_object(&r->w);
        qd_json_field_str(&r->w, "name", list[i].name);
        qd_json_field_str(&r->w, "address", list[i].address);
        qd_json_field_c(&r->w, "role", qd_master_role(list[i].role));
        qd_json_field_bool(&r->w, "leader", list[i].leader);
        qd_json_field_bool(&r->w, "alive", list[i].alive);
        qd_json_field_bool(&r->w, "excluded", list[i].excluded);
        qd_json_field_str(&r->w, "id", list[i].id);
        qd_json_object_end(&r->w);
    }
    qd_json_array_end(&r->w);
    qd_json_object_end(&r->w);
    return 0;
}

typedef struct masters {
    const qd_master *list, *named;
    uint32_t n;
} masters;

/* All of them, and the one of a name, which must be there. */
static int find(qd_request *q, qd_str name, int64_t ms, masters *out, qd_err *err)
{
    int rc = qd_masters_list(q->a->cluster, ms, q->arena, &out->list, &out->n, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < out->n; i++) {
        out->named = &out->list[i];
        if (qd_str_eq(out->named->name, name)) return 0;
    }
    return qd_err_set(err, QD_E_NOTFOUND,
                      "there is no master [%.*s]: start it with discovery.seed_hosts naming the "
                      "others, it joins by itself",
                      QD_STR_ARG(name));
}

/* Without the one that was named nobody would vote: it cannot be taken out. */
static int check_others(const masters *all, qd_err *err)
{
    const qd_master *m = all->named;
    uint32_t others = 0;
    for (uint32_t i = 0; i < all->n; i++) {
        const qd_master *x = &all->list[i];
        if (qd_str_eq(x->name, m->name)) continue;
        others += x->alive && !x->excluded && x->role <= QD_COORD_STANDBY;
    }
    if (others || m->role != QD_COORD_VOTER) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "[%.*s] is the last master that may vote and runs: start another one, or "
                      "let one vote again (qd master add), before it is taken out",
                      QD_STR_ARG(m->name));
}

int qdi_api_masters_add(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str name = qd_param(q, "name");
    int64_t ms;
    masters all;
    int rc = timeout_of(q, &ms, err);
    if (!rc) rc = find(q, name, ms, &all, err);
    if (!rc) rc = qd_masters_change(q->a->cluster, QD_COORD_MEMBERS_INCLUDE, name, ms, err);
    if (!rc) qd_response_acknowledged(r);
    return rc;
}

int qdi_api_masters_remove(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str name = qd_param(q, "name");
    int64_t ms;
    masters all;
    int rc = timeout_of(q, &ms, err);
    if (!rc) rc = find(q, name, ms, &all, err);
    bool gone = !rc && !all.named->alive;
    if (!rc && !gone) rc = check_others(&all, err);
    uint32_t how = gone ? QD_COORD_MEMBERS_REMOVE : QD_COORD_MEMBERS_EXCLUDE;
    if (!rc) rc = qd_masters_change(q->a->cluster, how, name, ms, err);
    if (rc) return rc;
    qd_json_object(&r->w);
    qd_json_field_bool(&r->w, "acknowledged", true);
    qd_json_field_bool(&r->w, "gone", gone);
    qd_json_object_end(&r->w);
    return 0;
}

/* --- as Elasticsearch has it --- */

/* The name of a node given by id; the text itself when no node has it. */
static qd_str name_of(const qd_state *s, qd_str id)
{
    for (uint32_t i = 0; i < s->nnodes; i++)
        if (qd_str_eq(s->nodes[i].id, id)) return s->nodes[i].name;
    return id;
}

#define ABSENT_KEY "voting_exclusions"
#define ABSENT_MAX 10u /* as Elasticsearch's cluster.max_voting_config_exclusions */

/* Is a node, or a master that is down, meant? */
static bool is_known(const qd_state *s, const qd_master *list, uint32_t n, qd_str text, bool id)
{
    for (uint32_t i = 0; i < s->nnodes; i++)
        if (qd_str_eq(id ? s->nodes[i].id : s->nodes[i].name, text)) return true;
    for (uint32_t i = 0; i < n; i++)
        if (qd_str_eq(id ? list[i].id : list[i].name, text)) return true;
    return false;
}

/* The list of those kept with one more, as JSON; *same: it is in it already. */
static int add_absent(const qd_state *s, qd_arena *arena, qd_str text, bool id, qd_buf *out,
                      bool *same, qd_err *err)
{
    qd_json_writer w;
    qd_json_node *kept = NULL;
    const qd_state_document_record *d = qd_state_document(s, QD_STR(ABSENT_KEY));
    int rc = d ? qd_json_parse(arena, d->value, 0, &kept, err) : 0;
    if (rc) return rc;
    *same = false;
    qd_json_writer_init(&w, out, false);
    qd_json_array(&w);
    for (const qd_json_node *k = kept ? kept->first : NULL; k; k = k->next) {
        const qd_json_node *m = qd_json_get(k, id ? "node_id" : "node_name");
        *same |= m && qd_str_eq(m->text, text);
        qd_json_raw_value(&w, k->raw);
    }
    if (kept && kept->n >= ABSENT_MAX && !*same)
        return qd_err_set(err, QD_E_ARG,
                          "add voting config exclusions request for [%.*s] would exceed the "
                          "maximum number of exclusions of nodes that are not there [%u]",
                          QD_STR_ARG(text), ABSENT_MAX);
    qd_json_object(&w);
    qd_json_field_str(&w, "node_id", id ? text : QD_STR("_absent_"));
    qd_json_field_str(&w, "node_name", id ? QD_STR("_absent_") : text);
    qd_json_object_end(&w);
    qd_json_array_end(&w);
    return qd_buf_status(out) ? qd_err_nomem(err, "voting config exclusions") : 0;
}

/* Keeps the exclusion of a node that is not there: the state shows it. By its name the store keeps
 * it too, and it holds when a master of the name comes. */
static int keep_absent(qd_request *q, qd_str text, bool id, qd_err *err)
{
    qd_buf b;
    bool same = false;
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_buf_init(&b, q->a->account, (size_t)64 << 10);
    int rc = 0;
    if (s->features < QD_FEATURES_SEARCH_0_3)
        rc = qd_err_set(err, QD_E_ARG,
                        "voting config exclusions of nodes that are not there need level %u of the "
                        "cluster's formats; they are of level %u: POST _cluster/upgrade/finalize "
                        "when all nodes run this version",
                        QD_FEATURES_SEARCH_0_3, s->features);
    if (!rc) rc = add_absent(s, q->arena, text, id, &b, &same, err);
    qd_state_unref(s);
    if (!rc && !same)
        rc = qd_cluster_put_document(q->a->cluster, QD_STR(ABSENT_KEY), qd_buf_view(&b), false,
                                     NULL, err);
    qd_buf_fini(&b);
    return rc;
}

int qdi_api_voting_exclude(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str names = qd_param(q, "node_names"), ids = qd_param(q, "node_ids");
    int64_t ms;
    (void)r;
    if ((names.n == 0) == (ids.n == 0))
        return qd_err_set(err, QD_E_ARG, "You must set [node_names] or [node_ids] but not both");
    int rc = timeout_of(q, &ms, err);
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_str rest = names.n ? names : ids;
    qd_err why;
    const qd_master *list = NULL;
    uint32_t n = 0;
    qd_err_init(&why);
    if (!rc && qd_masters_list(q->a->cluster, ms, q->arena, &list, &n, NULL)) n = 0;
    while (!rc && rest.n) {
        qd_str one = qd_str_trim(qd_str_split(&rest, ','));
        if (one.n == 0) continue;
        bool known = is_known(s, list, n, one, !names.n);
        if (!known) rc = keep_absent(q, one, !names.n, err);
        if (rc || (!known && !names.n)) continue;
        rc = qd_masters_change(q->a->cluster, QD_COORD_MEMBERS_EXCLUDE,
                               names.n ? one : name_of(s, one), ms, &why);
        if (rc == QD_E_TIMEOUT)
            (void)qd_err_set(err, rc,
                             "timed out waiting for voting config exclusions [%.*s] to take "
                             "effect: no other master can take the vote over, or most of them do "
                             "not answer",
                             QD_STR_ARG(one));
        else if (rc)
            qd_err_copy(err, &why);
        qd_err_fini(&why);
    }
    qd_state_unref(s);
    return rc;
}

int qdi_api_voting_include(qd_request *q, qd_response *r, qd_err *err)
{
    bool wait;
    int64_t ms;
    (void)r;
    int rc = qd_param_bool(q, "wait_for_removal", true, &wait, err);
    if (!rc) rc = timeout_of(q, &ms, err);
    if (rc) return rc;
    if (wait) {
        const qd_master *list;
        uint32_t n;
        rc = qd_masters_list(q->a->cluster, ms, q->arena, &list, &n, err);
        for (uint32_t i = 0; !rc && i < n; i++)
            if (list[i].excluded && list[i].alive)
                return qd_err_set(err, QD_E_TIMEOUT,
                                  "timed out waiting for removal of nodes; if nodes should not be "
                                  "removed, set ?wait_for_removal=false. [%.*s] still runs",
                                  QD_STR_ARG(list[i].name));
    }
    if (!rc)
        rc = qd_cluster_put_document(q->a->cluster, QD_STR(ABSENT_KEY), (qd_str){NULL, 0}, false,
                                     NULL, err);
    return rc ? rc
              : qd_masters_change(q->a->cluster, QD_COORD_MEMBERS_INCLUDE, QD_STR(""), ms, err);
}
