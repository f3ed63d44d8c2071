/*
 * task.c: the registry of tasks: 16 shards by id, each a list under its own lock. See task.h.
 *
 * Who calls on_cancel holds no lock but has pinned the task, and qd_task_end waits for pins to go.
 */
#include "runtime/task.h"
#include "base/mem.h"
#include "base/vec.h"
#include <stdio.h>
#include <string.h>

#define SHARDS 16
#define TASKS_MAGIC 0x5154534du

typedef struct shard {
    _Alignas(64) qd_mutex lock;
    qd_cond unpinned;
    qd_task *first, *last; /* by id, as they began */
    size_t n;
} shard;

struct qd_tasks {
    uint32_t magic;
    qd_env *env;
    _Atomic uint64_t next_id;
    shard shards[SHARDS];
};

static shard *shard_of(qd_tasks *tasks, uint64_t id)
{
    return &tasks->shards[id % SHARDS];
}

static void copy_text(char *to, size_t room, const char *p, size_t n)
{
    if (n >= room) {
        n = room - 1;
        while (n > 0 && ((unsigned char)p[n] & 0xc0) == 0x80) n--; /* not inside a character */
    }
    if (n) memcpy(to, p, n);
    to[n] = 0;
}

int qd_tasks_open(qd_env *env, qd_tasks **out, qd_err *err)
{
    qd_tasks *tasks = qd_alloc_aligned(NULL, 64, sizeof *tasks);
    if (!tasks) return qd_err_nomem(err, "the task registry");
    memset(tasks, 0, sizeof *tasks);
    tasks->magic = TASKS_MAGIC;
    tasks->env = env;
    for (int i = 0; i < SHARDS; i++) {
        qd_mutex_init(&tasks->shards[i].lock);
        qd_cond_init(&tasks->shards[i].unpinned);
    }
    *out = tasks;
    return 0;
}

void qd_tasks_close(qd_tasks *tasks)
{
    if (!tasks) return;
    QD_CHECK(tasks, TASKS_MAGIC);
    for (int i = 0; i < SHARDS; i++) {
        qd_assert(tasks->shards[i].n == 0);
        qd_cond_fini(&tasks->shards[i].unpinned);
        qd_mutex_fini(&tasks->shards[i].lock);
    }
    tasks->magic = 0;
    qd_free(tasks);
}

void qd_task_begin(qd_tasks *tasks, qd_task *t, const char *action, qd_str description,
                   bool cancellable)
{
    QD_CHECK(tasks, TASKS_MAGIC);
    memset(t, 0, sizeof *t);
    t->magic = QD_TASK_MAGIC;
    t->tasks = tasks;
    t->action = action;
    t->type = "transport";
    copy_text(t->description, sizeof t->description, description.p, description.n);
    t->cancellable = cancellable;
    t->start_ns = qd_env_mono_ns(tasks->env);
    t->start_wall_ms = qd_env_wall_ms(tasks->env);
    t->id = atomic_fetch_add(&tasks->next_id, 1) + 1;
    shard *s = shard_of(tasks, t->id);
    qd_mutex_lock(&s->lock);
    qd_task *at = s->last; /* another thread with a higher id may have come first */
    while (at && at->id > t->id) at = at->prev;
    t->prev = at;
    t->next = at ? at->next : s->first;
    if (t->prev)
        t->prev->next = t;
    else
        s->first = t;
    if (t->next)
        t->next->prev = t;
    else
        s->last = t;
    s->n++;
    qd_mutex_unlock(&s->lock);
}

void qd_task_opaque_set(qd_task *t, qd_str opaque_id)
{
    shard *s = shard_of(t->tasks, t->id);
    qd_mutex_lock(&s->lock);
    copy_text(t->opaque_id, sizeof t->opaque_id, opaque_id.p, opaque_id.n);
    qd_mutex_unlock(&s->lock);
}

void qd_task_parent_set(qd_task *t, const qd_task *parent)
{
    QD_CHECK(t, QD_TASK_MAGIC);
    QD_CHECK(parent, QD_TASK_MAGIC);
    shard *s = shard_of(t->tasks, t->id);
    qd_mutex_lock(&s->lock);
    t->parent = parent->id;
    t->parent_node[0] = 0;
    qd_mutex_unlock(&s->lock);
    /* The parent's flag is set before its children are looked for: seen either here or there. */
    if (atomic_load(&parent->stop) == QD_TASK_CANCELLED) qd_task_cancel(t, "parent cancelled");
}

