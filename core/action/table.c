/* table.c: the table of APIs, from api.def. */
#include "action/action_int.h"

#define QD_API(id, methods, paths, params, pool, flags, handler, help)                             \
    {#id, methods, paths, params, pool, (flags), qdi_api_##handler, NULL, help},
#define QD_API_FED(id, methods, paths, params, pool, flags, handler, help)                         \
    {#id, methods, paths, params, pool, (flags) | QD_API_STREAM, NULL, &qdi_api_##handler, help},
const qd_api qd_apis[] = {
#include "action/api.def"
};
#undef QD_API
#undef QD_API_FED

const uint32_t qd_apis_n = QD_COUNT_OF(qd_apis);
