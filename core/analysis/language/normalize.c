/*
 * normalize.c: filters that bring one letter's ways of writing together: Arabic, Persian, Sorani,
 * German, Scandinavian, Serbian, Hindi, Bengali and other Indian scripts, digits, widths of CJK.
 */
#include "analysis/language/normalize_int.h"
#include "analysis/language/respell_int.h"

/* Leaves out the units of a set. */
static int drop(char16_t *b, int n, const char16_t *set)
{
    int k = 0;
    for (int i = 0; i < n; i++)
        if (!qd_unit_of(b[i], set)) b[k++] = b[i];
    return k;
}

#define HARAKAT u"\u064B\u064C\u064D\u064E\u064F\u0650\u0651\u0652"

static int arabic(char16_t *b, int n)
{
    qd_units_map(b, n, u"\u0622\u0627\u0623\u0627\u0625\u0627\u0649\u064A\u0629\u0647");
    return drop(b, n, u"\u0640" HARAKAT);
}

static int persian(char16_t *b, int n)
{
    qd_units_map(b, n, u"\u06CC\u064A\u06D2\u064A\u06A9\u0643\u06C0\u0647\u06C1\u0647");
    return drop(b, n, u"\u0654");
}

static int sorani(char16_t *b, int n)
{
    int k = 0;
    for (int i = 0; i < n; i++) {
        char16_t c = b[i];
        if (c == 0x200C) {
            if (k && b[k - 1] == 0x647) b[k - 1] = 0x6D5;
        } else if (c == 0x647 && i == n - 1) {
            b[k++] = 0x6D5;
        } else if (c == 0x631 && k == 0) {
            b[k++] = 0x695;
        } else if (!qd_unit_of(c, u"\u0640" HARAKAT) && qd_char_gc(c) != QD_GC_CF) {
            b[k] = c;
            qd_units_map(
                b + k++, 1,
                u"\u064A\u06CC\u0649\u06CC\u0643\u06A9\u0629\u06D5\u06BE\u0647\u0692\u0695");
        }
    }
    return k;
}

#define RESPELL(name, rows)                                                                        \
    static int name(char16_t *b, int n)                                                            \
    {                                                                                              \
        return qd_respell(rows, QD_COUNT_OF(rows), b, n);                                          \
    }

/* Umlauts as their vowels, also those that are written with an e; the e of neue and Quelle is one
 * of its own. */
static const qd_spelling german_rows[] = {
    {.from = u"ae ä", .to = u"a"},
    {.from = u"oe ö", .to = u"o"},
    {.from = u"ue", .to = u"u", .behind = u"^aeiouyq"},
    {.from = u"ü", .to = u"u"},
    {.from = u"ß", .to = u"ss"},
};
RESPELL(german, german_rows)

/* The Danish and Norwegian letters for what Swedish and keyboards without them write. */
static const qd_spelling scandinavian_rows[] = {
    {.from = u"aa aA ao aO", .to = u"å"},   {.from = u"Aa AA Ao AO", .to = u"Å"},
    {.from = u"ae aE ä", .to = u"æ"},       {.from = u"Ae AE Ä", .to = u"Æ"},
    {.from = u"oe oE oo oO ö", .to = u"ø"}, {.from = u"Oe OE Oo OO Ö", .to = u"Ø"},
};
RESPELL(scandinavian, scandinavian_rows)

static const qd_spelling scandinavian_folds[] = {
    {.from = u"å ä æ aa aA ae aE ao aO", .to = u"a"},
    {.from = u"Å Ä Æ Aa AA Ae AE Ao AO", .to = u"A"},
    {.from = u"ø ö oe oE oo oO", .to = u"o"},
    {.from = u"Ø Ö Oe OE Oo OO", .to = u"O"},
};
RESPELL(scandinavian_folding, scandinavian_folds)

