/* word_parts.c: see word_parts_int.h. */
#include "analysis/filter/stop_int.h"
#include "analysis/filter/word_parts_int.h"

/* Kinds by general category, from U+0100 on; below, only letters with a case are no delimiters. */
static const uint8_t kind_of_category[] = {
    [QD_GC_LT] = QD_WORD_ALPHA, [QD_GC_LM] = QD_WORD_ALPHA, [QD_GC_LO] = QD_WORD_ALPHA,
    [QD_GC_MN] = QD_WORD_ALPHA, [QD_GC_ME] = QD_WORD_ALPHA, [QD_GC_MC] = QD_WORD_ALPHA,
    [QD_GC_ND] = QD_WORD_DIGIT, [QD_GC_NL] = QD_WORD_DIGIT, [QD_GC_NO] = QD_WORD_DIGIT,
};

static uint32_t kind_of(const qd_word_options *o, uint32_t cp)
{
    if (cp < 128) return o->ascii[cp];
    for (size_t i = 0; i < o->other.n; i++)
        if (o->other.at[i] >> 8 == cp) return o->other.at[i] & 0xFF;
    if (cp > 0xFFFF) return QD_WORD_ALPHA | QD_WORD_DIGIT;
    uint32_t gc = qd_char_gc(cp);
    if (gc == QD_GC_LU) return QD_WORD_UPPER;
    if (gc == QD_GC_LL || cp == 0xAA || cp == 0xBA) return QD_WORD_LOWER;
    uint32_t kind = cp > 0xFF && gc < QD_COUNT_OF(kind_of_category) ? kind_of_category[gc] : 0;
    return kind ? kind : QD_WORD_DELIMITER;
}

static uint32_t kind_at(const qd_word_options *o, const char *p, uint32_t n, uint32_t at,
                        uint32_t *len)
{
    uint32_t cp;
    *len = qd_u8_next(p + at, p + n, &cp);
    return kind_of(o, cp);
}

/* Does a part end between two characters that share no kind? */
static bool parts(const qd_word_options *o, uint32_t a, uint32_t b)
{
    if ((a | b) & QD_WORD_DELIMITER) return true;
    if (a & QD_WORD_ALPHA && b & QD_WORD_ALPHA) /* lower and upper: of Word, only before it */
        return !(a & QD_WORD_UPPER) && o->flags & QD_WORD_SPLIT_CASE;
    return o->flags & QD_WORD_SPLIT_NUMERICS;
}

/* Does 's that ends a word stand at `at`? */
static bool possessive(const qd_word_options *o, const char *p, uint32_t n, uint32_t at)
{
    uint32_t len;
    if (!(o->flags & QD_WORD_POSSESSIVE) || n - at < 2) return false;
    if (p[at] != '\'' || (p[at + 1] | 32) != 's') return false;
    return n - at == 2 || kind_at(o, p, n, at + 2, &len) & QD_WORD_DELIMITER;
}

bool qd_word_part_next(const qd_word_options *o, const char *p, uint32_t n, uint32_t *at,
                       qd_word_part *out)
{
    uint32_t i = *at, last = 0, len = 0;
    while (i < n && (last = kind_at(o, p, n, i, &len)) & QD_WORD_DELIMITER) i += len;
    if (i == n) return false;
    *out = (qd_word_part){.from = i, .kind = last & QD_WORD_DIGIT ? last : QD_WORD_ALPHA};
    for (i += len; i < n; i += len) {
        uint32_t kind = kind_at(o, p, n, i, &len);
        if (!(kind & last) && parts(o, last, kind)) break;
        last = kind;
    }
    out->to = i;
    *at = i + (last & QD_WORD_ALPHA && possessive(o, p, n, i) ? 2 : 0);
    return true;
}

static bool either(uint32_t flags, uint32_t words, uint32_t numbers, uint32_t kind)
{
    return (flags & words && kind & QD_WORD_ALPHA) || (flags & numbers && kind & QD_WORD_DIGIT);
}
bool qd_word_generates(const qd_word_options *o, uint32_t kind)
{
    return either(o->flags, QD_WORD_GENERATE_WORDS, QD_WORD_GENERATE_NUMBERS, kind);
}
bool qd_word_joins(const qd_word_options *o, uint32_t kind)
{
    return either(o->flags, QD_WORD_CATENATE_WORDS, QD_WORD_CATENATE_NUMBERS, kind);
}

/* --- settings --- */

/* The character of a rule, or its escape. */
static bool rule_char(qd_str s, uint32_t *cp)
{
    static const char names[] = "ntrbf", values[] = "\n\t\r\b\f";
    if (s.n && s.p[0] != '\\') return qd_u8_next(s.p, s.p + s.n, cp) == s.n;
    if (s.n < 2) return false;
    const char *at = s.n == 2 && s.p[1] ? strchr(names, s.p[1]) : NULL;
    *cp = at ? (unsigned char)values[at - names] : 0;
    if (at) return true;
    if (s.p[1] != 'u') return qd_u8_next(s.p + 1, s.p + s.n, cp) == s.n - 1;
    for (size_t i = 2; i < s.n; i++) {
        char c = s.p[i];
        int d = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                     : -1;
        if (d < 0) return false;
        *cp = *cp * 16 + (uint32_t)d;
    }
    return s.n == 6;
}

