/* value.c: trees of documents: reading, changing, writing. See value.h. */
#include "ingest/ingest_int.h"
#include <string.h>

/* An integer that fits, else its text. */
static qd_iv number_of(qd_str text, bool integer)
{
    qd_iv v = {.kind = QD_IV_DOUBLE, .s = text};
    int64_t i;
    if (!integer) return v;
    v.kind = QD_IV_BIG;
    return qd_i64_parse(text, &i) ? v : QD_IV_INTEGER(i);
}

static bool scalar(const qd_json_reader *r, qd_iv *out)
{
    switch (r->event) {
    case QD_JSON_STRING:
        *out = QD_IV_STRING(r->text);
        return true;
    case QD_JSON_NUMBER:
        *out = number_of(r->text, r->integer);
        return true;
    case QD_JSON_TRUE:
    case QD_JSON_FALSE:
        *out = QD_IV_TRUTH(r->event == QD_JSON_TRUE);
        return true;
    case QD_JSON_NULL:
        *out = (qd_iv){.kind = QD_IV_NULL};
        return true;
    default:
        return false;
    }
}

static int too_deep(qd_err *err)
{
    return qd_err_set(err, QD_E_ARG,
                      "a document of a pipeline may have at most %u levels of objects and lists",
                      QD_IV_DEPTH_MAX);
}

/* The children of each open container are gathered on a stack of their own and copied into place
 * when it ends, so that no pointer goes stale while it grows. */
typedef struct reading {
    qd_arena *a;
    qd_json_reader *r;
    qd_iv open[QD_IV_DEPTH_MAX];
    uint32_t depth;
} reading;

/* Where the value that the reader stands at goes. */
static qd_iv *place(reading *x, qd_str key)
{
    qd_iv *in = &x->open[x->depth - 1];
    if (in->kind == QD_IV_LIST) return qd_iv_push(x->a, in);
    if (in->n == in->cap) {
        uint32_t cap = in->cap ? in->cap * 2 : 8;
        qd_iv_member *now = qd_arena_alloc(x->a, cap * sizeof *now);
        if (!now) return NULL;
        if (in->n) memcpy(now, in->members, in->n * sizeof *now);
        in->members = now;
        in->cap = cap;
    }
    qd_iv_member *m = &in->members[in->n++];
    *m = (qd_iv_member){.key = key};
    return &m->value;
}

int qd_iv_read(qd_arena *a, qd_json_reader *r, qd_iv *out, qd_err *err)
{
    reading x = {.a = a, .r = r};
    qd_str key[QD_IV_DEPTH_MAX + 1] = {{NULL, 0}};
    qd_json_event ev;
    while ((ev = qd_json_next(r)) > 0) {
        qd_iv v;
        if (ev == QD_JSON_KEY) {
            key[x.depth] = r->text;
            continue;
        }
        if (ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY) {
            if (x.depth == QD_IV_DEPTH_MAX) return too_deep(err);
            x.open[x.depth++] = (qd_iv){.kind = ev == QD_JSON_ARRAY ? QD_IV_LIST : QD_IV_MAP};
            continue;
        }
        if (ev == QD_JSON_OBJECT_END || ev == QD_JSON_ARRAY_END)
            v = x.open[--x.depth];
        else if (!scalar(r, &v))
            continue;
        if (!x.depth) {
            *out = v;
            return 0;
        }
        qd_iv *at = place(&x, key[x.depth]);
        if (!at) return qd_err_nomem(err, "document of a pipeline");
        *at = v;
    }
    return ev < 0 ? qd_json_fail(r, err) : qd_err_set(err, QD_E_XCONTENT, "a value is missing");
}

static int of_node(qd_arena *a, const qd_json_node *n, uint32_t depth, qd_iv *out, qd_err *err)
{
    *out = (qd_iv){.kind = QD_IV_NULL};
    if (depth > QD_IV_DEPTH_MAX) return too_deep(err);
    switch (n->type) {
    case QD_JSON_T_BOOL:
        *out = QD_IV_TRUTH(n->truth);
        return 0;
    case QD_JSON_T_NUMBER:
        *out = number_of(n->text, n->integer);
        return 0;
    case QD_JSON_T_STRING:
        *out = QD_IV_STRING(qd_json_text(n));
        return 0;
    case QD_JSON_T_NULL:
        return 0;
    default:
        break;
    }
    out->kind = n->type == QD_JSON_T_ARRAY ? QD_IV_LIST : QD_IV_MAP;
    for (const qd_json_node *c = n->first; c; c = c->next) {
        qd_iv v;
        int rc = of_node(a, c, depth + 1, &v, err);
        if (rc) return rc;
        qd_iv *at = out->kind == QD_IV_LIST ? qd_iv_push(a, out) : qd_iv_put(a, out, c->key);
        if (!at) return qd_err_nomem(err, "value of a pipeline");
        *at = v;
    }
    return 0;
}

