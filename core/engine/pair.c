/* pair.c: what becomes of pair assertions while a rule is broken. See pair.h. */
#include "engine/pair.h"
#include "engine/mutants.h"

#ifdef QD_WITH_MUTANTS
int qd_pairs;
void (*qd_pair_broken)(const char *name);

bool qd_pairs_look(void)
{
    const qd_mutant_set *s = &qd_mutants_engine;
    return qd_pairs == QD_PAIRS_ON || (qd_pairs == QD_PAIRS_WHOLE && !s->chosen && !s->beside);
}

void qd_pair_fail(const char *name, const char *cond, const char *file, int line)
{
    if (qd_pair_broken) qd_pair_broken(name);
    qd_assert_fail(cond, file, line);
}
#else
typedef int qdi_pair_unused;
#endif
