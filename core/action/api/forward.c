/* forward.c: see forward_int.h. */
#include "action/api/forward_int.h"
#include "action/transport/ask_int.h"
#include "action/transport/served_int.h"
#include "base/str.h"
#include "rpc/rpc.h"

#define MESSAGE_MAX ((size_t)256 << 20)
#define TEXT_BYTES ((size_t)256 << 20)
#define ARENA_MAX ((size_t)1 << 30)
#define PARAMS_MAX 1000u

/* --- asking --- */

static void write_request(const qd_request *q, const qdi_forwarded *f, qd_writer *w)
{
    const qd_pair *params = f->params ? f->params : q->params;
    uint32_t n = f->params ? f->nparams : q->nparams;
    qd_write_c(w, q->api->name);
    qd_write_array(w, n);
    for (uint32_t i = 0; i < n; i++) {
        qd_write_str(w, params[i].key);
        qd_write_str(w, params[i].value);
    }
    qd_write_varint(w, q->body_format);
    qd_write_bool(w, q->pretty && !f->read);
    qd_write_bool(w, q->human);
    qd_write_str(w, q->body);
}

static int read_answer(qd_request *q, qd_asks *asks, uint32_t number, qdi_forwarded *f)
{
    qd_str bytes;
    uint16_t version;
    qd_body_reader r;
    int rc = qdi_answer(asks, number, &bytes, &version, &f->err);
    if (rc) return rc;
    qd_body_reader_init(&r, bytes, "forwarded answer", version);
    f->status = (int)qd_read_varint_max(&r, "status", 599);
    f->format = (uint32_t)qd_read_varint_max(&r, "format", UINT32_MAX);
    f->body = qd_read_str_copy(&r, "body", TEXT_BYTES, q->arena);
    rc = qd_body_reader_check(&r, &f->err);
    if (rc) f->status = 0;
    return rc;
}

int qdi_forward(qd_request *q, const qd_state *s, qdi_forwarded *at, uint32_t n, qd_err *err)
{
    qd_asks *asks;
    int rc = qdi_asks_begin(q->a, s, &q->task, n, n ? at->timeout_ms : 0, &asks, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < n; i++) {
        qd_writer w;
        qd_err_init(&at[i].err);
        at[i].status = 0;
        qd_writer_init(&w, q->a->account, MESSAGE_MAX, qdi_ask_version(q->a, s, at[i].node));
        write_request(q, &at[i], &w);
        (void)qdi_ask(asks, at[i].node, QD_ACTION_API, &w);
    }
    qdi_asks_wait(asks);
    for (uint32_t i = 0; i < n; i++) at[i].rc = read_answer(q, asks, i, &at[i]);
    qdi_asks_end(asks);
    return 0;
}

int qdi_forward_answer(qdi_forwarded *f, qd_response *r, qd_err *err)
{
    if (!f->status) {
        int rc = f->rc;
        qd_err_move(err, &f->err);
        return rc;
    }
    r->status = f->status;
    r->format = f->format;
    r->is_error = f->status >= 400;
    qd_json_raw_bytes(&r->w, f->body);
    return 0;
}

/* --- answering --- */

typedef struct running {
    qd_actions *a;
    qd_arena arena;
    qd_request q;
    qd_task *before;
} running;

static void read_request(qd_body_reader *r, running *x)
{
    qd_request *q = &x->q;
    q->api = qd_api_find(qd_read_str(r, "api", 256));
    if (!q->api || !q->api->run) qd_body_reader_fail(r, "api", "is not known here");
    q->nparams = (uint32_t)qd_read_array(r, "params", PARAMS_MAX, 2);
    qd_pair *params = qd_arena_calloc(&x->arena, (q->nparams + 1ul) * sizeof *params);
    if (!params) qd_body_reader_nomem(r, "params");
    for (uint32_t i = 0; i < q->nparams && !qd_body_reader_bad(r); i++) {
        params[i].key = qd_read_str(r, "param.name", TEXT_BYTES);
        params[i].value = qd_read_str(r, "param.value", TEXT_BYTES);
    }
    q->params = params;
    q->body_format = (uint32_t)qd_read_varint_max(r, "format", UINT32_MAX);
    q->pretty = qd_read_bool(r, "pretty");
    q->human = qd_read_bool(r, "human");
    q->body = qd_read_str(r, "body", TEXT_BYTES);
}

static void run(running *x, qd_rpc_request *request, qd_writer *w)
{
    qd_response r;
    qd_buf out;
    qd_buf_init(&out, x->a->account, MESSAGE_MAX);
    qd_response_init(&r, &out, x->q.pretty);
    x->before =
        qdi_served_task_begin(x->a, request, &x->q.task, x->q.api->name, qd_param(&x->q, "index"));
    qd_action_run(&x->q, &r);
    qd_write_varint(w, (uint64_t)r.status);
    qd_write_varint(w, r.format);
    qd_write_str(w, qd_buf_view(&out));
    if (qd_buf_status(&out)) w->buf.failed = qd_buf_status(&out);
    qd_buf_fini(&out);
}

void qdi_forward_handle(void *arg, qd_rpc_request *request)
{
    running x = {.a = arg};
    qd_body_reader r;
    qd_writer w;
    qd_err err;
    uint16_t version = qd_rpc_request_version(request);
    qd_err_init(&err);
    qd_arena_init(&x.arena, x.a->account, ARENA_MAX);
    qd_body_reader_init(&r, qd_rpc_request_body(request), "forwarded request", version);
    qd_writer_init(&w, x.a->account, MESSAGE_MAX, version);
    x.q = (qd_request){.a = x.a, .arena = &x.arena, .forwarded = true};
    read_request(&r, &x);
    int rc = qd_body_reader_check(&r, &err);
    bool ran = !rc;
    if (!rc) run(&x, request, &w);
    if (!rc) rc = qd_writer_end(&w, "forwarded answer", &err);
    if (rc) {
        qd_rpc_fail(request, &err);
    } else {
        qd_rpc_reply(request, qd_writer_view(&w), (qd_str){NULL, 0});
    }
    if (ran) qdi_served_task_end(&x.q.task, x.before);
    qd_writer_fini(&w);
    qd_arena_fini(&x.arena);
    qd_err_fini(&err);
}
