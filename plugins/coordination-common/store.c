/* store.c: the loop: what came in, what is due, what to tell. See store.h. */
#include "store.h"
#include <signal.h>

#define TICK_NS 100000000 /* while something waits for others */
#define LEAD_AGAIN_NS 1000000000
#define SOON_NS 20000000          /* while something waits for a leader */
#define HAND_OVER_NS 2000000000ll /* at most, at the end */

void cr_say(qd_coord *c, int32_t level, const char *format, ...)
{
    char text[1200];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (n < 0 || !c->plugin->log->on(c->plugin->self, level)) return;
    qd_str line = {text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1};
    c->plugin->log->write(c->plugin->self, level, line);
}

int64_t cr_now(qd_coord *c)
{
    return c->plugin->clock->boot_ns(c->plugin->self);
}

int cr_leads(const qd_coord *c)
{
    return c->ready && c->view.leads && !c->failed;
}

int cr_follows(const qd_coord *c)
{
    return !c->failed && c->consensus && !c->view.leads && c->view.leader && *c->leader_address &&
           c->peers;
}

void cr_identity_update(qd_coord *c)
{
    const cr_machine *m = c->machine;
    pthread_mutex_lock(&c->lock);
    qd_coord_identity *i = &c->identity;
    i->state = m->state;
    memcpy(i->store_id, m->store_id, 16);
    memcpy(i->history, m->history_id, 16);
    i->epoch = m->epoch;
    i->revision = m->revision;
    i->compacted = m->compacted;
    i->role = c->view.role ? c->view.role : QD_COORD_SPARE;
    i->connected = cr_leads(c) || cr_follows(c);
    i->failed = (uint32_t)c->disk_failed;
    pthread_mutex_unlock(&c->lock);
}

/* --- requests --- */

static void serve(qd_coord *c, cr_node *n)
{
    if (n->kind == CR_RANGE) {
        const qd_coord_range *r = CR_CONTAINER(qd_coord_range, n);
        if (r->flags & QD_COORD_STALE) {
            n->state = CR_WAITING;
            if (r->min_revision <= c->machine->revision) cr_read_now(c, n);
            return;
        }
    }
    if (cr_reads_only(n)) {
        n->state = CR_READING;
        n->number = 0;
    } else {
        cr_fly(c, n);
    }
}

/* Everything that just came, and ranges that waited for their revision. */
static void serve_all(qd_coord *c)
{
    for (cr_node *n = c->pending.first, *next; n; n = next) {
        next = n->next;
        if (c->failed && n->state != CR_FLYING)
            cr_end(c, n, c->fail_code, c->fail_reason);
        else if (n->state == CR_QUEUED || (n->state == CR_WAITING && n->kind == CR_RANGE))
            serve(c, n);
    }
}

static void withdraw(qd_coord *c, cr_node *n)
{
    const qd_coord_election *r = CR_CONTAINER(qd_coord_election, n);
    cr_bytes b = {.heap = c->heap};
    cr_put8(&b, CR_WITHDRAW);
    cr_put64(&b, c->incarnation);
    cr_put64(&b, n->number);
    cr_put_str(&b, r->name);
    cr_fly_alone(c, &b);
}

static int elects(cr_node *n)
{
    return n->kind == CR_ELECTION_REQUEST &&
           CR_CONTAINER(qd_coord_election, n)->action == QD_COORD_ELECT;
}

static void cancel(qd_coord *c, const qd_op *op)
{
    for (cr_node *n = c->pending.first; n; n = n->next) {
        if (cr_op_of(n) != op) continue;
        cr_flight *f = n->state == CR_FLYING ? cr_flight_find(c, n->number) : NULL;
        if (elects(n) && n->state != CR_QUEUED && !(f && !f->tried)) {
            withdraw(c, n); /* its end tells whether it had won */
            if (f && c->no_leader_ns)
                cr_flight_cancel(c, f);
            else if (n->state == CR_WAITING && c->no_leader_ns)
                cr_end(c, n, QD_E_UNKNOWN_OUTCOME, cr_reason_of(QD_E_UNKNOWN_OUTCOME));
        } else if (f) {
            cr_flight_cancel(c, f);
        } else {
            cr_end(c, n, QD_E_CANCELLED, "cancelled");
        }
        return;
    }
}

