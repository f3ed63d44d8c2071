/*
 * conform.c: the runner of the conformance kit. An operation's end is counted under one lock; the
 * op's own word `user` points to a small record, so that a second end is noticed.
 */
#include "plugin/conform.h"
#include "base/str.h"
#include "plugin/op.h"
#include "json/reader.h"
#include <stdio.h>

typedef struct pending {
    struct pending *next;
    qd_conform_run *run;
    uint32_t ends;
    int32_t rc;
} pending;

static qd_conform_run *run_of(qd_conform *c)
{
    return QD_CONTAINER_OF(c, qd_conform_run, c);
}

static void op_ended(qd_op *op, int32_t rc)
{
    pending *p = op->user;
    qd_conform_run *r = p->run;
    qd_mutex_lock(&r->lock);
    p->rc = rc;
    if (++p->ends > 1) r->twice++;
    qd_cond_broadcast(&r->ended);
    qd_mutex_unlock(&r->lock);
}

/* Records live until the run's end: a submit may be refused, and a second end must find its record.
 */
static void run_prepare(qd_conform *c, qd_op *op)
{
    pending *p = qd_calloc(NULL, sizeof *p);
    qd_assert(p != NULL);
    p->run = run_of(c);
    qd_mutex_lock(&p->run->lock);
    p->next = p->run->pending;
    p->run->pending = p;
    qd_mutex_unlock(&p->run->lock);
    qd_op_anywhere(op, op_ended, p);
}

static int32_t run_wait(qd_conform *c, qd_op *op, int64_t timeout_ns)
{
    qd_conform_run *r = run_of(c);
    pending *p = op->user;
    uint64_t until = qd_env_mono_ns(r->env) + (uint64_t)timeout_ns;
    int rc = 0;
    qd_mutex_lock(&r->lock);
    while (p->ends == 0 && rc == 0) rc = qd_cond_wait_until(&r->ended, &r->lock, until);
    bool done = p->ends > 0;
    int32_t result = p->rc;
    qd_mutex_unlock(&r->lock);
    if (!done) return QD_E_TIMEOUT;
    return result;
}

static const char *run_reason(qd_conform *c)
{
    return c->err->code ? qd_err_reason(c->err) : "";
}

static void run_err_clear(qd_conform *c)
{
    qd_err_fini(c->err);
    qd_err_init(c->err);
}

static uint64_t run_alloc_fail(qd_conform *c, uint64_t n)
{
    (void)c;
    return qd_mem_fail_at(n, true);
}

static int64_t run_memory(qd_conform *c)
{
    qd_account *a = c->self ? qd_plugin_self_account(c->self) : NULL;
    return qd_account_used(a ? a : &qd_account_general);
}

static qd_json_in *run_json_open(qd_conform *c, qd_str text)
{
    (void)c;
    qd_json_reader *r = qd_alloc(NULL, sizeof *r);
    if (!r) return NULL;
    *r = QD_JSON_READER(NULL);
    qd_json_reader_init(r, text, QD_JSON_REQUEST, 0);
    return qd_plugin_json_in(r);
}

static int32_t run_json_text(qd_conform *c, qd_json_in *in, qd_str *raw, qd_err *err)
{
    qd_json_reader *r = (qd_json_reader *)(void *)in;
    (void)c;
    return qd_json_raw(r, raw) ? qd_json_fail(r, err) : 0;
}

/* A writer of its own for each answer, over a buffer that is emptied. */
static qd_json_out *run_json_out(qd_conform *c)
{
    qd_conform_run *r = run_of(c);
    qd_buf_reset(&r->thrown);
    qd_json_writer_init(&r->writer, &r->thrown, false);
    return qd_plugin_json_out(&r->writer);
}

static qd_json_out *run_json_members(qd_conform *c)
{
    qd_json_out *out = run_json_out(c);
    qd_json_object(&run_of(c)->writer);
    return out;
}

/* The bit of a name of a list; 0: it is not there. */
static uint32_t bit_of(const char *names, qd_str name)
{
    qd_str rest = qd_str_c(names);
    for (uint32_t i = 0; rest.p && i < 32; i++)
        if (qd_str_eq(qd_str_split(&rest, ','), name)) return 1u << i;
    return 0;
}

static int32_t run_json_members_end(qd_conform *c, const char *names, size_t *bytes, qd_err *err)
{
    qd_conform_run *r = run_of(c);
    uint32_t seen = 0;
    int rc = 0, ev = -1;
    *bytes = r->thrown.n - 1;
    if (r->writer.depth != 1 || r->writer.after_key)
        return qd_err_set(err, QD_E_ARG, "what was written is no list of members");
    qd_json_object_end(&r->writer);
    if (r->thrown.failed) return r->thrown.failed;
    qd_json_reader in = QD_JSON_READER(NULL);
    qd_json_reader_init(&in, qd_buf_view(&r->thrown), QD_JSON_REQUEST, 0);
    if (qd_json_next(&in) == QD_JSON_OBJECT)
        while (rc == 0 && (ev = qd_json_next(&in)) == QD_JSON_KEY) {
            uint32_t bit = bit_of(names, in.text);
            if (!bit || seen & bit)
                rc = qd_err_set(err, QD_E_ARG, "the member [%.*s] %s", QD_STR_ARG(in.text),
                                bit ? "is there twice" : "is not named by the table");
            seen |= bit;
            if (rc == 0 && qd_json_skip(&in)) rc = qd_json_fail(&in, err);
        }
    if (rc == 0 && (ev != QD_JSON_OBJECT_END || qd_json_next(&in) != QD_JSON_EOF))
        rc = qd_err_set(err, QD_E_ARG, "what was written is no object");
    qd_json_reader_fini(&in);
    return rc;
}

