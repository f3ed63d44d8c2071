/* tree.c: small trees of requests. See tree.h. */
#include "json/tree.h"

/* Where the next child goes, by open container. */
typedef struct level {
    qd_json_node *node;
    qd_json_node **tail;
} level;

#define FEW 32u

static qd_json_node *new_node(qd_arena *a, const qd_json_reader *r, qd_str key)
{
    static const qd_json_type types[] = {
        [QD_JSON_OBJECT] = QD_JSON_T_OBJECT, [QD_JSON_ARRAY] = QD_JSON_T_ARRAY,
        [QD_JSON_STRING] = QD_JSON_T_STRING, [QD_JSON_NUMBER] = QD_JSON_T_NUMBER,
        [QD_JSON_TRUE] = QD_JSON_T_BOOL,     [QD_JSON_FALSE] = QD_JSON_T_BOOL,
        [QD_JSON_NULL] = QD_JSON_T_NULL};
    qd_json_node *n = qd_arena_calloc(a, sizeof *n);
    if (!n) return NULL;
    n->type = types[r->event];
    n->truth = r->event == QD_JSON_TRUE;
    n->integer = r->event == QD_JSON_NUMBER && r->integer;
    n->key = key;
    n->raw = (qd_str){r->token, (size_t)(r->at - r->token)};
    if (r->event == QD_JSON_NUMBER) n->text = r->text;
    return n;
}

/* A string that outlives the reader. */
static bool keep(qd_arena *a, const qd_json_reader *r, qd_str s, qd_str *out)
{
    *out = s;
    if (s.n == 0 || (s.p >= r->begin && s.p < r->end)) return true;
    *out = qd_arena_str(a, s);
    return out->p != NULL;
}

static int build(qd_arena *a, qd_json_reader *r, level *levels, qd_json_node **out, qd_err *err)
{
    qd_json_event ev;
    qd_json_node *root = NULL;
    qd_str key = {NULL, 0};
    uint32_t depth = 0;
    while ((ev = qd_json_next(r)) > 0) {
        if (ev == QD_JSON_KEY) {
            if (!keep(a, r, r->text, &key)) return qd_err_nomem(err, "reading JSON");
            continue;
        }
        if (ev == QD_JSON_OBJECT_END || ev == QD_JSON_ARRAY_END) {
            qd_json_node *n = levels[--depth].node;
            n->raw.n = (size_t)(r->at - n->raw.p);
            continue;
        }
        qd_json_node *n = new_node(a, r, key);
        if (!n || (ev == QD_JSON_STRING && !keep(a, r, r->text, &n->text))) {
            return qd_err_nomem(err, "reading JSON");
        }
        key = (qd_str){NULL, 0};
        if (depth) {
            levels[depth - 1].node->n++;
            *levels[depth - 1].tail = n;
            levels[depth - 1].tail = &n->next;
        } else {
            root = n;
        }
        if (ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY) levels[depth++] = (level){n, &n->first};
    }
    if (ev < 0) return qd_json_fail(r, err);
    *out = root;
    return 0;
}

/* May the input be deeper? It has at least so many brackets then. */
static bool deeper(qd_str input, size_t levels)
{
    size_t n = 0;
    for (size_t i = 0; i < input.n && n <= levels; i++) n += input.p[i] == '{' || input.p[i] == '[';
    return n > levels;
}

int qd_json_parse(qd_arena *a, qd_str input, uint32_t depth_max, qd_json_node **out, qd_err *err)
{
    level few[FEW], *levels = few;
    qd_json_reader r = QD_JSON_READER(a->account);
    qd_json_reader_init(&r, input, QD_JSON_REQUEST, depth_max);
    /* not in the arena: the tree may live as long as an index */
    if (deeper(input, FEW)) levels = qd_alloc(a->account, r.depth_max * sizeof *levels);
    int rc = levels ? build(a, &r, levels, out, err) : qd_err_nomem(err, "reading JSON");
    if (levels != few) qd_free(levels);
    qd_json_reader_fini(&r);
    return rc;
}

const qd_json_node *qd_json_get_str(const qd_json_node *n, qd_str key)
{
    if (!n || n->type != QD_JSON_T_OBJECT) return NULL;
    for (const qd_json_node *c = n->first; c; c = c->next) {
        if (qd_str_eq(c->key, key)) return c;
    }
    return NULL;
}

const char *qd_json_type_token(qd_json_type type)
{
    static const char *const names[] = {
        [QD_JSON_T_NULL] = "VALUE_NULL",     [QD_JSON_T_BOOL] = "VALUE_BOOLEAN",
        [QD_JSON_T_NUMBER] = "VALUE_NUMBER", [QD_JSON_T_STRING] = "VALUE_STRING",
        [QD_JSON_T_ARRAY] = "START_ARRAY",   [QD_JSON_T_OBJECT] = "START_OBJECT",
    };
    return names[type];
}

const qd_json_node *qd_json_get(const qd_json_node *n, const char *key)
{
    return qd_json_get_str(n, qd_str_c(key));
}

qd_str qd_json_text(const qd_json_node *n)
{
    if (!n) return (qd_str){NULL, 0};
    switch (n->type) {
    case QD_JSON_T_STRING:
        return n->text.p ? n->text : QD_STR("");
    case QD_JSON_T_NUMBER:
        return n->text;
    case QD_JSON_T_BOOL:
        return n->truth ? QD_STR("true") : QD_STR("false");
    default:
        return (qd_str){NULL, 0};
    }
}

int qd_json_truth(const qd_json_node *n, bool *out)
{
    if (n && n->type == QD_JSON_T_BOOL) return *out = n->truth, 0;
    if (n && n->type == QD_JSON_T_STRING) {
        if (qd_str_is(n->text, "true")) return *out = true, 0;
        if (qd_str_is(n->text, "false")) return *out = false, 0;
    }
    return QD_E_ARG;
}
