/* slots.c: entry points of the kind: requests are checked, then put into the inbox. */
#include "store.h"
#include <stdlib.h>

#define REFUSE(c, error, code, ...) qd_plug_fail((c)->plugin->err, (error), (code), __VA_ARGS__)

/* Puts a request into the inbox. */
static int32_t enqueue(qd_coord *c, void *words, uint32_t kind, qd_err *err)
{
    cr_node *n = words;
    *n = (cr_node){.kind = kind};
    size_t weight = cr_weight(n);
    int32_t rc = 0;
    pthread_mutex_lock(&c->lock);
    if (c->closing)
        rc = QD_E_CLOSED;
    else if (c->live >= CR_LIVE_MAX || (weight && c->updates >= CR_UPDATES_MAX) ||
             (weight && c->bytes && c->bytes + weight > CR_UPDATE_BYTES_MAX))
        rc = QD_E_REJECTED;
    if (rc == 0) {
        n->previous = c->inbox.last;
        *(c->inbox.last ? &c->inbox.last->next : &c->inbox.first) = n;
        c->inbox.last = n;
        c->live++;
        c->updates += weight > 0;
        c->bytes += weight;
        if (!c->awake) uv_async_send(&c->wake);
        c->awake = 1;
    }
    pthread_mutex_unlock(&c->lock);
    return rc ? REFUSE(c, err, rc,
                       rc == QD_E_CLOSED ? "the coordination store is closed"
                                         : "the coordination store has too many requests waiting")
              : 0;
}

static int32_t key_check(qd_coord *c, qd_str key, qd_err *err)
{
    if (key.n == 0) return REFUSE(c, err, QD_E_ARG, "a key is empty");
    if (key.n <= CR_KEY_MAX) return 0;
    return REFUSE(c, err, QD_E_LIMIT, "a key has %zu bytes; the most is %d", key.n, CR_KEY_MAX);
}

static int32_t value_check(qd_coord *c, qd_str key, uint64_t n, qd_err *err)
{
    if (n <= CR_VALUE_MAX) return 0;
    return REFUSE(c, err, QD_E_LIMIT, "the value of %.*s has %llu bytes; the most is %d",
                  (int)key.n, key.p, (unsigned long long)n, CR_VALUE_MAX);
}

static int by_key(const void *a, const void *b)
{
    const qd_coord_change *const *x = a, *const *y = b;
    return cr_compare((*x)->key, (*y)->key);
}

/* A key at most once, not even by a prefix: sorted, what a prefix covers comes right behind it. */
static int32_t twice_check(qd_coord *c, const qd_coord_txn *t)
{
    const qd_coord_change **list = cr_alloc(c->heap, (t->nchanges + 1) * sizeof *list);
    if (!list) return REFUSE(c, t->err, QD_E_NOMEM, "out of memory: transaction");
    for (uint32_t i = 0; i < t->nchanges; i++) list[i] = &t->changes[i];
    qsort(list, t->nchanges, sizeof *list, by_key);
    int32_t rc = 0;
    for (uint32_t i = 1; i < t->nchanges && rc == 0; i++) {
        const qd_coord_change *a = list[i - 1], *b = list[i];
        int same = cr_compare(a->key, b->key) == 0;
        if (same || (a->type == QD_COORD_DELETE_PREFIX && cr_starts(b->key, a->key)))
            rc = REFUSE(c, t->err, QD_E_ARG, "key %.*s is changed twice in one transaction",
                        (int)b->key.n, b->key.p);
    }
    cr_free(c->heap, list);
    return rc;
}

static int32_t changes_check(qd_coord *c, const qd_coord_txn *t)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < t->nchanges; i++) {
        const qd_coord_change *x = &t->changes[i];
        int32_t rc = key_check(c, x->key, t->err);
        if (rc == 0 && (x->type < QD_COORD_PUT || x->type > QD_COORD_DELETE_PREFIX))
            rc = REFUSE(c, t->err, QD_E_ARG, "unknown change %u", x->type);
        if (rc == 0 && (cr_starts(x->key, QD_STR(CR_ELECTION_PREFIX)) ||
                        cr_starts(x->key, QD_STR(CR_MEMBERS_PREFIX))))
            rc = REFUSE(c, t->err, QD_E_ARG,
                        "keys below " CR_ELECTION_PREFIX " and " CR_MEMBERS_PREFIX
                        " are the store's");
        if (rc == 0 && x->type == QD_COORD_PUT) rc = value_check(c, x->key, x->value.n, t->err);
        if (rc) return rc;
        bytes += x->key.n + (x->type == QD_COORD_PUT ? x->value.n : 0);
    }
    if (bytes <= CR_TXN_BYTES_MAX) return t->nchanges > 1 ? twice_check(c, t) : 0;
    return REFUSE(c, t->err, QD_E_LIMIT, "a transaction has %llu bytes; the most is %d",
                  (unsigned long long)bytes, CR_TXN_BYTES_MAX);
}

