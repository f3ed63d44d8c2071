/*
 * standard_tmpl_int.h: the two ways of standard.c, compiled once for the baseline (standard.c) and
 * once for AVX2 (standard_avx2.c); QD_STANDARD_BLOCKS is the name of the kernel.
 */
#include "analysis/block_int.h"
#include "analysis/tokenizer/standard_int.h"

#define RULE_SKIP 1
#define RULE_LAST 128

/* The actions of Lucene's scanner. */
static const uint8_t rule_type[10] = {
    [2] = QD_TOKEN_EMOJI,    [3] = QD_TOKEN_ALPHANUM,        [4] = QD_TOKEN_HANGUL,
    [5] = QD_TOKEN_NUM,      [6] = QD_TOKEN_KATAKANA,        [7] = QD_TOKEN_IDEOGRAPHIC,
    [8] = QD_TOKEN_HIRAGANA, [9] = QD_TOKEN_SOUTHEAST_ASIAN,
};

/* The longest match at i: returns its end and rule; a lone code point that begins no token, or one
 * that is wider than max_units, is skipped. */
QD_INLINE size_t match(const char *text, size_t i, size_t n, uint32_t max_units, uint32_t *rule)
{
    const char *end = text + n;
    uint32_t state = 0, units = 0, cp, len;
    size_t at = i, last = 0;
    *rule = RULE_SKIP;
    while (at < n) {
        len = qd_u8_next(text + at, end, &cp);
        units += 1 + (cp > 0xFFFF);
        if (units > max_units) break;
        state = qd_std_next[state * QD_STD_CLASSES + QD_TABLE_AT(qd_std_class, cp)];
        if (!state) break;
        at += len;
        uint32_t accept = qd_std_accept[state];
        if (accept) {
            *rule = accept & ~(uint32_t)RULE_LAST;
            last = at;
            if (accept & RULE_LAST) break;
        }
    }
    return last ? last : i + qd_u8_next(text + i, end, &cp);
}

/* Tokens that begin in [i, stop); returns where it stood behind the last one. */
static int scan(qd_analysis *s, size_t *pos, size_t stop, uint32_t max_units)
{
    qd_tokens *t = &s->b->t;
    size_t i = *pos;
    while (i < stop) {
        uint32_t rule;
        size_t end = match(s->src, i, s->nsrc, max_units, &rule);
        if (rule != RULE_SKIP) {
            if (t->n == s->b->cap[QD_COL_TERM] && qd_batch_reserve(s, s->b, t->n + 1))
                return QD_E_NOMEM;
            t->term[t->n] = (qd_span){(uint32_t)i, (uint32_t)end};
            if (t->has & QD_TOKENS_TYPE) t->type[t->n] = rule_type[rule];
            t->n++;
        }
        i = end;
    }
    *pos = i;
    return 0;
}

/* Lower case of what the automaton passed over, [from, to): only mappings that keep the length
 * happen here; others are left to qd_lower_run over the tokens from `first` on. */
static bool lower_same_length(qd_analysis *s, size_t from, size_t to)
{
    bool all = true;
    for (size_t i = from; i < to;) {
        uint32_t cp, len = qd_u8_next(s->src + i, s->src + s->nsrc, &cp), low = qd_char_lower(cp);
        if (low != cp) {
            if (qd_u8_size(low) == len)
                qd_u8_put(s->text + i, low);
            else
                all = false;
        }
        i += len;
    }
    return all;
}

typedef struct kernel {
    uint64_t carry;     /* bit 0: the byte before the block belongs to an open word */
    bool letter, digit; /* that byte is a letter, a digit */
    bool odd;           /* a mapping that changes its length was left over */
} kernel;

/* Marks the two-byte letters of a block and lower-cases them. False when the block holds anything
 * else beyond ASCII. *step shrinks where a letter is cut by the block's end. */
static bool two_byte_letters(qd_analysis *s, size_t p, uint64_t high, uint64_t lead, bool lower,
                             size_t *step, uint64_t *letters)
{
    if (lead >> (*step - 1) & 1) {
        if (*step < 64) return false; /* the value itself is cut */
        *step -= 1;
        uint64_t keep = (1ull << *step) - 1;
        lead &= keep;
        high &= keep;
    }
    uint64_t both = lead | lead << 1;
    if (both != high) return false;
    const unsigned char *in = (const unsigned char *)s->src + p;
    for (uint64_t m = lead; m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctzll(m);
        uint32_t low = qd_std_pair[(in[i] & 31u) << 6 | (in[i + 1] & 63u)];
        if (!low) return false;
        if (lower) qd_u8_put(s->text + p + i, low);
    }
    *letters = both;
    return true;
}

/* The mask of word bytes of one block; *step may shrink to 63 bytes when a joiner's right side is
 * not in the block. */
