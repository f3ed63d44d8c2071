/*
 * porter.c: the stemmer of the english analyzer, byte for byte Lucene's PorterStemFilter.
 */
#include "analysis/porter_int.h"
#include "analysis/tables_int.h"
#include <string.h>

/* Endings by the letter before the last: what they become where m > 0. */
static const char *const (*porter_double(uint32_t c))[2]
{
    static const char *const a[][2] = {{"ational", "ate"}, {"tional", "tion"}, {0}};
    static const char *const cc[][2] = {{"enci", "ence"}, {"anci", "ance"}, {0}};
    static const char *const e[][2] = {{"izer", "ize"}, {0}};
    static const char *const l[][2] = {{"bli", "ble"}, {"alli", "al"},   {"entli", "ent"},
                                       {"eli", "e"},   {"ousli", "ous"}, {0}};
    static const char *const o[][2] = {{"ization", "ize"}, {"ation", "ate"}, {"ator", "ate"}, {0}};
    static const char *const s[][2] = {
        {"alism", "al"}, {"iveness", "ive"}, {"fulness", "ful"}, {"ousness", "ous"}, {0}};
    static const char *const t[][2] = {{"aliti", "al"}, {"iviti", "ive"}, {"biliti", "ble"}, {0}};
    static const char *const g[][2] = {{"logi", "log"}, {0}};
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
static const char *const (*porter_single(uint32_t c))[2]
{
    static const char *const e[][2] = {{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {0}};
    static const char *const i[][2] = {{"iciti", "ic"}, {0}};
    static const char *const l[][2] = {{"ical", "ic"}, {"ful", ""}, {0}};
    static const char *const s[][2] = {{"ness", ""}, {0}};
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
static const char *const *porter_last(uint32_t c)
{
    static const char *const
        a[] = {"al", 0},
        *const cc[] = {"ance", "ence", 0}, *const e[] = {"er", 0}, *const i[] = {"ic", 0},
        *const l[] = {"able", "ible", 0}, *const n[] = {"ant", "ement", "ment", "ent", 0},
        *const o[] = {"ion", "ou", 0}, *const s[] = {"ism", 0}, *const t[] = {"ate", "iti", 0},
        *const u[] = {"ous", 0}, *const v[] = {"ive", 0}, *const z[] = {"ize", 0};
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
#include "analysis/porter_tmpl_int.h"
#undef CHAR
#undef PORTER
#define CHAR uint16_t
#define PORTER(name) unit_##name
#include "analysis/porter_tmpl_int.h"

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
