/*
 * script_fuzz.c: any bytes as a source of Painless, in the context that the first byte names. What
 * compiles runs, with few steps, over a small document; its value is written. What is refused has a
 * reason.
 */
#include "script/object.h"
#include "script/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int values(void *self, int slot, qd_str field, qd_script_values *out, qd_err *err)
{
    static const qd_sv two[] = {{.tag = QD_SV_LONG, .i = 7}, {.tag = QD_SV_LONG, .i = 9}};
    (void)self, (void)slot;
    if (!qd_str_is(field, "n"))
        return qd_err_set(err, QD_E_ARG, "No field found for [%.*s] in mapping", QD_STR_ARG(field));
    *out = (qd_script_values){.n = 2, .v = two};
    return 0;
}

static void run(const qd_script *s)
{
    qd_script_exec x;
    qd_err e;
    qd_sv v;
    qd_buf b;
    qd_err_init(&e);
    qd_buf_init(&b, NULL, 64u << 20);
    qd_script_exec_open(&x, s, NULL);
    x.steps_max = 20000;
    x.arena.max = 4u << 20;
    x.host.values = values;
    for (int i = 0; i < QD_SCRIPT_VARS; i++)
        if (i != QD_SCRIPT_V_DOC && i != QD_SCRIPT_V_SCORE)
            qd_assert(
                qd_sv_parse(&x.arena,
                            i == QD_SCRIPT_V_STATES || i == QD_SCRIPT_V_VALUES
                                ? QD_STR("[1,2.5,{\"a\":[\"x\"]}]")
                                : QD_STR("{\"a\":1,\"b\":[1,\"x\"],\"_source\":{\"t\":\"é\"}}"),
                            &x.vars[i], NULL) == 0);
    if (x.vars[QD_SCRIPT_V_VALUES].tag == QD_SV_LIST) x.vars[QD_SCRIPT_V_VALUES].tag = QD_SV_ARRAY;
    x.vars[QD_SCRIPT_V_SCORE] = qd_sv_double(1.5);
    int rc = qd_script_run(&x, &v, &e);
    if (rc == 0) {
        qd_json_writer w;
        qd_json_writer_init(&w, &b, false);
        rc = qd_sv_write(&v, &w, &e);
        qd_sv_append(&v, &b);
    }
    qd_assert(rc == 0 || (e.code == rc && qd_err_reason(&e)[0]));
    qd_script_exec_close(&x);
    qd_buf_fini(&b);
    qd_err_fini(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qd_script *s = NULL;
    qd_err e;
    if (!size) return 0;
    qd_err_init(&e);
    qd_script_context c = (qd_script_context)(data[0] % QD_SCRIPT_CONTEXTS);
    qd_str source = {(const char *)data + 1, size - 1};
    int rc = qd_script_compile(QD_STR("painless"), source, c, &s, &e);
    if (rc == 0)
        run(s);
    else
        qd_assert(e.code == rc && qd_err_reason(&e)[0]);
    qd_script_put(s);
    qd_script_cache_close();
    qd_err_fini(&e);
    return 0;
}
