/* variant.c: which rule is broken, and what then becomes of pair assertions. See variant.h. */
#include "engine/variant.h"

#ifdef QD_VARIANTS
qd_engine_broken qd_engine_variant = QD_BROKEN_NONE;
int qd_pairs;
void (*qd_pair_broken)(const char *name);

bool qd_pairs_look(void)
{
    return qd_pairs == QD_PAIRS_ON ||
           (qd_pairs == QD_PAIRS_WHOLE && qd_engine_variant == QD_BROKEN_NONE);
}

void qd_pair_fail(const char *name, const char *cond, const char *file, int line)
{
    if (qd_pair_broken) qd_pair_broken(name);
    qd_assert_fail(cond, file, line);
}
#else
typedef int qdi_variant_unused;
#endif
