/* standard_avx2.c: the block kernel for x86-64-v3; on other machines the baseline's. */
#include "analysis/tokenizer/standard_int.h"

#if defined(__x86_64__)
#define QD_STANDARD_BLOCKS qd_standard_blocks_avx2
#include "analysis/tokenizer/standard_tmpl_int.h"
#else
int qd_standard_blocks_avx2(qd_analysis *s, uint32_t max_units, bool lower, bool *odd)
{
    return qd_standard_blocks(s, max_units, lower, odd);
}
#endif
