/* action_int.h: handlers of api.def, and what groups of them share. */
#ifndef QD_ACTION_ACTION_INT_H
#define QD_ACTION_ACTION_INT_H

#include "action/action.h"

#define QD_API(id, methods, paths, params, pool, flags, handler, help)                             \
    int qdi_api_##handler(qd_request *q, qd_response *r, qd_err *err);
#define QD_API_FED(id, methods, paths, params, pool, flags, handler, help)                         \
    extern const qd_api_stream qdi_api_##handler;
#include "action/api.def"
#undef QD_API
#undef QD_API_FED

#endif
