/* gsub.c: the processor gsub: what a regular expression matches becomes another text. */
#include "base/utf8.h"
#include "ingest/ingest_int.h"
#include <stdio.h>

typedef struct piece {
    qd_str text;
    bool group;
    uint32_t number;
} piece;
typedef struct replacing {
    qdi_strings strings;
    qdi_regex *pattern;
    piece *at;
    uint32_t n;
} replacing;

/* The group that "$" names: digits as long as there is such a group, or {name}. */
static int group_of(qdi_build *b, const replacing *c, qd_str s, size_t *at, uint32_t *out,
                    qd_err *err)
{
    char name[64];
    size_t k = *at + 1;
    if (k < s.n && s.p[k] == '{') {
        ptrdiff_t end = qd_str_find(qd_str_sub(s, k, s.n), '}');
        if (end > 1 && (size_t)end < sizeof name) {
            memcpy(name, s.p + k + 1, (size_t)end - 1);
            name[end - 1] = 0;
            *out = qdi_regex_group(c->pattern, name);
            *at = k + (size_t)end + 1;
            if (*out) return 0;
            return qdi_arg_fail(b, "replacement", err, "No group with name {%s}", name);
        }
    }
    if (k >= s.n || s.p[k] < '0' || s.p[k] > '9')
        return qdi_arg_fail(b, "replacement", err, "Illegal group reference");
    *out = (uint32_t)(s.p[k++] - '0');
    if (*out > qdi_regex_groups(c->pattern))
        return qdi_arg_fail(b, "replacement", err, "No group %u", *out);
    while (k < s.n && s.p[k] >= '0' && s.p[k] <= '9') {
        uint32_t more = *out * 10 + (uint32_t)(s.p[k] - '0');
        if (more > qdi_regex_groups(c->pattern)) break;
        *out = more;
        k++;
    }
    *at = k;
    return 0;
}

/* "a$1\\$" as pieces. */
static int replacement(qdi_build *b, replacing *c, qd_str s, qd_err *err)
{
    size_t k = 0, from = 0;
    c->at = qd_arena_calloc(b->a, (s.n + 2) * sizeof *c->at);
    if (!c->at) return qd_err_nomem(err, "processor");
    while (k < s.n) {
        if (s.p[k] != '$' && s.p[k] != '\\') {
            k++;
            continue;
        }
        if (k > from) c->at[c->n++] = (piece){.text = qd_str_sub(s, from, k - from)};
        if (s.p[k] == '\\') { /* the next stands for itself */
            if (k + 1 >= s.n)
                return qdi_arg_fail(b, "replacement", err, "character to be escaped is missing");
            from = k + 1;
            k += 2;
            continue;
        }
        piece p = {.group = true};
        int rc = group_of(b, c, s, &k, &p.number, err);
        if (rc) return rc;
        c->at[c->n++] = p;
        from = k;
    }
    if (k > from) c->at[c->n++] = (piece){.text = qd_str_sub(s, from, k - from)};
    return 0;
}

static int make(qdi_build *b, void *config, qd_err *err)
{
    replacing *c = config;
    qd_str pattern, with;
    char why[600];
    int rc = qdi_strings_make(b, &c->strings, err);
    if (!rc) rc = qdi_arg_str(b, "pattern", NULL, &pattern, err);
    if (!rc) rc = qdi_arg_str(b, "replacement", NULL, &with, err);
    if (rc) return rc;
    rc = qdi_regex_make(b->a, pattern, QDI_REGEX_JAVA, &c->pattern, err);
    if (rc && rc != QD_E_NOMEM && err) {
        snprintf(why, sizeof why, "%s", qd_err_reason(err));
        qd_err_fini(err);
        return qdi_arg_fail(b, "pattern", err, "Invalid regex pattern. %s", why);
    }
    return rc ? rc : replacement(b, c, with, err);
}

static void put(const replacing *c, qd_buf *out, qd_str text, const size_t *at)
{
    for (uint32_t k = 0; k < c->n; k++) {
        const piece *p = &c->at[k];
        if (!p->group) {
            (void)qd_buf_str(out, p->text);
            continue;
        }
        size_t from = at[2 * p->number];
        if (from != SIZE_MAX) (void)qd_buf_add(out, text.p + from, at[2 * p->number + 1] - from);
    }
}

static int change(const void *config, qd_ingest_run *r, qd_str text, qd_iv *out, qd_err *err)
{
    const replacing *c = config;
    size_t from = 0, search = 0;
    const size_t *at;
    uint32_t cp;
    qd_buf_reset(&r->out);
    while (search <= text.n) {
        int found = qdi_regex_find(c->pattern, &r->regex, text, search, &at, err);
        if (found < 0) return found;
        if (!found) break;
        size_t begin = at[0], end = at[1];
        (void)qd_buf_add(&r->out, text.p + from, begin - from);
        put(c, &r->out, text, at);
        if (qd_buf_status(&r->out)) return qdi_run_nomem(err);
        from = search = end;
        if (end == begin)
            search += end < text.n ? qd_utf8_next(text.p + end, text.p + text.n, &cp) : 1;
    }
    if (from == 0 && !r->out.n) { /* as it was */
        *out = QD_IV_STRING(text);
        return 0;
    }
    (void)qd_buf_add(&r->out, text.p + from, text.n - from);
    if (qd_buf_status(&r->out)) return qdi_run_nomem(err);
    *out = QD_IV_STRING(qd_arena_str(&r->arena, qd_buf_view(&r->out)));
    return out->s.p ? 0 : qdi_run_nomem(err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const replacing *c = config;
    return qdi_strings_run(&c->strings, c, r, change, err);
}

const qdi_processor_type qdi_processor_gsub = {"gsub", sizeof(replacing), .make = make, .run = run};