static void run_json_close(qd_conform *c, qd_json_in *in)
{
    (void)c;
    qd_json_reader *r = (qd_json_reader *)(void *)in;
    qd_json_reader_fini(r);
    qd_free(r);
}

static void run_result(qd_conform *c, const char *test, int32_t outcome, const char *why)
{
    qd_conform_run *r = run_of(c);
    char text[1024];
    r->tests++;
    qd_arena_reset(&r->arena);
    if (outcome == QD_CONFORM_SKIPPED)
        snprintf(text, sizeof text, "ok %u - %s # SKIP %s", r->tests, test, why);
    else
        snprintf(text, sizeof text, "%sok %u - %s", outcome ? "not " : "", r->tests, test);
    r->line(r->arg, text);
    if (outcome != QD_CONFORM_FAILED) return;
    snprintf(text, sizeof text, "# %s", why);
    for (char *p = text; *p; p++)
        if (*p == '\n') *p = ' ';
    r->line(r->arg, text);
}

void qd_conform_told(qd_conform_run *r, bool ok, const char *test, const char *why)
{
    if (!ok) r->c.failures++;
    run_result(&r->c, test, ok ? QD_CONFORM_OK : QD_CONFORM_FAILED, why);
}

void qd_conform_begin(qd_conform_run *r, qd_env *env, qd_self *self, qd_str folder,
                      const qd_pair *options, uint32_t noptions,
                      void (*line)(void *arg, const char *text), void *arg)
{
    *r = (qd_conform_run){
        .c = {.self = self,
              .folder = folder,
              .options = options,
              .noptions = noptions,
              .prepare = run_prepare,
              .wait = run_wait,
              .reason = run_reason,
              .err_clear = run_err_clear,
              .alloc_fail = run_alloc_fail,
              .memory = run_memory,
              .json_open = run_json_open,
              .json_close = run_json_close,
              .json_text = run_json_text,
              .json_out = run_json_out,
              .json_members = run_json_members,
              .json_members_end = run_json_members_end,
              .result = run_result},
        .env = env,
        .line = line,
        .arg = arg,
    };
    r->c.err = &r->err;
    r->cancelled = (qd_task){.magic = QD_TASK_MAGIC, .stop = QD_TASK_CANCELLED};
    r->c.cancelled = &r->cancelled;
    r->c.arena = &r->arena;
    qd_err_init(&r->err);
    qd_arena_init(&r->arena, NULL, 0);
    qd_buf_init(&r->thrown, NULL, 64 << 20);
    qd_mutex_init(&r->lock);
    qd_cond_init(&r->ended);
}

void qd_conform_kind(qd_conform_run *r, uint32_t kind, const char *name, const void *vtable)
{
    qd_conform *c = &r->c;
    switch (kind) {
    case QD_KIND_COORDINATION:
        qd_conform_coordination(c, name, vtable);
        break;
    case QD_KIND_STORAGE:
        qd_conform_storage(c, name, vtable);
        break;
    case QD_KIND_OPERATOR:
        qd_conform_operator(c, name, vtable);
        break;
    case QD_KIND_CHAR_FILTER:
        qd_conform_char_filter(c, name, vtable);
        break;
    case QD_KIND_TOKENIZER:
        qd_conform_tokenizer(c, name, vtable);
        break;
    case QD_KIND_TOKEN_FILTER:
        qd_conform_token_filter(c, name, vtable);
        break;
    case QD_KIND_AGGREGATION:
        qd_conform_aggregation(c, name, vtable);
        break;
    case QD_KIND_FIELD:
        qd_conform_field(c, name, vtable);
        break;
    case QD_KIND_FRONTEND:
        qd_conform_frontend(c, name, vtable);
        break;
    case QD_KIND_ROUTE:
        qd_conform_route(c, name, vtable);
        break;
    case QD_KIND_PROCESSOR:
        qd_conform_processor(c, name, vtable);
        break;
    default:
        qd_conform_told(r, false, name, "unknown kind");
    }
}

uint32_t qd_conform_end(qd_conform_run *r)
{
    char text[64];
    qd_conform_told(r, r->twice == 0, "operations end once", "an operation was completed twice");
    snprintf(text, sizeof text, "1..%u", r->tests);
    r->line(r->arg, text);
    for (pending *p = r->pending, *next; p; p = next) {
        next = p->next;
        qd_free(p);
    }
    qd_err_fini(&r->err);
    qd_arena_fini(&r->arena);
    qd_buf_fini(&r->thrown);
    qd_cond_fini(&r->ended);
    qd_mutex_fini(&r->lock);
    return r->c.failures;
}
