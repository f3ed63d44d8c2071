/* store.c: the loop: what came in, what is due, what to tell. See store.h. */
#include "store.h"
#include <signal.h>

#define CONTAINER(type, n) ((type *)((char *)(n)-offsetof(type, plugin)))
#define CR_SEGMENT_BYTES (4u << 20)
#define PATIENCE_NS 5000000000ll /* that requests wait for a leader */

void cr_say(qd_coord *c, int32_t level, const char *format, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (n < 0 || !c->plugin->log->on(c->plugin->self, level)) return;
    qd_str line = {text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1};
    c->plugin->log->write(c->plugin->self, level, line);
}

static int64_t now_ns(qd_coord *c)
{
    return c->plugin->clock->mono_ns(c->plugin->self);
}

/* --- requests --- */

static void append(cr_nodes *l, cr_node *n)
{
    n->next = NULL;
    n->previous = l->last;
    if (l->last)
        l->last->next = n;
    else
        l->first = n;
    l->last = n;
}

static void unlink_node(cr_nodes *l, cr_node *n)
{
    *(n->previous ? &n->previous->next : &l->first) = n->next;
    *(n->next ? &n->next->previous : &l->last) = n->previous;
}

/* The op and the error object of a request. */
static qd_op *parts_of(cr_node *n, qd_err **err)
{
#define PARTS(type)                                                                                \
    do {                                                                                           \
        *err = CONTAINER(type, n)->err;                                                            \
        return &CONTAINER(type, n)->op;                                                            \
    } while (0)
    switch (n->kind) {
    case CR_RANGE:
        PARTS(qd_coord_range);
    case CR_TXN_REQUEST:
        PARTS(qd_coord_txn);
    case CR_SESSION_REQUEST:
        PARTS(qd_coord_session);
    case CR_ELECTION_REQUEST:
        PARTS(qd_coord_election);
    case CR_MEMBERS:
        PARTS(qd_coord_members);
    case CR_AUTHORITY_REQUEST:
        PARTS(qd_coord_authority);
    case CR_EXPORT:
        PARTS(qd_coord_export);
    default:
        PARTS(qd_coord_import);
    }
#undef PARTS
}

qd_op *cr_op_of(cr_node *n)
{
    qd_err *err;
    return parts_of(n, &err);
}

void cr_end(qd_coord *c, cr_node *n, int32_t rc, const char *reason)
{
    qd_err *err;
    qd_op *op = parts_of(n, &err);
    unlink_node(&c->pending, n);
    if (rc && reason && err) c->plugin->err->set(err, rc, (qd_str){reason, strlen(reason)});
    size_t weight = cr_weight(n);
    pthread_mutex_lock(&c->lock);
    c->live--;
    c->updates -= weight > 0;
    c->bytes -= weight;
    pthread_mutex_unlock(&c->lock);
    c->plugin->loop->complete(op, rc); /* the request is not ours any more */
}

size_t cr_weight(const cr_node *n)
{
    size_t sum = 64;
    switch (n->kind) {
    case CR_TXN_REQUEST: {
        const qd_coord_txn *t = CONTAINER(const qd_coord_txn, n);
        if (t->nchanges == 0) return 0;
        for (uint32_t i = 0; i < t->ncompares; i++) sum += t->compares[i].key.n + 64;
        for (uint32_t i = 0; i < t->nchanges; i++)
            sum += t->changes[i].key.n + t->changes[i].value.n + 32;
        return sum;
    }
    case CR_SESSION_REQUEST:
        return CONTAINER(const qd_coord_session, n)->action == QD_COORD_SESSION_KEEP ? 0 : sum;
    case CR_ELECTION_REQUEST: /* one that waits is no work */
        return 0;
    case CR_AUTHORITY_REQUEST:
        return sum;
    case CR_IMPORT_REQUEST: {
        const qd_coord_import *t = CONTAINER(const qd_coord_import, n);
        for (uint32_t i = 0; i < t->nevents; i++)
            sum += t->events[i].kv.key.n + t->events[i].kv.value_len + 64;
        return sum;
    }
    default:
        return 0;
    }
}

