/*
 * payload.c: delimited_payload: a term ends before its delimiter. What stands behind is read by its
 * encoding, so that a bad number is an error, and left out: postings hold no payloads.
 */
#include "analysis/builtin_int.h"
#include "json/number.h"

enum { FLOATS, INTS, TEXTS };

typedef struct payload {
    qd_part head;
    char delimiter[4];
    uint32_t ndelimiter;
    int encoding;
} payload;

/* Is text a number that the encoding has? */
static bool reads(int encoding, qd_str text)
{
    int64_t i;
    double d;
    if (encoding == TEXTS) return true;
    if (encoding == INTS) return qd_str_i64(text, &i) && i >= INT32_MIN && i <= INT32_MAX;
    return !qd_f64_parse_java(text, &d);
}

static int payload_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const payload *f = (const payload *)p;
    qd_tokens *t = &s->b->t;
    for (size_t i = 0; i < t->n; i++) {
        qd_str term = {qd_term_ptr(s, i), qd_term_len(s, i)};
        const char *at = memmem(term.p, term.n, f->delimiter, f->ndelimiter);
        if (!at) continue;
        qd_str text = qd_str_sub(term, (size_t)(at - term.p) + f->ndelimiter, term.n);
        if (!reads(f->encoding, text))
            return qd_err_set(err, QD_E_ARG, "For input string: \"%.*s\"",
                              (int)(text.n > 200 ? 200 : text.n), text.p);
        t->term[i].to = t->term[i].from + (uint32_t)(at - term.p);
    }
    return 0;
}

static const qd_part_ops payload_ops = {payload_run, qd_part_release, NULL};

int qd_make_delimited_payload(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    qd_str delimiter = qd_conf_str(c, "delimiter", "|");
    qd_str encoding = qd_conf_str(c, "encoding", "float");
    uint32_t cp;
    int is = qd_str_is(encoding, "float")      ? FLOATS
             : qd_str_is(encoding, "int")      ? INTS
             : qd_str_is(encoding, "identity") ? TEXTS
                                               : -1;
    if (is < 0)
        return qd_err_set(err, QD_E_ARG,
                          "encoding [%.*s] of filter [%.*s] is none of float, int and identity",
                          QD_STR_ARG(encoding), QD_STR_ARG(c->name));
    if (!delimiter.n || qd_u8_next(delimiter.p, delimiter.p + delimiter.n, &cp) != delimiter.n)
        return qd_err_set(err, QD_E_ARG, "delimiter must be a one char value");
    int rc = qd_part_alloc(c, sizeof(payload), QD_STAGE_FILTER, &payload_ops, out, err);
    if (rc) return rc;
    payload *f = (payload *)*out;
    memcpy(f->delimiter, delimiter.p, delimiter.n);
    f->ndelimiter = (uint32_t)delimiter.n;
    f->encoding = is;
    return 0;
}