static int32_t slot_txn(qd_coord *c, qd_coord_txn *t)
{
    int32_t rc = 0;
    if (t->ncompares > CR_TXN_OPS_MAX || t->nchanges > CR_TXN_OPS_MAX)
        return REFUSE(c, t->err, QD_E_LIMIT, "a transaction has more than %d parts",
                      CR_TXN_OPS_MAX);
    for (uint32_t i = 0; i < t->ncompares && rc == 0; i++) {
        rc = key_check(c, t->compares[i].key, t->err);
        if (rc == 0 &&
            (t->compares[i].type < QD_COORD_CMP_VERSION || t->compares[i].type > QD_COORD_CMP_HASH))
            rc = REFUSE(c, t->err, QD_E_ARG, "unknown compare %u", t->compares[i].type);
    }
    if (rc == 0 && t->token.term && (t->election.n == 0 || t->election.n > CR_KEY_MAX))
        rc = REFUSE(c, t->err, QD_E_ARG, "a token without its election");
    if (rc == 0) rc = changes_check(c, t);
    return rc ? rc : enqueue(c, t->plugin, CR_TXN_REQUEST, t->err);
}

static int32_t slot_range(qd_coord *c, qd_coord_range *r)
{
    const uint32_t known = QD_COORD_STALE | QD_COORD_KEYS_ONLY | QD_COORD_PREFIX;
    if (r->flags & ~known || r->key.n > CR_KEY_MAX ||
        (r->key.n == 0 && r->end.n == 0 && !(r->flags & QD_COORD_PREFIX)))
        return REFUSE(c, r->err, QD_E_ARG, "range: unknown flags, or a key that cannot be");
    return enqueue(c, r->plugin, CR_RANGE, r->err);
}

static int32_t slot_session(qd_coord *c, qd_coord_session *r)
{
    if (r->action < QD_COORD_SESSION_OPEN || r->action > QD_COORD_SESSION_CLOSE ||
        (r->action == QD_COORD_SESSION_OPEN && r->ttl_ns <= 0))
        return REFUSE(c, r->err, QD_E_ARG, "session: unknown action, or no time to live");
    return enqueue(c, r->plugin, CR_SESSION_REQUEST, r->err);
}

static int32_t slot_election(qd_coord *c, qd_coord_election *r)
{
    if (r->action < QD_COORD_ELECT || r->action > QD_COORD_LEADER || r->name.n == 0)
        return REFUSE(c, r->err, QD_E_ARG, "election: unknown action, or no name");
    if (r->name.n > CR_KEY_MAX - sizeof CR_ELECTION_PREFIX)
        return REFUSE(c, r->err, QD_E_LIMIT, "the name of an election has %zu bytes", r->name.n);
    int32_t rc = r->action == QD_COORD_ELECT ? value_check(c, r->name, r->value.n, r->err) : 0;
    return rc ? rc : enqueue(c, r->plugin, CR_ELECTION_REQUEST, r->err);
}

static int32_t slot_members(qd_coord *c, qd_coord_members *r)
{
    const qd_coord_member *m = &r->change;
    if (r->action < QD_COORD_MEMBERS_LIST || r->action > QD_COORD_MEMBERS_WANTED)
        return REFUSE(c, r->err, QD_E_ARG, "unknown change of members %u", r->action);
    if (m->name.n > CR_WIRE_NAME_MAX || m->address.n > CR_WIRE_ADDRESS_MAX || m->id.n > 20)
        return REFUSE(c, r->err, QD_E_LIMIT, "id, name or address of a member is too long");
    if (r->action == QD_COORD_MEMBERS_EXCLUDE && m->name.n == 0)
        return REFUSE(c, r->err, QD_E_ARG, "a member is excluded by its name");
    return enqueue(c, r->plugin, CR_MEMBERS, r->err);
}

