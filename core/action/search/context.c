/*
 * context.c: what a node keeps of searches between two calls; see part_int.h.
 *
 * One lock guards the table; a context in use is not freed under its users. A thread of its own
 * ends those whose time has passed and those whose indices have gone.
 */
#include "action/search/part_int.h"
#include "base/str.h"
#include "runtime/waitq.h"

#define ARENA_MAX ((size_t)256 << 20)
#define TICK_NS 1000000000u
#define SLOTS 256u
#define QUERIES_MAX 20000u /* contexts that wait for a fetch */
#define BUSY_MAX_MS 2000u  /* for another page of the same scroll */
#define YIELD_MS 300u
#define RESERVED_NS UINT64_C(10000000000) /* for the next call of a page */

struct qd_scrolls {
    qd_actions *a;
    qd_mutex lock;
    qd_cond changed; /* the ticker's */
    qd_waitq unused;
    search_context *slot[SLOTS];
    uint32_t n[SEARCH_CONTEXT_PIT + 1]; /* by kind */
    bool stop;
    qd_thread *ticker;
};

typedef bool which_fn(const qd_scrolls *t, const search_context *c, const void *arg);

/* --- the table --- */

void qdi_context_free(search_context *c)
{
    if (!c) return;
    qdi_search_end(&c->x);
    qd_arena_fini(&c->kept[0]);
    qd_arena_fini(&c->kept[1]);
    qd_arena_fini(&c->arena);
    qd_free(c);
}

static uint32_t slot_of(const uint8_t *id)
{
    return id[0] % SLOTS;
}

static uint32_t listed(const qd_scrolls *t)
{
    return t->n[SEARCH_CONTEXT_QUERY] + t->n[SEARCH_CONTEXT_SCROLL] + t->n[SEARCH_CONTEXT_PIT];
}

static void unlist(qd_scrolls *t, search_context **p)
{
    search_context *c = *p;
    *p = c->next;
    c->next = NULL;
    c->listed = false;
    t->n[c->kind]--;
}

/* Takes those that match out of the table; the caller frees the list. Those in use are left to
 * their users. */
static search_context *take_out(qd_scrolls *t, which_fn *which, const void *arg, uint32_t *n)
{
    search_context *out = NULL;
    for (uint32_t i = 0; i < SLOTS; i++) {
        for (search_context **p = &t->slot[i]; *p;) {
            search_context *c = *p;
            if (!which(t, c, arg)) {
                p = &c->next;
                continue;
            }
            if (n) ++*n;
            if (c->users) {
                c->drop = true;
                p = &c->next;
                continue;
            }
            unlist(t, p);
            c->next = out;
            out = c;
        }
    }
    return out;
}

static void free_list(search_context *c)
{
    while (c) {
        search_context *next = c->next;
        qdi_context_free(c);
        c = next;
    }
}

/* Has its time passed, or has one of its indices gone? */
static bool is_over(const qd_scrolls *t, const search_context *c, const void *arg)
{
    const qd_state *now = arg;
    if (c->users || c->drop) return false;
    if (qd_env_mono_ns(t->a->env) >= c->expires_ns) return true;
    for (uint32_t i = 0; i < c->x.nindices; i++) {
        const qd_index_meta *m = c->x.indices[i].meta;
        const qd_index_meta *there = m ? qd_state_index(now, m->name) : NULL;
        if (m && (!there || there->closed || strcmp(there->uuid, m->uuid) != 0)) return true;
    }
    return false;
}

static void tick(void *arg)
{
    qd_scrolls *t = arg;
    qd_mutex_lock(&t->lock);
    while (!t->stop) {
        if (!listed(t)) {
            qd_cond_wait(&t->changed, &t->lock);
            continue;
        }
        (void)qd_cond_wait_until(&t->changed, &t->lock, qd_env_mono_ns(t->a->env) + TICK_NS);
        if (t->stop) break;
        qd_mutex_unlock(&t->lock);
        qd_state *now = qd_cluster_state(t->a->cluster);
        qd_mutex_lock(&t->lock);
        search_context *over = take_out(t, is_over, now, NULL);
        qd_mutex_unlock(&t->lock);
        free_list(over);
        qd_state_unref(now);
        qd_mutex_lock(&t->lock);
    }
    qd_mutex_unlock(&t->lock);
}

