/*
 * mustache_fuzz.c: first line the params, as JSON, the rest a template, in the content type that
 * its length names. What is refused has a reason; a rendering ends within its limits, and what
 * {{x}} has escaped is a string of JSON.
 */
#include "script/mustache/mustache.h"
#include "script/script.h"
#include "json/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX 65536u

static void run(const qd_script *s, qd_str params)
{
    qd_script_exec x;
    qd_err e;
    qd_sv v;
    qd_err_init(&e);
    qd_script_exec_open(&x, s, NULL);
    x.text_max = TEXT_MAX;
    if (qd_sv_parse(&x.arena, params, &x.vars[QD_SCRIPT_V_PARAMS], NULL) == 0) {
        int rc = qd_script_run(&x, &v, &e);
        qd_assert(rc ? e.code == rc && qd_err_reason(&e)[0]
                     : v.tag == QD_SV_STRING && v.n <= TEXT_MAX);
    }
    qd_script_exec_close(&x);
    qd_err_fini(&e);
}

/* The bytes, as a value that a template puts into a string. */
static void escapes(qd_str bytes)
{
    qd_script *s = NULL;
    qd_script_exec x;
    qd_sv key = qd_sv_str(QD_STR("x")), v;
    qd_json_node *n;
    qd_assert(qd_script_compile(QD_STR("mustache"), QD_STR("\"{{x}}\""), QD_SCRIPT_TEMPLATE, &s,
                                NULL) == 0);
    qd_script_exec_open(&x, s, NULL);
    x.text_max = 16u << 20;
    qd_assert(qd_sv_map_make(&x.arena, &x.vars[QD_SCRIPT_V_PARAMS]) == 0);
    qd_assert(qd_sv_map_set(&x.arena, x.vars[QD_SCRIPT_V_PARAMS].map, key, qd_sv_str(bytes)) == 0);
    qd_assert(qd_script_run(&x, &v, NULL) == 0);
    qd_assert(qd_json_parse(&x.arena, qd_sv_text(&v), 0, &n, NULL) == 0 &&
              n->type == QD_JSON_T_STRING);
    qd_script_exec_close(&x);
    qd_script_put(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const media[] = {"application/json", "text/plain",
                                        "application/x-www-form-urlencoded"};
    qd_str rest = {(const char *)data, size}, params = qd_str_split(&rest, '\n');
    qd_script_ref ref = {.lang = QD_STR("mustache"),
                         .source = rest,
                         .media = qd_str_c(media[rest.n % QD_COUNT_OF(media)])};
    qd_script *s = NULL;
    qd_err e;
    qd_err_init(&e);
    int rc = qd_script_compile_ref(&ref, QD_SCRIPT_TEMPLATE, &s, &e);
    if (rc == 0)
        run(s, params);
    else
        qd_assert(e.code == rc && qd_err_reason(&e)[0]);
    escapes(params);
    qd_script_put(s);
    qd_script_cache_close();
    qd_err_fini(&e);
    return 0;
}
