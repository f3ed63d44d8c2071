/*
 * capture.c: pattern_capture: what the groups of some patterns match in a term, each as a token at
 * the term's position; and keyword_marker by a pattern.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/emit_int.h"
#include "analysis/filter/stop_int.h"
#include "analysis/regex/pattern_int.h"

#define PATTERNS_MAX 32

typedef struct capture {
    qd_part head;
    bool preserve;
    uint32_t n;
    qd_regex *re[PATTERNS_MAX];
} capture;

/* Captures of one pattern in a term, in the order of their matches; `next` is not written yet. */
typedef struct found {
    QD_VEC(qd_span) at;
    size_t next;
} found;

static int search(qd_analysis *s, const qd_regex *re, qd_str term, bool preserve, found *to,
                  uint64_t *budget, qd_err *err)
{
    uint32_t caps[2 * QD_RE_GROUPS_MAX + 2], groups = qd_regex_groups(re) + 1, cp;
    int rc = qd_work_reserve(s, qd_regex_work(re));
    to->at.n = to->next = 0;
    for (size_t from = 0; !rc && from <= term.n;) {
        int is = qd_regex_find(re, s->work, term, from, groups, caps, budget);
        if (is < 0) return qd_pattern_too_long(err);
        if (!is) break;
        for (uint32_t g = 1; !rc && g < groups; g++) {
            qd_span x = {caps[2 * g], caps[2 * g + 1]};
            bool whole = x.from == 0 && x.to == term.n;
            if (x.from == UINT32_MAX || x.from == x.to || (preserve && whole)) continue;
            rc = qd_vec_push(&to->at, &s->account, x);
        }
        from = caps[1];
        if (caps[0] == caps[1])
            from += from < term.n ? qd_u8_next(term.p + from, term.p + term.n, &cp) : 1;
    }
    return rc;
}

/* The pattern whose next capture begins first, and ends first among those; -1: none is left. */
static int first_of(const found *all, uint32_t n)
{
    int best = -1;
    qd_span least = {0, 0};
    for (uint32_t i = 0; i < n; i++) {
        if (all[i].next == all[i].at.n) continue;
        qd_span x = all[i].at.at[all[i].next];
        if (best >= 0 && (x.from > least.from || (x.from == least.from && x.to >= least.to)))
            continue;
        least = x;
        best = (int)i;
    }
    return best;
}

static int token(const capture *f, qd_emit *e, size_t i, found *all, uint64_t *budget, qd_err *err)
{
    qd_analysis *s = e->s;
    qd_span term = s->b->t.term[i];
    qd_str text = {s->text + term.from, term.to - term.from};
    uint32_t inc = qd_tokens_inc(&s->b->t, i);
    int rc = 0, k;
    for (uint32_t p = 0; !rc && p < f->n; p++)
        rc = search(s, f->re[p], text, f->preserve, &all[p], budget, err);
    if (rc) return rc;
    bool first = !f->preserve && first_of(all, f->n) >= 0;
    if (!first) rc = qd_emit_copy(e, i);
    while (!rc && (k = first_of(all, f->n)) >= 0) {
        qd_span x = all[k].at.at[all[k].next++];
        rc = qd_emit_like(e, i, (qd_span){term.from + x.from, term.from + x.to}, first ? inc : 0);
        first = false;
    }
    return rc;
}

static int capture_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const capture *f = (const capture *)p;
    found all[PATTERNS_MAX] = {0};
    qd_emit e;
    uint64_t budget = qd_pattern_budget(s->ntext);
    int rc = qd_emit_begin(&e, s, QD_TOKENS_INC);
    for (size_t i = 0; !rc && i < s->b->t.n; i++) rc = token(f, &e, i, all, &budget, err);
    for (size_t i = 0; i < PATTERNS_MAX; i++) qd_vec_fini(&all[i].at);
    return rc ? rc : qd_emit_end(&e);
}

static void capture_free(qd_part *p)
{
    capture *f = (capture *)p;
    for (uint32_t i = 0; i < f->n; i++) qd_regex_free(f->re[i]);
    qd_part_release(p);
}

static const qd_part_ops capture_ops = {capture_run, capture_free, NULL};

int qd_make_pattern_capture(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    bool preserve;
    qd_str pattern;
    const qd_analysis_setting *set = qd_conf_find(c, "patterns");
    if (!set || !set->nvalues)
        return qd_err_set(err, QD_E_ARG,
                          "required setting 'patterns' is missing for token filter [%.*s]",
                          QD_STR_ARG(c->name));
    if (set->nvalues > PATTERNS_MAX)
        return qd_err_set(err, QD_E_ARG, "token filter [%.*s] has more than %d patterns",
                          QD_STR_ARG(c->name), PATTERNS_MAX);
    int rc = qd_conf_bool(c, "preserve_original", true, &preserve, err);
    if (!rc) rc = qd_part_alloc(c, sizeof(capture), QD_STAGE_FILTER, &capture_ops, out, err);
    if (rc) return rc;
    capture *f = (capture *)*out;
    f->preserve = preserve;
    f->head.no_synonyms = true;
    for (size_t k = 0; !rc && k < set->nvalues; k++) {
        pattern = set->values[k];
        rc = qd_regex_compile(pattern, 0, &f->re[f->n], err);
        if (!rc) f->n++;
    }
    if (rc) capture_free(*out);
    return rc;
}

/* --- keyword_marker --- */

/* Marks terms that the pattern matches as a whole. */
static int mark_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const capture *f = (const capture *)p;
    qd_tokens *t = &s->b->t;
    uint64_t budget = qd_pattern_budget(s->ntext);
    int rc = qd_batch_need(s, s->b, QD_TOKENS_KEYWORD);
    if (!rc) rc = qd_work_reserve(s, qd_regex_work(f->re[0]));
    for (size_t i = 0; !rc && i < t->n; i++) {
        uint32_t caps[2];
        qd_str term = {qd_term_ptr(s, i), qd_term_len(s, i)};
        int is = qd_regex_find(f->re[0], s->work, term, 0, 1, caps, &budget);
        if (is < 0) return qd_pattern_too_long(err);
        if (is) t->keyword[i] = 1;
    }
    return rc;
}

static const qd_part_ops mark_ops = {mark_run, capture_free, NULL};

int qd_words_pattern(const qd_part_conf *c, const char *key, qd_part **out, qd_err *err)
{
    qd_str pattern = qd_conf_str(c, key, "");
    qd_buf whole;
    qd_buf_init(&whole, NULL, 8192);
    (void)qd_buf_printf(&whole, "\\A(?:%.*s)\\z", QD_STR_ARG(pattern));
    int rc = qd_part_alloc(c, sizeof(capture), QD_STAGE_FILTER, &mark_ops, out, err);
    if (!rc) {
        capture *f = (capture *)*out;
        rc = qd_buf_status(&whole) ? qd_err_set(err, QD_E_ARG, "%s of filter [%.*s] is too long",
                                                key, QD_STR_ARG(c->name))
                                   : qd_regex_compile(qd_buf_view(&whole), 0, &f->re[0], err);
        f->n = rc ? 0 : 1;
        f->head.keywords = true;
        if (rc) capture_free(*out);
    }
    qd_buf_fini(&whole);
    return rc;
}
