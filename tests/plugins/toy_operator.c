/*
 * toy_operator.c: an operator that iterates over all documents and does what its "mode" says:
 *   all    finds them, score 2
 *   slow   the same, each block after "ms" milliseconds
 *   sleep  each block after "ms" milliseconds, and once it has slept it uses all that it was given
 *   spin   the same, but with all of a CPU
 *   parse  sleeps in parse
 *   code   fails with the code "ms"
 *   nan    scores that are no number
 *   inf    scores that are not finite
 *   back   documents that go back
 *   beyond a document behind the segment's last one
 *   many   a block of more documents than there is room for
 *   column asks for the values of "field"
 *   leak   keeps "ms" bytes of the mem service
 *   crash  writes to address "ms"
 *   deep   needs more stack than there is
 */
#include <quidditch/operator.h>
#include <quidditch/plugin.h>
#include <stdlib.h>
#include <time.h>

static const qd_svc_mem *mem;
static const qd_svc_json *json;

typedef struct request {
    char mode[16], field[32];
    long ms;
} request;

struct qd_operator_iter {
    const qd_query_ctx *ctx;
    const request *r;
    const qd_segment_view *view;
    uint32_t docs[QD_OPERATOR_BLOCK];
};

static __attribute__((noinline)) void nap(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&t, &t)) continue;
}

/* Its own function, so that a stack shows it; the caller goes on behind it. */
static __attribute__((noinline)) long spin_for_a_while(long ms)
{
    struct timespec from, now;
    volatile long turns = 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    do {
        for (int i = 0; i < 100000; i++) turns = turns + 1;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < ms);
    return turns;
}

static __attribute__((noinline)) void crash(volatile int *at)
{
    *at = 1;
}

static __attribute__((noinline)) int deep(volatile const long *go_on)
{
    volatile char room[4096];
    room[0] = 1;
    return *go_on ? deep(go_on) + room[0] : room[0];
}

static int is(const request *r, const char *mode)
{
    return strcmp(r->mode, mode) == 0;
}

static int32_t parse(const qd_query_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_jev ev;
    request *r = (request *)mem->arena(ctx->arena, sizeof *r);
    if (!r) return QD_E_NOMEM;
    memset(r, 0, sizeof *r);
    int32_t rc = json->next(in, &ev, err);
    while (rc == 0 && (rc = json->next(in, &ev, err)) == 0 && ev.type == QD_JEV_KEY) {
        int mode = qd_plug_is(ev.text, "mode"), field = qd_plug_is(ev.text, "field");
        if ((rc = json->next(in, &ev, err))) return rc;
        char *to = mode ? r->mode : r->field;
        size_t room = mode ? sizeof r->mode : sizeof r->field;
        if (!mode && !field)
            r->ms = (long)ev.number;
        else if (ev.text.n < room)
            memcpy(to, ev.text.p, ev.text.n);
    }
    if (rc == 0 && is(r, "parse")) nap(r->ms);
    *out = r;
    return rc;
}

static int32_t open_iter(const qd_query_ctx *ctx, const void *query, const qd_segment_view *view,
                         int32_t scores, qd_operator_iter **out, qd_err *err)
{
    (void)scores, (void)err;
    qd_operator_iter *it = (qd_operator_iter *)mem->arena(view->arena, sizeof *it);
    if (!it) return QD_E_NOMEM;
    it->ctx = ctx;
    it->r = (const request *)query;
    it->view = view;
    *out = it;
    return 0;
}

static int32_t next_block(qd_operator_iter *it, uint32_t from, float min_score, qd_doc_block *out,
                          qd_err *err)
{
    const request *r = it->r;
    int64_t values[QD_OPERATOR_BLOCK];
    uint8_t has[QD_OPERATOR_BLOCK];
    int32_t rc = 0;
    (void)min_score;
    if (is(r, "slow")) nap(r->ms);
    if (is(r, "spin") && spin_for_a_while(r->ms) == 0) return QD_E_IO;
    if (is(r, "sleep")) { /* long after its search is over: nothing of it is gone */
        nap(r->ms);
        memset(it->docs, 1, sizeof it->docs);
        memset(out, 0, sizeof *out);
        (void)it->ctx->field_type(it->ctx, QD_STR("n"));
        rc = it->view->i64(it->view, QD_STR("n"), it->docs, 1, values, has, err);
        if (!rc) exit(3); /* it is told that the search has ended */
        return rc;
    }
    if (is(r, "code")) return (int32_t)r->ms;
    if (is(r, "crash")) crash((volatile int *)(uintptr_t)r->ms);
    if (is(r, "deep")) return deep(&r->ms);
    if (is(r, "leak") && from == 0 && !mem->calloc(it->ctx->self, (size_t)r->ms)) return QD_E_NOMEM;
    out->n = 0;
    for (uint32_t d = from; d < it->view->max_doc && out->n < QD_OPERATOR_BLOCK; d++) {
        out->scores[out->n] = is(r, "nan") ? __builtin_nanf("") : 2;
        out->docs[out->n++] = d;
    }
    if (is(r, "inf")) out->scores[0] = __builtin_inff();
    if (is(r, "back") && out->n > 2) out->docs[2] = out->docs[1];
    if (is(r, "beyond") && out->n) out->docs[out->n - 1] = it->view->max_doc + 7;
    if (is(r, "many")) out->n = QD_OPERATOR_BLOCK + 1;
    if (is(r, "column") && out->n)
        rc = it->view->i64(it->view, (qd_str){r->field, strlen(r->field)}, out->docs, out->n,
                           values, has, err);
    return rc;
}

static void close_iter(qd_operator_iter *it)
{
    (void)it;
}

static const qd_operator_vtable vtable = {
    QD_VTABLE(qd_operator_vtable, OPERATOR, QD_OPERATOR_ITERATES | QD_OPERATOR_SCORES),
    parse,
    NULL,
    open_iter,
    next_block,
    NULL,
    close_iter,
    NULL,
    NULL};

/* The same, which promises that no score is above 1, or nothing at all. */
static float one(qd_operator_iter *it, uint32_t from, uint32_t to)
{
    (void)from, (void)to;
    return is(it->r, "nobound") ? __builtin_nanf("") : 1;
}

static const qd_operator_vtable bounded = {
    QD_VTABLE(qd_operator_vtable, OPERATOR,
              QD_OPERATOR_ITERATES | QD_OPERATOR_SCORES | QD_OPERATOR_MAX_SCORE),
    parse,
    NULL,
    open_iter,
    next_block,
    one,
    close_iter,
    NULL,
    NULL};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    if (!mem || !json) return qd_plug_no_service(host, self, err);
    int32_t rc = host->provide(self, QD_KIND_OPERATOR, "toy_op", &vtable, err);
    return rc ? rc : host->provide(self, QD_KIND_OPERATOR, "toy_bounded", &bounded, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "toy-operator", "0.1.0", "",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("toy-operator", "0.1.0", 0, 1, QD_NOTE_FOR(OPERATOR))
