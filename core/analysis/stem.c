/* stem.c */
#include "analysis/stem_int.h"
void qd_stemmers_free(struct qd_stemmers *all)
{
    (void)all;
}
