/* call.c: calls of this node's own APIs, by the way that front ends take. */
#include "action/byquery/byquery_int.h"
#include "base/str.h"
#include "plugin/op.h"

#define ANSWER_MAX ((size_t)1 << 30)

/* [any] */
static int32_t take(qd_action_call *call, int32_t status, uint32_t format, const qd_slice *piece)
{
    bq_call *x = call->user;
    (void)format;
    x->status = status;
    return qd_buf_add(&x->answer, piece->data, piece->len) ? QD_E_BREAKER : 0;
}

/* [any] */
static void done(qd_op *op, int32_t rc)
{
    bq_call *x = op->user;
    qd_mutex_lock(&x->lock);
    x->rc = rc;
    x->ended = true;
    qd_waitq_wake(&x->done);
    qd_mutex_unlock(&x->lock);
}

/* The static text of an error's type, of those that searches and point-in-time requests answer. */
static const char *type_of(qd_str type)
{
    static const char *const types[] = {"search_phase_execution_exception",
                                        "index_not_found_exception",
                                        "index_closed_exception",
                                        "illegal_argument_exception",
                                        "parsing_exception",
                                        "query_shard_exception",
                                        "cluster_block_exception",
                                        "search_context_missing_exception",
                                        "no_shard_available_action_exception",
                                        "x_content_parse_exception",
                                        "named_object_not_found_exception"};
    for (size_t i = 0; i < QD_COUNT_OF(types); i++)
        if (qd_str_is(type, types[i])) return types[i];
    return NULL;
}

/* An error as the API told it, with its root causes. */
static int api_error(const char *api, int status, const qd_json_node *root, qd_err *err)
{
    const qd_json_node *e = qd_json_get(root, "error");
    const qd_json_node *causes = qd_json_get(e, "root_cause");
    const qd_json_node *reason = qd_json_get(e, "reason"), *type = qd_json_get(e, "type");
    int code = status == 409   ? QD_E_VERSION_CONFLICT
               : status == 429 ? QD_E_REJECTED
               : status == 404 ? QD_E_NOTFOUND
               : status >= 500 ? QD_E_INTERNAL
                               : QD_E_ARG;
    /* a document that there is not is no error of the API */
    if (!reason || !type) return qd_err_set(err, code, "[%s] answered %d", api, status);
    int rc = qd_err_set(err, code, "%.*s", QD_STR_ARG(reason->text));
    qd_err_type(err, type_of(type->text), status);
    if (causes) qd_err_detail_raw(err, QD_ERR_ROOT_CAUSE, causes->raw);
    static const char *const kept[] = {"phase", "grouped", "failed_shards"}; /* of searches */
    for (const qd_json_node *m = e->first; m; m = m->next) {
        if (qd_str_is(m->key, "index")) qd_err_detail_str(err, "index", qd_json_text(m));
        for (size_t i = 0; i < QD_COUNT_OF(kept); i++)
            if (qd_str_is(m->key, kept[i])) qd_err_detail_raw(err, kept[i], m->raw);
    }
    return rc;
}

int qdi_bq_call(qd_actions *a, const char *api, const qd_pair *params, uint32_t n, qd_str body,
                qd_arena *arena, const qd_json_node **out, qd_err *err)
{
    bq_call x = {.call = {.action = qd_str_c(api),
                          .params = params,
                          .nparams = n,
                          .format = QD_FORMAT_JSON,
                          .accept = QD_FORMAT_JSON,
                          .body = {(const uint8_t *)body.p, body.n, NULL, NULL},
                          .answer = take}};
    qd_json_node *root = NULL;
    x.call.user = &x;
    qd_op_anywhere(&x.call.op, done, &x);
    qd_mutex_init(&x.lock);
    qd_waitq_init(&x.done, &x.lock);
    qd_buf_init(&x.answer, a->account, ANSWER_MAX);
    int rc = qd_actions_submit(a, &x.call, err);
    if (!rc) {
        qd_mutex_lock(&x.lock);
        while (!x.ended) (void)qd_waitq_wait(&x.done, 0);
        rc = x.rc;
        qd_mutex_unlock(&x.lock);
        if (rc) rc = qd_err_set(err, rc, "[%s] was not answered", api);
    }
    qd_str text = rc ? (qd_str){NULL, 0} : qd_arena_str(arena, qd_buf_view(&x.answer));
    if (!rc && x.answer.n && !text.p) rc = qd_err_nomem(err, api);
    if (!rc && text.n) rc = qd_json_parse(arena, text, 0, &root, err);
    if (!rc && x.status >= 400) rc = api_error(api, x.status, root, err);
    *out = root;
    qd_buf_fini(&x.answer);
    qd_mutex_fini(&x.lock);
    return rc;
}
