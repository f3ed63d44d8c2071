/* scatter.c: see scatter.h. */
#include "action/scatter.h"
#include <string.h>

void qdi_scatter_init(scatter *s, qd_actions *a, qd_task *task, qd_arena *arena, uint32_t room)
{
    *s = (scatter){.a = a, .task = task, .arena = arena, .room = room};
    qd_mutex_init(&s->lock);
}

static scatter_part *part_of(scatter *s, qd_str node, qd_str address)
{
    scatter_part *p = s->parts;
    while (p && !qd_str_eq(p->node, node)) p = p->next;
    if (p) return p;
    p = qd_arena_alloc(s->arena, sizeof *p);
    uint32_t *pick = qd_arena_alloc(s->arena, s->room * sizeof *pick);
    qd_str id = qd_arena_str(s->arena, node), to = qd_arena_str(s->arena, address);
    if (!p || !pick || !id.p || !to.p) return NULL;
    *p = (scatter_part){.next = s->parts, .node = id, .address = to, .pick = pick, .scatter = s};
    return s->parts = p;
}

int qdi_scatter_add(scatter *s, const qd_node_meta *node, uint32_t k, qd_err *err)
{
    bool here = qd_str_eq(node->id, s->a->node_id);
    scatter_part *p = part_of(s, here ? QD_STR("") : node->id, node->transport_address);
    if (!p) return qd_err_nomem(err, "requests to nodes");
    p->pick[p->n++] = k;
    return 0;
}

scatter_part *qdi_scatter_here(const scatter *s)
{
    scatter_part *p = s->parts;
    while (p && p->node.n) p = p->next;
    return p;
}

static void over(scatter_part *p)
{
    scatter *s = p->scatter;
    qd_mutex_lock(&s->lock);
    p->over = true;
    qd_mutex_unlock(&s->lock);
    qd_latch_done(&s->done, 0);
}

static void answered(qd_rpc_call *call, int rc)
{
    (void)rc;
    over(call->user);
}

static void send(scatter *s, scatter_part *p, uint32_t action, int64_t timeout_ms,
                 void (*encode)(void *arg, const scatter_part *p, qd_writer *w), void *arg)
{
    qd_writer w;
    qd_err err;
    qd_err_init(&err);
    uint16_t version = qd_rpc_version_to(s->a->rpc, p->address);
    qd_writer_init(&w, s->a->account, QDI_SCATTER_BODY_MAX, version);
    encode(arg, p, &w);
    int rc = qd_writer_end(&w, qd_rpc_action_name(action), &err);
    p->call =
        (qd_rpc_call){.to = p->address,
                      .action = action,
                      .class = QD_RPC_DATA,
                      .timeout_ms = timeout_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)timeout_ms,
                      .body = qd_writer_view(&w),
                      .version = version,
                      .parent_node = s->task ? s->a->node_id.p : NULL,
                      .parent_task = s->task ? s->task->id : 0,
                      .done = answered,
                      .user = p};
    if (!rc) rc = qd_rpc_call_start(s->a->rpc, &p->call, &err);
    if (rc) {
        qd_err_move(&p->call.err, &err);
        over(p);
    }
    qd_writer_fini(&w);
    qd_err_fini(&err);
}

void qdi_scatter_send(scatter *s, uint32_t action, int64_t timeout_ms,
                      void (*encode)(void *arg, const scatter_part *p, qd_writer *w), void *arg)
{
    uint32_t calls = 0;
    for (scatter_part *p = s->parts; p; p = p->next) calls += p->node.n != 0;
    qd_latch_init(&s->done, calls);
    for (scatter_part *p = s->parts; p; p = p->next) {
        if (p->node.n) send(s, p, action, timeout_ms, encode, arg);
    }
}

/* The waiting task was cancelled: so are its children on the other nodes. */
static void stop(void *arg)
{
    scatter *s = arg;
    qd_mutex_lock(&s->lock);
    for (scatter_part *p = s->parts; p; p = p->next) {
        if (p->node.n && !p->over) qd_rpc_call_cancel(s->a->rpc, &p->call);
    }
    qd_mutex_unlock(&s->lock);
}

void qdi_scatter_wait(scatter *s)
{
    (void)qd_latch_wait_stop(&s->done, stop, s);
}

void qdi_scatter_fini(scatter *s)
{
    for (scatter_part *p = s->parts; p; p = p->next) {
        if (p->node.n) qd_rpc_call_fini(&p->call);
    }
    qd_mutex_fini(&s->lock);
}
