/* cluster_check.c: what must hold of the cluster's state, beyond what repl_check.c looks at. */
#include "base/hash.h"
#include "base/str.h"
#include "cluster/allocation/allocator.h"
#include "cluster_disk.h"
#include "cluster_int.h"

/* --- what nodes apply ------------------------------------------------------------------------- */

static uint64_t hash_of(const qd_shard_meta *s)
{
    uint64_t h = qd_xxh3(s->primary.p, s->primary.n) ^ s->primary_term * 0x9e3779b97f4a7c15ull;
    for (uint32_t i = 0; i < s->ncopies; i++) {
        const qd_copy *c = &s->copies[i];
        uint64_t v[5] = {h, (uint64_t)c->state, qd_xxh3(c->allocation_id.p, c->allocation_id.n),
                         qd_xxh3(c->node.p, c->node.n), qd_xxh3(c->partner.p, c->partner.n)};
        h = qd_xxh3(v, sizeof v);
    }
    for (uint32_t i = 0; i < s->nin_sync; i++) {
        uint64_t v[2] = {h, qd_xxh3(s->in_sync[i].allocation_id.p, s->in_sync[i].allocation_id.n)};
        h = qd_xxh3(v, sizeof v);
    }
    return h | 1;
}

void cluster_committed(qd_str key, qd_str value, uint64_t revision)
{
    cluster *x = cluster_now();
    if (revision >= REVISIONS || x->restored) return;
    if (qd_str_starts(key, QD_STR("shard/"))) x->record_made[revision] = true;
    if (!qd_str_is(key, "_election/allocator")) return;
    x->elected[revision] = value.n == 2 ? value.p[1] : '-';
}

/* A state of a revision holds the newest record up to there. */
static void check_newest(const cluster *x, const proc *p, const qd_state *s, uint64_t has)
{
    uint64_t r = s->revision < REVISIONS ? s->revision : REVISIONS - 1;
    while (r && !x->record_made[r]) r--;
    if (r > has) {
        fail(cluster_enter(), "%s at revision %llu sees record %llu, it has missed %llu", p->name,
             (unsigned long long)s->revision, (unsigned long long)has, (unsigned long long)r);
    }
}

/* One chain of records: whoever sees a revision sees the same, and terms rise with it. */
static void check_record(cluster *x, const proc *p, const qd_shard_meta *s)
{
    uint64_t r = s->mod_revision, h = hash_of(s);
    world *w = cluster_enter();
    if (r >= REVISIONS) return;
    if (!x->record_at[r].hash) {
        x->record_at[r].hash = h;
        x->record_at[r].term = s->primary_term;
        x->r->records++;
    } else if (x->record_at[r].hash != h) {
        fail(w, "%s sees another record of revision %llu", p->name, (unsigned long long)r);
    }
    if (r > x->record_max) {
        if (x->record_max && s->primary_term < x->record_at[x->record_max].term) {
            fail(w, "the shard's term fell to %llu", (unsigned long long)s->primary_term);
        }
        x->record_max = r;
    }
}

/* --- who is in sync --------------------------------------------------------------------------- */

void cluster_check_asked(cluster *x, const msg *m)
{
    uint32_t i = x->nasked++;
    if (i >= ASKED_MAX) return;
    x->asked[i].op = m->cas;
    x->asked[i].term = m->term;
    snprintf(x->asked[i].aid, REPL_AID, "%s", m->aid);
    snprintf(x->asked[i].by, REPL_AID, "%s", m->by);
}

/* Was it asked for, about this copy (NULL: any), by who was primary of this term or a later one? */
static bool asked(const cluster *x, casop op, const char *aid, uint64_t term)
{
    for (uint32_t i = 0; i < x->nasked; i++) {
        if (x->asked[i].op == op && x->asked[i].term >= term &&
            (!aid || strcmp(x->asked[i].aid, aid) == 0)) {
            return true;
        }
    }
    return false;
}

/* Its place is another's now: it was the primary and handed over, or a replica that has moved. */
static bool has_moved(const cluster *x, const srec *was, const srec *now, const char *aid)
{
    const scopy *c = rec_copy(was, aid);
    for (uint32_t i = 0; i < x->nasked; i++) {
        if (x->asked[i].op == CAS_HANDOVER && x->asked[i].term >= was->term &&
            strcmp(x->asked[i].by, aid) == 0) {
            return true;
        }
    }
    if (c && c->partner[0] && asked(x, CAS_START, c->partner, 0)) return true;
    for (uint32_t i = 0; i < now->nsync; i++) {
        const char *other = now->sync[i].aid;
        if (!rec_in_sync(was, other) && asked(x, CAS_START, other, 0)) return true;
    }
    return false;
}