/* Cyrillic in Latin, without marks. */
static int serbian(char16_t *b, int n)
{
    static const qd_spelling pairs[] = {
        {.from = u"ђ đ", .to = u"dj"},
        {.from = u"џ", .to = u"dz"},
        {.from = u"љ", .to = u"lj"},
        {.from = u"њ", .to = u"nj"},
    };
    n = qd_respell(pairs, QD_COUNT_OF(pairs), b, n);
    qd_units_map(b, n, u"аaбbвvгgдdеeжzзzžzиiјjкkлlмmнnоoпpрrсsтtћcцcчcčcćcуuфfхhшsšs");
    return n;
}

static int hindi(char16_t *b, int n)
{
    static const qd_spelling rows[] = {
        {.from = u"\u0928\u094D", .to = u"\u0902"},
        {.from = u"\u093C \u200C \u200D \u094D", .to = u""},
    };
    n = qd_respell(rows, QD_COUNT_OF(rows), b, n);
    qd_units_map(b, n,
                 u"\u0901\u0902\u0929\u0928\u0931\u0930\u0934\u0933\u0958\u0915\u0959\u0916"
                 u"\u095A\u0917\u095B\u091C\u095C\u0921\u095D\u0922\u095E\u092B\u095F\u092F"
                 u"\u0945\u0947\u0946\u0947\u0949\u094B\u094A\u094B\u090D\u090F\u090E\u090F"
                 u"\u0911\u0913\u0912\u0913\u0972\u0905\u0906\u0905\u0908\u0907\u090A\u0909"
                 u"\u0960\u090B\u0961\u090C\u0910\u090F\u0914\u0913\u0940\u093F\u0942\u0941"
                 u"\u0944\u0943\u0963\u0962\u0948\u0947\u094C\u094B");
    return n;
}

/* Spellings of Bengali that sound alike, after N. UzZaman and M. Khan, A Double Metaphone Encoding
 * for Bangla and its Application in Spelling Checker (2005): ya and ba below a consonant are
 * silent, double it, or are a vowel, by their place. */
#define HASANTA u"\u09CD"
static const qd_spelling bengali_rows[] = {
    {.from = u"\u0981", .to = u""},
    {.from = u"\u0995" HASANTA u"\u09BF", .to = u"\u0995\u0996", .least = 1},
    {.from = u"\u0995" HASANTA u"\u09BF", .to = u"\u0996"},
    {.from = u"\u09AF\u09BE \u09AF",
     .to = u"\u09C7",
     .behind = HASANTA,
     .cut = 1,
     .least = 2,
     .most = 2},
    {.from = u"\u09AF", .to = u"", .behind = HASANTA, .cut = 1},
    {.from = u"\u09AC", .to = u"", .behind = HASANTA, .cut = 1, .least = 2, .most = 2},
    {.from = u"\u09AC", .to = u"", .behind = HASANTA u"?" HASANTA, .cut = 1, .least = 5},
    {.from = u"\u09AC", .to = u"?", .behind = u"?" HASANTA, .cut = 1},
    {.from = u"\u0983$", .to = u"\u09B9", .most = 2},
    {.from = u"\u0983$", .to = u""},
    {.from = u"\u0983?", .to = u"?"},
    {.from = u"\u09C0", .to = u"\u09BF"},
    {.from = u"\u09C2", .to = u"\u09C1"},
    {.from = u"\u0999", .to = u"\u0982"},
    {.from = u"\u09B6 \u09B7", .to = u"\u09B8"},
    {.from = u"\u09A3", .to = u"\u09A8"},
    {.from = u"\u09DC \u09DD", .to = u"\u09B0"},
    {.from = u"\u09CE", .to = u"\u09A4"},
};
RESPELL(bengali, bengali_rows)

/* Letters of several signs as one, by script: offsets in the script's block of 128, 0xFF: the
 * zero-width joiner, 0: none; graphical compositions of Unicode 5.2, chapter 9, and of LDC's table
 * of Indian scripts. */