void cr_identity_update(qd_coord *c)
{
    const cr_machine *m = c->machine;
    pthread_mutex_lock(&c->lock);
    qd_coord_identity *i = &c->identity;
    i->state = m->state;
    memcpy(i->store_id, m->store_id, 16);
    i->epoch = m->epoch;
    i->revision = m->revision;
    i->compacted = m->compacted;
    i->role = QD_COORD_VOTER;
    i->connected = c->ready && !c->failed;
    pthread_mutex_unlock(&c->lock);
}

/* --- sessions' time --- */

void cr_deadlines_update(qd_coord *c, int anew)
{
    const cr_machine *m = c->machine;
    int64_t now = now_ns(c);
    cr_deadline *list = cr_must(c->heap, (m->nsessions + 1) * sizeof *list);
    size_t old = 0;
    for (size_t i = 0; i < m->nsessions; i++) {
        const cr_session *s = &m->sessions[i];
        list[i] = (cr_deadline){s->id, now + s->ttl_ns, 0};
        while (old < c->ndeadlines && c->deadlines[old].session < s->id) old++;
        if (!anew && old < c->ndeadlines && c->deadlines[old].session == s->id)
            list[i] = c->deadlines[old];
    }
    cr_free(c->heap, c->deadlines);
    c->deadlines = list;
    c->ndeadlines = m->nsessions;
}

static cr_deadline *deadline_of(qd_coord *c, uint64_t session)
{
    size_t lo = 0, hi = c->ndeadlines;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (c->deadlines[mid].session < session)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->ndeadlines && c->deadlines[lo].session == session ? &c->deadlines[lo] : NULL;
}

/* Ends the sessions whose time has passed. */
static void expire(qd_coord *c)
{
    if (!c->ready || c->failed || c->machine->state != QD_COORD_ACTIVE) return;
    int64_t now = now_ns(c);
    for (size_t i = 0; i < c->ndeadlines; i++) {
        cr_deadline *d = &c->deadlines[i];
        if (d->ending || d->at_ns > now || cr_space(c)) continue;
        d->ending = 1;
        cr_put64(&cr_command(c, CR_CLOSE)->bytes, d->session);
        cr_command_end(&c->writer);
        cr_command_done(c, NULL);
    }
    cr_flush(c);
}

static void on_timer(uv_timer_t *t);

static void arm(qd_coord *c)
{
    int64_t now = now_ns(c), at = INT64_MAX;
    for (size_t i = 0; i < c->ndeadlines; i++)
        if (!c->deadlines[i].ending && c->deadlines[i].at_ns < at) at = c->deadlines[i].at_ns;
    if (!c->ready && c->pending.first) at = now + PATIENCE_NS / 10;
    int64_t grown = c->ready_ns + CR_YOUNG_NS + 1;
    if (c->ready && c->young && !c->reserve_there && grown > now && grown < at) at = grown;
    if (at == INT64_MAX || c->ending) {
        uv_timer_stop(&c->timer);
        return;
    }
    uint64_t ms = at > now ? (uint64_t)((at - now) / 1000000 + 1) : 1;
    uv_update_time(&c->loop);
    uv_timer_start(&c->timer, on_timer, ms, 0);
}

/* Renews a session without an entry: its time is this leader's own. */
static void keep(qd_coord *c, cr_node *n)
{
    const qd_coord_session *r = CONTAINER(qd_coord_session, n);
    cr_deadline *d = deadline_of(c, r->session);
    const cr_session *s = cr_machine_session(c->machine, r->session);
    if (c->machine->state != QD_COORD_ACTIVE) {
        cr_end(c, n, QD_E_FENCED, "this store is not in charge");
    } else if (!d || !s) {
        cr_end(c, n, QD_E_SESSION_EXPIRED, "the session has ended");
    } else if (d->ending) {
        cr_submit(c, n); /* after its end, whose outcome it shares */
    } else {
        d->at_ns = now_ns(c) + s->ttl_ns;
        cr_end(c, n, 0, NULL);
    }
}

/* --- one request --- */