/* A copy leaves those in sync: its primary or itself says so, or its files are another's. */
static bool may_leave(const cluster *x, const srec *was, const srec *now, const char *aid)
{
    return asked(x, CAS_FAIL, aid, was->term) || asked(x, CAS_FAILED, aid, 0) ||
           asked(x, CAS_LOST, aid, 0) || has_moved(x, was, now, aid) ||
           (!rec_copy(was, aid) && asked(x, CAS_ADMIT, NULL, was->term));
}

/* Who is in sync with a primary says that primary alone, not one of an earlier term. */
void cluster_check_in_sync(cluster *x, const srec *now)
{
    const srec was = x->newest;
    if (x->restored || now->rev <= was.rev) return;
    x->newest = *now;
    if (!was.rev || was.fresh || x->nasked > ASKED_MAX) return;
    for (uint32_t i = 0; i < now->nsync; i++) {
        const char *aid = now->sync[i].aid;
        if (rec_in_sync(&was, aid) || asked(x, CAS_ADMIT, aid, was.term)) continue;
        fail(cluster_enter(), "copy %s is in sync at revision %llu, no primary of term %llu asked",
             aid, (unsigned long long)now->rev, (unsigned long long)was.term);
    }
    for (uint32_t i = 0; i < was.nsync; i++) {
        const char *aid = was.sync[i].aid;
        if (rec_in_sync(now, aid) || may_leave(x, &was, now, aid)) continue;
        fail(cluster_enter(), "copy %s is out of sync at revision %llu, none of term %llu asked",
             aid, (unsigned long long)now->rev, (unsigned long long)was.term);
    }
}

/* --- sessions --------------------------------------------------------------------------------- */

/* A session does not end before its time: not while its process lives and renewed it within that.
 */
static void check_gone(cluster *x, int id, uint64_t session, const char *eph)
{
    world *w = cluster_enter();
    const proc *q = x->m[id].now;
    x->r->sessions_lost++;
    if (x->over[session % SESSIONS].session != session) {
        x->over[session % SESSIONS].session = session;
        x->over[session % SESSIONS].ns = qd_sim_now_ns(x->sim);
    }
    if (!q || q->dying || strcmp(w->n[id].eph, eph) != 0) return;
    uint64_t kept =
        x->kept[session % SESSIONS].session == session ? x->kept[session % SESSIONS].ns : 0;
    if (kept && w->now - kept < ms(SESSION_TTL_MS) * 9 / 10) {
        fail(w, "the session of n%d ended %llu ms after it was renewed", id,
             (unsigned long long)((w->now - kept) / 1000000));
    }
}

static void check_sessions(cluster *x, const proc *p, const qd_state *s)
{
    for (int i = 0; i < NODES; i++) {
        const qd_node_meta *n = qd_state_node(s, qd_str_c(node_name(i)));
        uint64_t session = n ? n->session : 0, had = x->saw[p->node][i].session;
        if (had && had != session) check_gone(x, i, had, x->saw[p->node][i].eph);
        x->saw[p->node][i].session = session;
        if (n) snprintf(x->saw[p->node][i].eph, REPL_AID, "%.*s", QD_STR_ARG(n->ephemeral));
    }
}

void cluster_check_state(cluster *x, proc *p, const qd_state *s)
{
    const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX_NAME));
    const qd_shard_meta *shard = m ? qd_state_shard(s, m, 0) : NULL;
    world *w = cluster_enter();
    if (m && !x->uuid[0]) snprintf(x->uuid, sizeof x->uuid, "%s", m->uuid);
    if (s->revision < x->shown[p->node]) {
        fail(w, "%s acts on revision %llu, it had acted on %llu", p->name,
             (unsigned long long)s->revision, (unsigned long long)x->shown[p->node]);
    }
    x->shown[p->node] = s->revision;
    if (m && strcmp(m->uuid, x->uuid) != 0) fail(w, "%s sees another index", p->name);
    if (shard && shard->mod_revision && !x->restored) check_record(x, p, shard);
    if (!x->restored) check_newest(x, p, s, shard ? shard->mod_revision : 0);
    if (s->master.n && s->master.n < sizeof x->allocator && !qd_str_is(s->master, x->allocator)) {
        x->r->allocators += x->allocator[0] != 0;
        snprintf(x->allocator, sizeof x->allocator, "%.*s", QD_STR_ARG(s->master));
    }
    check_sessions(x, p, s);
    for (uint32_t i = 0; i < s->nnodes; i++) {
        if (s->nodes[i].features >= s->features) continue;
        fail(w, "%.*s, which knows formats up to level %u, is in a cluster that writes level %u",
             QD_STR_ARG(s->nodes[i].id), s->nodes[i].features, s->features);
    }
}

