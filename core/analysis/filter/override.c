/*
 * override.c: stemmer_override: stems of a list; what is found in it is a keyword for the stemmers
 * behind.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/stop_int.h"

typedef struct override {
    qd_part head;
    qd_wordset from;
    QD_VEC(qd_str) to; /* by number of from; owned */
} override;

static int override_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const override *f = (const override *)p;
    qd_tokens *t = &s->b->t;
    int rc = qd_batch_need(s, s->b, QD_TOKENS_KEYWORD);
    for (size_t i = 0; !rc && i < t->n; i++) {
        const char *w = qd_term_ptr(s, i);
        size_t n = qd_term_len(s, i);
        int64_t k =
            !t->keyword[i] && qd_wordset_has(&f->from, w, n) ? qd_wordset_find(&f->from, w, n) : -1;
        if (k < 0) continue;
        t->keyword[i] = 1;
        rc = qd_text_add(s, f->to.at[k].p, f->to.at[k].n, &t->term[i]);
    }
    return rc;
}

static void override_free(qd_part *p)
{
    override *f = (override *)p;
    for (size_t i = 0; i < f->to.n; i++) qd_free((char *)(uintptr_t)f->to.at[i].p);
    qd_vec_fini(&f->to);
    qd_wordset_fini(&f->from);
    qd_part_release(p);
}

/* "a, b => c"; the first rule of a word counts. */
static int rule_add(void *arg, qd_str rule, qd_err *err)
{
    override *f = arg;
    const char *arrow = NULL;
    for (size_t i = 0; !arrow && i + 1 < rule.n; i++)
        if (rule.p[i] == '=' && rule.p[i + 1] == '>') arrow = rule.p + i;
    qd_str left = {rule.p, arrow ? (size_t)(arrow - rule.p) : 0}, right = {NULL, 0};
    if (arrow) right = qd_str_trim((qd_str){arrow + 2, rule.n - left.n - 2});
    if (!qd_str_trim(left).n || !right.n || memchr(right.p, ',', right.n))
        return qd_err_set(err, QD_E_ARG, "Invalid Keyword override Rule:%.*s", QD_STR_ARG(rule));
    while (left.p) {
        qd_str word = qd_str_trim(qd_str_split(&left, ','));
        if (!word.n || qd_wordset_find(&f->from, word.p, word.n) >= 0) continue;
        char *copy = qd_memdup(NULL, right.p, right.n);
        if (!copy || qd_vec_push(&f->to, NULL, ((qd_str){copy, right.n}))) {
            qd_free(copy);
            return qd_err_nomem(err, "rules of stems");
        }
        if (qd_wordset_add(&f->from, word)) return qd_err_nomem(err, "rules of stems");
    }
    return 0;
}

static const qd_part_ops override_ops = {override_run, override_free, NULL};

int qd_make_stemmer_override(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    if (!qd_conf_find(c, "rules") && !qd_conf_find(c, "rules_path"))
        return qd_err_set(
            err, QD_E_ARG,
            "stemmer override filter requires either `rules` or `rules_path` to be configured");
    int rc = qd_part_alloc(c, sizeof(override), QD_STAGE_FILTER, &override_ops, out, err);
    if (rc) return rc;
    (*out)->keywords = true;
    if ((rc = qd_lines_each(c, "rules", rule_add, *out, err))) override_free(*out);
    return rc;
}
