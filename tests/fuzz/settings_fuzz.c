/*
 * settings_fuzz.c: any text as quidditch.yml, and any bytes as the settings of an index in JSON.
 * What is accepted must survive being written and read again.
 */
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *no_environment(const char *name)
{
    return name[0] == 'H' ? "value" : NULL;
}

static void node_settings(qd_str text)
{
    qd_config *c;
    qd_err err;
    qd_err_init(&err);
    if (qd_config_open(1ll << 30, &c, NULL) != 0) return;
    int rc = qd_config_file(c, text, "fuzz.yml", no_environment, &err);
    if (rc == 0) rc = qd_config_ready(c, &err);
    qd_assert(rc == err.code);
    qd_err_fini(&err);
    qd_config_close(c);
}

static qd_settings *parse(qd_str text, qd_json_reader *r)
{
    qd_settings *s;
    if (qd_settings_new(NULL, &s, NULL) != 0) return NULL;
    qd_json_reader_init(r, text, QD_JSON_STRICT_KEYS, 0);
    if (qd_json_next(r) == QD_JSON_OBJECT && qd_settings_put_json(s, r, QD_STR(""), NULL) == 0 &&
        qd_settings_seal(s, NULL) == 0)
        return s;
    qd_settings_unref(s);
    return NULL;
}

static void index_settings(qd_str text)
{
    qd_json_reader r = QD_JSON_READER(NULL);
    qd_settings *s = parse(text, &r);
    if (s) {
        qd_values *v;
        if (qd_schema_check(&qd_schema_index, s, true, NULL) == 0 &&
            qd_values_new(&qd_schema_index, s, 1 << 30, &v, NULL) == 0)
            qd_values_unref(v);
        for (int flat = 0; flat < 2; flat++) {
            qd_buf b;
            qd_buf_init(&b, NULL, 16 << 20);
            qd_json_writer w;
            qd_json_writer_init(&w, &b, false);
            qd_settings_write(s, &w, flat != 0, NULL, NULL);
            if (qd_buf_status(&b) == 0) {
                qd_settings *again = parse(qd_buf_view(&b), &r);
                qd_assert(again != NULL && qd_settings_equal(s, again));
                qd_settings_unref(again);
            }
            qd_buf_fini(&b);
        }
        qd_settings_unref(s);
    }
    qd_json_reader_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qd_str text = {(const char *)data, size};
    if (size > 0 && data[0] == '{')
        index_settings(text);
    else
        node_settings(text);
    return 0;
}
