/* join.c: values by path as one object; and the way back from segments. */
#include "base/str.h"
#include "mapping/synthetic/synthetic_int.h"
#include <stdlib.h>

int qdi_synthetic_add(synthetic_list *l, qd_arena *a, qd_str path, qd_str json, qd_err *err)
{
    if (!path.p || !json.p) return qd_err_nomem(err, "synthetic source");
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? 2 * l->cap : 32;
        synthetic_entry *more = qd_arena_alloc(a, (size_t)cap * sizeof *more);
        if (!more) return qd_err_nomem(err, "synthetic source");
        if (l->n) memcpy(more, l->at, l->n * sizeof *more);
        l->at = more;
        l->cap = cap;
    }
    l->at[l->n] = (synthetic_entry){path, json, l->n};
    l->n++;
    return 0;
}

qd_str qdi_synthetic_path(qd_arena *a, qd_str above, qd_str name)
{
    char *p = qd_arena_bytes(a, above.n + 1 + name.n);
    size_t n = above.n;
    if (!p) return (qd_str){NULL, 0};
    if (n) memcpy(p, above.p, n);
    if (n) p[n++] = SYNTHETIC_STEP;
    if (name.n) memcpy(p + n, name.p, name.n);
    return (qd_str){p, n + name.n};
}

qd_str qdi_synthetic_dots(qd_arena *a, qd_str above, qd_str name)
{
    qd_str path = qdi_synthetic_path(a, above, name);
    char *p = (char *)(uintptr_t)path.p;
    for (size_t i = path.n - name.n; p && i < path.n; i++)
        if (p[i] == '.') p[i] = SYNTHETIC_STEP;
    return path;
}

/* Names in the order of their bytes, level by level: what parts them comes before all. */
static int by_path(const void *x, const void *y)
{
    const synthetic_entry *a = x, *b = y;
    size_t n = a->path.n < b->path.n ? a->path.n : b->path.n, i = 0;
    while (i < n && a->path.p[i] == b->path.p[i]) i++;
    if (i == n && a->path.n == b->path.n) return a->number < b->number ? -1 : 1;
    if (i == n) return a->path.n < b->path.n ? -1 : 1;
    if (a->path.p[i] == SYNTHETIC_STEP || b->path.p[i] == SYNTHETIC_STEP)
        return a->path.p[i] == SYNTHETIC_STEP ? -1 : 1;
    return (uint8_t)a->path.p[i] < (uint8_t)b->path.p[i] ? -1 : 1;
}

/* Bytes of whole names, with the bytes that end them, that two paths begin with. */
static size_t common(qd_str a, qd_str b)
{
    size_t same = 0;
    for (size_t i = 0; i < a.n && i < b.n && a.p[i] == b.p[i]; i++)
        if (a.p[i] == SYNTHETIC_STEP) same = i + 1;
    return same;
}

static uint32_t steps(qd_str s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += s.p[i] == SYNTHETIC_STEP;
    return n;
}

/* Closes the objects of the path before and opens those of this one; the key is written. */
static void turn(qd_json_writer *w, qd_str before, qd_str path)
{
    size_t at = common(before, path);
    for (uint32_t up = steps(qd_str_sub(before, at, before.n)); up; up--) qd_json_object_end(w);
    for (;;) {
        size_t end = at;
        while (end < path.n && path.p[end] != SYNTHETIC_STEP) end++;
        qd_json_key(w, qd_str_sub(path, at, end - at));
        if (end == path.n) return;
        qd_json_object(w);
        at = end + 1;
    }
}

void qdi_synthetic_write(synthetic_list *l, qd_json_writer *w)
{
    qd_str before = {"", 0};
    if (l->n) qsort(l->at, l->n, sizeof *l->at, by_path);
    for (uint32_t i = 0, k; i < l->n; i = k) {
        qd_str path = l->at[i].path;
        for (k = i + 1; k < l->n && qd_str_eq(l->at[k].path, path);) k++;
        turn(w, before, path);
        if (k - i > 1) qd_json_array(w);
        for (uint32_t j = i; j < k; j++) qd_json_raw_bytes(w, l->at[j].json);
        if (k - i > 1) qd_json_array_end(w);
        before = path;
    }
    for (uint32_t up = steps(before); up; up--) qd_json_object_end(w);
}

