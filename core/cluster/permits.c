/* permits.c: see permits.h. */
#include "cluster/permits.h"
#include "base/str.h"
#include "cluster/cluster_int.h"
#include "cluster/masters.h"
#include "json/tree.h"
#include "json/writer.h"
#include <string.h>

#define DOCUMENT_MAX ((size_t)1 << 20)
#define REASONS_MAX 10u /* told of one kind */

/* --- the document ---------------------------------------------------------------------------- */

static int64_t number_of(const qd_json_node *n, const char *name)
{
    int64_t v = 0;
    const qd_json_node *x = qd_json_get(n, name);
    return x && qd_str_i64(x->text, &v) ? v : 0;
}

static bool is_open(const qd_state *s, const qd_permit *p, int64_t now_ms)
{
    const qd_node_meta *n = qd_state_node(s, p->node);
    if (!p->node.n || p->expires_ms <= now_ms) return false;
    return p->remove || !n || qd_str_eq(n->ephemeral, p->ephemeral);
}

int qd_permits_read(const qd_state *s, int64_t now_ms, qd_arena *arena, const qd_permit **out,
                    uint32_t *n, qd_err *err)
{
    const qd_state_document_record *d = qd_state_document(s, QD_STR(QD_PERMITS_KEY));
    qd_json_node *root;
    *out = NULL;
    *n = 0;
    if (!d) return 0;
    qd_str text = qd_arena_str(arena, d->value);
    if (!text.p) return qd_err_nomem(err, "permits");
    int rc = qd_json_parse(arena, text, 8, &root, err);
    if (rc) return rc;
    if (root->type != QD_JSON_T_ARRAY) {
        return qd_err_set(err, QD_E_CORRUPT, "%s is no list of permits", QD_PERMITS_KEY);
    }
    qd_permit *list = qd_arena_alloc(arena, (root->n + 1) * sizeof *list);
    if (!list) return qd_err_nomem(err, "permits");
    for (const qd_json_node *x = root->first; x; x = x->next) {
        qd_permit p = {.node = qd_json_text(qd_json_get(x, "node")),
                       .name = qd_json_text(qd_json_get(x, "name")),
                       .holder = qd_json_text(qd_json_get(x, "holder")),
                       .ephemeral = qd_json_text(qd_json_get(x, "ephemeral_id")),
                       .remove = qd_str_is(qd_json_text(qd_json_get(x, "reason")), "remove"),
                       .granted_ms = number_of(x, "granted"),
                       .expires_ms = number_of(x, "expires")};
        if (is_open(s, &p, now_ms)) list[(*n)++] = p;
    }
    *out = list;
    return 0;
}

const qd_permit *qd_permit_of(const qd_permit *list, uint32_t n, qd_str node)
{
    for (uint32_t i = 0; i < n; i++) {
        if (qd_str_eq(list[i].node, node)) return &list[i];
    }
    return NULL;
}

static qd_str document(cluster_txn *t, const qd_permit *list, uint32_t n)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, DOCUMENT_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_array(&w);
    for (uint32_t i = 0; i < n; i++) {
        qd_json_object(&w);
        qd_json_field_str(&w, "node", list[i].node);
        qd_json_field_str(&w, "name", list[i].name);
        qd_json_field_str(&w, "holder", list[i].holder);
        qd_json_field_str(&w, "ephemeral_id", list[i].ephemeral);
        qd_json_field_c(&w, "reason", list[i].remove ? "remove" : "restart");
        qd_json_field_int(&w, "granted", list[i].granted_ms);
        qd_json_field_int(&w, "expires", list[i].expires_ms);
        qd_json_object_end(&w);
    }
    qd_json_array_end(&w);
    return qdi_txn_value(t, &b);
}

/* --- advice ---------------------------------------------------------------------------------- */

typedef struct advising {
    const qd_state *s;
    const qd_permit *open;
    uint32_t nopen;
    const qd_node_meta *node;
    bool remove;
    qd_arena *arena;
    qd_permit_advice *out;
    qd_str *reasons;
    uint32_t room, shards, voters;
    int rc;
} advising;

static void say(advising *x, qd_str text)
{
    if (!text.p) x->rc = QD_E_NOMEM;
    if (text.p && x->out->n < x->room) x->reasons[x->out->n++] = text;
}

/* Is a node there and does nobody else hold leave to stop it? */
static bool stays(const advising *x, qd_str id)
{
    const qd_node_meta *n = qd_state_node(x->s, id);
    return n && n != x->node && !qd_permit_of(x->open, x->nopen, id);
}

