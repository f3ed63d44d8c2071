/* shard_meta.c: the record of a shard: look-up, invariants, stored form. See shard_meta.h. */
#include "cluster/state/shard_meta.h"
#include "base/str.h"
#include "json/tree.h"

#define ARENA_MAX ((size_t)16 << 20)
#define ID_MAX 64u /* bytes of an allocation id, of a node's id */

static const char *const states[] = {"UNASSIGNED", "INITIALIZING", "STARTED", "RELOCATING"};
static const char *const recoveries[] = {"EMPTY_STORE", "EXISTING_STORE", "PEER"};
static const char *const reasons[] = {
    NULL,
    "INDEX_CREATED",
    "CLUSTER_RECOVERED",
    "INDEX_REOPENED",
    "DANGLING_INDEX_IMPORTED",
    "REPLICA_ADDED",
    "ALLOCATION_FAILED",
    "NODE_LEFT",
    "REROUTE_CANCELLED",
    "REINITIALIZED",
    "REALLOCATED_REPLICA",
    "PRIMARY_FAILED",
    "FORCED_EMPTY_PRIMARY",
    "MANUAL_ALLOCATION",
    "NODE_RESTARTING",
};

const char *qd_shard_state_name(qd_shard_state s)
{
    return states[s];
}
const char *qd_unassigned_reason_name(qd_unassigned_reason r)
{
    return reasons[r];
}
const char *qd_recovery_source_name(qd_recovery_source r)
{
    return recoveries[r];
}

const qd_copy *qd_shard_meta_copy_of(const qd_shard_meta *s, qd_str node)
{
    for (uint32_t i = 0; i < s->ncopies; i++) {
        const qd_copy *c = &s->copies[i];
        if (qd_copy_is_assigned(c) && qd_str_eq(c->node, node)) return c;
    }
    return NULL;
}

const qd_copy *qd_shard_meta_copy(const qd_shard_meta *s, qd_str allocation_id)
{
    for (uint32_t i = 0; i < s->ncopies && allocation_id.n; i++) {
        if (qd_str_eq(s->copies[i].allocation_id, allocation_id)) return &s->copies[i];
    }
    return NULL;
}

const qd_in_sync *qd_shard_meta_in_sync(const qd_shard_meta *s, qd_str allocation_id)
{
    for (uint32_t i = 0; i < s->nin_sync; i++) {
        if (qd_str_eq(s->in_sync[i].allocation_id, allocation_id)) return &s->in_sync[i];
    }
    return NULL;
}

void qd_shard_meta_count(const qd_shard_meta *s, uint32_t replicas, qd_shard_counts_meta *out)
{
    uint64_t places = (uint64_t)replicas + 1, filled = 0;
    *out = (qd_shard_counts_meta){0};
    for (uint32_t i = 0; i < s->ncopies; i++) {
        const qd_copy *c = &s->copies[i];
        out->active += qd_copy_is_active(c);
        out->relocating += c->state == QD_SHARD_RELOCATING;
        out->initializing += c->state == QD_SHARD_INITIALIZING;
        filled += qd_copy_is_assigned(c) && !qd_copy_is_target(c);
    }
    out->unassigned = places > filled ? (uint32_t)(places - filled) : 0;
}

/* --- invariants ------------------------------------------------------------------------------ */

static int bad(qd_err *err, const char *what)
{
    return qd_err_set(err, QD_E_CORRUPT, "record of a shard: %s", what);
}

