/*
 * light_west.c: light stemmers of Western and Northern European languages: the algorithms of
 * J. Savoy (UniNE, CLEF reports of 2001 to 2003 and later) as tables of endings.
 */
#include "analysis/language/light_int.h"

#define ACCENTS_ROMANCE                                                                            \
    u"àaáaâaäaòoóoôoöoèeéeêeëe"                                                        \
    u"ùuúuûuüuìiíiîiïi"

/* --- French --- */

static const qd_rule french_rules[] = {
    {5, 1, u"eaux", NULL, 0},
    {5, 3, u"aux", u"al", 0},
    {5, 1, u"x", NULL, 0},
    QD_STEP,
    {3, 1, u"x", NULL, 0},
    QD_STEP,
    {3, 1, u"s", NULL, 0},
    QD_STEP,
    {9, 7, u"issement", u"r", QD_RULE_STOP},
    {8, 5, u"issant", u"r", QD_RULE_STOP},
    {7, 6, u"ivement", u"f", QD_RULE_STOP},
    {6, 4, u"ement", NULL, QD_RULE_STOP},
    {11, 7, u"ficatrice", u"er", QD_RULE_STOP},
    {10, 6, u"ficateur", u"er", QD_RULE_STOP},
    {9, 7, u"catrice", u"quer", QD_RULE_STOP},
    {8, 6, u"cateur", u"quer", QD_RULE_STOP},
    {8, 6, u"atrice", u"er", QD_RULE_STOP},
    {7, 5, u"ateur", u"er", QD_RULE_STOP},
    {6, 4, u"trice", u"eur", 0},
    QD_STEP,
    {5, 4, u"ième", NULL, QD_RULE_STOP},
    {7, 3, u"teuse", u"r", QD_RULE_STOP},
    {6, 2, u"teur", u"r", QD_RULE_STOP},
    {5, 2, u"euse", NULL, QD_RULE_STOP},
    {8, 3, u"ère", u"er", QD_RULE_STOP},
    {7, 2, u"ive", u"f", QD_RULE_STOP},
    {4, 3, u"folle molle", u"u", QD_RULE_STOP},
    {9, 5, u"nnelle", NULL, QD_RULE_STOP},
    {9, 3, u"nnel", NULL, QD_RULE_STOP},
    {4, 3, u"ète", u"et", 0},
    QD_STEP,
    {8, 4, u"ique", NULL, 0},
    QD_STEP,
    {8, 3, u"esse", NULL, 0},
    {7, 3, u"inage", NULL, 0},
    {12, 9, u"ualisation", u"el", 0},
    {9, 7, u"isation isateur", NULL, 0},
    {8, 5, u"ation ition", NULL, 0},
    QD_RULES_END,
};

/* Runs of one letter become one. */
static int single_letters(char16_t *b, int n)
{
    int k = 1;
    for (int i = 1; i < n; i++)
        if (b[i] != b[k - 1] || !qd_char_letter(b[i])) b[k++] = b[i];
    return k;
}

int qd_stem_light_french(char16_t *b, int n)
{
    static const qd_rule ie[] = {{4, 2, u"ie", NULL, 0}, QD_RULES_END};
    n = qd_rules_run(french_rules, b, n);
    if (n > 4) {
        qd_units_map(b, n,
                     u"àaáaâaôoèeéeêeùuûuîi"
                     u"çc");
        n = single_letters(b, n);
    }
    n = qd_rules_run(ie, b, n);
    if (n <= 4) return n;
    if (b[n - 1] == 'r') n--;
    if (b[n - 1] == 'e') n--;
    if (b[n - 1] == 'e') n--;
    if (b[n - 1] == b[n - 2] && qd_char_letter(b[n - 1])) n--;
    return n;
}

int qd_stem_minimal_french(char16_t *b, int n)
{
    if (n < 6) return n;
    if (b[n - 1] == 'x') {
        if (b[n - 3] == 'a' && b[n - 2] == 'u') b[n - 2] = 'l';
        return n - 1;
    }
    for (const char16_t *end = u"sreé"; *end; end++)
        if (b[n - 1] == *end) n--;
    return b[n - 1] == b[n - 2] && qd_char_letter(b[n - 1]) ? n - 1 : n;
}

/* --- German --- */