enum { DEV = 1, BEN = 2, GUR = 4, GUJ = 8, ORI = 16, TAM = 32, TEL = 64, KAN = 128, MAL = 256 };
static const struct {
    uint8_t a, b, c, to;
    uint16_t scripts;
} compositions[] = {
    {0x05, 0x3E, 0x45, 0x11, DEV | GUJ},
    {0x05, 0x3E, 0x46, 0x12, DEV},
    {0x05, 0x3E, 0x47, 0x13, DEV | GUJ},
    {0x05, 0x3E, 0x48, 0x14, DEV | GUJ},
    {0x05, 0x3E, 0, 0x06, DEV | BEN | GUR | GUJ | ORI},
    {0x05, 0x45, 0, 0x72, DEV},
    {0x05, 0x45, 0, 0x0D, GUJ},
    {0x05, 0x46, 0, 0x04, DEV},
    {0x05, 0x47, 0, 0x0F, GUJ},
    {0x05, 0x48, 0, 0x10, GUR | GUJ},
    {0x05, 0x49, 0, 0x11, DEV | GUJ},
    {0x05, 0x4A, 0, 0x12, DEV},
    {0x05, 0x4B, 0, 0x13, DEV | GUJ},
    {0x05, 0x4C, 0, 0x14, DEV | GUR | GUJ},
    {0x06, 0x45, 0, 0x11, DEV | GUJ},
    {0x06, 0x46, 0, 0x12, DEV},
    {0x06, 0x47, 0, 0x13, DEV | GUJ},
    {0x06, 0x48, 0, 0x14, DEV | GUJ},
    {0x07, 0x57, 0, 0x08, MAL},
    {0x09, 0x41, 0, 0x0A, DEV},
    {0x09, 0x57, 0, 0x0A, TAM | MAL},
    {0x0E, 0x46, 0, 0x10, MAL},
    {0x0F, 0x45, 0, 0x0D, DEV},
    {0x0F, 0x46, 0, 0x0E, DEV},
    {0x0F, 0x47, 0, 0x10, DEV},
    {0x0F, 0x57, 0, 0x10, ORI},
    {0x12, 0x3E, 0, 0x13, MAL},
    {0x12, 0x4C, 0, 0x14, TEL | KAN},
    {0x12, 0x55, 0, 0x13, TEL},
    {0x12, 0x57, 0, 0x14, TAM | MAL},
    {0x13, 0x57, 0, 0x14, ORI},
    {0x15, 0x3C, 0, 0x58, DEV},
    {0x16, 0x3C, 0, 0x59, DEV | GUR},
    {0x17, 0x3C, 0, 0x5A, DEV | GUR},
    {0x1C, 0x3C, 0, 0x5B, DEV | GUR},
    {0x21, 0x3C, 0, 0x5C, DEV | BEN | ORI},
    {0x22, 0x3C, 0, 0x5D, DEV | BEN | ORI},
    {0x23, 0x4D, 0xFF, 0x7A, MAL},
    {0x24, 0x4D, 0xFF, 0x4E, BEN},
    {0x28, 0x3C, 0, 0x29, DEV},
    {0x28, 0x4D, 0xFF, 0x7B, MAL},
    {0x2B, 0x3C, 0, 0x5E, DEV | GUR},
    {0x2F, 0x3C, 0, 0x5F, DEV | BEN},
    {0x2C, 0x41, 0x41, 0x0B, TEL},
    {0x30, 0x3C, 0, 0x31, DEV},
    {0x30, 0x4D, 0xFF, 0x7C, MAL},
    {0x32, 0x4D, 0xFF, 0x7D, MAL},
    {0x33, 0x3C, 0, 0x34, DEV},
    {0x33, 0x4D, 0xFF, 0x7E, MAL},
    {0x35, 0x41, 0, 0x2E, TEL},
    {0x3E, 0x45, 0, 0x49, DEV | GUJ},
    {0x3E, 0x46, 0, 0x4A, DEV},
    {0x3E, 0x47, 0, 0x4B, DEV | GUJ},
    {0x3E, 0x48, 0, 0x4C, DEV | GUJ},
    {0x3F, 0x55, 0, 0x40, KAN},
    {0x41, 0x41, 0, 0x42, GUR},
    {0x46, 0x3E, 0, 0x4A, TAM | MAL},
    {0x46, 0x42, 0x55, 0x4B, KAN},
    {0x46, 0x42, 0, 0x4A, KAN},
    {0x46, 0x46, 0, 0x48, MAL},
    {0x46, 0x55, 0, 0x47, TEL | KAN},
    {0x46, 0x56, 0, 0x48, TEL | KAN},
    {0x46, 0x57, 0, 0x4C, TAM | MAL},
    {0x47, 0x3E, 0, 0x4B, BEN | ORI | TAM | MAL},
    {0x47, 0x57, 0, 0x4C, BEN | ORI},
    {0x4A, 0x55, 0, 0x4B, KAN},
    {0x72, 0x3F, 0, 0x07, GUR},
    {0x72, 0x40, 0, 0x08, GUR},
    {0x72, 0x47, 0, 0x0F, GUR},
    {0x73, 0x41, 0, 0x09, GUR},
    {0x73, 0x42, 0, 0x0A, GUR},
    {0x73, 0x4B, 0, 0x13, GUR},
};