static void check_quorum(advising *x)
{
    uint32_t masters = 0, left = 0;
    if (!qd_node_has_role(x->node, 'm')) return;
    if (x->voters == QD_PERMIT_UNKNOWN) {
        x->out->breaks = true;
        say(x, QD_STR("the masters did not answer in time: without this one there may be no "
                      "quorum of them"));
        return;
    }
    for (uint32_t i = 0; i < x->s->nnodes; i++) {
        const qd_node_meta *n = &x->s->nodes[i];
        if (!qd_node_has_role(n, 'm')) continue;
        masters++;
        left += stays(x, n->id);
    }
    if (x->voters > masters) masters = x->voters; /* those that are down count */
    /* a master that is alone has no quorum to keep while it restarts */
    if (left > masters / 2 || (masters == 1 && !x->remove)) return;
    x->out->breaks = true;
    say(x, qd_arena_printf(
               x->arena, "of [%u] masters [%u] would be left, which is no quorum: [%u] are needed",
               masters, left, masters / 2 + 1));
}

static void check_zones(advising *x, const qd_str *awareness, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        qd_str zone = qd_node_attribute(x->node, awareness[i]);
        for (uint32_t k = 0; zone.p && k < x->nopen; k++) {
            const qd_node_meta *other = qd_state_node(x->s, x->open[k].node);
            qd_str its = other ? qd_node_attribute(other, awareness[i]) : (qd_str){NULL, 0};
            if (!its.p || other == x->node || qd_str_eq(its, zone)) continue;
            x->out->breaks = true;
            say(x, qd_arena_printf(
                       x->arena,
                       "node [%.*s] of [%.*s: %.*s] has an open permit: two zones would "
                       "be down at one time",
                       QD_STR_ARG(other->name), QD_STR_ARG(awareness[i]), QD_STR_ARG(its)));
        }
    }
}

/* Another copy that is started and stays, besides the one here. */
static bool covered(const advising *x, const qd_shard_meta *r)
{
    for (uint32_t i = 0; i < r->ncopies; i++) {
        const qd_copy *c = &r->copies[i];
        if (qd_copy_is_active(c) && stays(x, c->node)) return true;
    }
    return false;
}

static void check_shard(advising *x, const qd_index_meta *m, uint32_t number,
                        const qd_shard_meta *r)
{
    const qd_copy *here = qd_shard_meta_copy_of(r, x->node->id);
    bool in_sync = here && qd_copy_is_active(here);
    for (uint32_t i = 0; i < r->nin_sync; i++) {
        in_sync |= qd_str_eq(r->in_sync[i].node, x->node->id);
    }
    if (here && x->remove) x->out->holds = true;
    if (!in_sync || covered(x, r)) return;
    /* without replicas a restart takes the shard away for its time, which was chosen */
    if (!x->remove && m->replicas == 0) return;
    if (!x->remove) x->out->breaks = true;
    x->out->holds = true;
    if (x->shards++ >= REASONS_MAX) return;
    if (x->remove && m->closed) {
        say(x, qd_arena_printf(x->arena,
                               "[%.*s][%u] is of a closed index, whose copies are not moved: "
                               "open or delete the index",
                               QD_STR_ARG(m->name), number));
        return;
    }
    say(x, qd_arena_printf(x->arena,
                           "[%.*s][%u] has no other copy that is in sync on a node that stays",
                           QD_STR_ARG(m->name), number));
}

static void check_shards(advising *x)
{
    for (uint32_t i = 0; i < x->s->n; i++) {
        const qd_index_meta *m = x->s->indices[i];
        for (uint32_t k = 0; k < m->shards; k++) check_shard(x, m, k, &x->s->shards[i][k]);
    }
    if (x->shards > REASONS_MAX) {
        say(x, qd_arena_printf(x->arena, "and [%u] shards more", x->shards - REASONS_MAX));
    }
    if (x->remove && x->out->holds && !x->shards) {
        say(x, qd_arena_printf(x->arena, "node [%.*s] still holds copies of shards",
                               QD_STR_ARG(x->node->name)));
    }
}

uint32_t qd_permit_voters(qd_cluster *c, const qd_state *s, qd_str node)
{
    qd_arena arena;
    const qd_master *list;
    const qd_node_meta *meta = qd_state_node(s, node);
    uint32_t n = 0, voters = 0;
    if (!meta || !qd_node_has_role(meta, 'm')) return 0;
    qd_arena_init(&arena, NULL, 1 << 20);
    int rc = qd_masters_list(c, qdi_cluster_patience_ms(c), &arena, &list, &n, NULL);
    for (uint32_t i = 0; i < n && !rc; i++) voters += list[i].role == QD_COORD_VOTER;
    qd_arena_fini(&arena);
    return rc && rc != QD_E_UNSUPPORTED ? QD_PERMIT_UNKNOWN : voters;
}

int qd_permit_check(const qd_state *s, const qd_permit *open, uint32_t nopen, qd_str node,
                    bool remove, uint32_t voters, const qd_str *awareness, uint32_t nawareness,
                    qd_arena *arena, qd_permit_advice *out, qd_err *err)
{
    advising x = {.s = s,
                  .open = open,
                  .nopen = nopen,
                  .node = qd_state_node(s, node),
                  .remove = remove,
                  .voters = voters,
                  .arena = arena,
                  .out = out,
                  .room = REASONS_MAX + 8 + nawareness * (nopen + 1)};
    *out = (qd_permit_advice){0};
    if (!x.node) {
        return qd_err_set(err, QD_E_NOTFOUND, "no node [%.*s] in the cluster", QD_STR_ARG(node));
    }
    x.reasons = qd_arena_alloc(arena, x.room * sizeof *x.reasons);
    if (!x.reasons) return qd_err_nomem(err, "advice about a node");
    check_quorum(&x);
    check_zones(&x, awareness, nawareness);
    check_shards(&x);
    out->reasons = x.reasons;
    return x.rc ? qd_err_nomem(err, "advice about a node") : 0;
}

