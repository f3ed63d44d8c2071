/* charset.c: set operations by sorting; sets are built once, at compile time of a pattern. */
#include "analysis/regex/charset_int.h"
#include "analysis/tables/tables_int.h"
#include <stdlib.h>

int qd_charset_add(qd_charset *s, uint32_t lo, uint32_t hi)
{
    return qd_vec_push(&s->r, NULL, ((qd_crange){lo, hi}));
}

void qd_charset_fini(qd_charset *s)
{
    qd_vec_fini(&s->r);
}

static int by_lo(const void *a, const void *b)
{
    const qd_crange *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

void qd_charset_finish(qd_charset *s)
{
    size_t k = 0;
    if (s->r.n) qsort(s->r.at, s->r.n, sizeof *s->r.at, by_lo);
    for (size_t i = 0; i < s->r.n; i++) {
        qd_crange r = s->r.at[i];
        if (k && r.lo <= s->r.at[k - 1].hi + 1) {
            if (r.hi > s->r.at[k - 1].hi) s->r.at[k - 1].hi = r.hi;
        } else {
            s->r.at[k++] = r;
        }
    }
    s->r.n = k;
    s->ascii[0] = s->ascii[1] = 0;
    for (size_t i = 0; i < k; i++)
        for (uint32_t c = s->r.at[i].lo; c <= s->r.at[i].hi && c < 128; c++)
            s->ascii[c >> 6] |= 1ull << (c & 63);
}

bool qd_charset_has(const qd_charset *s, uint32_t cp)
{
    if (cp < 128) return s->ascii[cp >> 6] >> (cp & 63) & 1;
    size_t lo = 0, hi = s->r.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (s->r.at[mid].hi < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->r.n && s->r.at[lo].lo <= cp;
}

int qd_charset_union(qd_charset *s, const qd_charset *from)
{
    for (size_t i = 0; i < from->r.n; i++)
        if (qd_charset_add(s, from->r.at[i].lo, from->r.at[i].hi)) return QD_E_NOMEM;
    return 0;
}

int qd_charset_negate(qd_charset *s)
{
    qd_charset out = {0};
    uint32_t next = 0;
    qd_charset_finish(s);
    for (size_t i = 0; i < s->r.n; i++) {
        if (s->r.at[i].lo > next && qd_charset_add(&out, next, s->r.at[i].lo - 1)) goto nomem;
        next = s->r.at[i].hi + 1;
    }
    if (next <= 0x10FFFF && qd_charset_add(&out, next, 0x10FFFF)) goto nomem;
    qd_charset_finish(&out);
    qd_charset_fini(s);
    *s = out;
    return 0;
nomem:
    qd_charset_fini(&out);
    return QD_E_NOMEM;
}

int qd_charset_intersect(qd_charset *s, const qd_charset *with)
{
    /* not (not a or not b) */
    qd_charset other = {0};
    int rc = qd_charset_union(&other, with);
    if (!rc) rc = qd_charset_negate(&other);
    if (!rc) rc = qd_charset_negate(s);
    if (!rc) rc = qd_charset_union(s, &other);
    if (!rc) rc = qd_charset_negate(s);
    qd_charset_fini(&other);
    return rc;
}

int qd_charset_fold(qd_charset *s, bool unicode)
{
    size_t n = s->r.n;
    for (size_t i = 0; i < n; i++) {
        uint32_t hi = unicode ? s->r.at[i].hi : s->r.at[i].hi < 'z' ? s->r.at[i].hi : 'z';
        for (uint32_t c = s->r.at[i].lo; c <= hi && c <= 0x1E943; c++) {
            uint32_t l = qd_char_lower(c), u = qd_char_upper(c);
            if (!unicode && !((c | 32) >= 'a' && (c | 32) <= 'z')) continue;
            if (l != c && qd_charset_add(s, l, l)) return QD_E_NOMEM;
            if (u != c && qd_charset_add(s, u, u)) return QD_E_NOMEM;
        }
    }
    qd_charset_finish(s);
    return 0;
}

int qd_charset_categories(qd_charset *s, uint32_t gc_bits)
{
    uint32_t lo = 0;
    bool in = false;
    for (uint32_t c = 0; c <= 0x110000; c++) {
        bool now = c <= 0x10FFFF && (gc_bits >> qd_char_gc(c) & 1);
        if (now && !in) lo = c;
        if (!now && in && qd_charset_add(s, lo, c - 1)) return QD_E_NOMEM;
        in = now;
    }
    return 0;
}

/* POSIX names (ASCII only), as pairs of bounds. */
static const struct {
    const char *name, *ranges;
} posix[] = {
    {"Lower", "az"},     {"Upper", "AZ"},     {"ASCII", "\x01\x7F"},         {"Alpha", "azAZ"},
    {"Digit", "09"},     {"Alnum", "azAZ09"}, {"Punct", "!/:@[`{~"},         {"Graph", "!~"},
    {"Print", " ~"},     {"Blank", "  \t\t"}, {"Cntrl", "\x01\x1F\x7F\x7F"}, {"XDigit", "09afAF"},
    {"Space", "  \t\r"},
};

static const struct {
    const char *name;
    uint32_t bits;
} categories[] = {
    {"Cn", QD_GC_BIT(QD_GC_CN)},
    {"Lu", QD_GC_BIT(QD_GC_LU)},
    {"Ll", QD_GC_BIT(QD_GC_LL)},
    {"Lt", QD_GC_BIT(QD_GC_LT)},
    {"Lm", QD_GC_BIT(QD_GC_LM)},
    {"Lo", QD_GC_BIT(QD_GC_LO)},
    {"Mn", QD_GC_BIT(QD_GC_MN)},
    {"Me", QD_GC_BIT(QD_GC_ME)},
    {"Mc", QD_GC_BIT(QD_GC_MC)},
    {"Nd", QD_GC_BIT(QD_GC_ND)},
    {"Nl", QD_GC_BIT(QD_GC_NL)},
    {"No", QD_GC_BIT(QD_GC_NO)},
    {"Zs", QD_GC_BIT(QD_GC_ZS)},
    {"Zl", QD_GC_BIT(QD_GC_ZL)},
    {"Zp", QD_GC_BIT(QD_GC_ZP)},
    {"Cc", QD_GC_BIT(QD_GC_CC)},
    {"Cf", QD_GC_BIT(QD_GC_CF)},
    {"Co", QD_GC_BIT(QD_GC_CO)},
    {"Cs", QD_GC_BIT(QD_GC_CS)},
    {"Pd", QD_GC_BIT(QD_GC_PD)},
    {"Ps", QD_GC_BIT(QD_GC_PS)},
    {"Pe", QD_GC_BIT(QD_GC_PE)},
    {"Pc", QD_GC_BIT(QD_GC_PC)},
    {"Po", QD_GC_BIT(QD_GC_PO)},
    {"Sm", QD_GC_BIT(QD_GC_SM)},
    {"Sc", QD_GC_BIT(QD_GC_SC)},
    {"Sk", QD_GC_BIT(QD_GC_SK)},
    {"So", QD_GC_BIT(QD_GC_SO)},
    {"Pi", QD_GC_BIT(QD_GC_PI)},
    {"Pf", QD_GC_BIT(QD_GC_PF)},
    {"LC", QD_GC_BIT(QD_GC_LU) | QD_GC_BIT(QD_GC_LL) | QD_GC_BIT(QD_GC_LT)},
    {"LD", QD_GC_LETTER | QD_GC_BIT(QD_GC_ND)},
};

int qd_charset_property(qd_charset *s, qd_str name, bool unicode)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < QD_COUNT_OF(posix) && !unicode; i++) {
        if (!qd_str_is(name, posix[i].name)) continue;
        int rc = name.p[0] == 'A' && name.p[1] == 'S' ? qd_charset_add(s, 0, 0) : 0;
        if (!rc && name.p[0] == 'C') rc = qd_charset_add(s, 0, 0);
        for (const char *r = posix[i].ranges; !rc && *r; r += 2)
            rc = qd_charset_add(s, (unsigned char)r[0], (unsigned char)r[1]);
        return rc;
    }
    if (qd_str_is(name, "L1")) return qd_charset_add(s, 0, 0xFF);
    if (qd_str_starts(name, QD_STR("gc=")))
        name = qd_str_sub(name, 3, name.n);
    else if (qd_str_starts(name, QD_STR("general_category=")))
        name = qd_str_sub(name, 17, name.n);
    else if (qd_str_starts(name, QD_STR("Is")))
        name = qd_str_sub(name, 2, name.n);
    if (qd_str_ieq(name, QD_STR("alphabetic")))
        bits = QD_GC_LETTER | QD_GC_BIT(QD_GC_NL);
    else if (qd_str_ieq(name, QD_STR("letter")))
        bits = QD_GC_LETTER;
    else if (qd_str_ieq(name, QD_STR("digit")))
        bits = QD_GC_BIT(QD_GC_ND);
    else if (qd_str_ieq(name, QD_STR("punctuation")) || (unicode && qd_str_is(name, "Punct")))
        bits = QD_GC_PUNCT;
    else if (qd_str_ieq(name, QD_STR("uppercase")))
        bits = QD_GC_BIT(QD_GC_LU);
    else if (qd_str_ieq(name, QD_STR("lowercase")))
        bits = QD_GC_BIT(QD_GC_LL);
    else if (qd_str_is(name, "javaLetter"))
        bits = QD_GC_LETTER;
    for (size_t i = 0; !bits && i < QD_COUNT_OF(categories); i++)
        if (qd_str_is(name, categories[i].name)) bits = categories[i].bits;
    if (!bits && name.n == 1)
        for (size_t i = 0; i < QD_COUNT_OF(categories); i++)
            if (categories[i].name[0] == name.p[0] && categories[i].name[1] != 'C' &&
                categories[i].name[1] != 'D')
                bits |= categories[i].bits;
    return bits ? qd_charset_categories(s, bits) : QD_E_NOTFOUND;
}
