/* lifecycle.h: lifecycle policies: the thread of a node that carries them out while it is elected.
 */
#ifndef QD_ACTION_LIFECYCLE_H
#define QD_ACTION_LIFECYCLE_H

#include "action/action.h"

/* Starts the thread; before requests come. [worker] QD_E_NOMEM */
QD_MUST_CHECK
int qd_lifecycle_open(qd_actions *a, qd_err *err);
/* Ends the thread; what it has begun goes on. While calls are still answered. [worker] */
void qd_lifecycle_stop(qd_actions *a);
/* The same, waits for what it has begun, and frees all. After the shards are closed. [worker] */
void qd_lifecycle_close(qd_actions *a);

#endif
