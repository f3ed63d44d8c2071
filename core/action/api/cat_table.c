/* cat_table.c: printing of _cat's tables. See cat_table.h. */
#include "action/api/cat_table.h"
#include "base/str.h"
#include "base/utf8.h"
#include "config/value.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void qdi_cat_init(cat_table *t, qd_request *q)
{
    memset(t, 0, sizeof *t);
    t->q = q;
}

void qdi_cat_column(cat_table *t, const char *name, const char *aliases, uint32_t flags,
                    const char *meaning)
{
    cat_column c = {name, aliases, meaning, flags};
    if (qd_vec_push(&t->columns, NULL, c)) t->failed = QD_E_NOMEM;
}

void qdi_cat_columns(cat_table *t, const cat_column *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        qdi_cat_column(t, c[i].name, c[i].aliases, c[i].flags, c[i].meaning);
    }
}

static void push(cat_table *t, cat_cell c)
{
    if (qd_vec_push(&t->cells, NULL, c)) t->failed = QD_E_NOMEM;
}

void qdi_cat_str(cat_table *t, qd_str s)
{
    cat_cell c = {.kind = CAT_TEXT, .text = qd_arena_str(t->q->arena, s)};
    if (s.n && !c.text.p) t->failed = QD_E_NOMEM;
    push(t, c);
}

void qdi_cat_c(cat_table *t, const char *s)
{
    qdi_cat_str(t, qd_str_c(s));
}

void qdi_cat_printf(cat_table *t, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    qdi_cat_c(t, text);
}

void qdi_cat_int(cat_table *t, int64_t v)
{
    push(t, (cat_cell){.kind = CAT_NUMBER, .number = v});
}

void qdi_cat_bytes(cat_table *t, int64_t bytes)
{
    push(t, (cat_cell){.kind = CAT_BYTES, .number = bytes});
}

void qdi_cat_ns(cat_table *t, int64_t ns)
{
    push(t, (cat_cell){.kind = CAT_TIME, .number = ns});
}

void qdi_cat_double(cat_table *t, double v, const char *text)
{
    cat_cell c = {
        .kind = CAT_DOUBLE, .value = v, .text = qd_arena_str(t->q->arena, qd_str_c(text))};
    push(t, c);
}

void qdi_cat_null(cat_table *t)
{
    push(t, (cat_cell){.kind = CAT_NULL});
}

void qdi_cat_fini(cat_table *t)
{
    qd_vec_fini(&t->columns);
    qd_vec_fini(&t->cells);
}

/* --- cells as text --- */

static bool truth(const qd_request *q, const char *key)
{
    return qd_param_has(q, key) && !qd_str_is(qd_param(q, key), "false");
}

/* Bytes in a fixed unit ("b", "kb" or "k", ...); false when the unit is unknown. */
static bool in_unit(qd_str unit, int64_t bytes, int64_t *out)
{
    static const char *const units[] = {"b", "kb", "mb", "gb", "tb", "pb"};
    for (size_t i = 0; i < QD_COUNT_OF(units); i++) {
        bool brief = i && unit.n == 1 && unit.p[0] == units[i][0];
        if (qd_str_is(unit, units[i]) || brief) {
            *out = bytes >> (10 * i);
            return true;
        }
    }
    return false;
}

static bool in_time_unit(qd_str unit, int64_t ns, int64_t *out)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {{"nanos", 1},       {"micros", 1000},     {"ms", 1000000},      {"s", 1000000000},
                 {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000}};
    for (size_t i = 0; i < QD_COUNT_OF(units); i++) {
        if (!qd_str_is(unit, units[i].unit)) continue;
        *out = ns / units[i].ns;
        return true;
    }
    return false;
}

