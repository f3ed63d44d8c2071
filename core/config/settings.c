/* settings.c: the map of keys to text. See settings.h. */
#include "config/settings.h"
#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include <stdatomic.h>
#include <stdlib.h>

#define SETTINGS_MAGIC 0x51534554u
#define SETTINGS_BYTES_MAX (64u << 20)

struct qd_settings {
    uint32_t magic;
    _Atomic uint32_t refs;
    bool sealed;
    qd_arena arena;
    qd_map map; /* key to qd_setting_value in the arena */
    qd_setting_value **sorted;
    size_t n;
};

int qd_settings_new(qd_account *account, qd_settings **out, qd_err *err)
{
    qd_settings *s = qd_calloc(account, sizeof *s);
    if (!s) return qd_err_nomem(err, "settings");
    s->magic = SETTINGS_MAGIC;
    atomic_init(&s->refs, 1);
    qd_arena_init_small(&s->arena, account, SETTINGS_BYTES_MAX);
    qd_map_init(&s->map, account);
    *out = s;
    return 0;
}

qd_settings *qd_settings_ref(qd_settings *s)
{
    QD_CHECK(s, SETTINGS_MAGIC);
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void qd_settings_unref(qd_settings *s)
{
    if (!s) return;
    QD_CHECK(s, SETTINGS_MAGIC);
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    s->magic = 0;
    qd_map_fini(&s->map);
    qd_arena_fini(&s->arena);
    qd_free(s);
}

/* The value under key, made if it is new, emptied if not. */
static int slot_of(qd_settings *s, qd_str key, qd_setting_value **out, qd_err *err)
{
    QD_CHECK(s, SETTINGS_MAGIC);
    qd_assert(!s->sealed);
    if (key.n == 0 || key.n > QD_SETTINGS_KEY_MAX)
        return qd_err_set(err, QD_E_LIMIT, "a setting's name has %zu bytes, not 1 to %d", key.n,
                          QD_SETTINGS_KEY_MAX);
    qd_setting_value *v = qd_map_get(&s->map, key);
    if (!v) {
        if (s->map.n >= QD_SETTINGS_MAX)
            return qd_err_set(err, QD_E_LIMIT, "more than %d settings", QD_SETTINGS_MAX);
        v = qd_arena_calloc(&s->arena, sizeof *v);
        if (!v) return qd_err_nomem(err, "settings");
        qd_str copy = qd_arena_str(&s->arena, key);
        if (!copy.p || qd_map_put(&s->map, key, v, NULL) != 0) return qd_err_nomem(err, "settings");
        v->key = copy;
    } else {
        *v = (qd_setting_value){.key = v->key};
    }
    *out = v;
    return 0;
}

int qd_settings_put(qd_settings *s, qd_str key, qd_str text, qd_err *err)
{
    qd_setting_value *v;
    qd_str copy = qd_arena_str(&s->arena, text.p ? text : QD_STR(""));
    if (!copy.p) return qd_err_nomem(err, "settings");
    int rc = slot_of(s, key, &v, err);
    if (rc != 0) return rc;
    v->kind = QD_SETTING_TEXT;
    v->text = copy;
    return 0;
}

int qd_settings_put_list(qd_settings *s, qd_str key, const qd_str *items, uint32_t n, qd_err *err)
{
    if (n > QD_SETTINGS_LIST_MAX)
        return qd_err_set(err, QD_E_LIMIT, "[%.*s] has more than %d items", QD_STR_ARG(key),
                          QD_SETTINGS_LIST_MAX);
    qd_str *copy = qd_arena_alloc(&s->arena, (n ? n : 1) * sizeof *copy);
    if (!copy) return qd_err_nomem(err, "settings");
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        copy[i] = qd_arena_str(&s->arena, items[i].p ? items[i] : QD_STR(""));
        if (!copy[i].p) return qd_err_nomem(err, "settings");
        bytes += items[i].n + 1;
    }
    char *joined = qd_arena_bytes(&s->arena, bytes + 1), *at = joined;
    if (!joined) return qd_err_nomem(err, "settings");
    for (uint32_t i = 0; i < n; i++) {
        if (i) *at++ = ',';
        memcpy(at, copy[i].p, copy[i].n);
        at += copy[i].n;
    }
    *at = 0;
    qd_setting_value *v;
    int rc = slot_of(s, key, &v, err);
    if (rc != 0) return rc;
    v->kind = QD_SETTING_LIST;
    v->items = copy;
    v->n = n;
    v->text = (qd_str){joined, (size_t)(at - joined)};
    return 0;
}

int qd_settings_put_null(qd_settings *s, qd_str key, qd_err *err)
{
    qd_setting_value *v;
    return slot_of(s, key, &v, err); /* an emptied value is null */
}

int qd_settings_put_value(qd_settings *s, qd_str key, const qd_setting_value *v, qd_err *err)
{
    qd_setting_value from = *v; /* v may be the slot itself */
    int rc = from.kind == QD_SETTING_NULL   ? qd_settings_put_null(s, key, err)
             : from.kind == QD_SETTING_TEXT ? qd_settings_put(s, key, from.text, err)
                                            : qd_settings_put_list(s, key, from.items, from.n, err);
    if (rc == 0 && from.origin) {
        qd_str origin = qd_arena_str(&s->arena, qd_str_c(from.origin));
        if (!origin.p) return qd_err_nomem(err, "settings");
        qd_settings_origin(s, key, origin.p, from.line);
    }
    return rc;
}