QD_INLINE uint64_t words(qd_blk b, uint64_t L, uint64_t D, const kernel *k, size_t *step, bool last,
                         uint64_t *letters)
{
    uint64_t w = L | D;
    uint64_t gap =
        ~w & (w << 1 | k->carry) & (w >> 1 | 1ull << (*step - 1)); /* one byte between words */
    if (*step < 64) gap &= (1ull << *step) - 1;
    if (gap) {
        uint64_t num = qd_blk_eq(b, '.') | qd_blk_eq(b, '\''), let = qd_blk_eq(b, ':'),
                 com = qd_blk_eq(b, ',') | qd_blk_eq(b, ';');
        gap &= num | let | com;
        if (QD_UNLIKELY(gap)) {
            if ((gap >> (*step - 1) & 1) && !last) {
                *step -= 1;
                uint64_t keep = (1ull << *step) - 1;
                L &= keep;
                D &= keep;
                gap &= keep;
                w &= keep;
            }
            uint64_t ll = (L << 1 | k->letter) & L >> 1, dd = (D << 1 | k->digit) & D >> 1;
            w |= gap & (((num | let) & ll) | ((num | com) & dd));
        }
    }
    *letters = L;
    return w;
}

/* Hands the block at p to the automaton; returns where the kernel goes on. */
static int by_automaton(qd_analysis *s, kernel *k, size_t *edge, size_t *p, size_t stop,
                        uint32_t max_units, bool lower)
{
    qd_tokens *t = &s->b->t;
    size_t from = *p;
    if (k->carry)
        from = ((uint32_t *)(void *)t->term)[--*edge];
    else if (from && (s->src[from - 1] == '#' || s->src[from - 1] == '*'))
        from--;
    t->n = *edge / 2;
    size_t at = from;
    int rc = scan(s, &at, stop, max_units);
    if (rc) return rc;
    memcpy(s->text + from, s->src + from, at - from);
    if (lower) k->odd |= !lower_same_length(s, from, at);
    *edge = t->n * 2;
    *p = at;
    k->carry = k->letter = k->digit = 0;
    return 0;
}

int QD_STANDARD_BLOCKS(qd_analysis *s, uint32_t max_units, bool lower, bool *odd)
{
    qd_tokens *t = &s->b->t;
    size_t n = s->nsrc, edge = 0, p = 0;
    kernel k = {0};
    char tail[64];
    while (p < n) {
        size_t step = n - p < 64 ? n - p : 64;
        uint64_t valid = step == 64 ? ~0ull : (1ull << step) - 1, two = 0;
        if (edge / 2 + 66 > s->b->cap[QD_COL_TERM] && qd_batch_reserve(s, s->b, edge / 2 + 66))
            return QD_E_NOMEM;
        const char *in = s->src + p;
        if (QD_UNLIKELY(step < 64)) { /* the value's bytes end here; its owner promised no more */
            memset(tail, 0, sizeof tail);
            memcpy(tail, in, step);
            in = tail;
        }
        qd_blk b = qd_blk_load(in), lb = qd_blk_lower(b);
        uint64_t high = qd_blk_high(b) & valid, line = qd_blk_eq(b, '_') & valid;
        qd_blk_store(s->text + p, lower ? lb : b);
        if (QD_UNLIKELY(high | line)) {
            uint64_t lead = high ? qd_blk_in(b, 0xC2, 0xDF) & valid : 0;
            if (line || !two_byte_letters(s, p, high, lead, lower, &step, &two)) {
                size_t stop = p + 64 < n ? p + 64 : n;
                int rc = by_automaton(s, &k, &edge, &p, stop, max_units, lower);
                if (rc) return rc;
                continue;
            }
            valid = step == 64 ? ~0ull : (1ull << step) - 1;
        }
        uint64_t L = (qd_blk_in(lb, 'a', 'z') & valid) | two, D = qd_blk_in(b, '0', '9') & valid;
        uint64_t w = words(b, L, D, &k, &step, p + step >= n, &L);
        valid = step == 64 ? ~0ull : (1ull << step) - 1;
        if (QD_UNLIKELY(k.carry && (w & valid) == valid)) {
            /* a word through a whole block: it may have to be cut */
            int rc = by_automaton(s, &k, &edge, &p, p + step, max_units, lower);
            if (rc) return rc;
            continue;
        }
        edge += qd_bits_out((w ^ (w << 1 | k.carry)) & valid, (uint32_t)p,
                            (uint32_t *)(void *)t->term + edge);
        p += step;
        k.carry = w >> (step - 1) & 1;
        k.letter = L >> (step - 1) & 1;
        k.digit = D >> (step - 1) & 1;
    }
    if (k.carry) ((uint32_t *)(void *)t->term)[edge++] = (uint32_t)n;
    t->n = edge / 2;
    *odd = k.odd;
    return 0;
}
