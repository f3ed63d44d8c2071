/*
 * filters.c: the small filters: trim, reverse, truncate, length, limit, unique, remove_duplicates,
 * keyword_repeat.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/stop_int.h"
#include "base/hash.h"
#include "base/utf8.h"

typedef struct small {
    qd_part head;
    int64_t min, max;
    bool flag;
} small;

/* Java's white space off both ends; offsets stay (Lucene's TrimFilter). */
static int trim_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    (void)err;
    qd_tokens *t = &s->b->t;
    for (size_t i = 0; i < t->n; i++) {
        qd_span *w = &t->term[i];
        uint32_t cp, len;
        while (w->from < w->to) {
            len = qd_u8_next(s->text + w->from, s->text + w->to, &cp);
            if (!qd_char_space(cp)) break;
            w->from += len;
        }
        while (w->from < w->to) {
            uint32_t last = w->to - 1;
            while (last > w->from && !qd_u8_start(s->text[last])) last--;
            (void)qd_u8_next(s->text + last, s->text + w->to, &cp);
            if (!qd_char_space(cp)) break;
            w->to = last;
        }
    }
    return 0;
}

static int reverse_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    (void)err;
    qd_tokens *t = &s->b->t;
    int rc = qd_text_unshare(s);
    for (size_t i = 0; !rc && i < t->n; i++) {
        size_t n = qd_term_len(s, i), at = n;
        if ((rc = qd_work_reserve(s, n))) break;
        const char *q = qd_term_ptr(s, i), *end = q + n;
        while (q < end) {
            uint32_t cp, len = qd_u8_next(q, end, &cp);
            at -= len;
            memcpy((char *)s->work + at, q, len);
            q += len;
        }
        memcpy(qd_term_ptr(s, i), s->work, n);
    }
    return rc;
}

static int truncate_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    qd_tokens *t = &s->b->t;
    int64_t max = ((const small *)p)->max;
    for (size_t i = 0; i < t->n; i++) {
        if ((t->has & QD_TOKENS_KEYWORD) && t->keyword[i]) continue;
        uint32_t at = t->term[i].from, cp;
        for (int64_t units = 0; at < t->term[i].to;) {
            uint32_t len = qd_u8_next(s->text + at, s->text + t->term[i].to, &cp);
            units += 1 + (cp > 0xFFFF);
            if (units > max) break; /* Lucene would leave half a pair; no text can hold one */
            at += len;
        }
        t->term[i].to = at;
    }
    return 0;
}

static int length_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const small *f = (const small *)p;
    qd_drop d;
    qd_drop_begin(&d);
    size_t n = s->b->t.n;
    for (size_t i = 0; i < n; i++) {
        int64_t units = (int64_t)qd_utf8_utf16((qd_str){qd_term_ptr(s, i), qd_term_len(s, i)});
        int rc = 0;
        if (units >= f->min && units <= f->max)
            qd_drop_keep(s, &d, i);
        else
            rc = qd_drop_token(s, &d, i);
        if (rc) return rc;
    }
    qd_drop_end(s, &d);
    return 0;
}

static int limit_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    size_t max = (size_t)((const small *)p)->max;
    if (s->b->t.n > max) s->b->t.n = max;
    return 0;
}

/* Elasticsearch's unique leaves no holes: positions close up. flag: only among tokens of one
 * position (remove_duplicates does that, too). */
static int unique_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    bool same_position = ((const small *)p)->flag;
    qd_tokens *t = &s->b->t;
    size_t slots = 16, n = t->n, kept = 0, first = 0;
    while (slots < n * 2) slots *= 2;
    int rc = same_position ? 0 : qd_work_reserve(s, slots * sizeof(uint32_t));
    if (rc) return rc;
    uint32_t *slot = s->work;
    if (!same_position) memset(slot, 0, slots * sizeof *slot);
    for (size_t i = 0; i < n; i++) {
        qd_str w = {qd_term_ptr(s, i), qd_term_len(s, i)};
        bool seen = false;
        if (same_position) {
            if (qd_tokens_inc(t, i) > 0) first = kept;
            for (size_t j = first; !seen && j < kept; j++)
                seen = qd_str_eq(w, (qd_str){qd_term_ptr(s, j), qd_term_len(s, j)});
        } else {
            size_t h = qd_xxh3(w.p, w.n);
            for (; slot[h & (slots - 1)]; h++) {
                size_t j = slot[h & (slots - 1)] - 1;
                if ((seen = qd_str_eq(w, (qd_str){qd_term_ptr(s, j), qd_term_len(s, j)}))) break;
            }
            if (!seen) slot[h & (slots - 1)] = (uint32_t)kept + 1;
        }
        if (seen) continue;
        if (kept != i) qd_batch_copy(s->b, kept, s->b, i);
        kept++;
    }
    t->n = kept;
    return 0;
}