static void serve(qd_coord *c, cr_node *n)
{
    switch (n->kind) {
    case CR_RANGE: {
        const qd_coord_range *r = CONTAINER(qd_coord_range, n);
        if (r->flags & QD_COORD_STALE && r->min_revision > c->machine->revision)
            n->state = CR_WAITING;
        else
            cr_do_range(c, n);
        return;
    }
    case CR_MEMBERS:
        cr_do_members(c, n);
        return;
    case CR_EXPORT:
        cr_do_export(c, n);
        return;
    case CR_SESSION_REQUEST:
        if (CONTAINER(qd_coord_session, n)->action == QD_COORD_SESSION_KEEP) {
            keep(c, n);
            return;
        }
        break;
    case CR_ELECTION_REQUEST:
        if (CONTAINER(qd_coord_election, n)->action == QD_COORD_LEADER) {
            cr_do_leader(c, n);
            return;
        }
        break;
    case CR_TXN_REQUEST:
        if (CONTAINER(qd_coord_txn, n)->nchanges == 0) {
            cr_do_check(c, n);
            return;
        }
        break;
    default:
        break;
    }
    cr_submit(c, n);
}

/* May it be answered without a leader? */
static int needs_no_leader(const cr_node *n)
{
    return n->kind == CR_RANGE && CONTAINER(const qd_coord_range, n)->flags & QD_COORD_STALE;
}

/* Everything that waits and can go on now. */
static void serve_all(qd_coord *c)
{
    int able = c->ready && !c->failed && cr_consensus_sole(c->consensus);
    int tired = !c->ready && now_ns(c) - c->not_ready_ns > PATIENCE_NS;
    for (cr_node *n = c->pending.first, *next; n; n = next) {
        next = n->next;
        if (n->state == CR_WAITING && n->kind == CR_RANGE) n->state = CR_QUEUED;
        if (n->state != CR_QUEUED) continue;
        if (able || (needs_no_leader(n) && !c->failed))
            serve(c, n);
        else if (c->failed)
            cr_end(c, n, c->fail_code, c->fail_reason);
        else if (tired)
            cr_end(c, n, QD_E_NO_COORDINATION, "the coordination store has no leader");
    }
    cr_flush(c);
}

/* --- cancelling --- */

static void withdraw(qd_coord *c, cr_node *n)
{
    const qd_coord_election *r = CONTAINER(qd_coord_election, n);
    cr_writer *w = cr_command(c, CR_WITHDRAW);
    cr_put64(&w->bytes, c->incarnation);
    cr_put64(&w->bytes, n->number);
    cr_put_str(&w->bytes, r->name);
    cr_command_end(w);
    cr_command_done(c, NULL);
}

static void cancel(qd_coord *c, const qd_op *op)
{
    for (cr_node *n = c->pending.first; n; n = n->next) {
        if (cr_op_of(n) != op) continue;
        if (n->state == CR_QUEUED || (n->state == CR_WAITING && n->kind == CR_RANGE))
            cr_end(c, n, QD_E_CANCELLED, "cancelled");
        else if (n->kind == CR_ELECTION_REQUEST &&
                 CONTAINER(qd_coord_election, n)->action == QD_COORD_ELECT)
            withdraw(c, n);
        return;
    }
}

static void cancel_all(qd_coord *c, qd_op **ops, size_t n)
{
    for (size_t i = 0; i < n; i++) cancel(c, ops[i]);
    cr_flush(c);
}

/* --- the turn --- */

static void end_all(qd_coord *c, int32_t rc, const char *reason)
{
    for (cr_node *n = c->pending.first, *next; n; n = next) {
        next = n->next;
        if (n->state != CR_PROPOSED) cr_end(c, n, rc, reason);
    }
}

static void handle_closed(uv_handle_t *h)
{
    (void)h;
}

static void engine_closed(void *arg)
{
    qd_coord *c = arg;
    c->consensus = NULL;
    uv_close((uv_handle_t *)&c->wake, handle_closed);
    uv_close((uv_handle_t *)&c->timer, handle_closed);
}