void qd_task_parent_remote(qd_task *t, qd_str node, uint64_t id)
{
    QD_CHECK(t, QD_TASK_MAGIC);
    shard *s = shard_of(t->tasks, t->id);
    qd_mutex_lock(&s->lock);
    t->parent = id;
    copy_text(t->parent_node, sizeof t->parent_node, node.p, node.n);
    qd_mutex_unlock(&s->lock);
}

void qd_task_on_cancel(qd_task *t, void (*fn)(qd_task *task), void *user)
{
    QD_CHECK(t, QD_TASK_MAGIC);
    shard *s = shard_of(t->tasks, t->id);
    qd_mutex_lock(&s->lock);
    while (!fn && t->pins > 0) qd_cond_wait(&s->unpinned, &s->lock);
    t->on_cancel = fn;
    t->user = user;
    bool now = fn && atomic_load(&t->stop) == QD_TASK_CANCELLED;
    qd_mutex_unlock(&s->lock);
    if (now) fn(t);
}

void qd_task_deadline_in(qd_task *t, uint64_t timeout_ns)
{
    QD_CHECK(t, QD_TASK_MAGIC);
    t->deadline_ns = timeout_ns ? qd_env_mono_ns(t->tasks->env) + timeout_ns : 0;
}

void qd_task_end(qd_task *t)
{
    QD_CHECK(t, QD_TASK_MAGIC);
    shard *s = shard_of(t->tasks, t->id);
    qd_mutex_lock(&s->lock);
    while (t->pins > 0) qd_cond_wait(&s->unpinned, &s->lock);
    if (t->prev)
        t->prev->next = t->next;
    else
        s->first = t->next;
    if (t->next)
        t->next->prev = t->prev;
    else
        s->last = t->prev;
    s->n--;
    t->magic = 0;
    qd_mutex_unlock(&s->lock);
}

/* Marks t, under its shard's lock; true when on_cancel is to be called. */
static bool mark_cancelled(qd_task *t, const char *reason)
{
    uint32_t running = QD_TASK_RUNNING;
    if (atomic_load(&t->stop) == QD_TASK_RUNNING)
        copy_text(t->cancel_reason, sizeof t->cancel_reason, reason, strlen(reason));
    return atomic_compare_exchange_strong(&t->stop, &running, QD_TASK_CANCELLED) && t->on_cancel;
}

static void unpin(shard *s, qd_task *t)
{
    qd_mutex_lock(&s->lock);
    if (--t->pins == 0) qd_cond_broadcast(&s->unpinned);
    qd_mutex_unlock(&s->lock);
}

bool qd_task_cancel(qd_task *t, const char *reason)
{
    QD_CHECK(t, QD_TASK_MAGIC);
    if (!t->cancellable) return false;
    shard *s = shard_of(t->tasks, t->id);
    qd_mutex_lock(&s->lock);
    bool call = mark_cancelled(t, reason);
    t->pins++;
    qd_mutex_unlock(&s->lock);
    if (call) t->on_cancel(t); /* pinned: it is not taken away meanwhile */
    unpin(s, t);
    return true;
}

static qd_task *find_pinned(qd_tasks *tasks, uint64_t id)
{
    shard *s = shard_of(tasks, id);
    qd_mutex_lock(&s->lock);
    qd_task *t = s->first;
    while (t && t->id != id) t = t->next;
    if (t) t->pins++;
    qd_mutex_unlock(&s->lock);
    return t;
}

typedef QD_VEC(uint64_t) id_list;

static int add_children(qd_tasks *tasks, uint64_t parent, id_list *ids)
{
    int rc = 0;
    for (int i = 0; i < SHARDS && rc == 0; i++) {
        shard *s = &tasks->shards[i];
        qd_mutex_lock(&s->lock);
        for (qd_task *t = s->first; t && rc == 0; t = t->next) {
            if (t->parent == parent && !t->parent_node[0]) rc = qd_vec_push(ids, NULL, t->id);
        }
        qd_mutex_unlock(&s->lock);
    }
    return rc;
}