/* Each token twice: as a keyword, then not, at the same position. */
static int repeat_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    (void)err;
    int rc = qd_batch_need(s, s->b, QD_TOKENS_INC);
    if (!rc) rc = qd_batch_need(s, s->b, QD_TOKENS_KEYWORD);
    if (!rc) rc = qd_batch_like(s, s->spare, s->b, s->b->t.n * 2);
    if (rc) return rc;
    qd_tokens *to = &s->spare->t;
    for (size_t i = 0; i < s->b->t.n; i++) {
        qd_batch_copy(s->spare, to->n, s->b, i);
        to->keyword[to->n++] = 1;
        qd_batch_copy(s->spare, to->n, s->b, i);
        to->keyword[to->n] = 0;
        to->inc[to->n++] = 0;
    }
    s->shared = true;
    qd_analysis_swap(s);
    return 0;
}

static const qd_part_ops trim_ops = {trim_run, qd_part_release, NULL};
static const qd_part_ops reverse_ops = {reverse_run, qd_part_release, NULL};
static const qd_part_ops truncate_ops = {truncate_run, qd_part_release, NULL};
static const qd_part_ops length_ops = {length_run, qd_part_release, NULL};
static const qd_part_ops limit_ops = {limit_run, qd_part_release, NULL};
static const qd_part_ops unique_ops = {unique_run, qd_part_release, NULL};
static const qd_part_ops repeat_ops = {repeat_run, qd_part_release, NULL};

static int make(const qd_part_conf *c, const qd_part_ops *ops, int64_t min, int64_t max, bool flag,
                qd_part **out, qd_err *err)
{
    int rc = qd_part_alloc(c, sizeof(small), QD_STAGE_FILTER, ops, out, err);
    if (rc) return rc;
    small *f = (small *)*out;
    f->min = min;
    f->max = max;
    f->flag = flag;
    return 0;
}

int qd_make_trim(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int rc = make(c, &trim_ops, 0, 0, false, out, err);
    if (!rc) (*out)->normalizes = true;
    return rc;
}
int qd_make_reverse(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make(c, &reverse_ops, 0, 0, false, out, err);
}
int qd_make_keyword_repeat(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int rc = make(c, &repeat_ops, 0, 0, false, out, err);
    if (!rc) (*out)->no_synonyms = (*out)->keywords = true;
    return rc;
}
int qd_make_remove_duplicates(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make(c, &unique_ops, 0, 0, true, out, err);
}

int qd_make_truncate(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int64_t n;
    int rc = qd_conf_int(c, "length", c->prebuilt ? 10 : -1, &n, err);
    if (rc) return rc;
    if (n <= 0) return qd_err_set(err, QD_E_ARG, "length parameter must be provided");
    rc = make(c, &truncate_ops, 0, n, false, out, err);
    if (!rc) (*out)->keywords = true;
    return rc;
}

int qd_make_length(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int64_t min, max;
    int rc = qd_conf_int(c, "min", 0, &min, err);
    if (!rc) rc = qd_conf_int(c, "max", INT32_MAX, &max, err);
    if (rc) return rc;
    if (min < 0)
        return qd_err_set(err, QD_E_ARG, "minimum length must be greater than or equal to zero");
    if (min > max)
        return qd_err_set(err, QD_E_ARG, "maximum length must not be greater than minimum length");
    return make(c, &length_ops, min, max, false, out, err);
}

int qd_make_limit(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int64_t n;
    int rc = qd_conf_int(c, "max_token_count", 1, &n, err);
    if (rc) return rc;
    if (n < 1) return qd_err_set(err, QD_E_ARG, "maxTokenCount must be greater than zero");
    return make(c, &limit_ops, 0, n, false, out, err);
}

int qd_make_unique(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    bool same;
    int rc = qd_conf_bool(c, "only_on_same_position", false, &same, err);
    return rc ? rc : make(c, &unique_ops, 0, 0, same, out, err);
}