/* A cell as it is shown; {NULL, 0} for nothing. */
static qd_str render(const cat_table *t, const cat_cell *c)
{
    char text[32];
    int64_t n = c->number;
    switch (c->kind) {
    case CAT_NULL:
        return (qd_str){NULL, 0};
    case CAT_TEXT:
    case CAT_DOUBLE:
        return c->text.p ? c->text : (qd_str){"", 0};
    case CAT_BYTES:
        if (!in_unit(qd_param(t->q, "bytes"), c->number, &n)) {
            return qd_arena_str(t->q->arena, qd_str_c(qd_bytes_text(n, text)));
        }
        break;
    case CAT_TIME:
        if (!in_time_unit(qd_param(t->q, "time"), c->number, &n)) {
            int64_t ms = n / 1000000 * 1000000; /* Elasticsearch counts milliseconds here */
            return qd_arena_str(t->q->arena, qd_str_c(qd_time_text(ms, text)));
        }
        break;
    case CAT_NUMBER:
        break;
    }
    return qd_arena_printf(t->q->arena, "%lld", (long long)n);
}

/* Width as Java counts it: UTF-16 units. */
static size_t width_of(qd_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        n += (c & 0xC0) != 0x80;
        n += c >= 0xF0;
    }
    return n;
}

/* --- which columns --- */

typedef struct shown {
    size_t column;
    qd_str display;
    size_t width;
} shown;

typedef QD_VEC(shown) shown_list;

static bool has_alias(const cat_column *c, qd_str name, bool pattern)
{
    for (qd_str rest = qd_str_c(c->aliases); rest.n;) {
        qd_str one = qd_str_split(&rest, ',');
        if (pattern ? qd_pattern_match(name, one) : qd_str_eq(one, name)) return true;
        if (!rest.p) break;
    }
    return false;
}

/* Column by name, else by alias; a later column takes an alias from an earlier one. */
static ptrdiff_t find_column(const cat_table *t, qd_str name)
{
    ptrdiff_t by_alias = -1;
    for (size_t i = 0; i < t->columns.n; i++) {
        if (qd_str_is(name, t->columns.at[i].name)) return (ptrdiff_t)i;
        if (has_alias(&t->columns.at[i], name, false)) by_alias = (ptrdiff_t)i;
    }
    return by_alias;
}

static int show(shown_list *list, size_t column, qd_str display)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].column == column && qd_str_eq(list->at[i].display, display)) return 0;
    }
    shown s = {.column = column, .display = display};
    return qd_vec_push(list, NULL, s) ? QD_E_NOMEM : 0;
}

/* A column asked for by name or alias, under the name that was used, and its sibling. */
static int show_named(const cat_table *t, shown_list *list, qd_str name)
{
    ptrdiff_t at = find_column(t, name);
    if (at < 0) return 0; /* unknown columns are left out */
    int rc = show(list, (size_t)at, name);
    if (!rc && (t->columns.at[at].flags & CAT_PRI) && truth(t->q, "pri")) {
        qd_str sibling = qd_arena_printf(t->q->arena, "pri.%s", t->columns.at[at].name);
        qd_str display = qd_arena_printf(t->q->arena, "pri.%.*s", QD_STR_ARG(name));
        ptrdiff_t other = find_column(t, sibling);
        if (other >= 0) rc = show(list, (size_t)other, display);
    }
    return rc;
}

static int choose(const cat_table *t, shown_list *list)
{
    int rc = 0;
    if (!qd_param_has(t->q, "h")) {
        for (size_t i = 0; i < t->columns.n && !rc; i++) {
            const cat_column *c = &t->columns.at[i];
            if (!(c->flags & CAT_OFF)) rc = show(list, i, qd_str_c(c->name));
        }
        return rc;
    }
    for (qd_str rest = qd_param(t->q, "h"); rest.p && !rc;) {
        qd_str one = qd_str_trim(qd_str_split(&rest, ','));
        if (qd_str_find(one, '*') < 0) {
            rc = show_named(t, list, one);
            continue;
        }
        for (size_t i = 0; i < t->columns.n && !rc; i++) {
            const cat_column *c = &t->columns.at[i];
            bool hit = qd_pattern_match(one, qd_str_c(c->name)) || has_alias(c, one, true);
            if (hit) rc = show_named(t, list, qd_str_c(c->name));
        }
    }
    return rc;
}

