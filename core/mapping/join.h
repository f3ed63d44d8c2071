/*
 * join.h: the relations of a field of type join: which documents are parents of which. Each
 * relation has a field of its own, NAME#PARENT, which holds the id of the parent in the parent
 * itself and in its children. Immutable; lives as long as the mapping [any].
 */
#ifndef QD_MAPPING_JOIN_H
#define QD_MAPPING_JOIN_H

#include "mapping/mapping.h"

typedef struct qd_join_relation {
    qd_str parent;
    const qd_str *children; /* n */
    uint32_t n;
    const qd_field *ids; /* NAME#PARENT */
} qd_join_relation;

typedef struct qd_join {
    const qd_field *field;
    const qd_join_relation *relations; /* n, in the order of the definition */
    uint32_t n;
} qd_join;

/* The relations of the mapping's join field; NULL: it has none. [any] */
const qd_join *qd_mapping_join(const qd_mapping *m);
/* The relation in which a name is the parent; NULL: none. [any] */
const qd_join_relation *qd_join_of_parent(const qd_join *j, qd_str name);
/* The relation in which a name is a child; NULL: none. [any] */
const qd_join_relation *qd_join_of_child(const qd_join *j, qd_str name);

#endif
