/* table.c: the table of APIs, from api.def. */
#include "action/action_int.h"
#include "base/hash.h"
#include "runtime/sync.h"

#define QD_API(id, methods, paths, params, pool, flags, privilege, indices, handler, help)         \
    {#id,     methods,           paths, params, pool, (flags), privilege,                          \
     indices, qdi_api_##handler, NULL,  NULL,   help},
#define QD_API_BRIEF(id, methods, paths, params, pool, flags, privilege, indices, handler, brief,  \
                     help)                                                                         \
    {#id,  methods,           paths, params, pool, (flags), privilege, indices, qdi_api_##handler, \
     NULL, qdi_brief_##brief, help},
#define QD_API_FED(id, methods, paths, params, pool, flags, privilege, indices, handler, help)     \
    {#id,       methods,                                                                           \
     paths,     params,                                                                            \
     pool,      (flags) | QD_API_STREAM,                                                           \
     privilege, indices,                                                                           \
     NULL,      &qdi_api_##handler,                                                                \
     NULL,      help},
const qd_api qd_apis[] = {
#include "action/api/api.def"
};
#undef QD_API
#undef QD_API_BRIEF
#undef QD_API_FED

const uint32_t qd_apis_n = QD_COUNT_OF(qd_apis);

#define SLOTS 1024u /* a power of two, several times the number of APIs */
_Static_assert(QD_COUNT_OF(qd_apis) < SLOTS / 2, "the table of names is sparse");

/* Index + 1 in qd_apis by the hash of the name, with linear probing. Each request looks here. */
static uint16_t by_name[SLOTS];
static _Atomic bool filled;
static qd_mutex filling = QD_MUTEX_INIT;

static uint32_t slot_of(qd_str name)
{
    return (uint32_t)qd_xxh3(name.p, name.n) % SLOTS;
}

static void fill(void)
{
    qd_mutex_lock(&filling);
    for (uint32_t i = 0; !atomic_load(&filled) && i < qd_apis_n; i++) {
        uint32_t at = slot_of(qd_str_c(qd_apis[i].name));
        while (by_name[at]) at = (at + 1) % SLOTS;
        by_name[at] = (uint16_t)(i + 1);
    }
    atomic_store_explicit(&filled, true, memory_order_release);
    qd_mutex_unlock(&filling);
}

const qd_api *qd_api_find(qd_str name)
{
    if (QD_UNLIKELY(!atomic_load_explicit(&filled, memory_order_acquire))) fill();
    for (uint32_t at = slot_of(name); by_name[at]; at = (at + 1) % SLOTS) {
        const qd_api *api = &qd_apis[by_name[at] - 1];
        if (qd_str_is(name, api->name)) return api;
    }
    return NULL;
}