int qd_tasks_cancel_id(qd_tasks *tasks, uint64_t id, const char *reason, qd_err *err)
{
    QD_CHECK(tasks, TASKS_MAGIC);
    qd_task *t = find_pinned(tasks, id);
    if (!t)
        return qd_err_set(err, QD_E_NOTFOUND, "task [%llu] is not found", (unsigned long long)id);
    bool done = qd_task_cancel(t, reason);
    unpin(shard_of(tasks, id), t);
    if (!done)
        return qd_err_set(err, QD_E_ARG, "task [%llu] doesn't support cancellation",
                          (unsigned long long)id);
    /* Descendants, generation by generation: ids grow from parent to child, so there is no cycle.
     */
    id_list ids = {0};
    int rc = add_children(tasks, id, &ids);
    for (size_t i = 0; i < ids.n && rc == 0; i++) {
        if ((t = find_pinned(tasks, ids.at[i]))) {
            qd_task_cancel(t, reason);
            unpin(shard_of(tasks, ids.at[i]), t);
        }
        rc = add_children(tasks, ids.at[i], &ids);
    }
    qd_vec_fini(&ids);
    return rc ? qd_err_nomem(err, "the children of a task") : 0;
}

void qd_tasks_each(qd_tasks *tasks, void (*fn)(void *arg, const qd_task *t), void *arg)
{
    QD_CHECK(tasks, TASKS_MAGIC);
    qd_task *at[SHARDS];
    for (int i = 0; i < SHARDS; i++) {
        qd_mutex_lock(&tasks->shards[i].lock);
        at[i] = tasks->shards[i].first;
    }
    for (;;) { /* merge of 16 sorted lists */
        int least = -1;
        for (int i = 0; i < SHARDS; i++) {
            if (at[i] && (least < 0 || at[i]->id < at[least]->id)) least = i;
        }
        if (least < 0) break;
        fn(arg, at[least]);
        at[least] = at[least]->next;
    }
    for (int i = SHARDS; i-- > 0;) qd_mutex_unlock(&tasks->shards[i].lock);
}

void qd_task_status_set(qd_task *t, void (*status)(const qd_task *task, qd_buf *out), void *arg)
{
    shard *s = shard_of(t->tasks, t->id);
    qd_mutex_lock(&s->lock);
    t->status = status;
    t->status_arg = arg;
    qd_mutex_unlock(&s->lock);
}

size_t qd_tasks_count(qd_tasks *tasks)
{
    size_t n = 0;
    for (int i = 0; i < SHARDS; i++) {
        qd_mutex_lock(&tasks->shards[i].lock);
        n += tasks->shards[i].n;
        qd_mutex_unlock(&tasks->shards[i].lock);
    }
    return n;
}

int qd_task_poll(qd_task *t)
{
    if (!t) return 0;
    uint32_t stop = atomic_load_explicit(&t->stop, memory_order_relaxed);
    if (stop == QD_TASK_RUNNING && t->deadline_ns &&
        qd_env_mono_ns(t->tasks->env) >= t->deadline_ns) {
        uint32_t running = QD_TASK_RUNNING;
        atomic_compare_exchange_strong(&t->stop, &running, QD_TASK_TIMED_OUT);
        stop = atomic_load_explicit(&t->stop, memory_order_relaxed);
    }
    return stop == QD_TASK_RUNNING ? 0 : stop == QD_TASK_CANCELLED ? QD_E_CANCELLED : QD_E_TIMEOUT;
}

int qd_task_check(qd_task *t, qd_err *err)
{
    int rc = qd_task_poll(t);
    if (QD_LIKELY(rc == 0) || !err) return rc;
    if (rc == QD_E_CANCELLED) {
        shard *s = t->tasks ? shard_of(t->tasks, t->id) : NULL; /* NULL: it is in no list */
        if (s) qd_mutex_lock(&s->lock); /* cancel_reason is written under it */
        qd_err_set(err, rc, "task cancelled [%s]", t->cancel_reason);
        if (s) qd_mutex_unlock(&s->lock);
        return rc;
    }
    return qd_err_set(err, rc, "the deadline of [%s] passed", t->action);
}