static int check_copy(const qd_shard_meta *s, uint32_t i, qd_err *err)
{
    const qd_copy *c = &s->copies[i];
    if (c->failure.n > QD_FAILURE_TEXT_MAX) return bad(err, "text of a failure is too long");
    if (c->last_node.n > ID_MAX || c->ephemeral.n > ID_MAX) return bad(err, "an id is too long");
    if (!qd_copy_is_assigned(c)) {
        return c->allocation_id.n || c->node.n || c->partner.n || c->ephemeral.n
                   ? bad(err, "an unassigned copy has a place")
                   : 0;
    }
    if (!c->allocation_id.n || c->allocation_id.n > ID_MAX || !c->node.n || c->node.n > ID_MAX) {
        return bad(err, "an assigned copy has no place");
    }
    if (i && !qd_copy_is_active(&s->copies[0])) {
        return bad(err, "a replica is assigned without a started primary");
    }
    if (qd_copy_is_active(c) && !qd_shard_meta_in_sync(s, c->allocation_id)) {
        return bad(err, "a started copy is not in sync");
    }
    const qd_copy *partner = c->partner.n ? qd_shard_meta_copy(s, c->partner) : NULL;
    if (c->state == QD_SHARD_RELOCATING && (!partner || partner->state != QD_SHARD_INITIALIZING ||
                                            !qd_str_eq(partner->partner, c->allocation_id))) {
        return bad(err, "a relocating copy has no target");
    }
    if (c->state == QD_SHARD_STARTED && c->partner.n) return bad(err, "a partner without a move");
    if (qd_copy_is_target(c) && (!partner || partner->state != QD_SHARD_RELOCATING ||
                                 !qd_str_eq(partner->partner, c->allocation_id))) {
        return bad(err, "the target of a move has no source");
    }
    for (uint32_t k = 0; k < i; k++) {
        const qd_copy *o = &s->copies[k];
        if (!qd_copy_is_assigned(o)) continue;
        if (qd_str_eq(o->node, c->node)) return bad(err, "two copies on one node");
        if (qd_str_eq(o->allocation_id, c->allocation_id)) {
            return bad(err, "two copies of one allocation id");
        }
    }
    return 0;
}

int qd_shard_meta_check(const qd_shard_meta *s, qd_err *err)
{
    if (!s->ncopies || s->ncopies > QD_COPIES_MAX) return bad(err, "number of copies");
    if (s->nin_sync > QD_COPIES_MAX) return bad(err, "number of copies in sync");
    if (s->primary_term > INT64_MAX) return bad(err, "primary_term");
    if (!qd_str_eq(s->primary, s->copies[0].allocation_id)) {
        return bad(err, "the primary is not the first copy");
    }
    if (s->primary.n && !s->primary_term) return bad(err, "a primary without a term");
    if (qd_copy_is_target(&s->copies[0])) return bad(err, "the primary is the target of a move");
    if (s->fresh && s->nin_sync) return bad(err, "a fresh shard has a copy in sync");
    if (!s->fresh && !s->nin_sync) return bad(err, "no copy is in sync");
    for (uint32_t i = 0; i < s->nin_sync; i++) {
        const qd_in_sync *a = &s->in_sync[i];
        if (!a->allocation_id.n || a->allocation_id.n > ID_MAX || !a->node.n ||
            a->node.n > ID_MAX) {
            return bad(err, "a copy in sync has no place");
        }
        for (uint32_t k = 0; k < i; k++) {
            if (qd_str_eq(s->in_sync[k].allocation_id, a->allocation_id)) {
                return bad(err, "a copy is in sync twice");
            }
        }
        const qd_copy *c = qd_shard_meta_copy(s, a->allocation_id);
        if (c && !qd_str_eq(c->node, a->node)) return bad(err, "a copy in sync is elsewhere");
    }
    for (uint32_t i = 0; i < s->ncopies; i++) {
        int rc = check_copy(s, i, err);
        if (rc) return rc;
    }
    return 0;
}

/* --- stored form ----------------------------------------------------------------------------- */

static void put(qd_json_writer *w, const char *key, qd_str text)
{
    if (text.n) qd_json_field_str(w, key, text);
}

static void encode_copy(const qd_copy *c, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_c(w, "state", states[c->state]);
    put(w, "id", c->allocation_id);
    put(w, "node", c->node);
    put(w, "ephemeral", c->ephemeral);
    put(w, "partner", c->partner);
    qd_json_field_c(w, "recovery", recoveries[c->recovery]);
    if (c->reason) {
        qd_json_field_c(w, "reason", reasons[c->reason]);
        qd_json_field_int(w, "since_ms", c->since_ms);
    }
    if (c->failures) qd_json_field_int(w, "failures", c->failures);
    put(w, "failure", c->failure);
    put(w, "last_node", c->last_node);
    qd_json_object_end(w);
}

