/* vec.c: growth of arrays. See vec.h. */
#include "base/vec.h"

int qd_vec_grow(void **at, size_t *cap, size_t n, size_t more, size_t size, qd_account *account)
{
    size_t want = *cap ? *cap : 8;
    while (want < n + more) want += want / 2 + 1;
    if (want > SIZE_MAX / 2 / size) return QD_E_NOMEM;
    void *p = qd_realloc(account, *at, want * size);
    if (!p) return QD_E_NOMEM;
    *at = p;
    *cap = want;
    return 0;
}