/* --- sorting --- */

typedef struct sort_key {
    size_t column;
    bool descending;
} sort_key;

typedef struct sorting {
    const cat_table *t;
    const sort_key *keys;
    size_t nkeys;
} sorting;

static int compare_text(const cat_table *t, const cat_cell *a, const cat_cell *b)
{
    return qd_str_cmp(render(t, a), render(t, b));
}

static int compare_cells(const cat_table *t, const cat_cell *a, const cat_cell *b)
{
    if (a->kind == CAT_NULL || b->kind == CAT_NULL) {
        return (a->kind != CAT_NULL) - (b->kind != CAT_NULL);
    }
    if (a->kind != b->kind || a->kind == CAT_TEXT) return compare_text(t, a, b);
    if (a->kind == CAT_DOUBLE) return (a->value > b->value) - (a->value < b->value);
    return (a->number > b->number) - (a->number < b->number);
}

static int compare_rows(const void *x, const void *y, void *arg)
{
    const sorting *s = arg;
    size_t a = *(const size_t *)x, b = *(const size_t *)y, n = s->t->columns.n;
    for (size_t k = 0; k < s->nkeys; k++) {
        size_t column = s->keys[k].column;
        int c =
            compare_cells(s->t, &s->t->cells.at[a * n + column], &s->t->cells.at[b * n + column]);
        if (c) return s->keys[k].descending ? -c : c;
    }
    return (a > b) - (a < b);
}

static int parse_sort(const cat_table *t, sort_key *keys, size_t *nkeys, qd_err *err)
{
    for (qd_str rest = qd_param(t->q, "s"); rest.n && *nkeys < 32;) {
        qd_str one = qd_str_trim(qd_str_split(&rest, ','));
        bool down = qd_str_ends(one, QD_STR(":desc"));
        if (down) one.n -= 5;
        if (qd_str_ends(one, QD_STR(":asc"))) one.n -= 4;
        ptrdiff_t at = find_column(t, one);
        if (at < 0) {
            int rc = qd_err_set(err, QD_E_ARG, "Unable to sort by unknown sort key `%.*s`",
                                QD_STR_ARG(one));
            qd_err_type(err, "unsupported_operation_exception", 500);
            return rc;
        }
        keys[(*nkeys)++] = (sort_key){(size_t)at, down};
        if (!rest.p) break;
    }
    return 0;
}

/* Numbers of the rows in the order asked for, in the arena. */
static int row_order(const cat_table *t, size_t rows, size_t **out, qd_err *err)
{
    sort_key keys[32];
    sorting s = {t, keys, 0};
    *out = qd_arena_alloc(t->q->arena, (rows + 1) * sizeof **out);
    if (!*out) return qd_err_nomem(err, "rows");
    for (size_t i = 0; i < rows; i++) (*out)[i] = i;
    int rc = parse_sort(t, keys, &s.nkeys, err);
    if (!rc && s.nkeys) qsort_r(*out, rows, sizeof **out, compare_rows, &s);
    return rc;
}

/* --- printing --- */

static void spaces(qd_buf *out, size_t n)
{
    for (size_t i = 0; i < n; i++) (void)qd_buf_char(out, ' ');
}

static void pad(qd_buf *out, qd_str s, size_t width, bool right, bool last)
{
    size_t n = width_of(s), left = width > n ? width - n : 0;
    if (right) spaces(out, left);
    (void)qd_buf_str(out, s);
    if (!right && !last) spaces(out, left);
}

static void print_text(const cat_table *t, const shown_list *list, const size_t *order, size_t rows,
                       const qd_str *text, qd_buf *out)
{
    size_t n = list->n;
    if (truth(t->q, "v")) {
        for (size_t k = 0; k < n; k++) {
            const shown *s = &list->at[k];
            pad(out, s->display, s->width, t->columns.at[s->column].flags & CAT_RIGHT, k == n - 1);
            if (k < n - 1) (void)qd_buf_char(out, ' ');
        }
        (void)qd_buf_char(out, '\n');
    }
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < n; k++) {
            const shown *s = &list->at[k];
            pad(out, text[order[i] * n + k], s->width, t->columns.at[s->column].flags & CAT_RIGHT,
                k == n - 1);
            if (k < n - 1) (void)qd_buf_char(out, ' ');
        }
        (void)qd_buf_char(out, '\n');
    }
}