void qd_settings_origin(qd_settings *s, qd_str key, const char *origin, uint32_t line)
{
    qd_setting_value *v = qd_map_get(&s->map, key);
    if (!v) return;
    v->origin = origin;
    v->line = line;
}

void qd_settings_remove(qd_settings *s, qd_str key)
{
    qd_assert(!s->sealed);
    qd_map_del(&s->map, key);
}

int qd_settings_merge(qd_settings *s, const qd_settings *more, qd_err *err)
{
    size_t pos = 0;
    const qd_map_entry *e;
    int rc = 0;
    while (rc == 0 && (e = qd_map_next(&more->map, &pos)))
        rc = qd_settings_put_value(s, e->key, e->value, err);
    return rc;
}

static void remove_below(qd_settings *s, qd_str prefix)
{
    size_t pos = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(&s->map, &pos))) {
        if (qd_str_starts(e->key, prefix)) qd_map_del(&s->map, e->key);
    }
}

int qd_settings_update(qd_settings *s, const qd_settings *more, qd_err *err)
{
    size_t pos = 0;
    const qd_map_entry *e;
    int rc = 0;
    while (rc == 0 && (e = qd_map_next(&more->map, &pos))) {
        const qd_setting_value *v = e->value;
        if (v->kind != QD_SETTING_NULL)
            rc = qd_settings_put_value(s, e->key, v, err);
        else if (qd_str_ends(e->key, QD_STR("*")))
            remove_below(s, qd_str_sub(e->key, 0, e->key.n - 1));
        else
            qd_settings_remove(s, e->key);
    }
    return rc;
}

/* By components: '.' sorts before everything else, so that what stands below a key is together. */
static int compare_keys(qd_str a, qd_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++) {
        unsigned char x = (unsigned char)a.p[i], y = (unsigned char)b.p[i];
        if (x == y) continue;
        if (x == '.') return -1;
        if (y == '.') return 1;
        return x < y ? -1 : 1;
    }
    return a.n < b.n ? -1 : a.n > b.n;
}

static int compare_values(const void *a, const void *b)
{
    return compare_keys((*(qd_setting_value *const *)a)->key, (*(qd_setting_value *const *)b)->key);
}

int qd_settings_seal(qd_settings *s, qd_err *err)
{
    QD_CHECK(s, SETTINGS_MAGIC);
    qd_assert(!s->sealed);
    s->sorted = qd_arena_alloc(&s->arena, (s->map.n ? s->map.n : 1) * sizeof(qd_setting_value *));
    if (!s->sorted) return qd_err_nomem(err, "settings");
    size_t pos = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(&s->map, &pos))) s->sorted[s->n++] = e->value;
    if (s->n) qsort(s->sorted, s->n, sizeof(qd_setting_value *), compare_values);
    s->sealed = true;
    return 0;
}

int qd_settings_prefixed(const qd_settings *s, qd_str prefix, qd_settings **out, qd_err *err)
{
    qd_settings *made;
    int rc = qd_settings_new(s->map.account, &made, err);
    if (rc != 0) return rc;
    qd_buf key;
    qd_buf_init(&key, s->map.account, QD_SETTINGS_KEY_MAX + 1);
    size_t pos = 0;
    const qd_map_entry *e;
    while (rc == 0 && (e = qd_map_next(&s->map, &pos))) {
        qd_buf_reset(&key);
        if (!qd_str_starts(e->key, prefix)) qd_buf_str(&key, prefix);
        qd_buf_str(&key, e->key);
        if (qd_buf_status(&key))
            rc = qd_err_set(err, qd_buf_status(&key), "the name of a setting is too long");
        else
            rc = qd_settings_put_value(made, qd_buf_view(&key), e->value, err);
    }
    qd_buf_fini(&key);
    if (rc == 0) rc = qd_settings_seal(made, err);
    if (rc != 0) {
        qd_settings_unref(made);
        return rc;
    }
    *out = made;
    return 0;
}

size_t qd_settings_count(const qd_settings *s)
{
    return s->map.n;
}

const qd_setting_value *qd_settings_at(const qd_settings *s, size_t i)
{
    qd_assert(s->sealed && i < s->n);
    return s->sorted[i];
}

const qd_setting_value *qd_settings_get(const qd_settings *s, qd_str key)
{
    return qd_map_get(&s->map, key);
}

qd_str qd_settings_text(const qd_settings *s, const char *key)
{
    const qd_setting_value *v = qd_settings_get(s, qd_str_c(key));
    return v && v->kind != QD_SETTING_NULL ? v->text : (qd_str){NULL, 0};
}

size_t qd_settings_group(const qd_settings *s, qd_str prefix, size_t *n)
{
    qd_assert(s->sealed);
    size_t first = 0;
    while (first < s->n && !qd_str_starts(s->sorted[first]->key, prefix)) first++;
    size_t end = first;
    while (end < s->n && qd_str_starts(s->sorted[end]->key, prefix)) end++;
    *n = end - first;
    return first;
}

static bool values_equal(const qd_setting_value *a, const qd_setting_value *b)
{
    if (a->kind != b->kind || a->n != b->n || !qd_str_eq(a->key, b->key)) return false;
    if (!qd_str_eq(a->text, b->text)) return false;
    for (uint32_t i = 0; i < a->n; i++) {
        if (!qd_str_eq(a->items[i], b->items[i])) return false;
    }
    return true;
}

bool qd_settings_equal(const qd_settings *a, const qd_settings *b)
{
    qd_assert(a->sealed && b->sealed);
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        if (!values_equal(a->sorted[i], b->sorted[i])) return false;
    }
    return true;
}