int qd_iv_of_node(qd_arena *a, const qd_json_node *n, qd_iv *out, qd_err *err)
{
    return of_node(a, n, 0, out, err);
}

static bool deeper(const qd_iv *v, uint32_t depth)
{
    if (v->kind != QD_IV_LIST && v->kind != QD_IV_MAP) return false;
    if (depth > QD_IV_DEPTH_MAX) return true;
    for (uint32_t k = 0; k < v->n; k++) {
        if (deeper(v->kind == QD_IV_LIST ? &v->items[k] : &v->members[k].value, depth + 1))
            return true;
    }
    return false;
}

void qd_iv_write(const qd_iv *v, qd_json_writer *w)
{
    switch ((qd_iv_kind)v->kind) {
    case QD_IV_NULL:
        qd_json_null(w);
        break;
    case QD_IV_BOOL:
        qd_json_bool(w, v->truth);
        break;
    case QD_IV_LONG:
        qd_json_int(w, v->i);
        break;
    case QD_IV_BIG:
    case QD_IV_FLOAT:
    case QD_IV_DOUBLE:
        qd_json_raw_bytes(w, v->s);
        break;
    case QD_IV_STR:
        qd_json_str(w, v->s);
        break;
    case QD_IV_LIST:
        qd_json_array(w);
        for (uint32_t k = 0; k < v->n; k++) qd_iv_write(&v->items[k], w);
        qd_json_array_end(w);
        break;
    case QD_IV_MAP:
        qd_json_object(w);
        for (uint32_t k = 0; k < v->n; k++) {
            qd_json_key(w, v->members[k].key);
            qd_iv_write(&v->members[k].value, w);
        }
        qd_json_object_end(w);
        break;
    }
}

/* Open addressing over members: number + 1, 0 is free. Keys that a processor makes of a text may be
 * as many as the text has bytes, so that looking at each for each would take hours. */
struct qd_iv_index {
    uint32_t mask, n; /* n: members that it has; other than the object's: it is stale */
    uint32_t at[];
};
#define INDEX_FROM 32u /* members */

static void index_add(struct qd_iv_index *x, const qd_iv *map)
{
    uint32_t i = (uint32_t)qd_json_key_hash(map->members[x->n].key) & x->mask;
    while (x->at[i]) i = (i + 1) & x->mask;
    x->at[i] = ++x->n;
}

/* The index of an object with room for another member, made or made anew; false: no memory. */
static bool index_of(qd_arena *a, qd_iv *map)
{
    struct qd_iv_index *x = map->index;
    uint32_t slots = 64;
    if (x && x->n == map->n && map->n <= x->mask / 2) return true;
    while (slots < 2 * (map->n == map->cap ? 2 * map->cap : map->cap)) slots *= 2;
    if (!x || x->mask < slots - 1) x = qd_arena_alloc(a, sizeof *x + slots * sizeof x->at[0]);
    if (!x) return false;
    if (x != map->index) x->mask = slots - 1;
    memset(x->at, 0, ((size_t)x->mask + 1) * sizeof x->at[0]);
    x->n = 0;
    map->index = x;
    while (x->n < map->n) index_add(x, map);
    return true;
}

static qd_iv *by_index(const qd_iv *map, qd_str key)
{
    const struct qd_iv_index *x = map->index;
    for (uint32_t i = (uint32_t)qd_json_key_hash(key) & x->mask; x->at[i]; i = (i + 1) & x->mask) {
        qd_iv_member *m = &map->members[x->at[i] - 1];
        if (qd_str_eq(m->key, key)) return &m->value;
    }
    return NULL;
}

qd_iv *qd_iv_get(const qd_iv *map, qd_str key)
{
    if (map->kind != QD_IV_MAP) return NULL;
    if (map->n > INDEX_FROM && map->index && map->index->n == map->n) return by_index(map, key);
    for (uint32_t k = 0; k < map->n; k++) {
        if (qd_str_eq(map->members[k].key, key)) return &map->members[k].value;
    }
    return NULL;
}

qd_iv *qd_iv_put(qd_arena *a, qd_iv *map, qd_str key)
{
    if (map->n > INDEX_FROM && !index_of(a, map)) return NULL;
    qd_iv *there = qd_iv_get(map, key);
    if (there) return there;
    if (map->n == map->cap) {
        uint32_t cap = map->cap ? map->cap * 2 : 8;
        qd_iv_member *now = qd_arena_alloc(a, cap * sizeof *now);
        if (!now) return NULL;
        if (map->n) memcpy(now, map->members, map->n * sizeof *now);
        map->members = now;
        map->cap = cap;
    }
    map->members[map->n] = (qd_iv_member){.key = key};
    map->n++;
    if (map->index && map->index->n + 1 == map->n) index_add(map->index, map);
    return &map->members[map->n - 1].value;
}

