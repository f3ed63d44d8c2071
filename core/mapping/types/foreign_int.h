/* foreign_int.h: rows of types that plugins bring. */
#ifndef QD_MAPPING_FOREIGN_INT_H
#define QD_MAPPING_FOREIGN_INT_H

#include "mapping/type_int.h"
#include "segment/parts.h"

/* What a row has beside the members of all rows. */
struct qdi_foreign {
    struct qd_field_type row;
    const qd_field_vtable *vt; /* the host's copy; NULL: it stands in */
    qd_part_type part;         /* name, self; vt NULL: no part */
    const char *why;           /* it stands in */
    bool stored;               /* the mapping is the cluster's own, not a request's */
    uint32_t first;            /* the plugin's parameters in row.params */
};

#endif
