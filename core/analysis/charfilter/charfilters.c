/*
 * charfilters.c: mapping and pattern_replace. A replacement of another length leaves a correction,
 * so that offsets lead back into the text before the filter, as Lucene's BaseCharFilter keeps them.
 */
#include "analysis/builtin_int.h"
#include "analysis/charfilter/charfilter_int.h"
#include "analysis/filter/wordset_int.h"
#include "analysis/regex/pattern_int.h"
#include "base/utf8.h"

int qd_fix_add(qd_analysis *s, qd_filtered *f, uint32_t at, int32_t diff)
{
    if (f->fix.n && f->fix.at[f->fix.n - 1].at == at) {
        f->fix.at[f->fix.n - 1].diff = diff;
        return 0;
    }
    return qd_vec_push(&f->fix, &s->account, ((qd_correction){at, diff}));
}

/* --- mapping -----------------------------------------------------------------------------------
 */

typedef struct mapping {
    qd_part head;
    qd_wordset from;
    QD_VEC(qd_str) to; /* by number of from; owned */
    size_t longest;
} mapping;

/* The longest key at p; its number, or -1. */
static int64_t longest_key(const mapping *m, const char *p, size_t room, size_t *len)
{
    unsigned char c = (unsigned char)*p;
    if (!(m->from.first[c >> 6] >> (c & 63) & 1)) return -1;
    for (size_t n = room < m->longest ? room : m->longest; n > 0; n--) {
        if (!(m->from.lengths >> (n < 63 ? n : 63) & 1)) continue;
        int64_t k = qd_wordset_find(&m->from, p, n);
        if (k >= 0) {
            *len = n;
            return k;
        }
    }
    return -1;
}

/* A key of `in` units became `out` units that begin at unit `at` of the output. */
static int mapped(qd_analysis *s, qd_filtered *f, uint32_t at, uint32_t in, uint32_t out,
                  int32_t *diff)
{
    if (in > out) {
        *diff += (int32_t)(in - out);
        return qd_fix_add(s, f, at + out, *diff);
    }
    /* Lucene maps the additional characters of a longer replacement to the end of the key */
    for (uint32_t k = 0; k < out - in; k++) {
        int rc = qd_fix_add(s, f, at + in + k, --*diff);
        if (rc) return rc;
    }
    return 0;
}

static int mapping_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const mapping *m = (const mapping *)p;
    qd_filtered *f;
    int rc = qd_filtered_begin(s, &f);
    uint32_t units = 0; /* of the output */
    int32_t diff = 0;
    size_t copied = 0;
    for (size_t i = 0; !rc && i < s->nsrc;) {
        size_t len = 0;
        int64_t k = longest_key(m, s->src + i, s->nsrc - i, &len);
        if (k < 0) {
            unsigned char c = (unsigned char)s->src[i++];
            units += ((c & 0xC0) != 0x80) + (c >= 0xF0);
            continue;
        }
        qd_str to = m->to.at[k];
        uint32_t out = (uint32_t)qd_utf8_utf16(to);
        rc = qd_filtered_add(s, f, s->src + copied, i - copied);
        if (!rc) rc = qd_filtered_add(s, f, to.p, to.n);
        if (!rc)
            rc =
                mapped(s, f, units, (uint32_t)qd_utf8_utf16((qd_str){s->src + i, len}), out, &diff);
        units += out;
        i += len;
        copied = i;
    }
    if (!rc) rc = qd_filtered_add(s, f, s->src + copied, s->nsrc - copied);
    if (!rc) qd_filtered_end(s, f);
    return rc;
}

static void mapping_free(qd_part *p)
{
    mapping *m = (mapping *)p;
    for (size_t i = 0; i < m->to.n; i++) qd_free((char *)(uintptr_t)m->to.at[i].p);
    qd_vec_fini(&m->to);
    qd_wordset_fini(&m->from);
    qd_part_release(p);
}