/* "$ => DIGIT" */
static int type_add(void *arg, qd_str rule, qd_err *err)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } kinds[] = {{"LOWER", QD_WORD_LOWER},
                 {"UPPER", QD_WORD_UPPER},
                 {"ALPHA", QD_WORD_ALPHA},
                 {"DIGIT", QD_WORD_DIGIT},
                 {"ALPHANUM", QD_WORD_ALPHA | QD_WORD_DIGIT},
                 {"SUBWORD_DELIM", QD_WORD_DELIMITER}};
    qd_word_options *o = arg;
    size_t arrow = 0, i = 0;
    while (arrow + 1 < rule.n && !(rule.p[arrow] == '=' && rule.p[arrow + 1] == '>')) arrow++;
    uint32_t cp;
    bool good = arrow + 1 < rule.n && rule_char(qd_str_trim(qd_str_sub(rule, 0, arrow)), &cp) &&
                cp <= 0xFFFF;
    if (!good) return qd_err_set(err, QD_E_ARG, "Invalid Mapping Rule : [%.*s]", QD_STR_ARG(rule));
    qd_str name = qd_str_trim(qd_str_sub(rule, arrow + 2, rule.n));
    while (i < QD_COUNT_OF(kinds) && !qd_str_is(name, kinds[i].name)) i++;
    if (i == QD_COUNT_OF(kinds))
        return qd_err_set(err, QD_E_ARG, "Invalid Mapping Rule : [%.*s]. Illegal type.",
                          QD_STR_ARG(rule));
    if (cp < 128) {
        o->ascii[cp] = kinds[i].kind;
        return 0;
    }
    if (o->other.n == 256)
        return qd_err_set(err, QD_E_ARG, "type_table has more than 256 characters beyond ASCII");
    return qd_vec_push(&o->other, NULL, (uint64_t)cp << 8 | kinds[i].kind)
               ? qd_err_nomem(err, "type_table")
               : 0;
}

static int word_add(void *arg, qd_str word, qd_err *err)
{
    return qd_words_put(&((qd_word_options *)arg)->protected, word, false, err);
}

static int flags_read(const qd_part_conf *c, bool graph, uint32_t *flags, qd_err *err)
{
    static const struct {
        const char *key;
        uint32_t flag;
        bool def, graph;
    } keys[] = {
        {"generate_word_parts", QD_WORD_GENERATE_WORDS, true, false},
        {"generate_number_parts", QD_WORD_GENERATE_NUMBERS, true, false},
        {"catenate_words", QD_WORD_CATENATE_WORDS, false, false},
        {"catenate_numbers", QD_WORD_CATENATE_NUMBERS, false, false},
        {"catenate_all", QD_WORD_CATENATE_ALL, false, false},
        {"preserve_original", QD_WORD_PRESERVE, false, false},
        {"split_on_case_change", QD_WORD_SPLIT_CASE, true, false},
        {"split_on_numerics", QD_WORD_SPLIT_NUMERICS, true, false},
        {"stem_english_possessive", QD_WORD_POSSESSIVE, true, false},
        {"ignore_keywords", QD_WORD_IGNORE_KEYWORDS, false, true},
        {"adjust_offsets", QD_WORD_ADJUST_OFFSETS, true, true},
    };
    for (size_t i = 0; i < QD_COUNT_OF(keys); i++) {
        bool on = keys[i].def;
        int rc = graph || !keys[i].graph ? qd_conf_bool(c, keys[i].key, on, &on, err) : 0;
        if (rc) return rc;
        if (on) *flags |= keys[i].flag;
    }
    return 0;
}

void qd_word_options_free(qd_part *p)
{
    qd_word_options *o = (qd_word_options *)p;
    qd_vec_fini(&o->other);
    qd_wordset_fini(&o->protected);
    qd_part_release(p);
}

int qd_word_options_make(const qd_part_conf *c, const qd_part_ops *ops, bool graph, qd_part **out,
                         qd_err *err)
{
    uint32_t flags = 0;
    int rc = flags_read(c, graph, &flags, err);
    if (!rc) rc = qd_part_alloc(c, sizeof(qd_word_options), QD_STAGE_FILTER, ops, out, err);
    if (rc) return rc;
    qd_word_options *o = (qd_word_options *)*out;
    o->flags = flags;
    for (uint32_t i = 0; i < 128; i++)
        o->ascii[i] = i >= '0' && i <= '9'   ? QD_WORD_DIGIT
                      : i >= 'a' && i <= 'z' ? QD_WORD_LOWER
                      : i >= 'A' && i <= 'Z' ? QD_WORD_UPPER
                                             : QD_WORD_DELIMITER;
    o->head.keywords = graph;
    o->head.no_synonyms = true;
    rc = qd_lines_each(c, "type_table", type_add, o, err);
    if (!rc) rc = qd_lines_each(c, "protected_words", word_add, o, err);
    if (rc) qd_word_options_free(*out);
    return rc;
}