int qd_scrolls_open(qd_actions *a, qd_err *err)
{
    qd_scrolls *t = qd_calloc(NULL, sizeof *t);
    if (!t) return qd_err_nomem(err, "search contexts");
    t->a = a;
    qd_mutex_init(&t->lock);
    qd_cond_init(&t->changed);
    qd_waitq_init(&t->unused, &t->lock);
    int rc = qd_thread_start(a->env, "scrolls", tick, t, &t->ticker, err);
    if (rc) {
        qd_cond_fini(&t->changed);
        qd_mutex_fini(&t->lock);
        qd_free(t);
        return rc;
    }
    a->scrolls = t;
    return 0;
}

static bool is_any(const qd_scrolls *t, const search_context *c, const void *arg)
{
    (void)t;
    (void)c;
    (void)arg;
    return true;
}

void qd_scrolls_close(qd_actions *a)
{
    qd_scrolls *t = a->scrolls;
    if (!t) return;
    qd_mutex_lock(&t->lock);
    t->stop = true;
    qd_cond_broadcast(&t->changed);
    qd_mutex_unlock(&t->lock);
    qd_thread_join(a->env, t->ticker);
    free_list(take_out(t, is_any, NULL, NULL));
    qd_cond_fini(&t->changed);
    qd_mutex_fini(&t->lock);
    qd_free(t);
    a->scrolls = NULL;
}

uint32_t qd_scrolls_count(const qd_actions *a)
{
    qd_scrolls *t = a->scrolls;
    if (!t) return 0;
    qd_mutex_lock(&t->lock);
    uint32_t n = t->n[SEARCH_CONTEXT_SCROLL];
    qd_mutex_unlock(&t->lock);
    return n;
}

uint32_t qdi_contexts_waiting(const qd_actions *a)
{
    qd_scrolls *t = a->scrolls;
    if (!t) return 0;
    qd_mutex_lock(&t->lock);
    uint32_t n = t->n[SEARCH_CONTEXT_QUERY];
    qd_mutex_unlock(&t->lock);
    return n;
}

/* --- one context --- */

static int too_many(const search_context *c, uint32_t most, qd_err *err)
{
    if (c->kind == SEARCH_CONTEXT_QUERY) {
        return qd_err_set(err, QD_E_REJECTED,
                          "[%u] searches wait here for the fetch of their hits: no more are taken",
                          most);
    }
    if (c->kind == SEARCH_CONTEXT_PIT) {
        return qd_err_set(err, QD_E_REJECTED,
                          "Trying to create too many Point In Time contexts. Must be less than or "
                          "equal to: [%u]. This limit can be set by changing the "
                          "[search.max_open_pit_context] setting.",
                          most);
    }
    return qd_err_set(err, QD_E_REJECTED,
                      "Trying to create too many scroll contexts. Must be less than or equal to: "
                      "[%u]. This limit can be set by changing the "
                      "[search.max_open_scroll_context] setting.",
                      most);
}

