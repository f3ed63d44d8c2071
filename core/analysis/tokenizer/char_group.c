/*
 * char_group.c: terms between the characters of a set; cut at max_token_length UTF-16 units.
 */
#include "analysis/builtin_int.h"

typedef struct char_group {
    qd_part head;
    uint32_t max_units, classes; /* general categories that part */
    bool space;                  /* … and Java's white space */
    uint64_t ascii[2];           /* code points below 128 that part, by all of these rules */
    uint32_t *chars;             /* others; owned */
    size_t nchars;
} char_group;

static bool parts(const char_group *g, uint32_t cp)
{
    if (g->classes >> qd_char_gc(cp) & 1 || (g->space && qd_char_space(cp))) return true;
    for (size_t i = 0; i < g->nchars; i++)
        if (g->chars[i] == cp) return true;
    return false;
}

static int put(qd_analysis *s, uint32_t from, uint32_t to)
{
    qd_tokens *t = &s->b->t;
    if (t->n == s->b->cap[QD_COL_TERM] && qd_batch_reserve(s, s->b, t->n + 1)) return QD_E_NOMEM;
    t->term[t->n++] = (qd_span){from, to};
    return 0;
}

static int group_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const char_group *g = (const char_group *)p;
    int rc = qd_text_from_source(s);
    const char *base = s->src, *end = base + s->nsrc;
    uint32_t start = 0, units = 0;
    for (const char *q = base; !rc && q < end;) {
        uint32_t cp, len = qd_u8_next(q, end, &cp), at = (uint32_t)(q - base);
        bool out = cp < 128 ? g->ascii[cp >> 6] >> (cp & 63) & 1 : parts(g, cp);
        q += len;
        if (!out) {
            if (!units) start = at;
            units += 1 + (cp > 0xFFFF);
            if (units < g->max_units) continue;
            at += len;
        }
        if (units) rc = put(s, start, at);
        units = 0;
    }
    if (!rc && units) rc = put(s, start, (uint32_t)s->nsrc);
    return rc ? rc : qd_tokenized(s, QD_TOKEN_WORD);
}

static void group_free(qd_part *p)
{
    qd_free(((char_group *)p)->chars);
    qd_part_release(p);
}

static const qd_part_ops group_ops = {group_run, group_free, NULL};

/* \n and its like, \uXXXX; 0: none of them. */
static uint32_t escaped(qd_str s)
{
    static const char names[] = "ntrbf\\", values[] = "\n\t\r\b\f\\";
    uint32_t cp = 0;
    if (s.n < 2 || s.p[0] != '\\') return 0;
    const char *at = s.n == 2 && s.p[1] ? strchr(names, s.p[1]) : NULL;
    if (at) return (unsigned char)values[at - names];
    if (s.n != 6 || s.p[1] != 'u') return 0;
    for (size_t i = 2; i < 6; i++) {
        char c = s.p[i];
        int d = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                     : -1;
        if (d < 0) return 0;
        cp = cp * 16 + (uint32_t)d;
    }
    return cp;
}

static int char_add(char_group *g, qd_str name, qd_err *err)
{
    static const struct {
        const char *name;
        uint32_t classes;
    } known[] = {
        {"letter", QD_GC_LETTER},
        {"digit", QD_GC_BIT(QD_GC_ND)},
        {"whitespace", 0},
        {"punctuation", QD_GC_PUNCT},
        {"symbol", QD_GC_BIT(QD_GC_SM) | QD_GC_BIT(QD_GC_SC) | QD_GC_BIT(QD_GC_SO)},
    };
    uint32_t cp = 0;
    if (!name.n)
        return qd_err_set(err, QD_E_ARG, "[tokenize_on_chars] cannot contain empty characters");
    bool one = qd_u8_next(name.p, name.p + name.n, &cp) == name.n;
    if (!one) cp = escaped(name);
    if (!one && !cp) {
        size_t i = 0;
        while (i < QD_COUNT_OF(known) && !qd_str_is(name, known[i].name)) i++;
        if (i == QD_COUNT_OF(known))
            return qd_err_set(err, QD_E_ARG, "Invalid escaped char in [%.*s]", QD_STR_ARG(name));
        g->classes |= known[i].classes;
        g->space |= i == 2;
        return 0;
    }
    uint32_t *more = qd_realloc(NULL, g->chars, (g->nchars + 1) * sizeof *more);
    if (!more) return qd_err_nomem(err, "tokenize_on_chars");
    g->chars = more;
    g->chars[g->nchars++] = cp;
    return 0;
}

int qd_make_char_group(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    enum { CHARS_MAX = 1024 };
    int64_t max;
    qd_str name;
    int rc = qd_conf_int(c, "max_token_length", 255, &max, err);
    if (!rc && (max < 1 || max > 1048576))
        rc = qd_err_set(err, QD_E_ARG,
                        "maxTokenLen must be greater than 0 and less than 1048576 passed: %lld",
                        (long long)max);
    if (!rc) rc = qd_part_alloc(c, sizeof(char_group), QD_STAGE_TOKENIZER, &group_ops, out, err);
    if (rc) return rc;
    char_group *g = (char_group *)*out;
    g->max_units = (uint32_t)max;
    for (size_t k = 0; !rc && qd_conf_list(c, "tokenize_on_chars", k, &name); k++)
        rc = k < CHARS_MAX ? char_add(g, name, err)
                           : qd_err_set(err, QD_E_ARG,
                                        "[tokenize_on_chars] of [%.*s] has more than %d values",
                                        QD_STR_ARG(c->name), CHARS_MAX);
    for (uint32_t cp = 0; cp < 128; cp++)
        if (parts(g, cp)) g->ascii[cp >> 6] |= 1ull << (cp & 63);
    if (rc) group_free(*out);
    return rc;
}
