/*
 * light_east.c: light stemmers of other languages as tables of endings: Bulgarian, Czech, Russian
 * (L. Dolamic, J. Savoy), Latvian (K. Kreslins), Indonesian (F. Tala), Hindi (A. Ramanathan,
 * D. Rao), Bengali, Arabic (L. Larkey), Persian, Sorani.
 */
#include "analysis/language/light_int.h"

int qd_stem_bulgarian(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {5, 3, u"ища", NULL, QD_RULE_STOP},
        QD_STEP,
        {6, 3, u"ият", NULL, 0},
        {5, 2, u"ът то те та ия", NULL, 0},
        {4, 2, u"ят", NULL, 0},
        QD_STEP,
        {6, 3, u"овци ове", NULL, 0},
        {6, 3, u"еве", u"й", 0},
        {5, 3, u"ища", NULL, 0},
        {5, 2, u"та", NULL, 0},
        {5, 2, u"ци", u"к", 0},
        {5, 2, u"зи", u"г", 0},
        {5, 3, u"е?и", u"я?", 0},
        {4, 2, u"си", u"х", 0},
        {4, 1, u"и", NULL, 0},
        QD_STEP,
        {3, 2, u"ая оя ея", NULL, 0},
        {3, 1, u"я а о е", NULL, 0},
        QD_STEP,
        {4, 2, u"ен", u"н", 0},
        QD_STEP,
        {5, 2, u"ъ?", u"?", 0},
        QD_RULES_END,
    };
    return n < 4 ? n : qd_rules_run(rules, b, n);
}

int qd_stem_czech(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {7, 5, u"atech", NULL, 0},
        {6, 4, u"ětem etem atům", NULL, 0},
        {5, 3,
         u"ech ich ích ého ěmi emi ému ěte ete ěti eti ího iho ími ímu imu ách ata aty ých ama ami "
         u"ové ovi ými",
         NULL, 0},
        {4, 2, u"em es ém ím ům at ám os us ým mi ou", NULL, 0},
        {3, 1, u"a e i o u ů y á é í ý ě", NULL, 0},
        QD_STEP,
        {5, 2, u"ov in ův", NULL, 0},
        QD_STEP,
        {0, 2, u"čt", u"ck", 0},
        {0, 2, u"št", u"sk", 0},
        {0, 1, u"c č", u"k", 0},
        {0, 1, u"z ž", u"h", 0},
        {1, 2, u"e?", u"?", 0},
        {2, 2, u"ů?", u"o?", 0},
        QD_RULES_END,
    };
    return qd_rules_run(rules, b, n);
}

int qd_stem_light_russian(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {6, 4, u"иями оями", NULL, 0},
        {5, 3, u"иям иях оях ями оям оьв ами его ему ери ими ого ому ыми оев", NULL, 0},
        {4, 2,
         u"ая яя ях юю ах ею их ия ию ьв ою ую ям ых ея ам ем ей ём ев ий им ое ой ом ов ые ый ым "
         u"ми",
         NULL, 0},
        {3, 1, u"а е и о у й ы я ь", NULL, 0},
        QD_STEP,
        {3, 1, u"ь и нн", NULL, 0},
        QD_RULES_END,
    };
    return qd_rules_run(rules, b, n);
}

/* --- Latvian --- */

/* What softened a consonant before the ending. u: the ending was -u. */
static int harden(char16_t *b, int n, bool u)
{
    static const qd_rule genitive[] = {
        {0, 2, u"kš", u"kst", QD_RULE_STOP},
        {0, 2, u"ņņ", u"nn", QD_RULE_STOP},
        QD_RULES_END,
    };
    static const qd_rule rules[] = {
        {0, 1, u"pj bj mj vj", NULL, 0},
        {0, 2, u"šņ", u"sn", 0},
        {0, 2, u"žņ", u"zn", 0},
        {0, 2, u"šļ", u"sl", 0},
        {0, 2, u"žļ", u"zl", 0},
        {0, 2, u"ļņ", u"ln", 0},
        {0, 2, u"ļļ", u"ll", 0},
        {0, 1, u"č", u"c", 0},
        {0, 1, u"ļ", u"l", 0},
        {0, 1, u"ņ", u"n", 0},
        QD_RULES_END,
    };
    if (u && qd_units_end_any(b, n, u"kš ņņ")) return qd_rules_run(genitive, b, n);
    return qd_rules_run(rules, b, n);
}