/* --- from segments -------------------------------------------------------------------------- */

typedef struct joining {
    qd_arena arena;
    synthetic_list list, columns; /* columns: sorted */
    const qd_json_node *others;
    qd_err *err;
} joining;

static bool is_other(const joining *x, qd_str name)
{
    for (const qd_json_node *c = x->others ? x->others->first : NULL; c; c = c->next)
        if (qd_str_eq(c->text, name)) return true;
    return false;
}

static int add_column(joining *x, const qd_synthetic_value *v)
{
    qd_buf b;
    qd_json_writer w;
    if (!v->n || is_other(x, v->field->name)) return 0;
    qd_buf_init(&b, x->arena.account, (size_t)1 << 31);
    qd_json_writer_init(&w, &b, false);
    if (v->n > 1) qd_json_array(&w);
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->bytes)
            qd_field_write_bytes(v->field, v->bytes[i], &w);
        else
            qd_field_write(v->field, v->i64[i], NULL, NULL, &w);
    }
    if (v->n > 1) qd_json_array_end(&w);
    qd_str json = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(&x->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    qd_str path = qdi_synthetic_dots(&x->arena, (qd_str){"", 0}, v->field->name);
    return qdi_synthetic_add(&x->columns, &x->arena, path, json, x->err);
}

/* Does a column's path lead through this one? */
static bool leads_on(const joining *x, qd_str path)
{
    uint32_t lo = 0, hi = x->columns.n;
    synthetic_entry key = {.path = path, .number = UINT32_MAX};
    while (lo < hi) { /* the first one behind it */
        uint32_t mid = lo + (hi - lo) / 2;
        if (by_path(&x->columns.at[mid], &key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == x->columns.n) return false;
    qd_str next = x->columns.at[lo].path;
    return next.n > path.n && next.p[path.n] == SYNTHETIC_STEP &&
           memcmp(next.p, path.p, path.n) == 0;
}

/* Members of an object that is stored: of those that columns have a part in, the members. */
static int add_stored(joining *x, const qd_json_node *n, qd_str above)
{
    int rc = 0;
    for (const qd_json_node *c = n->first; c && !rc; c = c->next) {
        if (c == x->others) continue;
        qd_str path = qdi_synthetic_path(&x->arena, above, c->key);
        if (!path.p) return qd_err_nomem(x->err, "synthetic source");
        if (c->type == QD_JSON_T_OBJECT && c->n && leads_on(x, path))
            rc = add_stored(x, c, path); /* no deeper than the mapping */
        else
            rc = qdi_synthetic_add(&x->list, &x->arena, path, c->raw, x->err);
    }
    return rc;
}

int qd_synthetic_join(qd_str stored, const qd_synthetic_value *v, uint32_t n, qd_account *account,
                      qd_buf *out, qd_err *err)
{
    joining x = {.err = err};
    qd_json_node *root = NULL;
    qd_json_writer w;
    qd_arena_init(&x.arena, account, 0);
    int rc = qd_json_parse(&x.arena, stored, QD_JSON_DEPTH_MAX, &root, err);
    if (!rc && root->type != QD_JSON_T_OBJECT)
        rc = qd_err_set(err, QD_E_CORRUPT, "what is stored of a document is no object");
    if (!rc) x.others = qd_json_get(root, SYNTHETIC_OTHERS);
    for (uint32_t i = 0; i < n && !rc; i++) rc = add_column(&x, &v[i]);
    if (!rc && x.columns.n) qsort(x.columns.at, x.columns.n, sizeof *x.columns.at, by_path);
    if (!rc) rc = add_stored(&x, root, (qd_str){"", 0});
    for (uint32_t i = 0; i < x.columns.n && !rc; i++)
        rc = qdi_synthetic_add(&x.list, &x.arena, x.columns.at[i].path, x.columns.at[i].json, err);
    if (!rc) {
        qd_json_writer_init(&w, out, false);
        qd_json_object(&w);
        qdi_synthetic_write(&x.list, &w);
        qd_json_object_end(&w);
        rc = qd_buf_status(out) ? qd_err_nomem(err, "synthetic source") : 0;
    }
    qd_arena_fini(&x.arena);
    return rc;
}
