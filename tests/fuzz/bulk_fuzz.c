/*
 * bulk_fuzz.c: any bytes as a _bulk body for a whole node in memory, in pieces. The answer is
 * always JSON; as a whole or in pieces, it says as many items were done as documents can be counted
 * for. The first byte chooses the size of the pieces; 0 sends the body as one.
 */
#include "action/action_int.h"
#include "lib/action_node.h"
#include "json/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static action_node *node;

static int keep(void *arg, qd_str piece)
{
    return qd_buf_str(arg, piece);
}

/* Feeds the body as the action service does: what is not used comes again. */
static int feed(void *state, const char *p, size_t n, size_t step, qd_err *err)
{
    size_t at = 0, have = 0;
    int rc = 0;
    do {
        size_t used = 0;
        have = n - have > step ? have + step : n;
        rc = qdi_api_bulk.feed(state, (qd_str){p + at, have - at}, have == n, &used, err);
        qd_assert(used <= have - at);
        at += used;
    } while (!rc && have < n);
    qd_assert(rc || at == n);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!node) node = action_node_open("action.auto_create_index=f*");
    if (size < 2) return 0;
    qd_arena arena;
    qd_buf out, answer;
    qd_response r;
    qd_err err;
    void *state = NULL;
    qd_actions *a = action_node_actions(node);
    qd_pair index = {QD_STR("index"), QD_STR("f")};
    qd_arena_init(&arena, NULL, 0);
    qd_buf_init(&out, NULL, 1 << 30);
    qd_buf_init(&answer, NULL, 1 << 30);
    qd_err_init(&err);
    qd_request q = {.a = a, .api = qd_api_find(QD_STR("bulk")), .params = &index, .nparams = 1};
    q.arena = &arena;
    qd_task_begin(a->tasks, &q.task, "bulk", QD_STR(""), true);
    qd_response_init(&r, &out, false);
    int rc = qdi_api_bulk.begin(&q, &r, &state, &err);
    qd_assert(rc == 0);
    char *copy = qd_alloc(NULL, size - 1);
    qd_assert(copy);
    memcpy(copy, data + 1, size - 1);
    rc = feed(state, copy, size - 1, data[0] ? data[0] : SIZE_MAX / 2, &err);
    qd_assert((rc != 0) == (err.code != 0));
    if (!rc) {
        qd_json_node *root;
        qd_assert(qdi_api_bulk.end(state, keep, &answer, &err) == 0);
        qd_assert(qd_json_parse(&arena, qd_buf_view(&answer), 0, &root, &err) == 0);
        const qd_json_node *items = qd_json_get(root, "items");
        qd_assert(items && items->type == QD_JSON_T_ARRAY && items->n > 0);
    }
    qdi_api_bulk.drop(state);
    qd_task_end(&q.task);
    qd_free(copy);
    qd_err_fini(&err);
    qd_buf_fini(&answer);
    qd_buf_fini(&out);
    qd_arena_fini(&arena);
    return 0;
}