bool qd_iv_remove(qd_iv *map, qd_str key)
{
    qd_iv *there = qd_iv_get(map, key);
    if (!there) return false;
    uint32_t k = 0;
    while (&map->members[k].value != there) k++;
    map->n--;
    if (map->index) map->index->n = UINT32_MAX;
    memmove(&map->members[k], &map->members[k + 1], (map->n - k) * sizeof map->members[0]);
    return true;
}

qd_iv *qd_iv_push(qd_arena *a, qd_iv *list)
{
    if (list->n == list->cap) {
        uint32_t cap = list->cap ? list->cap * 2 : 4;
        qd_iv *now = qd_arena_alloc(a, cap * sizeof *now);
        if (!now) return NULL;
        if (list->n) memcpy(now, list->items, list->n * sizeof *now);
        list->items = now;
        list->cap = cap;
    }
    list->items[list->n] = (qd_iv){.kind = QD_IV_NULL};
    return &list->items[list->n++];
}

void qd_iv_cut(qd_iv *list, uint32_t at)
{
    list->n--;
    memmove(&list->items[at], &list->items[at + 1], (list->n - at) * sizeof list->items[0]);
}

/* Recursion ends at the limit, also in trees that processors have made deeper. */
static int copy(qd_arena *a, const qd_iv *from, uint32_t depth, qd_iv *to)
{
    int rc = 0;
    if (depth > QD_IV_DEPTH_MAX) return QD_E_LIMIT;
    *to = *from;
    if (from->kind == QD_IV_LIST) {
        to->cap = from->n;
        to->items = qd_arena_alloc(a, from->n * sizeof *to->items + 1);
        if (!to->items) return QD_E_NOMEM;
        for (uint32_t k = 0; k < from->n && !rc; k++)
            rc = copy(a, &from->items[k], depth + 1, &to->items[k]);
    } else if (from->kind == QD_IV_MAP) {
        to->cap = from->n;
        to->index = NULL;
        to->members = qd_arena_alloc(a, from->n * sizeof *to->members + 1);
        if (!to->members) return QD_E_NOMEM;
        for (uint32_t k = 0; k < from->n && !rc; k++) {
            to->members[k].key = from->members[k].key;
            rc = copy(a, &from->members[k].value, depth + 1, &to->members[k].value);
        }
    }
    return rc;
}

int qd_iv_copy(qd_arena *a, const qd_iv *from, qd_iv *to, qd_err *err)
{
    int rc = copy(a, from, 0, to);
    if (rc == QD_E_LIMIT) return too_deep(err);
    return rc ? qd_err_nomem(err, "value of a pipeline") : 0;
}

/* The copy's text becomes the arena's. */
static bool own(qd_arena *a, qd_iv *v)
{
    bool text = v->kind == QD_IV_STR || v->kind == QD_IV_BIG || v->kind == QD_IV_FLOAT ||
                v->kind == QD_IV_DOUBLE;
    if (text && v->s.n) v->s = qd_arena_str(a, v->s);
    if (text) return v->s.p || !v->s.n;
    for (uint32_t k = 0; v->kind == QD_IV_LIST && k < v->n; k++) {
        if (!own(a, &v->items[k])) return false;
    }
    for (uint32_t k = 0; v->kind == QD_IV_MAP && k < v->n; k++) {
        v->members[k].key = qd_arena_str(a, v->members[k].key);
        if (!v->members[k].key.p || !own(a, &v->members[k].value)) return false;
    }
    return true;
}

int qdi_iv_own(qd_arena *a, const qd_iv *from, qd_iv *to, qd_err *err)
{
    int rc = qd_iv_copy(a, from, to, err);
    if (!rc && !own(a, to)) rc = qd_err_nomem(err, "value of a pipeline");
    return rc;
}

int qd_iv_check(const qd_iv *v, qd_err *err)
{
    return deeper(v, 0) ? too_deep(err) : 0;
}

static bool equal(const qd_iv *a, const qd_iv *b, uint32_t depth);

static bool equal_children(const qd_iv *a, const qd_iv *b, uint32_t depth)
{
    if (a->n != b->n || depth > QD_IV_DEPTH_MAX) return false;
    for (uint32_t k = 0; k < a->n; k++) {
        const qd_iv *other = a->kind == QD_IV_LIST ? &b->items[k] : qd_iv_get(b, a->members[k].key);
        if (!other) return false;
        if (!equal(a->kind == QD_IV_LIST ? &a->items[k] : &a->members[k].value, other, depth))
            return false;
    }
    return true;
}

