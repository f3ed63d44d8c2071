/*
 * rslp.c: Portuguese (V. Orengo and C. Huyck's RSLP), Galician (its adaptation), Brazilian, and
 * plurals of Spanish.
 */
#include "analysis/filter/rslp_int.h"

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

/* --- Brazilian: Snowball's Portuguese of its first days, without accents --- */

static bool vowel(char16_t c)
{
    return qd_unit_of(c, u"aeiou");
}

/* The region behind the first consonant that follows a vowel; the end is not looked at. -1: none */
static int region(const char16_t *b, int from, int n)
{
    if (from < 0) return -1;
    while (from < n - 1 && !vowel(b[from])) from++;
    while (from < n - 1 && vowel(b[from])) from++;
    return from < n - 1 ? from + 1 : -1;
}

static int verb_region(const char16_t *b, int n)
{
    int j = 2;
    if (n > 1 && !vowel(b[1])) {
        while (j < n - 1 && !vowel(b[j])) j++;
        if (j < n - 1) return j + 1;
    }
    j = 2;
    if (n > 2 && vowel(b[0]) && vowel(b[1])) {
        while (j < n - 1 && vowel(b[j])) j++;
        if (j < n - 1) return j + 1;
    }
    return n > 3 ? 3 : -1;
}

/* Does the region from `at` end with s? */
static bool in_region(const char16_t *b, int at, int n, const char16_t *s)
{
    return at >= 0 && qd_units_end(b + at, n - at, s);
}

typedef struct nominal {
    char in; /* '1', '2': the regions; 'v': the verbs' one, behind an e */
    const char16_t *end, *put;
} nominal;

static const nominal nominals[] = {
    {'2', u"uciones", u"u"},   {'2', u"imentos", u""}, {'2', u"amentos", u""},
    {'2', u"adores", u""},     {'2', u"adoras", u""},  {'2', u"logias", u"logias"},
    {'2', u"encias", u"ente"}, {'1', u"amente", u""},  {'2', u"idades", u""},
    {'2', u"acoes", u""},      {'2', u"imento", u""},  {'2', u"amento", u""},
    {'2', u"adora", u""},      {'2', u"ismos", u""},   {'2', u"istas", u""},
    {'2', u"logia", u"log"},   {'2', u"ucion", u"u"},  {'2', u"encia", u"ente"},
    {'2', u"mente", u""},      {'2', u"idade", u""},   {'2', u"acao", u""},
    {'2', u"ezas", u""},       {'2', u"icos", u""},    {'2', u"icas", u""},
    {'2', u"ismo", u""},       {'2', u"avel", u""},    {'2', u"ivel", u""},
    {'2', u"ista", u""},       {'2', u"osos", u""},    {'2', u"osas", u""},
    {'2', u"ador", u""},       {'2', u"ivas", u""},    {'2', u"ivos", u""},
    {'v', u"iras", u"ir"},     {'2', u"eza", u""},     {'2', u"ico", u""},
    {'2', u"ica", u""},        {'2', u"oso", u""},     {'2', u"osa", u""},
    {'2', u"iva", u""},        {'2', u"ivo", u""},     {'v', u"ira", u"ir"},
};

static bool nominal_off(char16_t *b, int *n, int r1, int r2, int rv)
{
    for (size_t i = 0; i < QD_COUNT_OF(nominals); i++) {
        const nominal *r = &nominals[i];
        int len = units_of(r->end), at = r->in == '1' ? r1 : r->in == '2' ? r2 : rv;
        if (!in_region(b, at, *n, r->end)) continue;
        if (r->in == 'v' && (*n <= len || b[*n - len - 1] != 'e')) continue;
        *n -= len;
        for (const char16_t *p = r->put; *p; p++) b[(*n)++] = *p;
        return true;
    }
    return false;
}

static bool verb_off(const char16_t *b, int *n, int rv)
{
    static const char16_t *const ends[] = {
        u"issemos essemos assemos ariamos eriamos iriamos",
        u"iremos eremos aremos avamos iramos eramos aramos asseis esseis isseis arieis erieis "
        u"irieis",
        u"irmos iamos armos ermos areis ereis ireis asses esses isses astes assem essem issem "
        u"ardes "
        u"erdes irdes ariam eriam iriam arias erias irias estes istes aveis",
        u"aria eria iria asse esse isse aste este iste arei erei irei aram eram iram avam arem "
        u"erem "
        u"irem ando endo indo arao erao irao adas idas aras eras iras avas ares eres ires ados "
        u"idos "
        u"amos emos imos ieis",
        u"ada ida ara era iam ado ido ias ais eis ear",
        u"ia ei am em ar er ir as es is eu iu ou",
    };
    for (int k = 0; rv >= 0 && k < 6; k++) {
        if (k == 4 && in_region(b, rv, *n, u"ira")) return true; /* found, and left */
        if (!qd_units_end_any(b + rv, *n - rv, ends[k])) continue;
        *n -= 7 - k;
        return true;
    }
    return false;
}