int qd_stem_light_german(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {5, 3, u"ern", NULL, 0},
        {4, 2, u"em en er es", NULL, 0},
        {3, 1, u"e", NULL, 0},
        {3, 1, u"bs ds fs gs hs ks ls ms ns ts", NULL, 0},
        QD_STEP,
        {5, 3, u"est", NULL, 0},
        {4, 2, u"er en", NULL, 0},
        {4, 2, u"bst dst fst gst hst kst lst mst nst tst", NULL, 0},
        QD_RULES_END,
    };
    qd_units_map(b, n,
                 u"äaàaáaâaöoòoóoôoïiìiíi"
                 u"îiüuùuúuûu");
    return qd_rules_run(rules, b, n);
}

int qd_stem_minimal_german(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {6, 3, u"nen", NULL, 0},
        {5, 2, u"en se es er", NULL, 0},
        {0, 1, u"n e s r", NULL, 0},
        QD_RULES_END,
    };
    if (n < 5) return n;
    qd_units_map(b, n, u"äaöoüu");
    return qd_rules_run(rules, b, n);
}

/* --- Italian, Spanish, Portuguese --- */

int qd_stem_light_italian(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {0, 2, u"ie he hi ii ia io", NULL, 0},
        {0, 1, u"e i a o", NULL, 0},
        QD_RULES_END,
    };
    if (n < 6) return n;
    qd_units_map(b, n, ACCENTS_ROMANCE);
    return qd_rules_run(rules, b, n);
}

int qd_stem_light_spanish(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {0, 1, u"o a e", NULL, 0},
        {0, 2, u"eses", NULL, 0},
        {0, 3, u"ces", u"z", 0},
        {0, 2, u"os as es", NULL, 0},
        QD_RULES_END,
    };
    if (n < 5) return n;
    qd_units_map(b, n, ACCENTS_ROMANCE);
    return qd_rules_run(rules, b, n);
}

int qd_stem_light_portuguese(char16_t *b, int n)
{
    static const qd_rule plural[] = {
        {4, 2, u"res ses les zes", NULL, 0},
        {3, 2, u"ns", u"m", 0},
        {4, 3, u"eis éis", u"el", 0},
        {4, 2, u"ais", u"l", 0},
        {4, 3, u"óis", u"ol", 0},
        {4, 1, u"is", u"l", 0},
        {3, 3, u"ões ães", u"ão", 0},
        {6, 5, u"mente", NULL, 0},
        {3, 1, u"s", NULL, 0},
        QD_STEP,
        {7, 1, u"inha iaca eira", u"o", 0},
        {6, 1, u"osa ica ida ada iva ama", u"o", 0},
        {6, 3, u"ona", u"ão", 0},
        {6, 1, u"ora", NULL, 0},
        {6, 3, u"esa", u"ês", 0},
        {6, 1, u"na", u"o", 0},
        QD_STEP,
        {4, 1, u"e a o", NULL, 0},
        QD_RULES_END,
    };
    if (n < 4) return n;
    n = qd_rules_run(plural, b, n);
    qd_units_map(b, n, ACCENTS_ROMANCE u"ãaõoçc");
    return n;
}

/* --- the North --- */

int qd_stem_light_swedish(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {4, 1, u"s", NULL, 0},           QD_STEP,
        {7, 5, u"elser heten", NULL, 0}, {6, 4, u"arne erna ande else aste orna aren", NULL, 0},
        {5, 3, u"are ast het", NULL, 0}, {4, 2, u"ar er or en at te et", NULL, 0},
        {3, 1, u"t a e n", NULL, 0},     QD_RULES_END,
    };
    return qd_rules_run(rules, b, n);
}

int qd_stem_light_norwegian(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {4, 1, u"s", NULL, 0},           QD_STEP,
        {7, 5, u"heter heten", NULL, 0}, {5, 3, u"dom het", NULL, 0},
        {7, 5, u"elser elsen", NULL, 0}, {6, 4, u"ende else este eren", NULL, 0},
        {5, 3, u"ere est ene", NULL, 0}, {4, 2, u"er en et st te", NULL, 0},
        {3, 1, u"a e n", NULL, 0},       QD_RULES_END,
    };
    return qd_rules_run(rules, b, n);
}

