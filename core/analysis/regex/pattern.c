/*
 * pattern.c: the pattern tokenizer: text between the matches of a pattern, or a group of each
 * match.
 */
#include "analysis/builtin_int.h"
#include "analysis/regex/pattern_int.h"

typedef struct pattern {
    qd_part head;
    qd_regex *re;
    int64_t group; /* -1: split */
} pattern;

int qd_pattern_compile(const qd_part_conf *c, const char *key, const char *def, qd_regex **out,
                       qd_err *err)
{
    uint32_t flags;
    qd_str text = qd_conf_str(c, key, def);
    int rc = qd_regex_flags(qd_conf_str(c, "flags", ""), &flags, err);
    return rc ? rc : qd_regex_compile(text, flags, out, err);
}

uint64_t qd_pattern_budget(size_t n)
{
    return ((uint64_t)n + 1000) * 2000;
}

int qd_pattern_too_long(qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "a pattern takes too many steps over a text");
}

static int emit(qd_analysis *s, uint32_t from, uint32_t to)
{
    qd_tokens *t = &s->b->t;
    if (t->n == s->b->cap[QD_COL_TERM]) {
        int rc = qd_batch_reserve(s, s->b, t->n + 1);
        if (rc) return rc;
    }
    t->term[t->n++] = (qd_span){from, to};
    return 0;
}

static int pattern_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const pattern *f = (const pattern *)p;
    uint32_t ngroups = f->group > 0 ? (uint32_t)f->group + 1 : 1, caps[2 * QD_RE_GROUPS_MAX + 2];
    uint64_t budget = qd_pattern_budget(s->nsrc);
    size_t from = 0;
    uint32_t index = 0; /* end of the last match */
    int rc = qd_text_from_source(s), found = 0;
    if (!rc) rc = qd_work_reserve(s, qd_regex_work(f->re));
    while (!rc && from <= s->nsrc) {
        found =
            qd_regex_find(f->re, s->work, (qd_str){s->src, s->nsrc}, from, ngroups, caps, &budget);
        if (found < 0) return qd_pattern_too_long(err);
        if (!found) break;
        if (f->group >= 0) {
            uint32_t a = caps[2 * f->group], b = caps[2 * f->group + 1];
            if (a != UINT32_MAX && b != UINT32_MAX && b > a) rc = emit(s, a, b);
        } else {
            if (caps[0] > index) rc = emit(s, index, caps[0]);
            index = caps[1];
        }
        from = caps[1];
        if (caps[0] == caps[1]) { /* an empty match: the next search begins behind one character */
            uint32_t cp;
            from += from < s->nsrc ? qd_u8_next(s->src + from, s->src + s->nsrc, &cp) : 1;
        }
    }
    if (!rc && f->group < 0 && s->nsrc > index) rc = emit(s, index, (uint32_t)s->nsrc);
    return rc ? rc : qd_tokenized(s, QD_TOKEN_WORD);
}

static void pattern_free(qd_part *p)
{
    qd_regex_free(((pattern *)p)->re);
    qd_part_release(p);
}

static const qd_part_ops ops = {pattern_run, pattern_free, NULL};

int qd_make_pattern_tokenizer(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    qd_regex *re;
    int64_t group;
    int rc = qd_conf_int(c, "group", -1, &group, err);
    if (!rc) rc = qd_pattern_compile(c, "pattern", "\\W+", &re, err);
    if (rc) return rc;
    if (group > (int64_t)qd_regex_groups(re)) {
        rc = qd_err_set(err, QD_E_ARG,
                        "invalid group specified: pattern only has: %u capturing groups",
                        qd_regex_groups(re));
        qd_regex_free(re);
        return rc;
    }
    if ((rc = qd_part_alloc(c, sizeof(pattern), QD_STAGE_TOKENIZER, &ops, out, err))) {
        qd_regex_free(re);
        return rc;
    }
    ((pattern *)*out)->re = re;
    ((pattern *)*out)->group = group < 0 ? -1 : group;
    return 0;
}