int qd_stem_latvian(char16_t *b, int n)
{
    /* vowels that a word has more than, whether the ending softens, endings in their order */
    static const struct {
        uint8_t vowels;
        bool soft;
        const char16_t *ends;
    } rules[] = {
        {3, false, u"ajiem ajai"},
        {2, false, u"ajam ajām ajos ajās"},
        {2, true, u"iem"},
        {2, false, u"ajā ais ai ei"},
        {1, false, u"ām am ēm īm im um"},
        {1, true, u"us"},
        {1, false, u"as ās es"},
        {1, true, u"os"},
        {1, false, u"ij īs ēs is ie"},
        {1, true, u"u a i"},
        {1, false, u"e ā ē ī ū o"},
        {0, false, u"s š"},
    };
    int vowels = 0;
    for (int i = 0; i < n; i++) vowels += qd_unit_of(b[i], u"aeiouāīēū");
    for (size_t r = 0; r < QD_COUNT_OF(rules); r++) {
        if (vowels <= rules[r].vowels) continue;
        for (const char16_t *w = rules[r].ends; *w;) {
            int len = 0;
            while (w[len] && w[len] != ' ') len++;
            bool fits = n >= len + 3 && !memcmp(b + n - len, w, (size_t)len * sizeof *w);
            if (fits) return rules[r].soft ? harden(b, n - len, b[n - len] == 'u') : n - len;
            w += len + (w[len] == ' ');
        }
    }
    return n;
}

/* --- Indonesian --- */

enum { KE = 1, PENG = 2, DI = 4, MENG = 8, TER = 16, BER = 32, PE = 64 };

typedef struct affix {
    const char16_t *at; /* of a prefix: v is a vowel that stays, c a consonant that stays */
    uint8_t cut;        /* units */
    char16_t put;       /* the first unit then; 0: as it is */
    uint8_t flag, whole;
} affix;

static bool latin_vowel(char16_t c)
{
    return qd_unit_of(c, u"aeiou");
}

/* Takes off the first prefix of the table that fits; its flag goes to *flags. */
static int prefix_off(const affix *a, char16_t *b, int n, int *syllables, int *flags)
{
    for (; a->at; a++) {
        int i = 0;
        if (a->whole && n != a->whole) continue;
        while (a->at[i] && i < n &&
               (a->at[i] == 'V'   ? latin_vowel(b[i])
                : a->at[i] == 'C' ? !latin_vowel(b[i])
                                  : a->at[i] == b[i]))
            i++;
        if (a->at[i]) continue;
        *flags |= a->flag;
        --*syllables;
        n = qd_units_cut(b, n, 0, a->cut);
        if (a->put) b[0] = a->put;
        return n;
    }
    return n;
}

static int suffix_off(const char16_t *b, int n, int *syllables, int flags)
{
    int cut = 0;
    if (qd_units_end(b, n, u"kan") && !(flags & (KE | PENG | PE)))
        cut = 3;
    else if (qd_units_end(b, n, u"an") && !(flags & (DI | MENG | TER)))
        cut = 2;
    else if (qd_units_end(b, n, u"i") && !qd_units_end(b, n, u"si") && !(flags & (BER | KE | PENG)))
        cut = 1;
    *syllables -= cut > 0;
    return n - cut;
}