/* --- the engine's view --- */

/* The list of members is kept until the next look: consensus may have let it go before. */
void cr_view_look(qd_coord *c)
{
    cr_members *had = c->members;
    cr_consensus_look(c->consensus, &c->view);
    c->members = cr_members_ref((cr_members *)(uintptr_t)c->view.members);
    cr_members_drop(had);
}

void cr_store_look(qd_coord *c)
{
    if (!c->consensus) return;
    uint64_t leader = c->view.leader, term = c->view.term;
    int64_t now = cr_now(c);
    cr_view_look(c);
    cr_metrics_show(c, leader);
    qd_str a = cr_net_place(c, c->view.leader, c->view.leader_address);
    size_t n = a.n < sizeof c->leader_address ? a.n : 0;
    if (n) memcpy(c->leader_address, a.p, n);
    c->leader_address[n] = 0;
    if (leader != c->view.leader || term != c->view.term) {
        cr_flights_anew(c);
        cr_rounds_anew(c);
        if (c->view.leader && c->view.leader != leader && !c->view.leads)
            cr_say(c, QD_LEVEL_INFO, "connected to %s %s, the leader of term %llu",
                   CR_HOME_FLAGS & QD_COORD_EXTERNAL ? "control node" : "master", c->leader_address,
                   (unsigned long long)c->view.term);
    }
    int there = cr_leads(c) || cr_follows(c);
    if (there)
        c->no_leader_ns = 0;
    else if (!c->no_leader_ns)
        c->no_leader_ns = now;
    cr_home_looked(c);
    cr_identity_update(c);
}

static void on_changed(void *arg)
{
    qd_coord *c = arg;
    c->dirty = 1;
    cr_store_look(c);
    cr_net_watch(c);
}

/* --- the turn --- */

static void on_timer(uv_timer_t *t);
static void lead_turn(qd_coord *c);