int qd_stem_light_nynorsk(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {4, 1, u"s", NULL, 0},
        QD_STEP,
        {7, 5, u"heita", NULL, 0},
        {8, 6, u"heiter leiken leikar", NULL, 0},
        {5, 3, u"dom", NULL, 0},
        {6, 4, u"heit semd leik", NULL, 0},
        {7, 5, u"elser elsen", NULL, 0},
        {6, 4, u"ande else aste aren", NULL, 0},
        {5, 3, u"are ast ene ane", NULL, 0},
        {4, 2, u"er en et ar te", NULL, 0},
        {3, 1, u"a e n", NULL, 0},
        QD_RULES_END,
    };
    return qd_rules_run(rules, b, n);
}

int qd_stem_minimal_norwegian(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {4, 1, u"s", NULL, 0},   QD_STEP,
        {5, 3, u"ene", NULL, 0}, {4, 2, u"er en et", NULL, 0},
        {3, 1, u"a e", NULL, 0}, QD_RULES_END,
    };
    return qd_rules_run(rules, b, n);
}

int qd_stem_minimal_nynorsk(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {4, 1, u"s", NULL, 0},       QD_STEP,
        {5, 3, u"ene ane", NULL, 0}, {4, 2, u"er en et ar", NULL, 0},
        {3, 1, u"a e", NULL, 0},     QD_RULES_END,
    };
    return qd_rules_run(rules, b, n);
}

/* --- Finnish, Hungarian --- */

int qd_stem_light_finnish(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {11, 8, u"dellinen", NULL, 0},
        {11, 9, u"dellisuus", NULL, 0},
        QD_STEP,
        {5, 3, u"lla tse sti", NULL, 0},
        {5, 2, u"ni", NULL, 0},
        {5, 1, u"aa", NULL, 0},
        QD_STEP,
        {8, 4, u"nnen", u"s", 0},
        {8, 5, u"ntena", u"s", 0},
        {8, 4, u"tten", NULL, 0},
        {8, 5, u"eiden", NULL, 0},
        {6, 4, u"neen niin seen teen inen", NULL, 0},
        {6, 3, u"h@n", NULL, 0},
        {6, 3, u"den", u"s", 0},
        {6, 4, u"ksen", u"s", 0},
        {6, 3, u"ssa sta lla lta tta ksi lle", NULL, 0},
        {5, 2, u"na ne", NULL, 0},
        {5, 3, u"nei", NULL, 0},
        {4, 2, u"ja ta", NULL, 0},
        {4, 1, u"a", NULL, 0},
        {4, 2, u"@n", NULL, 0},
        {4, 1, u"n", NULL, 0},
        QD_STEP,
        {5, 3, u"hde", u"ksi", 0},
        QD_STEP,
        {4, 2, u"ei at", NULL, 0},
        {3, 1, u"t s j e a i", NULL, 0},
        QD_STEP,
        {8, 1, u"e o u", NULL, 0},
        QD_STEP,
        {4, 1, u"i", NULL, 0},
        QD_RULES_END,
    };
    if (n < 4) return n;
    qd_units_map(b, n, u"äaåaöo");
    while (n > 8 && qd_units_end_any(b, n, u"kin ko")) n -= b[n - 1] == 'n' ? 3 : 2;
    n = qd_rules_run(rules, b, n);
    if (n <= 4) return n;
    int k = 1;
    for (int i = 1; i < n; i++)
        if (b[i] != b[k - 1] || !qd_unit_of(b[i], u"kpt")) b[k++] = b[i];
    return k;
}

int qd_stem_light_hungarian(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {6, 4, u"kent", NULL, 0},
        {5, 3, u"nak nek val vel ert rol ban ben bol nal nel hoz hez tol #=al #=el", NULL, 0},
        {4, 2, u"at et ot va ve ra re ba be ul ig #on #en", NULL, 0},
        {4, 1, u"t n", NULL, 0},
        {4, 2, u"#=a #=e", NULL, 0},
        QD_STEP,
        {6, 4, u"#atok #otok #etek itek itok", NULL, 0},
        {5, 3, u"#unk #tok #tek @juk ink", NULL, 0},
        {4, 2, u"#am #em #om #ad #ed #od #uk @nk @ja @je im id ik", NULL, 0},
        {3, 1, u"#a #e @m @d i", NULL, 0},
        QD_STEP,
        {4, 2, u"ak ok ek", NULL, 0},
        {3, 1, u"k", NULL, 0},
        QD_STEP,
        {3, 1, u"a e i o", NULL, 0},
        QD_RULES_END,
    };
    qd_units_map(b, n,
                 u"áaëeéeíióoőoõoöoúuűuũu"
                 u"ûuüu");
    return qd_rules_run(rules, b, n);
}