static void begin_end(qd_coord *c)
{
    if (c->ending) return;
    c->ending = 1;
    end_all(c, QD_E_CLOSED, "the coordination store is closed");
    cr_watches_end(c);
    uv_timer_stop(&c->timer);
    uv_close((uv_handle_t *)&c->after, handle_closed);
    if (c->consensus)
        cr_consensus_close(c->consensus, engine_closed, c);
    else
        engine_closed(c);
}

static void turn(qd_coord *c)
{
    if (c->ending) return;
    pthread_mutex_lock(&c->lock);
    cr_nodes in = c->inbox;
    c->inbox = (cr_nodes){0};
    qd_op **cancels = c->cancels;
    size_t ncancels = c->ncancels;
    c->cancels = NULL;
    c->ncancels = c->cancels_cap = 0;
    uint64_t compact = c->compact;
    int closing = c->closing;
    c->awake = 0;
    pthread_mutex_unlock(&c->lock);
    while (in.first) {
        cr_node *n = in.first;
        unlink_node(&in, n);
        append(&c->pending, n);
    }
    if (closing) {
        cr_free(c->heap, cancels);
        begin_end(c);
        return;
    }
    cancel_all(c, cancels, ncancels);
    cr_free(c->heap, cancels);
    if (compact > c->machine->compacted) {
        cr_machine_compact(c->machine, compact);
        cr_identity_update(c);
    }
    expire(c);
    serve_all(c);
    cr_watches_turn(c);
    arm(c);
}

static void on_timer(uv_timer_t *t)
{
    qd_coord *c = t->data;
    if (c->ready && !c->reserve_there && !c->failed) (void)cr_space(c); /* fills the reserve */
    turn(c);
}

static void on_wake(uv_async_t *a)
{
    turn(a->data);
}

static void on_after(uv_prepare_t *p)
{
    qd_coord *c = p->data;
    if (!c->dirty) return;
    c->dirty = 0;
    turn(c);
}

/* --- leading --- */

static void on_failed(void *arg, const char *why);

/* The first entry of a term is applied: everything before it is, too. */
static void leading_done(cr_proposal *p, int32_t rc)
{
    qd_coord *c = (qd_coord *)((char *)p - offsetof(qd_coord, leading));
    if (rc || c->failed) return;
    c->dirty = 1;
    c->ready = 1;
    c->ready_ns = now_ns(c);
    cr_deadlines_update(c, 1);
    cr_identity_update(c);
}

static void on_lead(void *arg, uint64_t term)
{
    qd_coord *c = arg;
    static const uint8_t nobody[16];
    c->ready = 0;
    c->not_ready_ns = now_ns(c);
    cr_identity_update(c);
    if (term == 0 || c->ending || c->failed) return;
    cr_writer w;
    cr_writer_begin(&w, c->heap);
    cr_command_begin(&w, CR_LEAD);
    cr_command_end(&w);
    if (c->machine->state == QD_COORD_EMPTY &&
        (c->bootstrap || memcmp(c->machine->store_id, nobody, 16) == 0)) {
        cr_command_begin(&w, CR_FORM);
        cr_put(&w.bytes, c->cluster, 16);
        cr_put64(&w.bytes, c->bootstrap ? 1 : 0);
        cr_command_end(&w);
    }
    cr_writer_end(&w, 0);
    int32_t rc = cr_consensus_propose(c->consensus, &c->leading, w.bytes.p, w.bytes.n);
    cr_bytes_free(&w.bytes);
    if (rc)
        cr_say(c, QD_LEVEL_ERROR, "the first entry of term %llu was refused (%d)",
               (unsigned long long)term, rc);
    /* While that is written. Nothing is acknowledged before both are there. */
    else if (cr_folder_formed(c))
        on_failed(c, "its file node could not be written");
}

/* Nothing goes on; every request gets the code and the reason. */
static void give_up(qd_coord *c, int32_t code, const char *why)
{
    c->failed = 1;
    c->ready = 0;
    c->dirty = 1;
    c->fail_code = code;
    snprintf(c->fail_reason, sizeof c->fail_reason, "coordination store %.3790s: %.580s", c->path,
             why);
    cr_identity_update(c);
    cr_say(c, QD_LEVEL_ERROR, "%.900s", c->fail_reason);
}