/* One side of a rule: \\ \n \t \r \b \f \uXXXX. False for a bad escape. */
static bool side(qd_str s, qd_buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\\') {
            (void)qd_buf_char(out, s.p[i]);
            continue;
        }
        if (++i == s.n) return false;
        static const char names[] = "ntrbf", values[] = "\n\t\r\b\f";
        const char *at = s.p[i] ? strchr(names, s.p[i]) : NULL;
        if (at) {
            (void)qd_buf_char(out, values[at - names]);
        } else if (s.p[i] == 'u') {
            uint32_t cp = 0;
            char u[4];
            if (i + 4 >= s.n) return false;
            for (int k = 0; k < 4; k++) {
                char c = s.p[++i];
                int d = c >= '0' && c <= '9'                 ? c - '0'
                        : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                             : -1;
                if (d < 0) return false;
                cp = cp * 16 + (uint32_t)d;
            }
            if (cp >= 0xD800 && cp < 0xE000) return false; /* half a pair is no text */
            (void)qd_buf_add(out, u, qd_u8_put(u, cp));
        } else {
            (void)qd_buf_char(out, s.p[i]);
        }
    }
    return true;
}

static int rule_add(mapping *m, qd_str rule, qd_err *err)
{
    ptrdiff_t arrow = -1;
    for (size_t i = 0; i + 1 < rule.n; i++) /* the last arrow parts, as a greedy match has it */
        if (rule.p[i] == '=' && rule.p[i + 1] == '>') arrow = (ptrdiff_t)i;
    qd_buf from, to;
    qd_buf_init(&from, NULL, 1 << 20);
    qd_buf_init(&to, NULL, 1 << 20);
    int rc = 0;
    if (arrow < 0 || !side(qd_str_trim(qd_str_sub(rule, 0, (size_t)arrow)), &from) ||
        !side(qd_str_trim(qd_str_sub(rule, (size_t)arrow + 2, rule.n)), &to))
        rc = qd_err_set(err, QD_E_ARG, "Invalid Mapping Rule : [%.*s]", QD_STR_ARG(rule));
    else if (qd_buf_status(&from) || qd_buf_status(&to))
        rc = qd_err_nomem(err, "mappings");
    else if (!from.n)
        rc = qd_err_set(err, QD_E_ARG, "cannot match the empty string");
    else if (qd_wordset_find(&m->from, from.p, from.n) >= 0)
        rc = qd_err_set(err, QD_E_ARG, "match \"%.*s\" was already added",
                        QD_STR_ARG(qd_buf_view(&from)));
    if (!rc) {
        char *copy = qd_memdup(NULL, to.n ? to.p : "", to.n);
        if (!copy || qd_vec_push(&m->to, NULL, ((qd_str){copy, to.n}))) {
            qd_free(copy);
            rc = qd_err_nomem(err, "mappings");
        } else if (qd_wordset_add(&m->from, qd_buf_view(&from))) {
            rc = qd_err_nomem(err, "mappings");
        }
        if (from.n > m->longest) m->longest = from.n;
    }
    qd_buf_fini(&from);
    qd_buf_fini(&to);
    return rc;
}

static const qd_part_ops mapping_ops = {mapping_run, mapping_free, NULL};

int qd_make_mapping(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    const qd_analysis_setting *rules = qd_conf_find(c, "mappings"),
                              *path = qd_conf_find(c, "mappings_path");
    if (!rules && !path)
        return qd_err_set(err, QD_E_ARG,
                          "mapping requires either `mappings` or `mappings_path` to be configured");
    int rc = qd_part_alloc(c, sizeof(mapping), QD_STAGE_CHAR_FILTER, &mapping_ops, out, err);
    if (rc) return rc;
    mapping *m = (mapping *)*out;
    (*out)->normalizes = true;
    char *text = NULL;
    size_t n = 0;
    for (uint32_t i = 0; !rc && rules && i < rules->nvalues; i++)
        rc = rule_add(m, rules->values[i], err);
    if (!rules && path->nvalues) {
        if (!c->files || !c->files->read)
            rc = qd_err_set(err, QD_E_ARG, "mappings in files cannot be read here");
        else
            rc = c->files->read(c->files->arg, path->values[0], &text, &n, err);
        qd_str rest = {text, n};
        while (!rc && rest.p) {
            qd_str line = qd_str_trim(qd_str_split(&rest, '\n'));
            if (line.n && line.p[0] != '#') rc = rule_add(m, line, err);
        }
        qd_free(text);
    }
    if (rc) mapping_free(*out);
    return rc;
}

