/*
 * rules.c: codes by rewriting a word again and again: Caverphone 1.0 and 2.0 (D. Hood, University
 * of Otago, 2002 and 2004) and NYSIIS (New York State Identification and Intelligence System,
 * 1970).
 */
#include "phonetic.h"
#include <string.h>

/* One step: every `from`, only at the start (^) or the end ($) of the word, becomes `to`. */
typedef struct step {
    char where; /* ^ $ or blank; +: runs of from become one */
    const char *from, *to;
} step;

/* Replaces count letters at i of a word of *n letters; the room is PH_CODE_MAX. */
static void put(char *w, size_t *n, size_t i, size_t count, const char *to, size_t nto)
{
    if (*n - count + nto > PH_CODE_MAX) return;
    memmove(w + i + nto, w + i + count, *n - i - count);
    memcpy(w + i, to, nto);
    *n = *n - count + nto;
}

static size_t step_run(const step *s, char *w, size_t n)
{
    size_t len = strlen(s->from), nto = strlen(s->to);
    if (n < len) return n;
    if (s->where == '^' || s->where == '$') {
        size_t at = s->where == '^' ? 0 : n - len;
        if (!memcmp(w + at, s->from, len)) put(w, &n, at, len, s->to, nto);
        return n;
    }
    for (size_t i = 0; i + len <= n;) {
        if (memcmp(w + i, s->from, len) != 0) {
            i++;
            continue;
        }
        size_t count = len;
        while (s->where == '+' && i + count < n && w[i + count] == *s->from) count++;
        put(w, &n, i, count, s->to, nto);
        i += nto;
    }
    return n;
}

/* The steps that both versions begin with; vowels are 3 then, but A at the start. */
static const step common[] = {
    {' ', "cq", "2q"},   {' ', "ci", "si"}, {' ', "ce", "se"},   {' ', "cy", "sy"},
    {' ', "tch", "2ch"}, {' ', "c", "k"},   {' ', "q", "k"},     {' ', "x", "k"},
    {' ', "v", "f"},     {' ', "dg", "2g"}, {' ', "tio", "sio"}, {' ', "tia", "sia"},
    {' ', "d", "t"},     {' ', "ph", "fh"}, {' ', "b", "p"},     {' ', "sh", "s2"},
    {' ', "z", "s"},     {'^', "a", "A"},   {'^', "e", "A"},     {'^', "i", "A"},
    {'^', "o", "A"},     {'^', "u", "A"},   {' ', "a", "3"},     {' ', "e", "3"},
    {' ', "i", "3"},     {' ', "o", "3"},   {' ', "u", "3"},
};
static const step groups[] = {
    {' ', "3gh3", "3kh3"}, {' ', "gh", "22"}, {' ', "g", "k"}, {'+', "s", "S"}, {'+', "t", "T"},
    {'+', "p", "P"},       {'+', "k", "K"},   {'+', "f", "F"}, {'+', "m", "M"}, {'+', "n", "N"},
};
static const step starts1[] = {{'^', "cough", "cou2f"}, {'^', "rough", "rou2f"},
                               {'^', "tough", "tou2f"}, {'^', "enough", "enou2f"},
                               {'^', "gn", "2n"},       {'$', "mb", "m2"}};
static const step starts2[] = {
    {'$', "e", ""},          {'^', "cough", "cou2f"},   {'^', "rough", "rou2f"},
    {'^', "tough", "tou2f"}, {'^', "enough", "enou2f"}, {'^', "trough", "trou2f"},
    {'^', "gn", "2n"},       {'$', "mb", "m2"}};
static const step ends1[] = {
    {' ', "w3", "W3"}, {' ', "wy", "Wy"}, {' ', "wh3", "Wh3"}, {' ', "why", "Why"},
    {' ', "w", "2"},   {'^', "h", "A"},   {' ', "h", "2"},     {' ', "r3", "R3"},
    {' ', "ry", "Ry"}, {' ', "r", "2"},   {' ', "l3", "L3"},   {' ', "ly", "Ly"},
    {' ', "l", "2"},   {' ', "j", "y"},   {' ', "y3", "Y3"},   {' ', "y", "2"},
    {' ', "2", ""},    {' ', "3", ""},
};
static const step glides2[] = {
    {' ', "j", "y"},
    {'^', "y3", "Y3"},
    {'^', "y", "A"},
    {' ', "y", "3"},
};
static const step ends2[] = {
    {' ', "w3", "W3"}, {' ', "wh3", "Wh3"}, {'$', "w", "3"}, {' ', "w", "2"}, {'^', "h", "A"},
    {' ', "h", "2"},   {' ', "r3", "R3"},   {'$', "r", "3"}, {' ', "r", "2"}, {' ', "l3", "L3"},
    {'$', "l", "3"},   {' ', "l", "2"},     {' ', "2", ""},  {'$', "3", "A"}, {' ', "3", ""},
};

