/*
 * classic.c: the grammar of Lucene's ClassicTokenizer (words, hosts, e-mail addresses, acronyms,
 * numbers) by its scanner's automaton, and the filter `classic` for its types. Terms that are too
 * long are left out with their position.
 */
#include "analysis/builtin_int.h"

/* Code points that a try may pass without a token: bounds the time where an address never comes. */
enum { LOOK_AHEAD = 1024 };

typedef struct classic {
    qd_part head;
    uint32_t max_units;
} classic;

/* Types by the scanner's rules; 0: no token. */
static const uint8_t rule_type[] = {
    [2] = QD_TOKEN_ALPHANUM,    [3] = QD_TOKEN_CJ,         [4] = QD_TOKEN_HOST,
    [5] = QD_TOKEN_NUM,         [6] = QD_TOKEN_APOSTROPHE, [7] = QD_TOKEN_COMPANY,
    [8] = QD_TOKEN_ACRONYM_DEP, [9] = QD_TOKEN_ACRONYM,    [10] = QD_TOKEN_EMAIL,
};

/* The longest match at i: its end and rule, and its UTF-16 units. */
static size_t match(const qd_analysis *s, size_t i, uint32_t *rule, uint32_t *units)
{
    const char *end = s->src + s->nsrc;
    uint32_t state = 0, cp, n = 0, ahead = 0;
    size_t last = 0;
    *rule = 0;
    for (size_t at = i; at < s->nsrc && ahead++ < LOOK_AHEAD;) {
        uint32_t len = qd_u8_next(s->src + at, end, &cp);
        state = qd_classic_next[state * QD_CLASSIC_CLASSES + QD_TABLE_AT(qd_classic_class, cp)];
        if (!state) break;
        at += len;
        n += 1 + (cp > 0xFFFF);
        if (!qd_classic_accept[state]) continue;
        *rule = qd_classic_accept[state];
        *units = n;
        last = at;
        ahead = 0;
    }
    return last ? last : i + qd_u8_next(s->src + i, end, &cp);
}

static int put(qd_analysis *s, size_t from, size_t to, uint8_t type, uint32_t inc)
{
    qd_tokens *t = &s->b->t;
    if (t->n == s->b->cap[QD_COL_TERM] && qd_batch_reserve(s, s->b, t->n + 1)) return QD_E_NOMEM;
    bool dot = type == QD_TOKEN_ACRONYM_DEP; /* the last one is no part of the term */
    t->term[t->n] = (qd_span){(uint32_t)from, (uint32_t)(to - dot)};
    t->type[t->n] = dot ? QD_TOKEN_HOST : type;
    t->inc[t->n] = inc;
    if (t->has & QD_TOKENS_OFFSETS) t->offset[t->n] = (qd_span){(uint32_t)from, (uint32_t)to};
    t->n++;
    return 0;
}

static int classic_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    int rc = qd_text_from_source(s);
    if (!rc) rc = qd_batch_need(s, s->b, QD_TOKENS_TYPE);
    if (!rc) rc = qd_batch_need(s, s->b, QD_TOKENS_INC);
    if (!rc && s->want & QD_ANALYZE_OFFSETS) rc = qd_batch_need(s, s->b, QD_TOKENS_OFFSETS);
    uint32_t inc = 1;
    for (size_t i = 0; !rc && i < s->nsrc;) {
        uint32_t rule, units = 0;
        size_t end = match(s, i, &rule, &units);
        uint8_t type = rule_type[rule];
        if (type && units > ((const classic *)p)->max_units) {
            inc++;
        } else if (type) {
            rc = put(s, i, end, type, inc);
            inc = 1;
        }
        i = end;
    }
    s->b->t.end_inc = inc - 1;
    return rc;
}

static const qd_part_ops classic_ops = {classic_run, qd_part_release, NULL};

int qd_make_classic(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int64_t max;
    int rc = qd_conf_int(c, "max_token_length", 255, &max, err);
    if (rc) return rc;
    if (max < 1) return qd_err_set(err, QD_E_ARG, "maxTokenLength must be greater than zero");
    rc = qd_part_alloc(c, sizeof(classic), QD_STAGE_TOKENIZER, &classic_ops, out, err);
    if (!rc) ((classic *)*out)->max_units = (uint32_t)max;
    return rc;
}

/* --- the filter --- */

static int filter_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    (void)err;
    qd_tokens *t = &s->b->t;
    int rc = qd_text_unshare(s);
    for (size_t i = 0; !rc && i < t->n; i++) {
        uint32_t type = qd_tokens_type(t, i), n = qd_term_len(s, i), k = 0;
        char *w = qd_term_ptr(s, i);
        if (type == QD_TOKEN_APOSTROPHE) {
            if (n >= 2 && w[n - 2] == '\'' && (w[n - 1] | 32) == 's') t->term[i].to -= 2;
        } else if (type == QD_TOKEN_ACRONYM) {
            for (uint32_t j = 0; j < n; j++)
                if (w[j] != '.') w[k++] = w[j];
            t->term[i].to = t->term[i].from + k;
        }
    }
    return rc;
}

int qd_make_classic_filter(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    static const qd_part_ops filter_ops = {filter_run, qd_part_release, NULL};
    int rc = qd_part_alloc(c, sizeof(qd_part), QD_STAGE_FILTER, &filter_ops, out, err);
    if (!rc) (*out)->want = QD_ANALYZE_TYPES;
    return rc;
}