static int32_t slot_authority(qd_coord *c, qd_coord_authority *r)
{
    if (r->action < QD_COORD_SEAL || r->action > QD_COORD_RETIRE)
        return REFUSE(c, r->err, QD_E_ARG, "unknown step of authority %u", r->action);
    return enqueue(c, r->plugin, CR_AUTHORITY_REQUEST, r->err);
}

static int32_t slot_export(qd_coord *c, qd_coord_export *r)
{
    return enqueue(c, r->plugin, CR_EXPORT, r->err);
}

static int32_t slot_import(qd_coord *c, qd_coord_import *r)
{
    uint64_t bytes = 0;
    if (r->nevents > CR_TXN_OPS_MAX)
        return REFUSE(c, r->err, QD_E_LIMIT, "an import has more than %d events", CR_TXN_OPS_MAX);
    for (uint32_t i = 0; i < r->nevents; i++) {
        const qd_coord_kv *kv = &r->events[i].kv;
        int put = r->events[i].type == QD_COORD_PUT;
        int32_t rc = key_check(c, kv->key, r->err);
        if (rc == 0 && put) rc = value_check(c, kv->key, kv->value_len, r->err);
        if (rc == 0 && ((!put && r->events[i].type != QD_COORD_DELETE) ||
                        r->revision >= CR_NUMBER_MAX || kv->mod_revision >= CR_NUMBER_MAX ||
                        kv->version >= CR_NUMBER_MAX || kv->session >= CR_NUMBER_MAX ||
                        (put && (kv->version == 0 || kv->create_revision > kv->mod_revision))))
            rc = REFUSE(c, r->err, QD_E_ARG, "event of %.*s: its numbers cannot be", (int)kv->key.n,
                        kv->key.p);
        if (rc) return rc;
        bytes += kv->key.n + (put ? kv->value_len : 0);
    }
    if (bytes > CR_TXN_BYTES_MAX)
        return REFUSE(c, r->err, QD_E_LIMIT, "an import has %llu bytes; the most is %d",
                      (unsigned long long)bytes, CR_TXN_BYTES_MAX);
    return enqueue(c, r->plugin, CR_IMPORT_REQUEST, r->err);
}

/* Without memory the request is lost, and the operation ends by itself. */
static void slot_cancel(qd_coord *c, qd_op *op)
{
    pthread_mutex_lock(&c->lock);
    if (c->ncancels == c->cancels_cap) {
        size_t cap = c->cancels_cap ? c->cancels_cap * 2 : 64;
        qd_op **more = c->heap->mem->realloc(c->heap->self, c->cancels, cap * sizeof *more);
        if (more) {
            c->cancels = more;
            c->cancels_cap = cap;
        }
    }
    if (c->ncancels < c->cancels_cap && !c->closing) {
        c->cancels[c->ncancels++] = op;
        if (!c->awake) uv_async_send(&c->wake);
        c->awake = 1;
    }
    pthread_mutex_unlock(&c->lock);
}

static int32_t slot_compact(qd_coord *c, uint64_t revision)
{
    pthread_mutex_lock(&c->lock);
    int closing = c->closing;
    if (!closing) {
        if (revision > c->compact) c->compact = revision;
        if (!c->awake) uv_async_send(&c->wake);
        c->awake = 1;
    }
    pthread_mutex_unlock(&c->lock);
    return closing ? QD_E_CLOSED : 0;
}

static void slot_info(qd_coord *c, qd_coord_info *out)
{
    qd_coord_info i = {.struct_size = sizeof i,
                       .key_max = CR_KEY_MAX,
                       .value_max = CR_VALUE_MAX,
                       .txn_bytes_max = CR_TXN_BYTES_MAX,
                       .txn_ops_max = CR_TXN_OPS_MAX,
                       .id_window = CR_ID_WINDOW,
                       .session_ttl_min_ns = CR_TTL_MIN_NS,
                       .session_ttl_max_ns = CR_TTL_MAX_NS,
                       .history_min = CR_HISTORY_MIN};
    uint32_t n = out->struct_size < sizeof i ? out->struct_size : (uint32_t)sizeof i;
    (void)c;
    i.struct_size = n;
    memcpy(out, &i, n);
}

static void slot_identity(qd_coord *c, qd_coord_identity *out)
{
    pthread_mutex_lock(&c->lock);
    qd_coord_identity i = c->identity;
    pthread_mutex_unlock(&c->lock);
    uint32_t n = out->struct_size < sizeof i ? out->struct_size : (uint32_t)sizeof i;
    i.struct_size = n;
    memcpy(out, &i, n);
}