#define RUN(steps)                                                                                 \
    for (size_t i = 0; i < sizeof(steps) / sizeof *(steps); i++) n = step_run(&(steps)[i], w, n)

static size_t lower(const char *from, size_t n, char *w)
{
    for (size_t i = 0; i < n; i++) w[i] = (char)(from[i] | 32);
    return n;
}

/* Ones behind, up to so many characters. */
static size_t filled(char *w, size_t n, size_t size)
{
    if (n < size) memset(w + n, '1', size - n);
    return size;
}

size_t ph_caverphone1(const char *from, size_t n, size_t max, char *w)
{
    (void)max;
    n = lower(from, n, w);
    RUN(starts1);
    RUN(common);
    RUN(groups);
    RUN(ends1);
    return filled(w, n, 6);
}

size_t ph_caverphone2(const char *from, size_t n, size_t max, char *w)
{
    (void)max;
    n = lower(from, n, w);
    RUN(starts2);
    RUN(common);
    RUN(glides2);
    RUN(groups);
    RUN(ends2);
    return filled(w, n, 10);
}

/* --- NYSIIS --- */

static bool vowel(char c)
{
    return ph_in(c, "AEIOU");
}

/* One rewriting of the word at i, behind its first letter. */
static void nysiis_at(char *w, size_t n, size_t i)
{
    char next = i + 1 < n ? w[i + 1] : 0;
    bool sch = i + 2 < n && !memcmp(w + i, "SCH", 3);
    if (w[i] == 'E' && next == 'V')
        memcpy(w + i, "AF", 2);
    else if (vowel(w[i]))
        w[i] = 'A';
    else if (w[i] == 'Q' || w[i] == 'Z' || w[i] == 'M')
        w[i] = w[i] == 'Q' ? 'G' : w[i] == 'Z' ? 'S' : 'N';
    else if (w[i] == 'K')
        w[i] = next == 'N' ? 'N' : 'C';
    else if (sch)
        memcpy(w + i, "SSS", 3);
    else if (w[i] == 'P' && next == 'H')
        memcpy(w + i, "FF", 2);
    else if ((w[i] == 'H' && (!vowel(w[i - 1]) || !vowel(next))) ||
             (w[i] == 'W' && vowel(w[i - 1])))
        w[i] = w[i - 1];
}

size_t ph_nysiis(const char *from, size_t n, size_t max, char *code)
{
    enum { LONGEST = 6 };
    static const step heads[] = {{'^', "MAC", "MCC"}, {'^', "KN", "NN"}, {'^', "K", "C"},
                                 {'^', "PH", "FF"},   {'^', "PF", "FF"}, {'^', "SCH", "SSS"}};
    static const step tails[] = {{'$', "EE", "Y"}, {'$', "IE", "Y"}, {'$', "DT", "D"},
                                 {'$', "RT", "D"}, {'$', "RD", "D"}, {'$', "NT", "D"},
                                 {'$', "ND", "D"}};
    char w[PH_CODE_MAX];
    size_t k = 1;
    (void)max;
    memcpy(w, from, n);
    RUN(heads);
    RUN(tails);
    code[0] = w[0];
    for (size_t i = 1; i < n; i++) {
        nysiis_at(w, n, i);
        if (w[i] != w[i - 1]) code[k++] = w[i];
    }
    if (k > 1 && code[k - 1] == 'S') k--;
    if (k > 2 && code[k - 1] == 'Y' && code[k - 2] == 'A') code[--k - 1] = 'Y';
    if (k > 1 && code[k - 1] == 'A') k--;
    return k < LONGEST ? k : LONGEST;
}