static int indic(char16_t *b, int n)
{
    for (int i = 0; i + 1 < n; i++) {
        if (b[i] < 0x900 || b[i] >= 0xD80 || b[i + 1] >> 7 != b[i] >> 7) continue;
        unsigned script = 1u << ((b[i] >> 7) - 18), third = 0;
        if (i + 2 < n)
            third = b[i + 2] == 0x200D ? 0xFF : b[i + 2] >> 7 == b[i] >> 7 ? b[i + 2] & 0x7F : 0;
        for (size_t k = 0; k < QD_COUNT_OF(compositions); k++) {
            if (compositions[k].a != (b[i] & 0x7F) || compositions[k].b != (b[i + 1] & 0x7F) ||
                !(compositions[k].scripts & script) ||
                (compositions[k].c && compositions[k].c != third))
                continue;
            b[i] = (char16_t)((b[i] & 0xFF80) | compositions[k].to);
            n = qd_units_cut(b, n, i + 1, compositions[k].c ? 2 : 1);
            break;
        }
    }
    return n;
}

/* Digits stand in tens behind each other. */
static uint32_t digit_of(uint32_t cp)
{
    uint32_t first = cp;
    while (first && qd_char_gc(first - 1) == QD_GC_ND) first--;
    return '0' + (cp - first) % 10;
}

static int decimal_digit(char16_t *b, int n)
{
    int k = 0;
    for (int i = 0; i < n; i++, k++) {
        uint32_t cp = b[i];
        if (cp >= 0xD800 && cp < 0xDC00 && i + 1 < n)
            cp = (cp - 0xD7C0) << 10 | (b[i + 1] & 0x3FFu);
        bool digit = cp > 127 && qd_char_gc(cp) == QD_GC_ND;
        b[k] = digit ? (char16_t)digit_of(cp) : b[i];
        i += digit && cp > 0xFFFF;
    }
    return k;
}

/* U+FF65 to U+FF9F as full letters. */
static const char16_t kana[] =
    u"\u30FB\u30F2\u30A1\u30A3\u30A5\u30A7\u30A9\u30E3\u30E5\u30E7\u30C3\u30FC\u30A2\u30A4\u30A6"
    u"\u30A8\u30AA\u30AB\u30AD\u30AF\u30B1\u30B3\u30B5\u30B7\u30B9\u30BB\u30BD\u30BF\u30C1\u30C4"
    u"\u30C6\u30C8\u30CA\u30CB\u30CC\u30CD\u30CE\u30CF\u30D2\u30D5\u30D8\u30DB\u30DE\u30DF\u30E0"
    u"\u30E1\u30E2\u30E4\u30E6\u30E8\u30E9\u30EA\u30EB\u30EC\u30ED\u30EF\u30F3\u3099\u309A";

