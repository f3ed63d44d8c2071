/*
 * consensus_uv.c: the engine on a loop: timers, a thread for each lane of the disk, and turns. A
 * turn runs once an iteration of the loop when something was asked, so that what one iteration asks
 * for goes to the disk and to the peers together; what comes while the disk is busy goes there
 * together next.
 */
#include "consensus/engine.h"
#include <pthread.h>
#include <signal.h>

enum {
    MESSAGE_BYTES = 1 << 20, /* entries of a message, a chunk of a snapshot */
    WINDOW_MESSAGES = 32,
    WINDOW_BYTES = 16 << 20
};

typedef struct lane {
    cr_consensus *c;
    int number, started;
    pthread_t thread;
    pthread_cond_t work;
    cr_job *job, *done; /* under the lock */
} lane;

struct cr_consensus {
    cr_engine *engine;
    cr_disk *disk;
    const cr_heap *heap;
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_async_t async;
    uv_idle_t idle;
    pthread_mutex_t lock;
    lane lanes[CR_LANES];
    int quit, in_turn, asked, closing, handles;
    void (*closed)(void *arg);
    void *closed_arg;
    char dir[4096];
};

static uint64_t now_ns(void)
{
    return uv_hrtime();
}

/* --- the disk's threads --- */

static void *run_lane(void *arg)
{
    lane *l = arg;
    cr_consensus *c = l->c;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (!l->job && !c->quit) pthread_cond_wait(&l->work, &c->lock);
        if (!l->job) break;
        cr_job *j = l->job;
        pthread_mutex_unlock(&c->lock);
        cr_job_run(j);
        pthread_mutex_lock(&c->lock);
        l->job = NULL;
        l->done = j;
        uv_async_send(&c->async);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static int start_lane(cr_consensus *c, int number)
{
    lane *l = &c->lanes[number];
    sigset_t all, before;
    l->c = c;
    l->number = number;
    pthread_cond_init(&l->work, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    l->started = pthread_create(&l->thread, NULL, run_lane, l) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return l->started ? 0 : -1;
}

static void stop_lanes(cr_consensus *c)
{
    pthread_mutex_lock(&c->lock);
    c->quit = 1;
    for (int i = 0; i < CR_LANES; i++)
        if (c->lanes[i].started) pthread_cond_signal(&c->lanes[i].work);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < CR_LANES; i++) {
        if (!c->lanes[i].started) continue;
        pthread_join(c->lanes[i].thread, NULL);
        pthread_cond_destroy(&c->lanes[i].work);
    }
}

/* Gives idle threads what there is to do. */
static void feed_lanes(cr_consensus *c)
{
    for (int i = 0; i < CR_LANES; i++) {
        cr_job *j = cr_engine_job(c->engine, i);
        if (!j) continue;
        pthread_mutex_lock(&c->lock);
        c->lanes[i].job = j;
        pthread_mutex_unlock(&c->lock); /* before: who wakes would only wait for it */
        pthread_cond_signal(&c->lanes[i].work);
    }
}

/* 1 while a thread has a job. */
static int take_done(cr_consensus *c)
{
    int busy = 0;
    for (int i = 0; i < CR_LANES; i++) {
        pthread_mutex_lock(&c->lock);
        cr_job *j = c->lanes[i].done;
        c->lanes[i].done = NULL;
        busy |= c->lanes[i].job != NULL;
        pthread_mutex_unlock(&c->lock);
        if (j) cr_engine_job_done(c->engine, j, now_ns());
    }
    return busy;
}

/* --- turns --- */

static void on_timer(uv_timer_t *t);
static void on_idle(uv_idle_t *i);

static void arm(cr_consensus *c)
{
    uint64_t at = cr_engine_deadline(c->engine), now = now_ns();
    if (at == UINT64_MAX) {
        uv_timer_stop(&c->timer);
        return;
    }
    uv_update_time(c->loop);
    uv_timer_start(&c->timer, on_timer, at > now ? (at - now) / 1000000 + 1 : 0, 0);
}

static void turn(cr_consensus *c)
{
    if (c->closing || c->in_turn) return;
    c->in_turn = 1;
    c->asked = 0;
    uv_idle_stop(&c->idle);
    cr_engine_turn(c->engine, now_ns());
    c->in_turn = 0;
    feed_lanes(c);
    if (c->asked) uv_idle_start(&c->idle, on_idle); /* a callback did */
    arm(c);
}

static void ask(cr_consensus *c)
{
    if (c->asked || c->closing) return;
    c->asked = 1;
    if (!c->in_turn) uv_idle_start(&c->idle, on_idle);
}

static void on_timer(uv_timer_t *t)
{
    turn(t->data);
}

static void on_idle(uv_idle_t *i)
{
    turn(i->data);
}

/* --- life --- */

static void end(cr_consensus *c)
{
    void (*closed)(void *arg) = c->closed;
    void *arg = c->closed_arg;
    pthread_mutex_destroy(&c->lock);
    cr_free(c->heap, c);
    if (closed) closed(arg);
}

static void on_closed(uv_handle_t *h)
{
    cr_consensus *c = h->data;
    if (--c->handles == 0) end(c);
}

static void close_handles(cr_consensus *c)
{
    stop_lanes(c);
    cr_engine_free(c->engine);
    cr_disk_files_free(c->disk);
    uv_close((uv_handle_t *)&c->timer, on_closed);
    uv_close((uv_handle_t *)&c->async, on_closed);
    uv_close((uv_handle_t *)&c->idle, on_closed);
}

static void on_async(uv_async_t *a)
{
    cr_consensus *c = a->data;
    int busy = take_done(c);
    if (!c->closing)
        turn(c);
    else if (!busy && c->engine && !uv_is_closing((uv_handle_t *)a))
        close_handles(c);
}

static void make_handles(cr_consensus *c)
{
    uv_timer_init(c->loop, &c->timer);
    uv_async_init(c->loop, &c->async, on_async);
    uv_idle_init(c->loop, &c->idle);
    c->timer.data = c->async.data = c->idle.data = c;
    c->handles = 3;
}

static void note_closed(void *arg)
{
    *(int *)arg = 1;
}

int32_t cr_consensus_open(const cr_consensus_config *config, cr_consensus **out, char *why)
{
    cr_consensus *c = cr_must(config->heap, sizeof *c);
    memset(c, 0, sizeof *c);
    c->heap = config->heap;
    c->loop = config->loop;
    snprintf(c->dir, sizeof c->dir, "%s", config->dir);
    cr_engine_sizes sizes = {.message_bytes = MESSAGE_BYTES,
                             .window_messages = WINDOW_MESSAGES,
                             .window_bytes = WINDOW_BYTES,
                             .segment_bytes = config->segment_bytes,
                             .trailing = config->snapshot_entries / 2,
                             .hold = 4 * config->snapshot_entries};
    c->disk = cr_disk_files(config->heap, c->dir);
    int32_t rc = cr_engine_open(config, &sizes, c->disk, now_ns(), &c->engine, why);
    if (rc) {
        cr_disk_files_free(c->disk);
        cr_free(config->heap, c);
        return rc;
    }
    pthread_mutex_init(&c->lock, NULL);
    make_handles(c);
    if (start_lane(c, CR_LANE_LOG) || start_lane(c, CR_LANE_SNAPSHOTS)) {
        int closed = 0;
        snprintf(why, CR_WHY, "no thread for the disk");
        cr_consensus_close(c, note_closed, &closed);
        while (!closed) uv_run(config->loop, UV_RUN_ONCE);
        return QD_E_IO;
    }
    ask(c);
    *out = c;
    return 0;
}

void cr_consensus_close(cr_consensus *c, void (*done)(void *arg), void *arg)
{
    c->closed = done;
    c->closed_arg = arg;
    cr_engine_stop(c->engine);
    uv_timer_stop(&c->timer);
    uv_idle_stop(&c->idle);
    c->closing = 1;
    uv_async_send(&c->async); /* what the threads still do is waited for */
}

/* --- to the engine --- */

int32_t cr_consensus_propose(cr_consensus *c, cr_proposal *p, const uint8_t *entry, size_t n)
{
    int32_t rc = cr_engine_propose(c->engine, p, entry, n);
    if (rc == 0) ask(c);
    return rc;
}

int32_t cr_consensus_read(cr_consensus *c, cr_read_wait *r)
{
    int32_t rc = cr_engine_read(c->engine, r);
    if (rc == 0) ask(c);
    return rc;
}

/* Entries of several turns go to disk together. */
int cr_consensus_crowded(const cr_consensus *c)
{
    (void)c;
    return 0;
}

int cr_consensus_sole(const cr_consensus *c)
{
    return cr_engine_sole(c->engine);
}

void cr_consensus_receive(cr_consensus *c, const uint8_t *p, size_t n)
{
    cr_engine_receive(c->engine, p, n, now_ns());
    ask(c);
}

void cr_consensus_gone(cr_consensus *c, uint64_t id)
{
    cr_engine_gone(c->engine, id, now_ns());
    ask(c);
}

void cr_consensus_look(const cr_consensus *c, cr_consensus_view *out)
{
    cr_engine_look(c->engine, out);
}

int32_t cr_consensus_peer_look(const cr_consensus *c, uint64_t id, cr_consensus_peer *out)
{
    return cr_engine_peer_look(c->engine, id, out);
}

int32_t cr_consensus_change(cr_consensus *c, cr_proposal *p, const cr_member *m, int remove,
                            uint32_t wait_ms)
{
    int32_t rc = cr_engine_change(c->engine, p, m, remove, wait_ms * 1000000ull, now_ns());
    if (rc == 0) ask(c);
    return rc;
}

int32_t cr_consensus_hand_over(cr_consensus *c, uint64_t to, void (*done)(void *arg, int32_t rc),
                               void *arg)
{
    int32_t rc = cr_engine_hand_over(c->engine, to, done, arg, now_ns());
    if (rc == 0) ask(c);
    return rc;
}

void cr_consensus_space(cr_consensus *c, int there)
{
    cr_engine_space(c->engine, there);
    ask(c);
}

void cr_consensus_snapshot_soon(cr_consensus *c)
{
    cr_engine_snapshot_soon(c->engine);
}

uint64_t cr_consensus_last(const cr_consensus *c)
{
    cr_consensus_view v;
    cr_engine_look(c->engine, &v);
    return v.last;
}

uint64_t cr_consensus_durable(const cr_consensus *c)
{
    cr_consensus_view v;
    cr_engine_look(c->engine, &v);
    return v.durable;
}
