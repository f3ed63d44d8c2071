/*
 * sigbus_int.h: mappings that survive a truncated or unreadable file. A fault inside a registered
 * mapping replaces the page by zeros and sets the mapping's flag; every other SIGBUS stays fatal.
 */
#ifndef QD_STORE_SIGBUS_INT_H
#define QD_STORE_SIGBUS_INT_H

#include "base/err.h"
#include <stdatomic.h>

/* Guards [base, base + bytes); *damaged is set by the handler. Installs the handler at the first
 * call of the process. *slot names the entry. [any] QD_E_NOMEM, QD_E_LIMIT. */
QD_MUST_CHECK
int qdi_sigbus_add(const void *base, size_t bytes, _Atomic uint32_t *damaged, uint32_t *slot,
                   qd_err *err);
/* Before the mapping goes. [any] */
void qdi_sigbus_remove(uint32_t slot);

#endif
