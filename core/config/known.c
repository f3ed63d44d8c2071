/* known.c: see known.h. */
#include "config/known.h"

static const qd_known names[] = {
#define QD_KNOWN(kind, name, products) {QD_KNOWN_##kind, products, #name},
#include "config/known.def"
#undef QD_KNOWN
};

const qd_known *qd_known_at(size_t i)
{
    return i < QD_COUNT_OF(names) ? &names[i] : NULL;
}

const char *qd_known_name(qd_known_kind kind, qd_str name)
{
    for (size_t i = 0; i < QD_COUNT_OF(names); i++)
        if (names[i].kind == kind && qd_str_is(name, names[i].name)) return names[i].name;
    return NULL;
}