static void print_json(const shown_list *list, const size_t *order, size_t rows, const qd_str *text,
                       qd_json_writer *w)
{
    qd_json_array(w);
    for (size_t i = 0; i < rows; i++) {
        qd_json_object(w);
        for (size_t k = 0; k < list->n; k++) {
            qd_str s = text[order[i] * list->n + k];
            qd_json_key(w, list->at[k].display);
            if (s.p) {
                qd_json_str(w, s);
            } else {
                qd_json_null(w);
            }
        }
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
}

/* Is the table wanted as JSON (or YAML, which is made from it)? */
static bool as_json(const qd_request *q)
{
    qd_str format = qd_param(q, "format");
    if (format.n) return !qd_str_is(format, "text") && !qd_str_is(format, "txt");
    return q->accept == QD_FORMAT_JSON || q->accept == QD_FORMAT_YAML;
}

static int print(cat_table *t, shown_list *list, qd_response *r, qd_err *err)
{
    size_t *order, columns = t->columns.n, rows = columns ? t->cells.n / columns : 0;
    qd_assert(rows * columns == t->cells.n);
    qd_str *text = qd_arena_alloc(t->q->arena, (rows * list->n + 1) * sizeof *text);
    if (!text) return qd_err_nomem(err, "table");
    int rc = row_order(t, rows, &order, err);
    if (rc) return rc;
    for (size_t k = 0; k < list->n; k++) {
        shown *s = &list->at[k];
        s->width = truth(t->q, "v") ? width_of(s->display) : 0;
        for (size_t i = 0; i < rows; i++) {
            qd_str one = render(t, &t->cells.at[i * columns + s->column]);
            size_t width = width_of(one);
            text[i * list->n + k] = one;
            if (width > s->width) s->width = width;
        }
    }
    if (as_json(t->q)) {
        print_json(list, order, rows, text, &r->w);
    } else {
        r->format = QD_FORMAT_TEXT;
        print_text(t, list, order, rows, text, r->out);
    }
    return 0;
}

int qdi_cat_end(cat_table *t, qd_response *r, qd_err *err)
{
    shown_list list = {0};
    int rc = t->failed ? t->failed : choose(t, &list);
    rc = rc ? qd_err_nomem(err, "table") : print(t, &list, r, err);
    qd_vec_fini(&list);
    qdi_cat_fini(t);
    return rc;
}

bool qdi_cat_help(cat_table *t, qd_response *r)
{
    size_t widths[3] = {0};
    if (!truth(t->q, "help")) return false;
    for (int print_it = 0; print_it < 2; print_it++) {
        for (size_t i = 0; i < t->columns.n; i++) {
            const cat_column *c = &t->columns.at[i];
            if (c->flags & CAT_OWN) continue;
            const char *parts[] = {c->name, c->aliases ? c->aliases : "",
                                   c->meaning ? c->meaning : "not available"};
            for (size_t k = 0; k < 3; k++) {
                size_t width = width_of(qd_str_c(parts[k]));
                if (!print_it && width > widths[k]) widths[k] = width;
                if (!print_it) continue;
                pad(r->out, qd_str_c(parts[k]), widths[k], false, false);
                (void)qd_buf_c(r->out, k < 2 ? " | " : "\n");
            }
        }
    }
    r->format = QD_FORMAT_TEXT;
    qdi_cat_fini(t);
    return true;
}

bool qdi_cat_begin(cat_table *t, qd_request *q, const cat_column *c, size_t n, qd_response *r)
{
    qdi_cat_init(t, q);
    qdi_cat_columns(t, c, n);
    return qdi_cat_help(t, r);
}