/* --- pattern_replace ---------------------------------------------------------------------------
 */

typedef struct replace {
    qd_part head;
    qd_regex *re;
    char *to; /* owned; Java's replacement: $1 ${name} \x */
    size_t nto;
    bool all; /* filter: every match */
} replace;

/* Appends the replacement of a match. */
static int substitute(const replace *r, qd_str in, const uint32_t *caps, qd_buf *out, qd_err *err)
{
    uint32_t groups = qd_regex_groups(r->re);
    for (size_t i = 0; i < r->nto; i++) {
        char c = r->to[i];
        if (c == '\\' && i + 1 < r->nto) {
            (void)qd_buf_char(out, r->to[++i]);
        } else if (c != '$') {
            (void)qd_buf_char(out, c);
        } else {
            int64_t g = -1;
            if (i + 1 < r->nto && r->to[i + 1] == '{') {
                const char *end = memchr(r->to + i, '}', r->nto - i);
                if (end)
                    g = qd_regex_group(r->re,
                                       (qd_str){r->to + i + 2, (size_t)(end - r->to) - i - 2});
                if (end) i = (size_t)(end - r->to);
            } else {
                /* as many digits as still name a group */
                while (i + 1 < r->nto && r->to[i + 1] >= '0' && r->to[i + 1] <= '9') {
                    int64_t next = (g < 0 ? 0 : g) * 10 + (r->to[i + 1] - '0');
                    if (g >= 0 && next > groups) break;
                    g = next;
                    i++;
                }
            }
            if (g < 0 || g > groups)
                return qd_err_set(err, QD_E_ARG, "No group in replacement [%.*s]", (int)r->nto,
                                  r->to);
            if (caps[2 * g] != UINT32_MAX && caps[2 * g + 1] != UINT32_MAX)
                (void)qd_buf_add(out, in.p + caps[2 * g], caps[2 * g + 1] - caps[2 * g]);
        }
    }
    return qd_buf_status(out);
}

/* All matches of `in` (or the first) replaced, into out; each() is told of every one. */
static int replace_all(const replace *r, qd_analysis *s, qd_str in, qd_buf *out, qd_filtered *f,
                       qd_err *err)
{
    uint32_t caps[2 * QD_RE_GROUPS_MAX + 2], ngroups = qd_regex_groups(r->re) + 1;
    uint64_t budget = qd_pattern_budget(in.n);
    size_t from = 0, last = 0;
    int32_t diff = 0;
    uint32_t units = 0; /* of the output */
    int rc = qd_work_reserve(s, qd_regex_work(r->re));
    while (!rc && from <= in.n) {
        int found = qd_regex_find(r->re, s->work, in, from, ngroups, caps, &budget);
        if (found < 0) return qd_pattern_too_long(err);
        if (!found) break;
        (void)qd_buf_add(out, in.p + last, caps[0] - last);
        units += (uint32_t)qd_utf8_utf16(qd_str_sub(in, last, caps[0] - last));
        size_t before = out->n;
        if ((rc = substitute(r, in, caps, out, err))) break;
        if (f) {
            uint32_t old = (uint32_t)qd_utf8_utf16(qd_str_sub(in, caps[0], caps[1] - caps[0]));
            uint32_t new = (uint32_t)qd_utf8_utf16((qd_str){out->p + before, out->n - before});
            rc = mapped(s, f, units, old, new, &diff);
            units += new;
        }
        last = from = caps[1];
        if (caps[0] == caps[1]) {
            uint32_t cp;
            from += from < in.n ? qd_u8_next(in.p + from, in.p + in.n, &cp) : 1;
        }
        if (!r->all) break;
    }
    if (!rc) (void)qd_buf_add(out, in.p + last, in.n - last);
    return rc ? rc : qd_buf_status(out);
}

