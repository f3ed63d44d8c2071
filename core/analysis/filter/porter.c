/*
 * porter.c: the stemmer of the english analyzer, byte for byte Lucene's PorterStemFilter.
 */
#include "analysis/filter/porter_int.h"
#include "analysis/tables/tables_int.h"
#include <string.h>

/* An ending and what it becomes. */
typedef struct porter_rule {
    const char *from, *to;
    uint32_t nfrom, nto;
} porter_rule;
#define RULE(from, to)                                                                             \
    {                                                                                              \
        from, to, sizeof(from) - 1, sizeof(to) - 1                                                 \
    }

/* Endings by the letter before the last: what they become where m > 0. */
static const porter_rule *porter_double(uint32_t c)
{
    static const porter_rule a[] = {RULE("ational", "ate"), RULE("tional", "tion"), {0}};
    static const porter_rule cc[] = {RULE("enci", "ence"), RULE("anci", "ance"), {0}};
    static const porter_rule e[] = {RULE("izer", "ize"), {0}};
    static const porter_rule l[] = {RULE("bli", "ble"), RULE("alli", "al"),   RULE("entli", "ent"),
                                    RULE("eli", "e"),   RULE("ousli", "ous"), {0}};
    static const porter_rule o[] = {
        RULE("ization", "ize"), RULE("ation", "ate"), RULE("ator", "ate"), {0}};
    static const porter_rule s[] = {RULE("alism", "al"),
                                    RULE("iveness", "ive"),
                                    RULE("fulness", "ful"),
                                    RULE("ousness", "ous"),
                                    {0}};
    static const porter_rule t[] = {
        RULE("aliti", "al"), RULE("iviti", "ive"), RULE("biliti", "ble"), {0}};
    static const porter_rule g[] = {RULE("logi", "log"), {0}};
    switch (c) {
    case 'a':
        return a;
    case 'c':
        return cc;
    case 'e':
        return e;
    case 'l':
        return l;
    case 'o':
        return o;
    case 's':
        return s;
    case 't':
        return t;
    case 'g':
        return g;
    default:
        return NULL;
    }
}

/* Endings by the last letter. */
static const porter_rule *porter_single(uint32_t c)
{
    static const porter_rule e[] = {
        RULE("icate", "ic"), RULE("ative", ""), RULE("alize", "al"), {0}};
    static const porter_rule i[] = {RULE("iciti", "ic"), {0}};
    static const porter_rule l[] = {RULE("ical", "ic"), RULE("ful", ""), {0}};
    static const porter_rule s[] = {RULE("ness", ""), {0}};
    switch (c) {
    case 'e':
        return e;
    case 'i':
        return i;
    case 'l':
        return l;
    case 's':
        return s;
    default:
        return NULL;
    }
}

/* Endings by the letter before the last, stripped where m > 1. */
static const porter_rule *porter_last(uint32_t c)
{
    static const porter_rule a[] = {RULE("al", ""), {0}};
    static const porter_rule cc[] = {RULE("ance", ""), RULE("ence", ""), {0}};
    static const porter_rule e[] = {RULE("er", ""), {0}};
    static const porter_rule i[] = {RULE("ic", ""), {0}};
    static const porter_rule l[] = {RULE("able", ""), RULE("ible", ""), {0}};
    static const porter_rule n[] = {
        RULE("ant", ""), RULE("ement", ""), RULE("ment", ""), RULE("ent", ""), {0}};
    static const porter_rule o[] = {RULE("ion", ""), RULE("ou", ""), {0}};
    static const porter_rule s[] = {RULE("ism", ""), {0}};
    static const porter_rule t[] = {RULE("ate", ""), RULE("iti", ""), {0}};
    static const porter_rule u[] = {RULE("ous", ""), {0}};
    static const porter_rule v[] = {RULE("ive", ""), {0}};
    static const porter_rule z[] = {RULE("ize", ""), {0}};
    switch (c) {
    case 'a':
        return a;
    case 'c':
        return cc;
    case 'e':
        return e;
    case 'i':
        return i;
    case 'l':
        return l;
    case 'n':
        return n;
    case 'o':
        return o;
    case 's':
        return s;
    case 't':
        return t;
    case 'u':
        return u;
    case 'v':
        return v;
    case 'z':
        return z;
    default:
        return NULL;
    }
}

#define CHAR unsigned char
#define PORTER(name) byte_##name
#include "analysis/filter/porter_tmpl_int.h"
#undef CHAR
#undef PORTER
#define CHAR uint16_t
#define PORTER(name) unit_##name
#include "analysis/filter/porter_tmpl_int.h"

size_t qd_porter_ascii(char *p, size_t n)
{
    return n > QD_PORTER_MAX ? n : (size_t)byte_stem((unsigned char *)p, (int)n);
}

size_t qd_porter_utf8(const char *p, size_t n, char *out)
{
    uint16_t units[QD_PORTER_MAX + 2];
    int k = 0;
    size_t at = 0;
    if (n > QD_PORTER_MAX) {
        memcpy(out, p, n);
        return n;
    }
    for (const char *q = p, *end = p + n; q < end;) {
        uint32_t cp;
        q += qd_u8_next(q, end, &cp);
        if (cp > 0xFFFF) {
            units[k++] = (uint16_t)(0xD7C0 + (cp >> 10));
            cp = 0xDC00 | (cp & 0x3FF);
        }
        units[k++] = (uint16_t)cp;
    }
    k = unit_stem(units, k);
    for (int i = 0; i < k; i++) {
        uint32_t cp = units[i];
        if ((cp & 0xFC00) == 0xD800 && i + 1 < k)
            cp = 0x10000 + ((cp & 0x3FF) << 10) + (units[++i] & 0x3FFu);
        at += qd_u8_put(out + at, cp);
    }
    return at;
}