void qd_shard_meta_encode(const qd_shard_meta *s, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_int(w, "primary_term", (int64_t)s->primary_term);
    qd_json_field_bool(w, "fresh", s->fresh);
    if (s->unopened) qd_json_field_bool(w, "unopened", true);
    qd_json_key_c(w, "copies");
    qd_json_array(w);
    for (uint32_t i = 0; i < s->ncopies; i++) encode_copy(&s->copies[i], w);
    qd_json_array_end(w);
    qd_json_key_c(w, "in_sync");
    qd_json_array(w);
    for (uint32_t i = 0; i < s->nin_sync; i++) {
        qd_json_object(w);
        qd_json_field_str(w, "id", s->in_sync[i].allocation_id);
        qd_json_field_str(w, "node", s->in_sync[i].node);
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
    qd_json_object_end(w);
}

typedef struct reading {
    qd_arena *arena;
    qd_err *err;
    int rc;
} reading;

static void wrong(reading *r, const char *member)
{
    if (!r->rc) {
        r->rc =
            qd_err_set(r->err, QD_E_CORRUPT, "record of a shard: [%s] is missing or wrong", member);
    }
}

static qd_str text_of(reading *r, const qd_json_node *n, const char *key)
{
    const qd_json_node *m = qd_json_get(n, key);
    if (!m) return (qd_str){NULL, 0};
    if (m->type != QD_JSON_T_STRING) {
        wrong(r, key);
        return (qd_str){NULL, 0};
    }
    qd_str copy = qd_arena_str(r->arena, m->text);
    if (!copy.p && m->text.n && !r->rc) r->rc = qd_err_nomem(r->err, "record of a shard");
    return copy;
}

static uint64_t number_of(reading *r, const qd_json_node *n, const char *key, uint64_t most,
                          bool needed)
{
    uint64_t v = 0;
    const qd_json_node *m = qd_json_get(n, key);
    if (!m && !needed) return 0;
    if (!m || m->type != QD_JSON_T_NUMBER || !qd_str_u64(m->text, &v) || v > most) wrong(r, key);
    return v;
}

static uint32_t name_of(reading *r, const qd_json_node *n, const char *key,
                        const char *const *names, uint32_t count, bool needed)
{
    const qd_json_node *m = qd_json_get(n, key);
    if (!m && !needed) return 0;
    for (uint32_t i = 0; m && m->type == QD_JSON_T_STRING && i < count; i++) {
        if (names[i] && qd_str_is(m->text, names[i])) return i;
    }
    wrong(r, key);
    return 0;
}

static qd_copy read_copy(reading *r, const qd_json_node *n)
{
    return (qd_copy){
        .state = (qd_shard_state)name_of(r, n, "state", states, QD_COUNT_OF(states), true),
        .recovery = (qd_recovery_source)name_of(r, n, "recovery", recoveries,
                                                QD_COUNT_OF(recoveries), true),
        .allocation_id = text_of(r, n, "id"),
        .node = text_of(r, n, "node"),
        .ephemeral = text_of(r, n, "ephemeral"),
        .partner = text_of(r, n, "partner"),
        .reason =
            (qd_unassigned_reason)name_of(r, n, "reason", reasons, QD_COUNT_OF(reasons), false),
        .since_ms = (int64_t)number_of(r, n, "since_ms", INT64_MAX, false),
        .failures = (uint32_t)number_of(r, n, "failures", UINT32_MAX, false),
        /* what is no UTF-8 has grown when it was written */
        .failure = qd_str_sub(text_of(r, n, "failure"), 0, QD_FAILURE_TEXT_MAX),
        .last_node = text_of(r, n, "last_node"),
    };
}

/* A bounded array member; NULL when it is missing or wrong. */
static void *array_of(reading *r, const qd_json_node *root, const char *key, size_t size,
                      const qd_json_node **list)
{
    *list = qd_json_get(root, key);
    if (!*list || (*list)->type != QD_JSON_T_ARRAY || (*list)->n > QD_COPIES_MAX) {
        wrong(r, key);
        return NULL;
    }
    void *at = qd_arena_calloc(r->arena, ((*list)->n + 1) * size);
    if (!at && !r->rc) r->rc = qd_err_nomem(r->err, "record of a shard");
    return at;
}

static void read_record(reading *r, const qd_json_node *root, qd_shard_meta *out)
{
    const qd_json_node *list, *fresh = qd_json_get(root, "fresh");
    const qd_json_node *unopened = qd_json_get(root, "unopened");
    *out = (qd_shard_meta){.primary_term = number_of(r, root, "primary_term", INT64_MAX, true)};
    if (!fresh || fresh->type != QD_JSON_T_BOOL) wrong(r, "fresh");
    out->fresh = fresh && fresh->truth;
    out->unopened = unopened && unopened->truth;
    qd_copy *copies = array_of(r, root, "copies", sizeof *copies, &list);
    for (const qd_json_node *n = copies ? list->first : NULL; n; n = n->next) {
        if (n->type != QD_JSON_T_OBJECT) wrong(r, "copies");
        copies[out->ncopies++] = read_copy(r, n);
    }
    qd_in_sync *in_sync = array_of(r, root, "in_sync", sizeof *in_sync, &list);
    for (const qd_json_node *n = in_sync ? list->first : NULL; n; n = n->next) {
        if (n->type != QD_JSON_T_OBJECT) wrong(r, "in_sync");
        in_sync[out->nin_sync++] = (qd_in_sync){text_of(r, n, "id"), text_of(r, n, "node")};
    }
    out->copies = copies;
    out->in_sync = in_sync;
    if (out->ncopies) out->primary = out->copies[0].allocation_id;
}

/* Records of one copy, as they were written before shards had replicas. */
static void read_single(reading *r, const qd_json_node *root, qd_shard_meta *out)
{
    const qd_json_node *fresh = qd_json_get(root, "fresh");
    qd_copy *c = qd_arena_calloc(r->arena, sizeof *c);
    qd_in_sync *in_sync = qd_arena_calloc(r->arena, sizeof *in_sync);
    if (!c || !in_sync) {
        r->rc = qd_err_nomem(r->err, "record of a shard");
        return;
    }
    *out = (qd_shard_meta){.primary_term = number_of(r, root, "primary_term", INT64_MAX, true),
                           .copies = c,
                           .ncopies = 1,
                           .in_sync = in_sync,
                           .fresh = fresh && fresh->truth};
    *in_sync = (qd_in_sync){text_of(r, root, "primary"), text_of(r, root, "node")};
    c->state = (qd_shard_state)name_of(r, root, "state", states, 3, true);
    c->recovery = out->fresh ? QD_RECOVERY_EMPTY_STORE : QD_RECOVERY_EXISTING_STORE;
    out->nin_sync = !out->fresh;
    if (c->state == QD_SHARD_UNASSIGNED) {
        c->reason = out->fresh ? QD_UNASSIGNED_INDEX_CREATED : QD_UNASSIGNED_ALLOCATION_FAILED;
        c->last_node = in_sync->node;
    } else {
        c->allocation_id = in_sync->allocation_id;
        c->node = in_sync->node;
    }
    out->primary = c->allocation_id;
}

int qd_shard_meta_decode(qd_str record, qd_arena *arena, qd_shard_meta *out, qd_err *err)
{
    qd_arena a;
    qd_json_node *root;
    qd_shard_meta s;
    reading r = {arena, err, 0};
    qd_arena_init(&a, NULL, ARENA_MAX);
    r.rc = qd_json_parse(&a, record, 16, &root, err);
    if (!r.rc && qd_json_get(root, "state")) {
        read_single(&r, root, &s);
    } else if (!r.rc) {
        read_record(&r, root, &s);
    }
    qd_arena_fini(&a);
    if (!r.rc) r.rc = qd_shard_meta_check(&s, err);
    if (!r.rc) *out = s;
    return r.rc;
}