static int replace_chars_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    qd_filtered *f;
    qd_buf out;
    int rc = qd_filtered_begin(s, &f);
    if (rc) return rc;
    qd_buf_init(&out, &s->account, QD_VALUE_MAX);
    rc = replace_all((const replace *)p, s, (qd_str){s->src, s->nsrc}, &out, f, err);
    if (!rc) rc = qd_filtered_add(s, f, out.p, out.n);
    if (!rc) qd_filtered_end(s, f);
    qd_buf_fini(&out);
    return rc;
}

static int replace_terms_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    qd_tokens *t = &s->b->t;
    qd_buf out;
    int rc = 0;
    qd_buf_init(&out, &s->account, QD_VALUE_MAX);
    for (size_t i = 0; !rc && i < t->n; i++) {
        qd_buf_reset(&out);
        rc = replace_all((const replace *)p, s, (qd_str){qd_term_ptr(s, i), qd_term_len(s, i)},
                         &out, NULL, err);
        if (!rc) rc = qd_text_add(s, out.p, out.n, &t->term[i]);
    }
    qd_buf_fini(&out);
    return rc;
}

static void replace_free(qd_part *p)
{
    qd_regex_free(((replace *)p)->re);
    qd_free(((replace *)p)->to);
    qd_part_release(p);
}

static const qd_part_ops replace_chars_ops = {replace_chars_run, replace_free, NULL};
static const qd_part_ops replace_terms_ops = {replace_terms_run, replace_free, NULL};

static int make_replace(const qd_part_conf *c, bool chars, qd_part **out, qd_err *err)
{
    qd_regex *re;
    bool all;
    qd_str to = qd_conf_str(c, "replacement", "");
    if (!qd_conf_str(c, "pattern", NULL).p)
        return qd_err_set(err, QD_E_ARG,
                          "pattern is missing for [%.*s] %s of type 'pattern_replace'",
                          QD_STR_ARG(c->name), chars ? "char filter" : "token filter");
    int rc = qd_conf_bool(c, "all", true, &all, err);
    if (!rc) rc = qd_pattern_compile(c, "pattern", NULL, &re, err);
    if (rc) return rc;
    rc = qd_part_alloc(c, sizeof(replace), chars ? QD_STAGE_CHAR_FILTER : QD_STAGE_FILTER,
                       chars ? &replace_chars_ops : &replace_terms_ops, out, err);
    if (rc) {
        qd_regex_free(re);
        return rc;
    }
    replace *r = (replace *)*out;
    r->re = re;
    r->all = chars || all;
    r->nto = to.n;
    r->head.normalizes = chars;
    if (!(r->to = qd_memdup(NULL, to.p, to.n))) {
        replace_free(*out);
        return qd_err_nomem(err, "replacement");
    }
    return 0;
}

int qd_make_pattern_replace(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make_replace(c, true, out, err);
}
int qd_make_pattern_replace_filter(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make_replace(c, false, out, err);
}

/* --- the joiner of Persian --- */

/* U+200C becomes a blank, of as many UTF-16 units: offsets stay. */
static int zwnj_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    (void)err;
    qd_filtered *f;
    int rc = qd_filtered_begin(s, &f);
    size_t from = 0;
    for (size_t i = 0; !rc && i + 3 <= s->nsrc; i++) {
        if (memcmp(s->src + i, "\xE2\x80\x8C", 3) != 0) continue;
        rc = qd_filtered_add(s, f, s->src + from, i - from);
        if (!rc) rc = qd_filtered_add(s, f, " ", 1);
        from = i + 3;
    }
    if (!rc) rc = qd_filtered_add(s, f, s->src + from, s->nsrc - from);
    if (!rc) qd_filtered_end(s, f);
    return rc;
}

int qd_make_zwnj(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    static const qd_part_ops zwnj_ops = {zwnj_run, qd_part_release, NULL};
    return qd_part_alloc(c, sizeof(qd_part), QD_STAGE_CHAR_FILTER, &zwnj_ops, out, err);
}