static void on_failed(void *arg, const char *why)
{
    char text[600];
    snprintf(text, sizeof text, "%.400s; no changes until the node is started again", why);
    give_up(arg, QD_E_NO_COORDINATION, text);
}

static void on_changed(void *arg)
{
    cr_identity_update(arg);
}

static void on_damage(void *arg, const char *text)
{
    qd_coord *c = arg;
    cr_say(c, QD_LEVEL_WARN, "coordination store %.400s: %.300s", c->path, text);
}

/* --- snapshots --- */

typedef struct snapshot {
    const cr_heap *heap;
    cr_items rows;
    uint64_t index;
} snapshot;

static void *snapshot_begin(void *arg, uint64_t index)
{
    qd_coord *c = arg;
    snapshot *s = cr_must(c->heap, sizeof *s);
    *s = (snapshot){.heap = c->heap, .index = index};
    cr_machine_rows(c->machine, &s->rows);
    c->since_snapshot = 0;
    return s;
}

static int32_t snapshot_write(void *arg, cr_pieces *out)
{
    snapshot *s = arg;
    return cr_snapshot_write(&s->rows, s->index, s->heap, out);
}

static void snapshot_end(void *arg)
{
    snapshot *s = arg;
    cr_items_free(s->heap, &s->rows);
    cr_free(s->heap, s);
}

static int32_t load_row(void *arg, cr_item *row)
{
    return cr_machine_load(arg, row);
}

static int32_t restore(void *arg, const uint8_t *p, size_t n)
{
    qd_coord *c = arg;
    uint64_t index;
    int32_t rc = cr_snapshot_index(p, n, &index);
    if (rc || index <= c->applied) return rc;
    cr_machine_reset(c->machine);
    rc = cr_snapshot_read(c->heap, p, n, &index, load_row, c->machine);
    if (rc == 0) rc = cr_machine_loaded(c->machine);
    if (rc) return rc;
    cr_items rows = {0};
    cr_machine_rows(c->machine, &rows);
    c->applied = index;
    cr_rows_push(c->rows, &rows, index, 1);
    return 0;
}

/* --- opening --- */

static void say_rows(void *arg, int32_t level, const char *line)
{
    cr_say(arg, level, "%s", line);
}

static int32_t open_rows(qd_coord *c, qd_err *err)
{
    char path[4096], why[256];
    snprintf(path, sizeof path, "%s/state.db", c->path);
    int32_t rc =
        cr_rows_open(c->heap, path, load_row, c->machine, &c->applied, why, say_rows, c, &c->rows);
    if (rc == 0 && c->applied && cr_machine_loaded(c->machine)) {
        snprintf(why, sizeof why, "rows do not fit together");
        cr_rows_discard(c->rows);
    }
    if (rc == 0 && *why) {
        cr_say(c, QD_LEVEL_WARN, "%s is damaged (%s): it is made again from the log", path, why);
        cr_machine_reset(c->machine);
        c->applied = 0;
    }
    c->rows_applied = c->applied;
    if (rc == 0) rc = cr_rows_start(c->rows);
    return rc ? qd_plug_fail(c->plugin->err, err, rc, "coordination store %s: rows cannot be read",
                             c->path)
              : 0;
}

/* What an opened log must fit to; NULL: it does. */
static const char *misfit(qd_coord *c)
{
    static const uint8_t nobody[16];
    uint64_t last = cr_consensus_last(c->consensus);
    if (c->formed && last == 0) return "it was formed, but its log is gone";
    if (memcmp(c->machine->store_id, nobody, 16) != 0 &&
        memcmp(c->machine->store_id, c->cluster, 16) != 0)
        return "file node and state belong to two clusters";
    return NULL;
}

