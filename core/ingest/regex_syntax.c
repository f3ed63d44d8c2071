/*
 * regex_syntax.c: the syntax of Java and of Oniguruma in PCRE2's: names of classes, \uXXXX, \h.
 * Intersections of classes, which PCRE2 would read otherwise, are refused.
 */
#include "ingest/regex_int.h"

typedef struct translating {
    qd_str in;
    size_t at;
    bool java, set; /* set: within [ ] */
    qd_buf *out;
    qd_err *err;
} translating;

/* Java's \p{Alpha} as [:alpha:]. */
static const char *posix(qd_str name)
{
    static const char *const names[][2] = {
        {"Lower", "lower"}, {"Upper", "upper"}, {"ASCII", "ascii"}, {"Alpha", "alpha"},
        {"Digit", "digit"}, {"Alnum", "alnum"}, {"Punct", "punct"}, {"Graph", "graph"},
        {"Print", "print"}, {"Blank", "blank"}, {"Cntrl", "cntrl"}, {"XDigit", "xdigit"},
        {"Space", "space"}};
    for (size_t k = 0; k < QD_COUNT_OF(names); k++) {
        if (qd_str_is(name, names[k][0])) return names[k][1];
    }
    return NULL;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* \p{Name}, \P{Name}: where Java's names are not Unicode's. */
static bool property(translating *x, char c)
{
    qd_str rest = qd_str_sub(x->in, x->at + 2, x->in.n);
    if (!rest.n || rest.p[0] != '{') return false;
    ptrdiff_t end = qd_str_find(rest, '}');
    const char *name = end > 0 ? posix(qd_str_sub(rest, 1, (size_t)end - 1)) : NULL;
    if (!name) return false;
    (void)qd_buf_printf(x->out, x->set ? "[:%s%s:]" : "[[:%s%s:]]", c == 'P' ? "^" : "", name);
    x->at += (size_t)end + 3;
    return true;
}

static bool unicode(translating *x)
{
    qd_str digits = qd_str_sub(x->in, x->at + 2, 4);
    if (digits.n != 4 || !is_hex(digits.p[0]) || !is_hex(digits.p[1]) || !is_hex(digits.p[2]) ||
        !is_hex(digits.p[3]))
        return false;
    (void)qd_buf_printf(x->out, "\\x{%.4s}", digits.p);
    x->at += 6;
    return true;
}

static void escape(translating *x)
{
    char c = x->at + 1 < x->in.n ? x->in.p[x->at + 1] : 0;
    if (x->java && (c == 'p' || c == 'P') && property(x, c)) return;
    if (c == 'u' && unicode(x)) return;
    if (!x->java && (c == 'h' || c == 'H')) {
        if (x->set && c == 'h')
            (void)qd_buf_c(x->out, "0-9A-Fa-f");
        else
            (void)qd_buf_c(x->out, c == 'h' ? "[0-9A-Fa-f]" : "[^0-9A-Fa-f]");
        x->at += 2;
        return;
    }
    if (c == 'Q') { /* as it is, to its end */
        ptrdiff_t end = qd_str_find_str(qd_str_sub(x->in, x->at, x->in.n), QD_STR("\\E"));
        size_t n = end < 0 ? x->in.n - x->at : (size_t)end + 2;
        (void)qd_buf_add(x->out, x->in.p + x->at, n);
        x->at += n;
        return;
    }
    (void)qd_buf_add(x->out, x->in.p + x->at, c ? 2 : 1);
    x->at += c ? 2 : 1;
}

int qdi_regex_translate(qd_str pattern, uint32_t flags, qd_buf *out, qd_err *err)
{
    translating x = {.in = pattern, .java = flags & QDI_REGEX_JAVA, .out = out, .err = err};
    while (x.at < pattern.n) {
        char c = pattern.p[x.at], next = x.at + 1 < pattern.n ? pattern.p[x.at + 1] : 0;
        if (c == '\\') {
            escape(&x);
            continue;
        }
        if (x.set && c == '&' && next == '&')
            return qd_err_set(err, QD_E_ARG, "intersections of classes are not supported: [%.*s]",
                              QD_STR_ARG(pattern));
        if (x.set && c == '[' && next != ':')
            return qd_err_set(err, QD_E_ARG,
                              "classes within classes are not supported, write \\[ for the "
                              "bracket: [%.*s]",
                              QD_STR_ARG(pattern));
        if (x.set && c == '[') { /* [:alpha:] */
            ptrdiff_t end = qd_str_find_str(qd_str_sub(pattern, x.at, pattern.n), QD_STR(":]"));
            size_t n = end < 0 ? 1 : (size_t)end + 2;
            (void)qd_buf_add(out, pattern.p + x.at, n);
            x.at += n;
            continue;
        }
        (void)qd_buf_char(out, c);
        x.at++;
        if (!x.set && c == '[') {
            x.set = true;
            if (x.at < pattern.n && pattern.p[x.at] == '^')
                (void)qd_buf_char(out, pattern.p[x.at++]);
            if (x.at < pattern.n && pattern.p[x.at] == ']') { /* a bracket that is meant */
                (void)qd_buf_c(out, "\\]");
                x.at++;
            }
        } else if (x.set && c == ']') {
            x.set = false;
        }
    }
    if (qd_buf_status(out) == QD_E_LIMIT)
        return qd_err_set(err, QD_E_ARG, "a regular expression may have at most [%zu] bytes",
                          out->max);
    return qd_buf_status(out) ? qd_err_nomem(err, "regular expression") : 0;
}
