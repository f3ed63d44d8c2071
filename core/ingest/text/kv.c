/* kv.c: the processor kv: "a=1 b=2" as fields. */
#include "base/utf8.h"
#include "ingest/ingest_int.h"

/* Where text is cut: at one character, or at what a regular expression matches. */
typedef struct cut {
    qdi_regex *regex; /* NULL: character */
    char character;
} cut;
typedef struct pairs {
    qdi_path field;
    qdi_tpath target;
    bool has_target, ignore_missing, strip;
    cut fields, values;
    qd_str *include, *exclude, prefix, trim_key, trim_value, value_split;
    uint32_t ninclude, nexclude;
} pairs;

static int cut_of(qdi_build *b, const char *key, qd_str text, cut *out, qd_err *err)
{
    static const char special[] = "\\^$.|?*+()[]{}";
    bool plain = text.n == 1 && !memchr(special, text.p[0], sizeof special - 1);
    if (plain) {
        out->character = text.p[0];
        return 0;
    }
    int rc = qdi_regex_make(b->a, text, QDI_REGEX_JAVA, &out->regex, err);
    return rc ? qdi_arg_wrap(b, key, err) : 0;
}

static int make(qdi_build *b, void *config, qd_err *err)
{
    pairs *c = config;
    qd_str target, fields;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_str_opt(b, "target_field", &target, err);
    if (!rc) rc = qdi_arg_str(b, "field_split", NULL, &fields, err);
    if (!rc) rc = qdi_arg_str(b, "value_split", NULL, &c->value_split, err);
    if (!rc) rc = qdi_arg_strs(b, "include_keys", false, false, &c->include, &c->ninclude, err);
    if (!rc) rc = qdi_arg_strs(b, "exclude_keys", false, false, &c->exclude, &c->nexclude, err);
    if (!rc) rc = qdi_arg_str(b, "prefix", "", &c->prefix, err);
    if (!rc) rc = qdi_arg_str(b, "trim_key", "", &c->trim_key, err);
    if (!rc) rc = qdi_arg_str(b, "trim_value", "", &c->trim_value, err);
    if (!rc) rc = qdi_arg_bool(b, "strip_brackets", false, &c->strip, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    if (!rc) rc = cut_of(b, "field_split", fields, &c->fields, err);
    if (!rc) rc = cut_of(b, "value_split", c->value_split, &c->values, err);
    c->has_target = target.p != NULL;
    return rc || !target.p ? rc : qdi_tpath_make(b, "target_field", target, &c->target, err);
}

/* Where the text is cut first, from a place on: 1, 0: nowhere. */
static int find(const cut *c, qd_ingest_run *r, qd_str text, size_t from, size_t *begin,
                size_t *end, qd_err *err)
{
    const size_t *at;
    uint32_t cp;
    if (!c->regex) {
        ptrdiff_t k = qd_str_find(qd_str_sub(text, from, text.n), c->character);
        *begin = from + (size_t)k;
        *end = *begin + 1;
        return k >= 0;
    }
    for (size_t search = from; search < text.n;) {
        int found = qdi_regex_find(c->regex, &r->regex, text, search, &at, err);
        if (found <= 0) return found;
        *begin = at[0];
        *end = at[1];
        if (at[1] > at[0]) return 1;
        search = at[1];
        if (search >= text.n) return 0;
        search += qd_utf8_next(text.p + search, text.p + text.n, &cp);
    }
    return 0;
}

static bool among(const qd_str *list, uint32_t n, qd_str key)
{
    for (uint32_t k = 0; k < n; k++) {
        if (qd_str_eq(list[k], key)) return true;
    }
    return false;
}

static qd_str trimmed(qd_str s, qd_str set)
{
    uint32_t cp;
    while (set.n && s.n) {
        size_t n = qd_utf8_next(s.p, s.p + s.n, &cp);
        if (qd_str_find_str(set, qd_str_sub(s, 0, n)) < 0) break;
        s = qd_str_sub(s, n, s.n);
    }
    while (set.n && s.n) {
        size_t n = 1;
        while (n < s.n && n < 4 && ((unsigned char)s.p[s.n - n] & 0xC0) == 0x80) n++;
        if (qd_str_find_str(set, qd_str_sub(s, s.n - n, n)) < 0) break;
        s.n -= n;
    }
    return s;
}

static qd_str stripped(qd_str s)
{
    static const char pair[] = "()<>[]\"\"''";
    for (size_t k = 0; k + 1 < sizeof pair && s.n >= 2; k += 2) {
        if (s.p[0] == pair[k] && s.p[s.n - 1] == pair[k + 1]) return qd_str_sub(s, 1, s.n - 2);
    }
    return s;
}

static int put(const pairs *c, qd_ingest_run *r, const qdi_path *target, qd_str key, qd_str value,
               qd_err *err)
{
    qdi_path path;
    size_t n = (target ? target->full.n + 1 : 0) + c->prefix.n + key.n, at = 0;
    char *p = qdi_run_bytes(r, n, err);
    if (!p) return QD_E_NOMEM;
    if (target) {
        memcpy(p, target->full.p, target->full.n);
        p[target->full.n] = '.';
        at = target->full.n + 1;
    }
    if (c->prefix.n) memcpy(p + at, c->prefix.p, c->prefix.n);
    if (key.n) memcpy(p + at + c->prefix.n, key.p, key.n);
    int rc = qdi_path_make(&r->arena, (qd_str){p, n}, &path, err);
    qd_iv v = QD_IV_STRING(value);
    if (rc) return rc;
    return qdi_path_look(r, &path) ? qdi_path_append(r, &path, &v, true, err)
                                   : qdi_path_set(r, &path, v, err);
}

static int one(const pairs *c, qd_ingest_run *r, const qdi_path *target, qd_str part, qd_err *err)
{
    size_t begin, end;
    int found = find(&c->values, r, part, 0, &begin, &end, err);
    if (found < 0) return found;
    if (!found)
        return qd_err_set(err, QD_E_ARG, "field [%.*s] does not contain value_split [%.*s]",
                          QD_STR_ARG(c->field.full), QD_STR_ARG(c->value_split));
    qd_str key = trimmed(qd_str_sub(part, 0, begin), c->trim_key),
           value = qd_str_sub(part, end, part.n);
    if (c->ninclude && !among(c->include, c->ninclude, key)) return 0;
    if (among(c->exclude, c->nexclude, key)) return 0;
    value = trimmed(value, c->trim_value);
    return put(c, r, target, key, c->strip ? stripped(value) : value, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const pairs *c = config;
    qdi_path room;
    const qdi_path *target = NULL;
    qd_iv *v = qdi_path_look(r, &c->field);
    size_t from = 0, begin, end;
    int rc = 0, found = 1;
    if (c->ignore_missing && (!v || v->kind == QD_IV_NULL)) return 0;
    if (!v && (rc = qdi_path_get(r, &c->field, &v, err))) return rc;
    if (v->kind == QD_IV_NULL)
        return qd_err_set(err, QD_E_ARG, "field [%.*s] is null, cannot extract key-value pairs.",
                          QD_STR_ARG(c->field.full));
    if (v->kind != QD_IV_STR) return qdi_cannot_cast(&c->field, v, "java.lang.String", err);
    if (c->has_target) rc = qdi_tpath_get(r, &c->target, &room, &target, err);
    qd_str text = v->s;
    while (!rc && found) {
        found = find(&c->fields, r, text, from, &begin, &end, err);
        if (found < 0) return found;
        qd_str part = qd_str_sub(text, from, found ? begin - from : text.n);
        bool last = !found || end >= text.n; /* nothing stands behind the last cut */
        if (part.n || found) rc = one(c, r, target, part, err);
        if (last) break;
        from = end;
    }
    return rc;
}

const qdi_processor_type qdi_processor_kv = {"kv", sizeof(pairs), .make = make, .run = run};