static void slot_close(qd_coord *c, void (*done)(void *arg), void *arg)
{
    pthread_mutex_lock(&c->lock);
    c->closed = done;
    c->closed_arg = arg;
    c->closing = 1;
    uv_async_send(&c->wake);
    c->awake = 1;
    pthread_mutex_unlock(&c->lock);
}

/* --- opening --- */

static int32_t take_config(qd_coord *c, const qd_coord_config *k, qd_err *err)
{
    if (k->flags & ~(uint32_t)(QD_COORD_OPEN_BOOTSTRAP | QD_COORD_OPEN_RECOVER))
        return REFUSE(c, err, QD_E_UNSUPPORTED,
                      "the coordination store does not know this way of opening (%x)", k->flags);
    if (k->path.n >= sizeof c->path)
        return REFUSE(c, err, QD_E_ARG, "the folder of the coordination store has too long a path");
    if (k->node_name.n == 0 || k->node_name.n > CR_WIRE_NAME_MAX ||
        memchr(k->node_name.p, '\n', k->node_name.n) || k->publish.n > CR_WIRE_ADDRESS_MAX)
        return REFUSE(c, err, QD_E_ARG, "node.name or the published address cannot be a master's");
    if (k->path.n) memcpy(c->path, k->path.p, k->path.n);
    c->bootstrap = (k->flags & QD_COORD_OPEN_BOOTSTRAP) != 0;
    c->recover = (k->flags & QD_COORD_OPEN_RECOVER) != 0;
    for (uint32_t i = 0; i < k->noptions; i++) {
        int32_t rc = cr_home_option(c, &k->options[i], err);
        if (rc) return rc;
    }
    qd_str address = k->publish;
    const qd_svc_peers *peers = c->plugin->peers;
    if (address.n == 0 && peers) address = peers->address(c->plugin->self);
    const qd_str from[4] = {k->node_id, k->node_name, k->cluster, address};
    qd_str *to[4] = {&c->node_id, &c->node_name, &c->cluster_name, &c->address};
    char *p = cr_alloc(c->heap, from[0].n + from[1].n + from[2].n + from[3].n);
    if (!p) return REFUSE(c, err, QD_E_NOMEM, "out of memory: coordination store");
    c->texts = p;
    for (int i = 0; i < 4; i++) {
        if (from[i].n) memcpy(p, from[i].p, from[i].n);
        *to[i] = (qd_str){p, from[i].n};
        p += from[i].n;
    }
    return cr_found_config(c, k, err);
}

static int32_t slot_open(qd_self *self, const qd_coord_config *k, qd_coord **out, qd_err *err)
{
    cr_plugin *p = cr_plugin_of(self);
    qd_coord *c = cr_alloc(&p->heap, sizeof *c);
    int64_t v;
    if (!c) return qd_plug_fail(p->err, err, QD_E_NOMEM, "out of memory: coordination store");
    memset(c, 0, sizeof *c);
    c->plugin = p;
    c->heap = &p->heap;
    c->election_ms = 500;
    c->heartbeat_ms = 100;
    c->history_max = CR_HISTORY_MIN;
    c->history_bytes = p->conf->i64(self, "history", &v) == 0 ? (uint64_t)v : 16u << 20;
    cr_home_defaults(c);
    c->incarnation = p->rand->u64(self) | 1;    /* 0 is nobody */
    c->rounds.number = p->rand->u64(self) >> 1; /* answers to a life before are no answers */
    pthread_mutex_init(&c->lock, NULL);
    int32_t rc = take_config(c, k, err);
    if (rc == 0) rc = cr_store_open(c, err);
    if (rc) {
        cr_store_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

const qd_coord_vtable cr_vtable = {
    .head = QD_VTABLE(qd_coord_vtable, COORDINATION, CR_HOME_FLAGS),
    .open = slot_open,
    .close = slot_close,
    .info = slot_info,
    .identity = slot_identity,
    .range = slot_range,
    .txn = slot_txn,
    .session = slot_session,
    .election = slot_election,
    .members = slot_members,
    .result_free = cr_result_free,
    .watch = cr_watch_open,
    .watch_close = cr_watch_close,
    .cancel = slot_cancel,
    .compact = slot_compact,
    .authority = slot_authority,
    .export_at = slot_export,
    .import = slot_import,
};
