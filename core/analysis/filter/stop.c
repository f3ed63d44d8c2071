/*
 * stop.c: the stop filter and the other filters that only let tokens through or not: length,
 * unique, limit, remove_duplicates; and keyword_marker. A dropped token leaves its positions to the
 * next one, at the end to end_inc (Lucene's FilteringTokenFilter).
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/stop_int.h"
#include <stdio.h>

/* Words of a list setting: named lists expand, "_none_" is empty. */
int qd_words_parse(const qd_part_conf *c, const char *key, const char *def, bool lower,
                   qd_wordset *w, qd_err *err)
{
    qd_str word;
    char path_key[64];
    snprintf(path_key, sizeof path_key, "%s_path", key);
    const qd_analysis_setting *path = qd_conf_find(c, path_key);
    if (path && path->nvalues) return qd_words_file(c, path->values[0], lower, w, err);
    const qd_analysis_setting *set = qd_conf_find(c, key);
    if (!set) return def ? qd_words_add(w, qd_str_c(def), lower, err) : 0;
    for (size_t k = 0; qd_conf_list(c, key, k, &word); k++) {
        int rc = qd_words_add(w, word, lower, err);
        if (rc) return rc;
    }
    return 0;
}

/* Calls fn for each line of a file that is neither empty nor a comment. */
static int lines_of_file(const qd_part_conf *c, qd_str path,
                         int (*fn)(void *arg, qd_str line, qd_err *err), void *arg, qd_err *err)
{
    char *text;
    size_t n;
    if (!c->files || !c->files->read)
        return qd_err_set(err, QD_E_ARG, "word lists in files (%.*s) cannot be read here",
                          QD_STR_ARG(path));
    int rc = c->files->read(c->files->arg, path, &text, &n, err);
    if (rc) return rc;
    qd_str rest = {text, n};
    while (!rc && rest.p) {
        qd_str line = qd_str_trim(qd_str_split(&rest, '\n'));
        if (line.n && line.p[0] != '#') rc = fn(arg, line, err);
    }
    qd_free(text);
    return rc;
}

int qd_lines_each(const qd_part_conf *c, const char *key,
                  int (*fn)(void *arg, qd_str line, qd_err *err), void *arg, qd_err *err)
{
    char path_key[64];
    qd_str line;
    snprintf(path_key, sizeof path_key, "%s_path", key);
    const qd_analysis_setting *path = qd_conf_find(c, path_key);
    if (path && path->nvalues) return lines_of_file(c, path->values[0], fn, arg, err);
    int rc = 0;
    for (size_t k = 0; !rc && qd_conf_list(c, key, k, &line); k++) rc = fn(arg, line, err);
    return rc;
}

typedef struct words_arg {
    qd_wordset *w;
    bool lower;
} words_arg;

static int put_line(void *arg, qd_str line, qd_err *err)
{
    const words_arg *a = arg;
    return qd_words_put(a->w, line, a->lower, err);
}

int qd_words_file(const qd_part_conf *c, qd_str path, bool lower, qd_wordset *w, qd_err *err)
{
    words_arg a = {w, lower};
    return lines_of_file(c, path, put_line, &a, err);
}

int qd_words_put(qd_wordset *w, qd_str word, bool lower, qd_err *err)
{
    if (!lower) return qd_wordset_add(w, word) ? qd_err_nomem(err, "word list") : 0;
    qd_buf b;
    qd_buf_init(&b, NULL, word.n * 2 + 8);
    for (const char *p = word.p, *end = p + word.n; p < end;) {
        uint32_t cp;
        char u[4];
        p += qd_u8_next(p, end, &cp);
        (void)qd_buf_add(&b, u, qd_u8_put(u, qd_char_lower(cp)));
    }
    int rc = qd_buf_status(&b) || qd_wordset_add(w, qd_buf_view(&b))
                 ? qd_err_nomem(err, "word list")
                 : 0;
    qd_buf_fini(&b);
    return rc;
}

int qd_words_add(qd_wordset *w, qd_str word, bool lower, qd_err *err)
{
    const char *named = qd_stop_words(word);
    if (!named) return qd_words_put(w, word, lower, err);
    qd_str rest = qd_str_c(named);
    while (rest.n) { /* the empty word is one of some lists */
        qd_str line = qd_str_split(&rest, '\n');
        int rc = qd_words_put(w, line, lower, err);
        if (rc) return rc;
    }
    return 0;
}

bool qd_words_match(qd_analysis *s, const qd_wordset *w, bool lower, size_t i)
{
    const char *p = qd_term_ptr(s, i);
    size_t n = qd_term_len(s, i), k = 0;
    if (!lower) return qd_wordset_has(w, p, n);
    char low[256]; /* words are looked up, not made: none is longer */
    for (const char *end = p + n; p < end;) {
        uint32_t cp;
        p += qd_u8_next(p, end, &cp);
        if (k + 4 > sizeof low) return false;
        k += qd_u8_put(low + k, qd_char_lower(cp));
    }
    return qd_wordset_has(w, low, k);
}

