/* lib_more.c: functional interfaces, Processors of ingest, System, randomScore. */
#include "base/hash.h"
#include "base/utf8.h"
#include "config/value.h"
#include "script/painless/lib_int.h"

/* --- functional interfaces: Supplier.get, Function.apply … ------------------------------------ */

QDI_FN(invoke)
{
    return qdp_call(vm, &a[0], &a[1], n, out);
}

QDI_FN(invoke_test)
{
    if (qdp_call(vm, &a[0], &a[1], n, out)) return -1;
    if (out->tag == QD_SV_BOOL) return 0;
    return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [boolean].", qdp_class(out));
}

/* --- Processors ------------------------------------------------------------------------------- */

QDI_FN(process_bytes)
{
    qd_str text;
    int64_t bytes;
    (void)n;
    if (a[0].tag == QD_SV_NULL) {
        *out = qd_sv_null();
        return 0;
    }
    if (qdp_arg_str(vm, &a[0], &text)) return -1;
    qd_err why;
    qd_err_init(&why);
    int rc = qd_value_bytes(text, "Ingest Field", &bytes, &why);
    if (rc) rc = qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "%s", qd_err_reason(&why));
    qd_err_fini(&why);
    *out = qd_sv_long(rc ? 0 : bytes);
    return rc ? -1 : 0;
}

static int string_method(qdp_vm *vm, const char *name, qd_sv *a, qd_sv *out)
{
    const qdp_method *m = qdp_lib_string;
    while (strcmp(m->name, name) != 0 || m->nargs) m++;
    if (a[0].tag == QD_SV_STRING) return m->fn(vm, a, 0, out);
    return qdp_throw(vm, a[0].tag == QD_SV_NULL ? QDI_T_NULL_POINTER : QDI_T_CLASS_CAST,
                     "Cannot cast from [%s] to [java.lang.String].", qdp_class(&a[0]));
}

QDI_FN(process_lowercase)
{
    (void)n;
    return string_method(vm, "toLowerCase", a, out);
}

QDI_FN(process_uppercase)
{
    (void)n;
    return string_method(vm, "toUpperCase", a, out);
}

/* The value of a JSON text; anything else is itself. */
static int json_of(qdp_vm *vm, const qd_sv *v, qd_sv *out)
{
    if (v->tag != QD_SV_STRING) {
        *out = *v;
        return 0;
    }
    if (qdp_steps(vm, v->n / 64 + 1)) return -1;
    qd_err why;
    qd_err_init(&why);
    int rc = qd_sv_parse(&vm->x->arena, qd_sv_text(v), out, &why);
    if (rc == QD_E_NOMEM) qdp_nomem(vm);
    if (rc && rc != QD_E_NOMEM) qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "%s", qd_err_reason(&why));
    qd_err_fini(&why);
    return rc ? -1 : 0;
}

QDI_FN(process_json)
{
    qd_str field;
    if (n == 1) return json_of(vm, &a[0], out);
    qd_sv made;
    if (a[0].tag != QD_SV_MAP || qdp_arg_str(vm, &a[1], &field))
        return qdp_throw(vm, QDI_T_CLASS_CAST, "Cannot cast from [%s] to [java.util.Map].",
                         qdp_class(&a[0]));
    const qd_sv *text = qd_sv_map_get(a[0].map, field);
    if (!text) text = &(const qd_sv){.tag = QD_SV_NULL};
    if (json_of(vm, text, &made)) return -1;
    if (made.tag != QD_SV_MAP)
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT,
                         "cannot add non-map fields to root of document");
    *out = qd_sv_null();
    for (uint32_t i = 0; i < made.map->n; i++)
        if (qdp_map_put(vm, a[0].map, made.map->e[i].key, made.map->e[i].value)) return -1;
    return 0;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

