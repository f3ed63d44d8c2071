/* masters.c: see masters.h. */
#include "cluster/masters.h"
#include "base/str.h"
#include "cluster/allocation/allocator.h"
#include "cluster/cluster_int.h"

static int copy_all(const qd_coord_members *m, qd_arena *arena, const qd_master **out, uint32_t *n,
                    qd_err *err)
{
    qd_master *list = qd_arena_alloc(arena, (m->nmembers + 1) * sizeof *list);
    if (!list) return qd_err_nomem(err, "masters");
    for (uint32_t i = 0; i < m->nmembers; i++) {
        const qd_coord_member *x = &m->members[i];
        qd_master one = {.id = qd_arena_str(arena, x->id),
                         .name = qd_arena_str(arena, x->name),
                         .address = qd_arena_str(arena, x->address),
                         .role = x->role,
                         .leader = x->leader != 0,
                         .alive = x->alive != 0,
                         .excluded = x->excluded != 0};
        if (!one.id.p || !one.name.p || !one.address.p) return qd_err_nomem(err, "masters");
        uint32_t at = i; /* by name */
        for (; at && qd_str_cmp(list[at - 1].name, one.name) > 0; at--) list[at] = list[at - 1];
        list[at] = one;
    }
    *out = list;
    *n = m->nmembers;
    return 0;
}

int qd_masters_list(qd_cluster *c, int64_t timeout_ms, qd_arena *arena, const qd_master **out,
                    uint32_t *n, qd_err *err)
{
    qd_coord_members m = {.action = QD_COORD_MEMBERS_LIST};
    int rc = qd_coord_members_call(c->store, &m, timeout_ms, err);
    if (rc) return rc;
    rc = copy_all(&m, arena, out, n, err);
    qd_coord_members_free(c->store, &m);
    return rc;
}

int qd_masters_term(qd_cluster *c, int64_t timeout_ms, uint64_t *term, qd_err *err)
{
    uint64_t session;
    qd_coord_token token;
    int rc =
        qd_coord_leader(c->store, QD_STR(QD_ELECTION_ALLOCATOR), timeout_ms, &session, &token, err);
    *term = token.term;
    return rc;
}

int qd_masters_change(qd_cluster *c, uint32_t action, qd_str name, int64_t timeout_ms, qd_err *err)
{
    qd_coord_members m = {.action = action, .change = {.name = name}};
    int rc = qd_coord_members_call(c->store, &m, timeout_ms, err);
    if (!rc) qd_coord_members_free(c->store, &m); /* bytes of a remote store's answer */
    return rc;
}

const char *qd_master_role(uint32_t role)
{
    static const char *const names[] = {"none", "voter", "standby", "spare", "client"};
    return role < QD_COUNT_OF(names) ? names[role] : names[0];
}