typedef struct stop {
    qd_part head;
    qd_wordset words;
    bool ignore_case, keep_trailing;
} stop;

void qd_drop_begin(qd_drop *d)
{
    *d = (qd_drop){0, 0};
}

int qd_drop_token(qd_analysis *s, qd_drop *d, size_t i)
{
    if (!(s->b->t.has & QD_TOKENS_INC)) {
        int rc = qd_batch_need(s, s->b, QD_TOKENS_INC);
        if (rc) return rc;
    }
    d->holes += s->b->t.inc[i];
    return 0;
}

void qd_drop_end(qd_analysis *s, qd_drop *d)
{
    s->b->t.n = d->kept;
    s->b->t.end_inc += d->holes;
}

static int stop_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const stop *f = (const stop *)p;
    qd_drop d;
    qd_drop_begin(&d);
    size_t n = s->b->t.n;
    for (size_t i = 0; i < n; i++) {
        if (qd_words_match(s, &f->words, f->ignore_case, i) && !(f->keep_trailing && i + 1 == n)) {
            int rc = qd_drop_token(s, &d, i);
            if (rc) return rc;
        } else {
            qd_drop_keep(s, &d, i);
        }
    }
    qd_drop_end(s, &d);
    return 0;
}

static void stop_free(qd_part *p)
{
    qd_wordset_fini(&((stop *)p)->words);
    qd_part_release(p);
}

static const qd_part_ops stop_ops = {stop_run, stop_free, NULL};

int qd_make_stop(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    bool ignore, trailing;
    int rc = qd_conf_bool(c, "ignore_case", false, &ignore, err);
    if (!rc) rc = qd_conf_bool(c, "remove_trailing", true, &trailing, err);
    if (!rc) rc = qd_part_alloc(c, sizeof(stop), QD_STAGE_FILTER, &stop_ops, out, err);
    if (rc) return rc;
    stop *f = (stop *)*out;
    f->ignore_case = ignore;
    f->keep_trailing = !trailing;
    if ((rc = qd_words_parse(c, "stopwords", "_english_", ignore, &f->words, err))) stop_free(*out);
    return rc;
}

/* --- keyword_marker ------------------------------------------------------------------------- */

static int marker_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const stop *f = (const stop *)p;
    int rc = qd_batch_need(s, s->b, QD_TOKENS_KEYWORD);
    if (rc) return rc;
    for (size_t i = 0; i < s->b->t.n; i++)
        if (qd_words_match(s, &f->words, f->ignore_case, i)) s->b->t.keyword[i] = 1;
    return 0;
}

static const qd_part_ops marker_ops = {marker_run, stop_free, NULL};

int qd_make_keyword_marker(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    bool ignore;
    int rc = qd_conf_bool(c, "ignore_case", false, &ignore, err);
    if (rc) return rc;
    bool words = qd_conf_find(c, "keywords") || qd_conf_find(c, "keywords_path");
    if (qd_conf_find(c, "keywords_pattern"))
        return words ? qd_err_set(err, QD_E_ARG,
                                  "cannot specify both `keywords_pattern` and `keywords` or "
                                  "`keywords_path`")
                     : qd_words_pattern(c, "keywords_pattern", out, err);
    if (!words)
        return qd_err_set(err, QD_E_ARG,
                          "keyword filter requires either `keywords`, `keywords_path`, "
                          "or `keywords_pattern` to be configured");
    if ((rc = qd_part_alloc(c, sizeof(stop), QD_STAGE_FILTER, &marker_ops, out, err))) return rc;
    (*out)->keywords = true;
    stop *f = (stop *)*out;
    f->ignore_case = ignore;
    if ((rc = qd_words_parse(c, "keywords", NULL, ignore, &f->words, err))) stop_free(*out);
    return rc;
}

int qd_words_marker(const qd_part_conf *c, const char *key, qd_part **out, qd_err *err)
{
    int rc = qd_part_alloc(c, sizeof(stop), QD_STAGE_FILTER, &marker_ops, out, err);
    if (rc) return rc;
    (*out)->keywords = true;
    if ((rc = qd_words_parse(c, key, NULL, false, &((stop *)*out)->words, err))) stop_free(*out);
    return rc;
}

int qd_words_stop(const qd_part_conf *c, const char *def, qd_part **out, qd_err *err)
{
    int rc = qd_part_alloc(c, sizeof(stop), QD_STAGE_FILTER, &stop_ops, out, err);
    if (rc) return rc;
    if ((rc = qd_words_parse(c, "stopwords", def, false, &((stop *)*out)->words, err)))
        stop_free(*out);
    return rc;
}