static uint32_t most_of(const qd_actions *a, search_context_kind kind)
{
    if (kind == SEARCH_CONTEXT_QUERY) return QUERIES_MAX;
    int64_t most = qd_config_i64(a->config, kind == SEARCH_CONTEXT_PIT ? QD_SET_SEARCH_MAX_PITS
                                                                       : QD_SET_SEARCH_MAX_SCROLLS);
    return most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

int qdi_context_add(search_context *c, qd_err *err)
{
    qd_actions *a = c->x.a;
    qd_scrolls *t = a->scrolls;
    uint32_t most = most_of(a, c->kind);
    int rc = 0;
    if (!t) return qd_err_set(err, QD_E_CLOSED, "search contexts are closed");
    qd_env_random(a->env, c->id, sizeof c->id);
    c->opened_ms = qd_env_wall_ms(a->env);
    qd_mutex_lock(&t->lock);
    if (t->n[c->kind] >= most) {
        rc = too_many(c, most, err);
    } else {
        search_context **slot = &t->slot[slot_of(c->id)];
        c->users = 1;
        c->listed = true;
        c->expires_ns = UINT64_MAX;
        c->next = *slot;
        *slot = c;
        t->n[c->kind]++;
        qd_cond_broadcast(&t->changed);
    }
    qd_mutex_unlock(&t->lock);
    return rc;
}

static search_context *find(qd_scrolls *t, const uint8_t *id)
{
    search_context *c = t->slot[slot_of(id)];
    while (c && (c->drop || memcmp(c->id, id, SEARCH_CONTEXT_ID) != 0)) c = c->next;
    return c;
}

uint64_t qdi_context_owner(const qd_actions *a, const qd_task *task, bool asked)
{
    qd_str node = asked ? qd_str_c(task->parent_node) : qd_str_sub(a->node_id, 0, 31);
    uint64_t id = asked ? task->parent : task->id;
    return node.n && id ? qd_xxh3_seed(node.p, node.n, id) | 1 : 0;
}

/* Is it not to be had by this request now? */
static bool is_taken(const qd_scrolls *t, const search_context *c, uint64_t owner)
{
    if (c->kind == SEARCH_CONTEXT_PIT) return false;
    if (c->users) return true;
    return c->owner && c->owner != owner && qd_env_mono_ns(t->a->env) < c->owned_until_ns;
}

/* Another page of the same scroll is being made. Two that have begun at different nodes wait for
 * each other: the one of the higher number soon gives up. */
static int wait_unused(qd_scrolls *t, const search_context *c, uint64_t owner, qd_task *task,
                       uint64_t begun, qd_err *err)
{
    int rc = qd_task_check(task, err);
    bool yields = owner && c->owner && owner > c->owner;
    uint64_t until = begun + (yields ? YIELD_MS : BUSY_MAX_MS) * UINT64_C(1000000);
    if (!rc && qd_env_mono_ns(t->a->env) >= until) {
        rc = qd_err_set(err, QD_E_REJECTED, "another page of the same scroll is being made");
    }
    if (!rc) (void)qd_waitq_wait_task(&t->unused, until);
    return rc;
}

int qdi_context_take(qd_actions *a, const uint8_t id[SEARCH_CONTEXT_ID], uint64_t owner,
                     qd_task *task, search_context **out, qd_err *err)
{
    qd_scrolls *t = a->scrolls;
    search_context *c = NULL;
    int rc = 0;
    if (t) {
        uint64_t begun = qd_env_mono_ns(a->env);
        qd_mutex_lock(&t->lock);
        while (!rc && (c = find(t, id)) && is_taken(t, c, owner)) {
            rc = wait_unused(t, c, owner, task, begun, err);
        }
        if (rc) c = NULL;
        if (c) c->users++;
        if (c && c->kind == SEARCH_CONTEXT_SCROLL) c->owner = owner;
        qd_mutex_unlock(&t->lock);
    }
    *out = c;
    if (c || rc) return rc;
    return qd_err_set(err, QD_E_SEARCH_CONTEXT_MISSING, "No search context found for id");
}

static void give_back(search_context *c, bool drop, bool reserve)
{
    qd_scrolls *t = c->x.a->scrolls;
    bool gone = !t || !c->listed;
    if (!gone) {
        qd_mutex_lock(&t->lock);
        c->users--;
        if (!reserve) c->owner = 0;
        c->owned_until_ns = qd_env_mono_ns(t->a->env) + RESERVED_NS;
        c->drop |= drop;
        c->expires_ns = qd_env_mono_ns(t->a->env) + (uint64_t)c->keep_ms * 1000000u;
        gone = c->drop && !c->users;
        for (search_context **p = &t->slot[slot_of(c->id)]; gone && *p; p = &(*p)->next) {
            if (*p != c) continue;
            unlist(t, p);
            break;
        }
        qd_waitq_wake(&t->unused);
        qd_mutex_unlock(&t->lock);
    }
    if (gone) qdi_context_free(c);
}

void qdi_context_give_back(search_context *c, bool drop)
{
    give_back(c, drop, false);
}

void qdi_context_reserve(search_context *c)
{
    c->x.task = NULL;
    give_back(c, false, true);
}

void qdi_context_keep(search_context *c, int64_t ms)
{
    qd_scrolls *t = c->x.a->scrolls;
    if (!t) return;
    qd_mutex_lock(&t->lock);
    if (ms > c->keep_ms) c->keep_ms = ms;
    qd_mutex_unlock(&t->lock);
}

static bool is_named(const qd_scrolls *t, const search_context *c, const void *arg)
{
    (void)t;
    return !c->drop && memcmp(c->id, arg, SEARCH_CONTEXT_ID) == 0;
}

static bool is_of_kind(const qd_scrolls *t, const search_context *c, const void *arg)
{
    (void)t;
    return !c->drop && c->kind == *(const search_context_kind *)arg;
}

uint32_t qdi_context_drop(qd_actions *a, const uint8_t *id, search_context_kind kind)
{
    qd_scrolls *t = a->scrolls;
    uint32_t n = 0;
    if (!t) return 0;
    qd_mutex_lock(&t->lock);
    search_context *out = id ? take_out(t, is_named, id, &n) : take_out(t, is_of_kind, &kind, &n);
    qd_mutex_unlock(&t->lock);
    free_list(out);
    return n;
}

int qdi_context_missing(qd_str shown, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_SEARCH_PHASE, "all shards failed");
    qd_buf b;
    qd_json_writer w;
    qd_err_type(err, "search_phase_execution_exception", 404);
    qd_buf_init(&b, NULL, 1 << 20);
    for (int k = 0; k < 3; k++) { /* root_cause, failed_shards, caused_by */
        qd_json_writer_init(&w, &b, false);
        if (k < 2) qd_json_array(&w);
        qd_json_object(&w);
        if (k == 1) {
            qd_json_field_int(&w, "shard", -1);
            qd_json_key_c(&w, "index");
            qd_json_null(&w);
            qd_json_key_c(&w, "reason");
            qd_json_object(&w);
        }
        qd_json_field_c(&w, "type", "search_context_missing_exception");
        qd_json_key_c(&w, "reason");
        qd_json_printf(&w, "No search context found for id [%.*s]", QD_STR_ARG(shown));
        if (k == 1) qd_json_object_end(&w);
        qd_json_object_end(&w);
        if (k < 2) qd_json_array_end(&w);
        if (k == 1) {
            qd_err_detail_str(err, "phase", QD_STR("query"));
            qd_err_detail_raw(err, "grouped", QD_STR("true"));
        }
        qd_err_detail_raw(err,
                          k == 0   ? QD_ERR_ROOT_CAUSE
                          : k == 1 ? "failed_shards"
                                   : "caused_by",
                          qd_buf_view(&b));
        qd_buf_reset(&b);
    }
    qd_buf_fini(&b);
    return rc;
}

/* --- making --- */

int qdi_context_make(qd_actions *a, const search_part *p, search_context_kind kind,
                     search_context **out, qd_err *err)
{
    search_context *c = qd_calloc(a->account, sizeof *c);
    if (!c) return qd_err_nomem(err, "search context");
    c->kind = kind;
    c->keep_ms = p->keep_ms;
    c->x.a = a;
    qd_arena_init(&c->arena, a->account, ARENA_MAX);
    qd_arena_init(&c->kept[0], a->account, ARENA_MAX);
    qd_arena_init(&c->kept[1], a->account, ARENA_MAX);
    int rc = qdi_part_copy(p, &c->arena, &c->part, err);
    if (rc) {
        qdi_context_free(c);
        return rc;
    }
    *out = c;
    return 0;
}