QDI_FN(process_url_decode)
{
    qd_str text;
    size_t to = 0;
    (void)n;
    if (qdp_arg_str(vm, &a[0], &text) || qdp_steps(vm, text.n / 64 + 1)) return -1;
    char *p = qd_arena_bytes(&vm->x->arena, text.n + 1);
    if (!p) return qdp_nomem(vm);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i] == '+' ? ' ' : text.p[i];
        if (c == '%') {
            int hi = i + 2 < text.n ? hex(text.p[i + 1]) : -1;
            int lo = i + 2 < text.n ? hex(text.p[i + 2]) : -1;
            if (hi < 0 || lo < 0)
                return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "Could not URL-decode value.");
            c = (char)(hi * 16 + lo);
            i += 2;
        }
        p[to++] = c;
    }
    if (!qd_utf8_valid((qd_str){p, to}, NULL))
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "Could not URL-decode value.");
    *out = qd_sv_str((qd_str){p, to});
    return 0;
}

/* --- System: the time of the request, so that all of it sees one ------------------------------ */

QDI_FN(now_ms)
{
    (void)a, (void)n;
    *out = qd_sv_long(vm->x->now_ms);
    return 0;
}

QDI_FN(now_ns)
{
    (void)a, (void)n;
    *out = qd_sv_long((int64_t)((uint64_t)vm->x->now_ms * 1000000u));
    return 0;
}

/* --- randomScore(seed, field): of a document's value, its sequence number as a rule ----------- */

QDI_FN(random_score)
{
    int64_t seed;
    qd_str field = QD_STR("_seq_no");
    qd_sv values, v;
    char room[QD_SV_PRINT];
    if (qdp_arg_int(vm, &a[0], &seed) || (n == 2 && qdp_arg_str(vm, &a[1], &field))) return -1;
    if (qdp_doc(vm, -1, field, &values) || qdp_doc_at(vm, &values, 0, &v)) return -1;
    qd_str text = v.tag == QD_SV_STRING ? qd_sv_text(&v) : qd_sv_print(&v, room);
    uint64_t h = qd_xxh3_seed(text.p, text.n, (uint64_t)seed);
    *out = qd_sv_double((double)(float)((double)(h >> 40) / 16777216.0));
    return 0;
}

#define F QDI_TAG(FUNCTION)
#define P QDI_T_PROCESSORS
const qdp_method qdp_lib_more[] = {
    {"get", 0, 0, QDI_T_DEF, F, invoke},
    {"apply", 1, 0, QDI_T_DEF, F, invoke},
    {"apply", 2, 0, QDI_T_DEF, F, invoke},
    {"accept", 1, 0, QDI_T_DEF, F, invoke},
    {"accept", 2, 0, QDI_T_DEF, F, invoke},
    {"compare", 2, 0, QDI_T_DEF, F, invoke},
    {"applyAsInt", 1, 0, QDI_T_DEF, F, invoke},
    {"applyAsLong", 1, 0, QDI_T_DEF, F, invoke},
    {"applyAsDouble", 1, 0, QDI_T_DEF, F, invoke},
    {"test", 1, 0, QDI_T_BOOLEAN, F, invoke_test},
    {"test", 2, 0, QDI_T_BOOLEAN, F, invoke_test},
    {"bytes", 1, P, QDI_T_DEF, 0, process_bytes},
    {"lowercase", 1, P, QDI_T_STRING, 0, process_lowercase},
    {"uppercase", 1, P, QDI_T_STRING, 0, process_uppercase},
    {"json", 1, P, QDI_T_DEF, 0, process_json},
    {"json", 2, P, QDI_T_DEF, 0, process_json},
    {"urlDecode", 1, P, QDI_T_STRING, 0, process_url_decode},
    {"currentTimeMillis", 0, QDI_T_SYSTEM, QDI_T_LONG, 0, now_ms},
    {"nanoTime", 0, QDI_T_SYSTEM, QDI_T_LONG, 0, now_ns},
    {"randomScore", 1, 0, QDI_T_DOUBLE, 0, random_score},
    {"randomScore", 2, 0, QDI_T_DOUBLE, 0, random_score},
    {0},
};