static void arm(qd_coord *c)
{
    int64_t now = cr_sessions_look(c), at = cr_sessions_next(c);
    int alone = c->view.leads && c->view.members && c->view.members->n == 1;
    at = cr_home_next(c, now, at);
    int waits = c->flights.n || c->rounds.busy || c->guests.n || cr_home_waits(c) ||
                c->no_leader_ns || !c->consensus || (c->view.leads && !alone) || c->view.role == 0;
    if (waits && now + TICK_NS < at) at = now + TICK_NS;
    if (c->unsure && now + SOON_NS < at) at = now + SOON_NS;
    c->unsure = 0;
    if (c->leading_again_ns && c->leading_again_ns < at) at = c->leading_again_ns;
    if (c->failed && !c->pending.first) at = INT64_MAX;
    c->looked_ns = INT64_MAX;
    if (at == INT64_MAX || c->ending) {
        uv_timer_stop(&c->timer);
        return;
    }
    c->looked_ns = at > now ? at : now;
    uint64_t ms = at > now ? (uint64_t)((at - now) / 1000000 + 1) : 1;
    uv_update_time(&c->loop);
    uv_timer_start(&c->timer, on_timer, ms, 0);
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

static void end_all(qd_coord *c, int32_t rc, const char *reason)
{
    cr_flights_end(c, rc);
    while (c->pending.first) cr_end(c, c->pending.first, rc, reason);
}

/* The engine goes; its callbacks may come until it is gone. */
static void end_now(qd_coord *c)
{
    if (c->ending == 2) return;
    cr_flush(c); /* what others asked for in this turn */
    c->ending = 2;
    uv_timer_stop(&c->timer);
    uv_close((uv_handle_t *)&c->after, handle_closed);
    if (c->consensus)
        cr_consensus_close(c->consensus, engine_closed, c);
    else
        engine_closed(c);
}

static void on_last_timer(uv_timer_t *t)
{
    end_now(t->data);
}

static void on_left(void *arg, int32_t rc)
{
    qd_coord *c = arg;
    (void)rc;
    c->handing_over = 0;
    if (c->ending == 1) uv_timer_start(&c->timer, on_last_timer, 0, 0);
}

/* Who leads others lets one of them lead first, so that nobody waits for a time-out. */
static void begin_end(qd_coord *c)
{
    if (c->ending) return;
    cr_flush(c);
    c->ending = 1;
    c->ready = 0;
    end_all(c, QD_E_CLOSED, "the coordination store is closed");
    cr_watches_end(c);
    cr_guests_turn(c);
    uv_timer_stop(&c->timer);
    int others = c->view.leads && c->view.members && c->view.members->voters > 1 && !c->failed;
    if (others && (c->handing_over || cr_consensus_hand_over(c->consensus, 0, on_left, c) == 0)) {
        c->handing_over = 1;
        uv_timer_start(&c->timer, on_last_timer, HAND_OVER_NS / 1000000, 0);
        return;
    }
    end_now(c);
}

static void take_in(qd_coord *c, qd_op ***cancels, size_t *ncancels, uint64_t *compact,
                    int *closing)
{
    pthread_mutex_lock(&c->lock);
    cr_nodes in = c->inbox;
    c->inbox = (cr_nodes){0};
    *cancels = c->cancels;
    *ncancels = c->ncancels;
    c->cancels = NULL;
    c->ncancels = c->cancels_cap = 0;
    *compact = c->compact;
    *closing = c->closing;
    c->awake = 0;
    pthread_mutex_unlock(&c->lock);
    while (in.first) {
        cr_node *n = in.first;
        cr_nodes_unlink(&in, n);
        cr_nodes_append(&c->pending, n);
    }
}

static void turn(qd_coord *c)
{
    qd_op **cancels;
    size_t ncancels;
    uint64_t compact;
    int closing;
    if (c->ending == 2) return;
    (void)cr_sessions_look(c);
    take_in(c, &cancels, &ncancels, &compact, &closing);
    cr_net_turn(c);
    if (c->ending || closing) {
        cr_free(c->heap, cancels);
        begin_end(c);
        return;
    }
    for (size_t i = 0; i < ncancels; i++) cancel(c, cancels[i]);
    cr_free(c->heap, cancels);
    if (compact > c->machine->compacted) {
        cr_machine_compact(c->machine, compact);
        cr_identity_update(c);
    }
    cr_store_look(c);
    lead_turn(c);
    cr_found_turn(c);
    cr_sessions_expire(c);
    serve_all(c);
    cr_flights_turn(c);
    cr_rounds_turn(c);
    cr_members_turn(c);
    cr_guests_turn(c);
    cr_flush_soon(c);
    cr_watches_turn(c);
    arm(c);
}

static void on_timer(uv_timer_t *t)
{
    qd_coord *c = t->data;
    cr_home_tick(c);
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
static void on_lead(void *arg, uint64_t term);

/* Without its first entry a leader answers nothing. */
static void lead_later(qd_coord *c)
{
    c->leading_again_ns = cr_now(c) + LEAD_AGAIN_NS;
    c->dirty = 1;
}

static void lead_turn(qd_coord *c)
{
    if (!c->leading_again_ns || cr_now(c) < c->leading_again_ns) return;
    c->leading_again_ns = 0;
    if (c->view.leads && !c->ready) on_lead(c, c->view.term);
}

/* The first entry of a term is applied: everything before it is, too. */
static void leading_done(cr_proposal *p, int32_t rc)
{
    qd_coord *c = (qd_coord *)((char *)p - offsetof(qd_coord, leading));
    c->leading_out = 0;
    if (c->failed || c->ending) return;
    cr_store_look(c);
    if (!c->view.leads) return;
    if (p->term != c->view.term) { /* of an earlier lead, perhaps committed by another leader */
        on_lead(c, c->view.term);
        return;
    }
    if (rc) { /* it may or may not come, and nobody else is going to lead */
        lead_later(c);
        return;
    }
    c->dirty = 1;
    c->ready = 1;
    c->ready_ns = cr_now(c);
    cr_home_ready(c);
    cr_deadlines_update(c, 1);
    cr_store_look(c);
}

static void write_leading(qd_coord *c, cr_writer *w)
{
    static const uint8_t nobody[16];
    uint8_t history[16];
    cr_writer_begin(w, c->heap);
    cr_command_begin(w, CR_LEAD);
    cr_command_end(w);
    if (memcmp(c->machine->store_id, nobody, 16) == 0) {
        cr_command_begin(w, CR_FORM);
        cr_put(&w->bytes, c->cluster, 16);
        cr_put64(&w->bytes, cr_home_forms(c) ? 1 : 0);
        cr_command_end(w);
    }
    if (c->view.recoveries > c->machine->recoveries) {
        c->plugin->rand->bytes(c->plugin->self, history, 16);
        cr_command_begin(w, CR_RECOVER);
        cr_put64(&w->bytes, c->view.recoveries);
        cr_put(&w->bytes, history, 16);
        cr_command_end(w);
    }
    cr_writer_end(w, 0);
}

static void on_lead(void *arg, uint64_t term)
{
    qd_coord *c = arg;
    c->ready = 0;
    c->dirty = 1;
    cr_store_look(c);
    if (term == 0 || c->ending || c->failed || c->leading_out) return;
    cr_writer w;
    write_leading(c, &w);
    c->leading_out = 1;
    int32_t rc = cr_consensus_propose(c->consensus, &c->leading, w.bytes.p, w.bytes.n);
    cr_bytes_free(&w.bytes);
    if (rc) {
        c->leading_out = 0;
        lead_later(c);
        if (rc == QD_E_NOSPACE) {
            (void)cr_space(c); /* no request comes yet that would live off the reserve */
            cr_say(c, QD_LEVEL_ERROR, "the first entry of term %llu waits for room on the disk",
                   (unsigned long long)term);
        } else {
            cr_say(c, QD_LEVEL_ERROR, "the first entry of term %llu was refused (%d)",
                   (unsigned long long)term, rc);
        }
    } else if (cr_home_led(c)) {
        /* While that is written. Nothing is acknowledged before both are there. */
        on_failed(c, "its file node could not be written");
    }
}

void cr_give_up(qd_coord *c, int32_t code, const char *why)
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
    ((qd_coord *)arg)->disk_failed = 1;
    cr_give_up(arg, QD_E_NO_COORDINATION, text);
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

int32_t cr_store_load_row(void *arg, cr_item *row)
{
    return cr_machine_load(arg, row);
}

/* The machine has another state now, as of an index. */
static void restored(qd_coord *c, uint64_t index)
{
    c->applied = index;
    c->dirty = 1;
    cr_deadlines_update(c, 0);
    cr_candidates_recheck(c);
    cr_flights_anew(c); /* what became of them may be in what was not seen */
    cr_identity_update(c);
}

static int32_t restore(void *arg, const uint8_t *p, size_t n)
{
    qd_coord *c = arg;
    uint64_t index;
    int32_t rc = cr_snapshot_index(p, n, &index);
    if (rc || index <= c->applied) return rc;
    cr_machine_reset(c->machine);
    rc = cr_snapshot_read(c->heap, p, n, &index, cr_store_load_row, c->machine);
    if (rc == 0) rc = cr_machine_loaded(c->machine);
    if (rc) return rc;
    cr_items rows = {0};
    cr_machine_rows(c->machine, &rows);
    restored(c, index);
    cr_home_applied(c, &rows, index, 1);
    return 0;
}

int32_t cr_store_restore(qd_coord *c, const cr_items *rows, uint64_t index)
{
    int32_t rc = 0;
    cr_machine_reset(c->machine);
    for (size_t i = 0; i < rows->n && rc == 0; i++)
        rc = cr_machine_load(c->machine, cr_item_ref(rows->at[i]));
    if (rc == 0) rc = cr_machine_loaded(c->machine);
    if (rc == 0) restored(c, index);
    return rc;
}

/* --- opening --- */

void cr_store_callbacks(qd_coord *c, cr_consensus_config *k)
{
    k->loop = &c->loop;
    k->heap = c->heap;
    k->warn = on_damage;
    k->seed = c->plugin->rand->u64(c->plugin->self);
    k->applied = c->applied;
    k->arg = c;
    k->apply = cr_on_apply;
    k->lead = on_lead;
    k->changed = on_changed;
    k->send = c->peers ? cr_on_send : NULL;
    k->failed = on_failed;
    k->snapshot_begin = snapshot_begin;
    k->snapshot_write = snapshot_write;
    k->snapshot_end = snapshot_end;
    k->restore = restore;
    memcpy(k->cluster, c->cluster, 16);
}

static void run_until_closed(qd_coord *c)
{
    end_now(c);
    uv_run(&c->loop, UV_RUN_DEFAULT);
}

/* Whoever hears of the store's end cannot wait for its thread, which tells him: the next one that
 * ends does, and the plugin's end. So none runs code of the plugin, or frees what is its own, when
 * that or the process ends. */
static void thread_ends(qd_coord *c)
{
    cr_plugin *p = c->plugin;
    pthread_mutex_lock(&p->lock);
    pthread_t before = p->ended;
    int any = p->any_ended;
    p->ended = c->thread;
    p->any_ended = 1;
    pthread_mutex_unlock(&p->lock);
    if (any) pthread_join(before, NULL);
}

static void *run_loop(void *arg)
{
    qd_coord *c = arg;
    /* Opens the log: here, as its probing of the disk takes its time. */
    cr_found_begin(c);
    turn(c);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    void (*done)(void *arg) = c->closed;
    void *done_arg = c->closed_arg;
    cr_net_close(c);
    thread_ends(c);
    cr_store_free(c);
    if (done) done(done_arg);
    return NULL;
}

/* A thread that gets no signals. */
static int start_thread(qd_coord *c)
{
    sigset_t all, before;
    pthread_attr_t a;
    sigfillset(&all);
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 1 << 20);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&c->plugin->lock); /* who it is is known before it ends */
    int rc = pthread_create(&c->thread, &a, run_loop, c);
    pthread_mutex_unlock(&c->plugin->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&a);
    return rc;
}

