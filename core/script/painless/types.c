/* types.c: the table of types. */
#include "base/vec.h"
#include "script/painless/ast_int.h"
#include <stdio.h>

static const struct {
    const char *name, *full;
    uint64_t tags;
} types[] = {
    [QDI_T_VOID] = {"void", "void", 0},
    [QDI_T_DEF] = {"def", "def", ~0ull},
    [QDI_T_OBJECT] = {"Object", "java.lang.Object", ~0ull},
#define QD_TYPE(id, name, full, tags) [QDI_T_##id] = {name, full, tags},
#include "script/painless/types.def"
};

uint64_t qdp_type_tags(int type)
{
    return type >= QDI_T_ARRAY ? 1ull << QD_SV_ARRAY : types[type].tags;
}

const char *qdp_type_full(int type)
{
    return type >= QDI_T_ARRAY ? qdp_type_name(type) : types[type].full;
}

const char *qdp_type_name(int type)
{
    static _Thread_local char room[4][64];
    static _Thread_local unsigned at;
    if (type < QDI_T_ARRAY) return types[type].name;
    char *out = room[at++ % 4];
    snprintf(out, sizeof room[0], "%s%.*s", types[type % QDI_T_ARRAY].name,
             2 * (type / QDI_T_ARRAY), "[][][][]");
    return out;
}

int qdp_type_find(qd_str name)
{
    for (int i = QDI_T_VOID; i < QDI_T_COUNT; i++)
        if (qd_str_is(name, types[i].name) || qd_str_is(name, types[i].full)) return i;
    return -1;
}

int qdp_type_unboxed(int t)
{
    return t >= QDI_T_BOOLEAN_BOX && t <= QDI_T_CHAR_BOX ? t - QDI_T_BOOLEAN_BOX + QDI_T_BOOLEAN
                                                         : t;
}

uint8_t qdp_type_tag(int t)
{
    static const uint8_t tags[] = {QD_SV_BOOL, QD_SV_BYTE,  QD_SV_SHORT,  QD_SV_INT,
                                   QD_SV_LONG, QD_SV_FLOAT, QD_SV_DOUBLE, QD_SV_CHAR};
    t = qdp_type_unboxed(t);
    return qdp_type_primitive(t) ? tags[t - QDI_T_BOOLEAN] : QD_SV_NULL;
}
