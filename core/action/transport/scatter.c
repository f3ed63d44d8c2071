/* scatter.c: see scatter.h. */
#include "action/transport/scatter.h"
#include "rpc/rpc.h"
#include <string.h>

void qdi_scatter_init(scatter *s, qd_actions *a, qd_task *task, qd_arena *arena, uint32_t room)
{
    *s = (scatter){.a = a, .task = task, .arena = arena, .room = room};
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
    *p = (scatter_part){.next = s->parts, .node = id, .address = to, .pick = pick};
    qd_err_init(&p->err);
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

/* All that is not this node's. */
static scatter_part *first_of(scatter_part *p)
{
    while (p && !p->node.n) p = p->next;
    return p;
}
#define EACH_OTHER(p, s) for (scatter_part *p = first_of((s)->parts); p; p = first_of(p->next))

void qdi_scatter_send(scatter *s, uint32_t action, int64_t timeout_ms,
                      void (*encode)(void *arg, const scatter_part *p, qd_writer *w), void *arg)
{
    uint32_t n = 0, ms = timeout_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)timeout_ms;
    qd_err err;
    EACH_OTHER(p, s) n++;
    if (!n) return;
    qd_err_init(&err);
    int rc = qdi_asks_begin(s->a, NULL, s->task, n, ms, &s->asks, &err);
    EACH_OTHER(p, s)
    {
        if (rc) {
            qd_err_copy(&p->err, &err);
            continue;
        }
        qd_writer w;
        qd_writer_init(&w, s->a->account, QDI_SCATTER_BODY_MAX,
                       qd_rpc_version_to(s->a->rpc, p->address));
        encode(arg, p, &w);
        p->question = qdi_ask_at(s->asks, p->address, action, &w);
    }
    qd_err_fini(&err);
}

void qdi_scatter_wait(scatter *s)
{
    if (!s->asks) return;
    qdi_asks_wait(s->asks);
    EACH_OTHER(p, s)
    {
        p->sent = qdi_answer_sent(s->asks, p->question);
        if (qdi_answer(s->asks, p->question, &p->answer, &p->version, &p->err))
            p->answer = (qd_str){NULL, 0};
    }
}

void qdi_scatter_fini(scatter *s)
{
    EACH_OTHER(p, s) qd_err_fini(&p->err);
    qdi_asks_end(s->asks);
}