/* What a sound mark adds to a kana; 0: it stands alone. */
static char16_t voiced(char16_t c, bool half)
{
    if (qd_unit_of(c, u"ハヒフヘホ")) return half ? 2 : 1;
    if (half) return 0;
    if (c == u'ウ') return 78;
    if (qd_unit_of(c, u"ワヰヱヲ")) return 8;
    return qd_unit_of(c, u"カキクケコサシスセソタチツテトヽ") ? 1 : 0;
}

static int cjk_width(char16_t *b, int n)
{
    int k = 0;
    for (int i = 0; i < n; i++) {
        char16_t c = b[i], more;
        if (c >= 0xFF01 && c <= 0xFF5E)
            b[k++] = (char16_t)(c - 0xFEE0);
        else if ((c == 0xFF9E || c == 0xFF9F) && k && (more = voiced(b[k - 1], c == 0xFF9F)))
            b[k - 1] = (char16_t)(b[k - 1] + more);
        else
            b[k++] = c >= 0xFF65 && c <= 0xFF9F ? kana[c - 0xFF65] : c;
    }
    return k;
}

/* The code point at i in lower case, which takes as many units; the index of its last one. */
static int lower_at(char16_t *b, int n, int i)
{
    if (b[i] < 0xD800 || b[i] > 0xDBFF || i + 1 >= n) {
        b[i] = (char16_t)qd_char_lower(b[i]);
        return i;
    }
    uint32_t cp = qd_char_lower((b[i] - 0xD7C0u) << 10 | (b[i + 1] & 0x3FFu));
    b[i] = (char16_t)(0xD7C0 + (cp >> 10));
    b[i + 1] = (char16_t)(0xDC00 + (cp & 0x3FF));
    return i + 1;
}

int qd_greek_lower(char16_t *b, int n)
{
    for (int i = 0; i < n; i++) {
        char16_t is = b[i];
        qd_units_map(b + i, 1, u"ςσ\u03A2ςΆαάαΈεέεΉηήηΊιΪιίιϊιΐιΎυΫυύυϋυΰυΌοόοΏωώω");
        if (b[i] == is) i = lower_at(b, n, i);
    }
    return n;
}

int qd_irish_lower(char16_t *b, int n)
{
    if (n > 1 && (b[0] == 'n' || b[0] == 't') && qd_unit_of(b[1], u"AEIOUÁÉÍÓÚ")) {
        n = qd_units_gap(b, n, 1);
        b[1] = '-';
    }
    for (int i = 0; i < n; i++) b[i] = (char16_t)qd_char_lower(b[i]); /* pairs stay, as in Lucene */
    return n;
}

static int apostrophe(char16_t *b, int n)
{
    for (int i = 0; i < n; i++)
        if (b[i] == '\'' || b[i] == 0x2019) return i;
    return n;
}

#define MAKE(name, fn)                                                                             \
    int qd_make_##name(const qd_part_conf *c, qd_part **out, qd_err *err)                          \
    {                                                                                              \
        return qd_units_make(c, fn, false, out, err);                                              \
    }
MAKE(arabic_normalization, arabic)
MAKE(persian_normalization, persian)
MAKE(sorani_normalization, sorani)
MAKE(german_normalization, german)
MAKE(scandinavian_normalization, scandinavian)
MAKE(scandinavian_folding, scandinavian_folding)
MAKE(serbian_normalization, serbian)
MAKE(hindi_normalization, hindi)
MAKE(bengali_normalization, bengali)
MAKE(indic_normalization, indic)
MAKE(decimal_digit, decimal_digit)
MAKE(cjk_width, cjk_width)

int qd_make_apostrophe(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int rc = qd_units_make(c, apostrophe, false, out, err);
    if (!rc) (*out)->normalizes = false;
    return rc;
}
