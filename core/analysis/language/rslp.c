/*
 * rslp.c: Portuguese (V. Orengo and C. Huyck's RSLP) and Galician (its adaptation).
 */
#include "analysis/language/rslp_int.h"

static int units_of(const char16_t *s)
{
    int n = 0;
    while (s[n]) n++;
    return n;
}

static int step_run(const qd_rslp_step *s, char16_t *b, int n)
{
    if (n < s->min || (*s->conds && !qd_units_end_any(b, n, s->conds))) return n;
    for (const qd_rslp_rule *r = s->rules; r->end; r++) {
        int len = units_of(r->end);
        if (n - len < r->min || !qd_units_end(b, n, r->end)) continue;
        if (s->whole ? qd_units_in(b, n, r->except) : qd_units_end_any(b, n, r->except)) continue;
        n -= len;
        for (const char16_t *p = r->put; *p; p++) b[n++] = *p;
        return n;
    }
    return n;
}

enum { PLURAL, ADVERB_OR_UNIFY, FEMININE_OR_ADVERB, AUGMENTATIVE, NOUN, VERB, VOWEL };

int qd_stem_rslp_portuguese(char16_t *b, int n)
{
    const qd_rslp_step *s = qd_rslp_portuguese;
    for (int i = PLURAL; i <= AUGMENTATIVE; i++) n = step_run(&s[i], b, n);
    int is = step_run(&s[NOUN], b, n);
    if (is == n && (is = step_run(&s[VERB], b, n)) == n) is = step_run(&s[VOWEL], b, n);
    qd_units_map(b, is, u"àaáaâaãaäaåaçcèeéeêeëeìiíiîiïiñnòoóoôoõoöoùuúuûuüuýyÿy");
    return is;
}

int qd_stem_minimal_portuguese(char16_t *b, int n)
{
    return step_run(&qd_rslp_portuguese[PLURAL], b, n);
}

int qd_stem_galician(char16_t *b, int n)
{
    const qd_rslp_step *s = qd_rslp_galician;
    int was;
    for (int i = PLURAL; i < AUGMENTATIVE; i++) n = step_run(&s[i], b, n);
    do {
        was = n;
        n = step_run(&s[AUGMENTATIVE], b, n);
    } while (n != was);
    n = step_run(&s[NOUN], b, n);
    if (n == was) n = step_run(&s[VERB], b, n);
    n = step_run(&s[VOWEL], b, n);
    qd_units_map(b, n, u"áaéeêeíióoúu");
    return n;
}

int qd_stem_minimal_galician(char16_t *b, int n)
{
    return step_run(&qd_rslp_galician[PLURAL], b, n);
}