/* Opens the log: on the loop's thread, as its probing of the disk takes its time. */
static void open_engine(qd_coord *c)
{
    char dir[4096], why[CR_WHY], text[CR_WHY + 16];
    snprintf(dir, sizeof dir, "%s/raft", c->path);
    cr_member self = {c->raft_id, QD_COORD_VOTER, c->node_name, c->publish};
    cr_consensus_config k = {.loop = &c->loop,
                             .heap = c->heap,
                             .dir = dir,
                             .warn = on_damage,
                             .id = c->raft_id,
                             .how = c->formed ? CR_OPEN_THERE : CR_OPEN_FORM,
                             .first = &self,
                             .nfirst = 1,
                             .seed = c->plugin->rand->u64(c->plugin->self),
                             .applied = c->applied,
                             .election_ms = c->election_ms,
                             .heartbeat_ms = c->heartbeat_ms,
                             .snapshot_entries = c->snapshot_entries,
                             .segment_bytes = CR_SEGMENT_BYTES,
                             .arg = c,
                             .apply = cr_on_apply,
                             .lead = on_lead,
                             .changed = on_changed,
                             .failed = on_failed,
                             .snapshot_begin = snapshot_begin,
                             .snapshot_write = snapshot_write,
                             .snapshot_end = snapshot_end,
                             .restore = restore};
    memcpy(k.cluster, c->cluster, 16);
    int32_t rc = cr_consensus_open(&k, &c->consensus, why);
    if (rc) {
        snprintf(text, sizeof text, "log: %s", why);
        give_up(c, rc, text);
        return;
    }
    const char *wrong = c->failed ? NULL : misfit(c);
    if (wrong) give_up(c, QD_E_CORRUPT, wrong);
    if (c->failed) c->fail_code = QD_E_CORRUPT; /* an entry of the log was damaged */
    cr_identity_update(c);
}

static void run_until_closed(qd_coord *c)
{
    c->ending = 1;
    uv_close((uv_handle_t *)&c->after, handle_closed);
    if (c->consensus)
        cr_consensus_close(c->consensus, engine_closed, c);
    else
        engine_closed(c);
    uv_run(&c->loop, UV_RUN_DEFAULT);
}

static void *run_loop(void *arg)
{
    qd_coord *c = arg;
    open_engine(c);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    void (*done)(void *arg) = c->closed;
    void *done_arg = c->closed_arg;
    cr_store_free(c);
    if (done) done(done_arg);
    return NULL;
}

/* A thread that gets no signals and that nobody waits for: the store's last word is `done`. */
static int start_thread(qd_coord *c)
{
    sigset_t all, before;
    pthread_attr_t a;
    sigfillset(&all);
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&a, 1 << 20);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&c->thread, &a, run_loop, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&a);
    return rc;
}

int32_t cr_store_open(qd_coord *c, qd_err *err)
{
    int32_t rc = cr_folder_open(c, err);
    if (rc) return rc;
    c->machine = cr_machine_make(c->heap, (size_t)c->history_max, c->history_bytes);
    c->leading.done = leading_done;
    c->not_ready_ns = now_ns(c);
    if (uv_loop_init(&c->loop))
        return qd_plug_fail(c->plugin->err, err, QD_E_IO,
                            "no event loop for the coordination store");
    c->has_loop = 1;
    uv_async_init(&c->loop, &c->wake, on_wake);
    uv_timer_init(&c->loop, &c->timer);
    uv_prepare_init(&c->loop, &c->after);
    c->wake.data = c->timer.data = c->after.data = c;
    uv_prepare_start(&c->after, on_after);
    rc = open_rows(c, err);
    if (rc == 0) {
        cr_identity_update(c);
        if (start_thread(c) == 0) return 0;
        rc = qd_plug_fail(c->plugin->err, err, QD_E_IO, "no thread for the coordination store");
    }
    run_until_closed(c);
    return rc;
}

void cr_store_free(qd_coord *c)
{
    const cr_heap *h = c->heap;
    if (c->has_loop) uv_loop_close(&c->loop);
    cr_rows_close(c->rows);
    cr_machine_free(c->machine);
    cr_folder_close(c);
    cr_free(h, c->deadlines);
    cr_free(h, c->cancels);
    pthread_mutex_destroy(&c->lock);
    cr_free(h, (void *)c->node_id.p);
    cr_free(h, c);
}