int32_t cr_store_open(qd_coord *c, qd_err *err)
{
    int32_t rc = cr_home_open(c, err);
    if (rc) return rc;
    c->machine = cr_machine_make(c->heap, (size_t)c->history_max, c->history_bytes);
    c->leading.done = leading_done;
    c->no_leader_ns = cr_now(c);
    if (uv_loop_init(&c->loop))
        return qd_plug_fail(c->plugin->err, err, QD_E_IO,
                            "no event loop for the coordination store");
    c->has_loop = 1;
    uv_async_init(&c->loop, &c->wake, on_wake);
    uv_timer_init(&c->loop, &c->timer);
    uv_prepare_init(&c->loop, &c->after);
    c->wake.data = c->timer.data = c->after.data = c;
    uv_prepare_start(&c->after, on_after);
    rc = cr_home_load(c, err);
    if (rc == 0) rc = cr_net_open(c, err);
    if (rc == 0) {
        cr_identity_update(c);
        if (start_thread(c) == 0) return 0;
        rc = qd_plug_fail(c->plugin->err, err, QD_E_IO, "no thread for the coordination store");
    }
    run_until_closed(c);
    cr_net_close(c);
    return rc;
}

void cr_store_free(qd_coord *c)
{
    const cr_heap *h = c->heap;
    cr_metrics_clear(&c->plugin->metrics);
    if (c->has_loop) uv_loop_close(&c->loop);
    cr_home_free(c);
    cr_members_drop(c->members);
    cr_guests_free(c);
    cr_net_free(c);
    cr_machine_free(c->machine);
    cr_free(h, c->rounds.asking);
    cr_free(h, c->deadlines);
    cr_free(h, c->cancels);
    pthread_mutex_destroy(&c->lock);
    cr_free(h, c->texts);
    cr_free(h, c);
}