static bool equal(const qd_iv *a, const qd_iv *b, uint32_t depth)
{
    double x, y;
    if (a->kind != b->kind) return false;
    switch ((qd_iv_kind)a->kind) {
    case QD_IV_NULL:
        return true;
    case QD_IV_BOOL:
        return a->truth == b->truth;
    case QD_IV_LONG:
        return a->i == b->i;
    case QD_IV_FLOAT:
    case QD_IV_DOUBLE:
        return qd_iv_number(a, &x) && qd_iv_number(b, &y) && x == y;
    case QD_IV_BIG:
    case QD_IV_STR:
        return qd_str_eq(a->s, b->s);
    default:
        return equal_children(a, b, depth + 1);
    }
}

bool qd_iv_equal(const qd_iv *a, const qd_iv *b)
{
    return equal(a, b, 0);
}

const char *qd_iv_class(const qd_iv *v)
{
    static const char *const names[] = {
        [QD_IV_NULL] = "null",
        [QD_IV_BOOL] = "java.lang.Boolean",
        [QD_IV_LONG] = "java.lang.Long",
        [QD_IV_BIG] = "java.math.BigInteger",
        [QD_IV_FLOAT] = "java.lang.Float",
        [QD_IV_DOUBLE] = "java.lang.Double",
        [QD_IV_STR] = "java.lang.String",
        [QD_IV_LIST] = "java.util.ArrayList",
        [QD_IV_MAP] = "java.util.HashMap",
    };
    if (v->kind == QD_IV_LONG && v->i >= INT32_MIN && v->i <= INT32_MAX) return "java.lang.Integer";
    return names[v->kind];
}

qd_iv qd_iv_double(qd_arena *a, double v)
{
    char text[QD_F64_TEXT_MAX];
    size_t n = qd_f64_print(text, v);
    qd_str s = qd_arena_str(a, (qd_str){text, n});
    return s.p ? (qd_iv){.kind = QD_IV_DOUBLE, .s = s} : (qd_iv){.kind = QD_IV_NULL};
}

bool qd_iv_number(const qd_iv *v, double *out)
{
    *out = 0;
    if (v->kind == QD_IV_LONG) {
        *out = (double)v->i;
        return true;
    }
    if (v->kind != QD_IV_BIG && v->kind != QD_IV_FLOAT && v->kind != QD_IV_DOUBLE) return false;
    int rc = qd_f64_parse(v->s, out);
    return rc == 0 || rc == QD_E_LIMIT;
}

static void text_into(const qd_iv *v, uint32_t depth, qd_buf *b)
{
    char text[QD_F64_TEXT_MAX];
    double d;
    if (qd_buf_status(b)) return;
    switch ((qd_iv_kind)v->kind) {
    case QD_IV_NULL:
        (void)qd_buf_c(b, "null");
        break;
    case QD_IV_BOOL:
        (void)qd_buf_c(b, v->truth ? "true" : "false");
        break;
    case QD_IV_LONG:
        (void)qd_buf_add(b, text, qd_i64_print(text, v->i));
        break;
    case QD_IV_DOUBLE:
        (void)qd_iv_number(v, &d);
        (void)qd_buf_add(b, text, qd_f64_print(text, d));
        break;
    case QD_IV_BIG:
    case QD_IV_FLOAT:
    case QD_IV_STR:
        (void)qd_buf_str(b, v->s);
        break;
    case QD_IV_LIST:
    case QD_IV_MAP:
        (void)qd_buf_char(b, v->kind == QD_IV_LIST ? '[' : '{');
        for (uint32_t k = 0; k < v->n; k++) {
            if (k) (void)qd_buf_c(b, ", ");
            if (v->kind == QD_IV_MAP) {
                (void)qd_buf_str(b, v->members[k].key);
                (void)qd_buf_char(b, '=');
            }
            if (depth < QD_IV_DEPTH_MAX)
                text_into(v->kind == QD_IV_LIST ? &v->items[k] : &v->members[k].value, depth + 1,
                          b);
        }
        (void)qd_buf_char(b, v->kind == QD_IV_LIST ? ']' : '}');
        break;
    }
}

void qd_iv_print(const qd_iv *v, qd_buf *out)
{
    text_into(v, 0, out);
}

qd_str qd_iv_text(qd_arena *a, const qd_iv *v)
{
    qd_buf b;
    if (v->kind == QD_IV_STR) return v->s.p ? v->s : QD_STR("");
    qd_buf_init(&b, a->account, (size_t)64 << 20);
    qd_iv_print(v, &b);
    qd_str out = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(a, qd_buf_view(&b));
    qd_buf_fini(&b);
    return out;
}
