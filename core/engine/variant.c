/* variant.c: which rule is broken. See variant.h. */
#include "engine/variant.h"

#ifdef QD_VARIANTS
qd_engine_broken qd_engine_variant = QD_BROKEN_NONE;
#else
typedef int qdi_variant_unused;
#endif
