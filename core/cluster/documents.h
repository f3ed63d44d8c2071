/* documents.h: documents of the cluster's state that are replaced only as their reader saw them. */
#ifndef QD_CLUSTER_DOCUMENTS_H
#define QD_CLUSTER_DOCUMENTS_H

#include "cluster/cluster.h"

/* Puts a document as qd_cluster_put_document does, or removes it when value is empty, if its
 * mod_revision is still `revision` (0: it is not there). *out (may be NULL) is a reference to the
 * state with the change. [worker] QD_E_VERSION_CONFLICT: it is another one. */
QD_MUST_CHECK
int qd_cluster_put_document_if(qd_cluster *c, qd_str key, qd_str value, uint64_t revision,
                               qd_state **out, qd_err *err);

#endif