/* --- the masters ------------------------------------------------------------------------------ */

void cluster_look(cluster *x)
{
    world *w = x->w;
    bool deep = chance(w, 0.2);
    store_look(x);
    for (int i = 0; i < NODES && !w->failed; i++) {
        const proc *p = x->m[i].now;
        qd_coord *handle;
        if (!p || !p->master || !proc_follows(p)) continue;
        (void)qd_coord_table(p->store, &handle);
        uint64_t term = cluster_store_term(handle), at;
        if (cluster_store_leads(handle) && term > x->term) {
            x->r->leaders += x->term != 0;
            x->term = term;
        }
        if (!deep || x->restored) continue;
        uint64_t h = cluster_store_hash(handle, &at) | 1;
        if (at >= INDICES) continue;
        if (x->store_at[at] && x->store_at[at] != h) {
            fail(w, "the masters' states differ at entry %llu", (unsigned long long)at);
        }
        x->store_at[at] = h;
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

const char *cluster_not_green(cluster *x)
{
    static char why[400];
    for (int i = 0; i < NODES; i++) {
        proc *p = x->m[i].now;
        snprintf(why, sizeof why, "n%d has not joined", i);
        if (!proc_follows(p)) return why;
        qd_state *s = qd_cluster_state(p->cluster);
        const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX_NAME));
        const qd_shard_meta *shard = m ? qd_state_shard(s, m, 0) : NULL;
        bool healthy = m && qd_index_health(s, m) == QD_HEALTH_GREEN;
        uint32_t nodes = s->nnodes;
        snprintf(why, sizeof why,
                 "n%d at revision %llu sees %s shard %llu with %u copies, %u nodes", i,
                 (unsigned long long)s->revision, healthy ? "a green" : "a",
                 (unsigned long long)(shard ? shard->mod_revision : 0), shard ? shard->ncopies : 0,
                 nodes);
        for (int k = 0; k < NODES && nodes != NODES; k++) {
            size_t at = strlen(why);
            if (!qd_state_node(s, qd_str_c(node_name(k)))) {
                snprintf(why + at, sizeof why - at, ", without n%d", k);
            }
        }
        size_t end = strlen(why);
        snprintf(why + end, sizeof why - end, "; elected: %.*s", QD_STR_ARG(s->master));
        qd_state_unref(s);
        if (!healthy || nodes != NODES) return why;
    }
    return green(x->w) ? NULL : "replication goes on";
}

bool cluster_green(cluster *x)
{
    return green(x->w) && !cluster_not_green(x);
}

/* Told that it was certainly not made. */
static bool refused(const told *t)
{
    return t->ended && t->rc && t->rc != QD_E_UNKNOWN_OUTCOME && t->rc != QD_E_TIMEOUT;
}

static void check_register(cluster *x)
{
    uint64_t n = x->register_values < REGISTER_MAX ? x->register_values : REGISTER_MAX - 1;
    world *w = x->w;
    for (uint64_t i = 1; i <= n && !w->failed; i++) {
        const told *a = &x->register_of[i];
        if (!a->ended) continue;
        if (a->before && a->before <= n && refused(&x->register_of[a->before])) {
            fail(w, "change %llu of the register was refused (%s) and is there",
                 (unsigned long long)a->before, qd_code_name(x->register_of[a->before].rc));
        }
        for (uint64_t k = 1; k < i && !a->rc; k++) {
            const told *b = &x->register_of[k];
            if (!b->ended || b->rc || (b->base != a->base && b->revision != a->revision)) continue;
            fail(w, "changes %llu and %llu of the register were both made on revision %llu",
                 (unsigned long long)k, (unsigned long long)i, (unsigned long long)a->base);
        }
    }
}

void cluster_check_end(cluster *x)
{
    for (int i = 0; i < NODES; i++) {
        if (x->m[i].newest) fail(x->w, "n%d runs on an old copy of its disk, and is let in", i);
    }
    check_register(x);
    for (int i = 0; i < 20 && !x->w->failed; i++) cluster_look(x);
}