int qd_stem_indonesian(char16_t *b, int n)
{
    static const affix first[] = {
        {u"meng", 4, 0, MENG, 0},    {u"menyV", 3, 's', MENG, 0}, {u"men", 3, 0, MENG, 0},
        {u"mem", 3, 0, MENG, 0},     {u"me", 2, 0, MENG, 0},      {u"peng", 4, 0, PENG, 0},
        {u"penyV", 3, 's', PENG, 0}, {u"peny", 4, 0, PENG, 0},    {u"penV", 2, 't', PENG, 0},
        {u"pen", 3, 0, PENG, 0},     {u"pem", 3, 0, PENG, 0},     {u"di", 2, 0, DI, 0},
        {u"ter", 3, 0, TER, 0},      {u"ke", 2, 0, KE, 0},        {NULL, 0, 0, 0, 0},
    };
    static const affix second[] = {
        {u"ber", 3, 0, BER, 0}, {u"belajar", 3, 0, BER, 7}, {u"beCer", 2, 0, BER, 0},
        {u"per", 3, 0, 0, 0},   {u"pelajar", 3, 0, 0, 7},   {u"pe", 2, 0, PE, 0},
        {NULL, 0, 0, 0, 0},
    };
    int flags = 0, syllables = 0, was;
    for (int i = 0; i < n; i++) syllables += latin_vowel(b[i]);
    if (syllables > 2 && qd_units_end_any(b, n, u"kah lah pun")) n -= 3, syllables--;
    if (syllables > 2 && qd_units_end_any(b, n, u"ku mu nya")) {
        n -= b[n - 1] == 'u' ? 2 : 3;
        syllables--;
    }
    was = n;
    if (syllables > 2) n = prefix_off(first, b, n, &syllables, &flags);
    if (n != was) {
        was = n;
        if (syllables > 2) n = suffix_off(b, n, &syllables, flags);
        if (n != was && syllables > 2) n = prefix_off(second, b, n, &syllables, &flags);
        return n;
    }
    if (syllables > 2) n = prefix_off(second, b, n, &syllables, &flags);
    return syllables > 2 ? suffix_off(b, n, &syllables, flags) : n;
}

/* --- Indian languages --- */

int qd_stem_hindi(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {6, 5, u"ाएंगी ाएंगे ाऊंगी ाऊंगा ाइयाँ ाइयों ाइयां", NULL, 0},
        {5, 4, u"ाएगी ाएगा ाओगी ाओगे एंगी ेंगी एंगे ेंगे ूंगी ूंगा ातीं नाओं नाएं ताओं ताएं ियाँ ियों ियां", NULL, 0},
        {4, 3, u"ाकर ाइए ाईं ाया ेगी ेगा ोगी ोगे ाने ाना ाते ाती ाता तीं ाओं ाएं ुओं ुएं ुआं", NULL, 0},
        {3, 2, u"कर ाओ िए ाई ाए ने नी ना ते ीं ती ता ाँ ां ों ें", NULL, 0},
        {2, 1, u"ो े ू ु ी ि ा", NULL, 0},
        QD_RULES_END,
    };
    return qd_rules_run(rules, b, n);
}

int qd_stem_bengali(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {9, 8, u"িয়াছিলাম িতেছিলাম িতেছিলেন ইতেছিলেন িয়াছিলেন ইয়াছিলেন", NULL, 0},
        {8, 7, u"িতেছিলি িতেছিলে িয়াছিলা িয়াছিলে িতেছিলা িয়াছিলি য়েদেরকে", NULL, 0},
        {7, 6, u"িতেছিস িতেছেন িয়াছিস িয়াছেন েছিলাম েছিলেন েদেরকে", NULL, 0},
        {6, 5, u"িতেছি িতেছা িতেছে ছিলাম ছিলেন িয়াছি িয়াছা িয়াছে েছিলে েছিলা য়েদের দেরকে", NULL, 0},
        {5, 4, u"িলাম িলেন িতাম িতেন িবেন ছিলি ছিলে ছিলা তেছে িতেছ খানা খানি গুলো গুলি য়েরা েদের",
         NULL, 0},
        {4, 3,
         u"লাম িলি ইলি িলে ইলে লেন িলা ইলা তাম িতি ইতি িতে ইতে তেন িতা িবা ইবা িবি ইবি বেন িবে ইবে "
         u"ছেন য়োন য়ের েরা দের",
         NULL, 0},
        {3, 2, u"িস েন লি লে লা তি তে তা বি বে বা ছি ছা ছে ুন ুক টা টি নি ের রা কে", NULL, 0},
        {2, 1, u"ি ী া ো ে ব ত", NULL, 0},
        QD_RULES_END,
    };
    return qd_rules_run(rules, b, n);
}

