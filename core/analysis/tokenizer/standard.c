/*
 * standard.c: word breaks by UAX #29 with the rules of Lucene 8's StandardTokenizer.
 *
 * Two ways that give one result:
 * - the automaton (tables/standard.c) goes code point by code point and takes the longest match
 *   within max_units UTF-16 units, as Lucene's scanner does within its buffer;
 * - the block kernel classifies 64 bytes at once: words are runs of letters and digits, joined by
 *   one of . ' : , ; where the rules join; starts and ends are the edges of the mask. Two-byte
 *   letters take part in it; a block with anything else beyond ASCII, or with '_', goes to the
 *   automaton, and so does a word so long that it may have to be cut.
 *
 * Where the ways meet: the automaton starts at the open word's first byte, or at a '#', '*' or
 * digit before the block, which may begin an emoji sequence; the kernel starts where no token is
 * open.
 */
#include "analysis/tokenizer/standard_int.h"
#include "runtime/cpu.h"

#define QD_STANDARD_BLOCKS qd_standard_blocks
#include "analysis/tokenizer/standard_tmpl_int.h"

int qd_standard_run(qd_analysis *s, uint32_t max_units, bool lower)
{
    bool odd = lower, types = s->want & QD_ANALYZE_TYPES;
    int rc = qd_text_reserve(s, s->nsrc + 64);
    if (rc) return rc;
    /* shorter words than two blocks could be cut unseen by the kernel */
    if (types || max_units < 192) {
        if ((rc = qd_text_from_source(s))) return rc;
        if (types && (rc = qd_batch_need(s, s->b, QD_TOKENS_TYPE))) return rc;
        size_t at = 0;
        rc = scan(s, &at, s->nsrc, max_units);
    } else {
        rc = qd_cpu_level() >= QD_CPU_V3 ? qd_standard_blocks_avx2(s, max_units, lower, &odd)
                                         : qd_standard_blocks(s, max_units, lower, &odd);
        s->ntext = s->nsrc;
    }
    if (rc) return rc;
    if ((rc = qd_tokenized(s, QD_TOKEN_ALPHANUM))) return rc;
    return lower && odd ? qd_lower_run(s) : 0;
}
