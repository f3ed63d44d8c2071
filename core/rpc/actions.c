/* actions.c: names of actions. */
#include "rpc/rpc_int.h"

static const struct {
    uint32_t id;
    uint16_t since;
    const char *name;
} actions[] = {
#define QD_ACTION(sym, id, name, since) {(id), (since), (name)},
#include "rpc/actions.def"
#undef QD_ACTION
};

const char *qd_rpc_action_name(uint32_t action)
{
    for (size_t i = 0; i < QD_COUNT_OF(actions); i++)
        if (actions[i].id == action) return actions[i].name;
    return "internal:unknown";
}

uint16_t qdi_action_since(uint32_t action)
{
    for (size_t i = 0; i < QD_COUNT_OF(actions); i++)
        if (actions[i].id == action) return actions[i].since;
    return 0;
}