/* --- Arabic script --- */

int qd_stem_sorani(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {5, 2, u"دا", NULL, 0},          {4, 1, u"نا", NULL, 0},
        {6, 3, u"ەوە", NULL, 0},         QD_STEP,
        {6, 3, u"مان یان تان", NULL, 0}, QD_STEP,
        {6, 3, u"ێکی", NULL, 0},         {7, 4, u"یەکی", NULL, 0},
        {5, 2, u"ێک", NULL, 0},          {6, 3, u"یەک", NULL, 0},
        {6, 3, u"ەکە", NULL, 0},         {5, 2, u"کە", NULL, 0},
        {7, 4, u"ەکان", NULL, 0},        {6, 3, u"کان", NULL, 0},
        {7, 4, u"یانی", NULL, 0},        {6, 3, u"انی", NULL, 0},
        {6, 3, u"یان", NULL, 0},         {5, 2, u"ان", NULL, 0},
        {7, 4, u"یانە", NULL, 0},        {6, 3, u"انە", NULL, 0},
        {5, 2, u"ایە ەیە", NULL, 0},     {4, 1, u"ە", NULL, 0},
        {4, 1, u"ی", NULL, 0},           QD_RULES_END,
    };
    return qd_rules_run(rules, b, n);
}

int qd_stem_arabic(char16_t *b, int n)
{
    static const char16_t *const prefixes[] = {u"ال", u"وال", u"بال", u"كال", u"فال", u"لل", u"و"};
    static const qd_rule suffixes[] = {
        {3, 2, u"ها", NULL, 0}, QD_STEP, {3, 2, u"ان", NULL, 0}, QD_STEP,
        {3, 2, u"ات", NULL, 0}, QD_STEP, {3, 2, u"ون", NULL, 0}, QD_STEP,
        {3, 2, u"ين", NULL, 0}, QD_STEP, {3, 2, u"يه", NULL, 0}, QD_STEP,
        {3, 2, u"ية", NULL, 0}, QD_STEP, {2, 1, u"ه", NULL, 0},  QD_STEP,
        {2, 1, u"ة", NULL, 0},  QD_STEP, {2, 1, u"ي", NULL, 0},  QD_RULES_END,
    };
    for (size_t i = 0; i < QD_COUNT_OF(prefixes); i++) {
        int len = 0;
        while (prefixes[i][len]) len++;
        if (n < (len == 1 ? 4 : len + 2) || memcmp(b, prefixes[i], (size_t)len * sizeof *b) != 0)
            continue;
        n = qd_units_cut(b, n, 0, len);
        break;
    }
    return qd_rules_run(suffixes, b, n);
}

int qd_stem_persian(char16_t *b, int n)
{
    static const qd_rule rules[] = {
        {3, 2, u"ات", NULL, 0},   QD_STEP, {3, 2, u"ان", NULL, 0},     QD_STEP,
        {5, 4, u"ترين", NULL, 0}, QD_STEP, {3, 2, u"تر", NULL, 0},     QD_STEP,
        {3, 2, u"يي", NULL, 0},   QD_STEP, {2, 1, u"ي", NULL, 0},      QD_STEP,
        {3, 2, u"ها", NULL, 0},   QD_STEP, {2, 1, u"\u200C", NULL, 0}, QD_RULES_END,
    };
    return qd_rules_run(rules, b, n);
}