/* --- taking and giving back ------------------------------------------------------------------ */

typedef struct permit_args {
    const qd_permit *wanted; /* NULL: release */
    qd_str node;
    const qd_str *awareness;
    uint32_t nawareness, voters;
} permit_args;

static int refuse(qd_arena *a, const qd_node_meta *n, const qd_permit_advice *advice, qd_err *err)
{
    qd_buf b;
    qd_buf_init(&b, a->account, 65536);
    for (uint32_t i = 0; i < advice->n; i++) {
        if (i) (void)qd_buf_c(&b, "; ");
        (void)qd_buf_str(&b, advice->reasons[i]);
    }
    qd_str all = qd_buf_view(&b);
    int rc = qd_err_set(err, QD_E_PERMIT_REFUSED, "node [%.*s] may not stop: %.*s",
                        QD_STR_ARG(n->name), QD_STR_ARG(all));
    qd_buf_fini(&b);
    return rc;
}

static int grant(const permit_args *a, const qd_state *s, cluster_txn *t, const qd_permit *open,
                 uint32_t nopen, qd_permit *list, uint32_t *n, qd_err *err)
{
    const qd_node_meta *node = qd_state_node(s, a->node);
    const qd_permit *held = qd_permit_of(open, nopen, a->node);
    qd_permit_advice advice;
    int rc = qd_permit_check(s, open, nopen, a->node, a->wanted->remove, a->voters, a->awareness,
                             a->nawareness, &t->arena, &advice, err);
    if (rc) return rc;
    bool others = held && !qd_str_eq(held->holder, a->wanted->holder);
    /* the hook of a pod that is being removed stops it under that permit, which stays */
    bool shared = others && held->remove && !a->wanted->remove;
    if (others && !shared) {
        return qd_err_set(err, QD_E_PERMIT_REFUSED,
                          "node [%.*s] may not stop: [%.*s] holds a permit for it",
                          QD_STR_ARG(node->name), QD_STR_ARG(held->holder));
    }
    if (advice.breaks) return refuse(&t->arena, node, &advice, err);
    if (shared) return QDI_CHANGE_NOTHING;
    if (*n == QD_PERMITS_MAX) {
        return qd_err_set(err, QD_E_LIMIT, "%u permits are open, which is the most", *n);
    }
    list[*n] = *a->wanted;
    list[*n].node = node->id;
    list[*n].name = node->name;
    list[(*n)++].ephemeral = node->ephemeral;
    return 0;
}

static int change_permits(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const permit_args *a = arg;
    const qd_state_document_record *d = qd_state_document(s, QD_STR(QD_PERMITS_KEY));
    const qd_permit *open;
    uint32_t nopen, n = 0;
    int64_t now = qd_env_wall_ms(c->env);
    int rc = qd_permits_read(s, now, &t->arena, &open, &nopen, err);
    if (rc) return rc;
    qd_permit *list = qd_arena_alloc(&t->arena, (nopen + 1) * sizeof *list);
    if (!list) return qd_err_nomem(err, "permits");
    for (uint32_t i = 0; i < nopen; i++) {
        bool its =
            qd_str_eq(open[i].node, a->node) || (!a->wanted && qd_str_eq(open[i].name, a->node));
        if (!its) list[n++] = open[i];
    }
    if (a->wanted) rc = grant(a, s, t, open, nopen, list, &n, err);
    if (rc) return rc;
    if (!a->wanted && n == nopen) return QDI_CHANGE_NOTHING;
    qdi_txn_at(t, QD_STR(QD_PERMITS_KEY), d ? d->mod_revision : 0);
    if (n) {
        qdi_txn_put(t, QD_STR(QD_PERMITS_KEY), document(t, list, n), 0);
    } else if (d) {
        qdi_txn_delete(t, QD_STR(QD_PERMITS_KEY));
    }
    return 0;
}

int qd_cluster_permit_take(qd_cluster *c, const qd_permit *wanted, const qd_str *awareness,
                           uint32_t nawareness, qd_state **out, qd_err *err)
{
    qd_permit p = *wanted;
    p.granted_ms = qd_env_wall_ms(c->env);
    qd_state *s = qd_cluster_state(c);
    permit_args a = {&p, p.node, awareness, nawareness, qd_permit_voters(c, s, p.node)};
    qd_state_unref(s);
    return qdi_change(c, change_permits, &a, out, err);
}

int qd_cluster_permit_release(qd_cluster *c, qd_str node, qd_state **out, qd_err *err)
{
    permit_args a = {.node = node};
    return qdi_change(c, change_permits, &a, out, err);
}