/* The last e, and u of gue, i of cie, by the word before the other steps. */
static int residue_off(const char16_t *was, int nwas, int rv, const char16_t *b, int n)
{
    if (!in_region(was, rv, nwas, u"e")) return n;
    char16_t more = in_region(was, rv, nwas, u"gue")   ? 'u'
                    : in_region(was, rv, nwas, u"cie") ? 'i'
                                                       : 0;
    if (n && b[n - 1] == 'e') n--;
    return more && n && b[n - 1] == more ? n - 1 : n;
}

int qd_stem_brazilian(char16_t *b, int n)
{
    enum { MAX = 30 };
    static const char16_t marks[] = u"\"'-,;.?!";
    char16_t was[MAX], c[MAX + 8];
    if (n >= MAX + 2) return n;
    for (int i = 0; i < n; i++) c[i] = (char16_t)qd_char_lower(b[i]);
    qd_units_map(c, n, u"áaâaãaéeêeíióoôoõoúuüuçcñn");
    int m = n;
    if (m >= 2 && qd_unit_of(c[0], marks)) m = qd_units_cut(c, m, 0, 1);
    if (m >= 2 && qd_unit_of(c[m - 1], marks)) m--;
    if (m >= MAX || m <= 2) return n;
    memcpy(b, c, (size_t)m * sizeof *b);
    for (int i = 0; i < m; i++)
        if (!qd_char_letter(b[i])) return m;
    memcpy(was, b, (size_t)m * sizeof *b);
    int rv = verb_region(b, m), r1 = region(b, 0, m), r2 = region(b, r1, m);
    n = m;
    if (nominal_off(b, &n, r1, r2, rv) || verb_off(b, &n, rv)) {
        if (in_region(was, rv, m, u"ci") && n && b[n - 1] == 'i') n--;
    } else if (rv >= 0) {
        n -= in_region(b, rv, n, u"os") ? 2 : qd_units_end_any(b + rv, n - rv, u"a i o") ? 1 : 0;
    }
    return residue_off(was, m, rv, b, n);
}

/* --- Spanish plurals --- */

static const char16_t invariant[] =
    u"abrebotellas abrecartas abrelatas afueras albatros albricias aledaños alexis aries alicates "
    u"analisis andurriales antitesis añicos apendicitis apocalipsis arcoiris bilis boletus boris "
    u"brindis cactus canutas caries cascanueces cascarrabias ciempies cifosis cortaplumas corpus "
    u"cosmos cosquillas creces crisis cuatrocientas cuatrocientos cuelgacapas cuentacuentos "
    u"cuentapasos cumpleaños doscientas doscientos dosis enseres entonces esponsales estatus "
    u"exequias "
    u"fauces forceps fotosintesis gafas gafotas gargaras gris honorarios ictus jueves lapsus "
    u"lavacoches lavaplatos limpiabotas lunes maitines martes mondadientes novecientas novecientos "
    u"nupcias ochocientas ochocientos pais paris parabrisas paracaidas parachoques paraguas "
    u"pararrayos pisapapeles piscis portaaviones portamaletas portamantas quinientas quinientos "
    u"quitamanchas recogepelotas rictus rompeolas sacacorchos sacapuntas saltamontes salvavidas "
    u"seis "
    u"seiscientas seiscientos setecientas setecientos sintesis tenis tifus trabalenguas vacaciones "
    u"venus versus viacrucis virus viveres volandas";
static const char16_t special[] =
    u"yoes noes sies clubes faralaes albalaes itemes albumes sandwiches relojes bojes contrarreloj "
    u"carcajes";

/* What -es leaves: the letters before it. */
static bool es_goes(const char16_t *b, int n)
{
    char16_t c = b[n - 3], d = b[n - 4];
    if (b[n - 2] != 'e') return false;
    return (vowel(d) && qd_unit_of(c, u"rdlnx")) || qd_unit_of(c, u"yus") ||
           (qd_unit_of(d, u"ulrtn") && c == 'i');
}

int qd_stem_spanish_plural(char16_t *b, int n)
{
    enum { LONGEST = 16 };
    char16_t low[LONGEST];
    if (n < 4) return n;
    qd_units_map(b, n, u"àaáaâaäaòoóoôoöoèeéeêeëeùuúuûuüuìiíiîiïi");
    for (int i = 0; n <= LONGEST && i < n; i++) low[i] = (char16_t)qd_char_lower(b[i]);
    if (n <= LONGEST && qd_units_in(low, n, invariant)) return n;
    if (n <= LONGEST && qd_units_in(low, n, special)) return n - 2;
    if (b[n - 1] != 's') return n;
    char16_t a = b[n - 2], c = b[n - 3], d = b[n - 4];
    if (!vowel(a) || d == 'q' || (d == 'g' && c == 'u' && (a == 'i' || a == 'e'))) return n - 1;
    if (es_goes(b, n)) return n - 2;
    if (a == 'i' && (vowel(c) || c == 'd')) {
        b[n - 2] = 'y';
        return n - 1;
    }
    if (a == 'e' && c == 'c') {
        b[n - 3] = 'z';
        return n - 2;
    }
    return n - 1;
}
