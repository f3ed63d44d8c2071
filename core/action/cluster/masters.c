/*
 * masters.c: the members of the coordination store: _quidditch/masters and
 * _cluster/voting_config_exclusions.
 */
#include "cluster/masters.h"
#include "action/api/admin_int.h"
#include "base/str.h"

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
    qd_err_init(&why);
    while (!rc && rest.n) {
        qd_str one = qd_str_trim(qd_str_split(&rest, ','));
        if (one.n == 0) continue;
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
    return rc ? rc
              : qd_masters_change(q->a->cluster, QD_COORD_MEMBERS_INCLUDE, QD_STR(""), ms, err);
}
