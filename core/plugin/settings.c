/*
 * settings.c: the settings of plugins, "plugin.<name>.<key>". Text comes from the configuration,
 * the schema from the plugin; values are checked before init runs, so that a plugin never parses.
 */
#include "config/value.h"
#include "plugin/host_int.h"

static bool parse_enum(const char *values, qd_str text, int64_t *out)
{
    qd_str rest = qd_str_c(values);
    for (int64_t i = 0; rest.p; i++) {
        if (!qd_str_eq(qd_str_split(&rest, '|'), text)) continue;
        *out = i;
        return true;
    }
    return false;
}

static const char *const type_texts[] = {
    [QD_PCONF_BOOL] = "true or false",
    [QD_PCONF_INT] = "an integer",
    [QD_PCONF_FLOAT] = "a number",
    [QD_PCONF_BYTES] = "a size with its unit (b, kb, mb, gb, tb, pb)",
    [QD_PCONF_TIME] = "a time with its unit (nanos, micros, ms, s, m, h, d)",
    [QD_PCONF_STRING] = "a text",
    [QD_PCONF_ENUM] = "one of the values",
    [QD_PCONF_LIST] = "a list",
    [QD_PCONF_SECRET] = "a text",
};

static bool parse_scalar(qd_plugin_value *v, qd_str text)
{
    bool truth;
    switch (v->conf.type) {
    case QD_PCONF_BOOL:
        if (qd_value_bool(text, &truth, NULL)) return false;
        v->i64 = truth;
        return true;
    case QD_PCONF_INT:
        return qd_str_i64(text, &v->i64);
    case QD_PCONF_FLOAT:
        return qd_value_double(text, &v->f64);
    case QD_PCONF_BYTES:
        return qd_value_bytes(text, v->conf.key, &v->i64, NULL) == 0;
    case QD_PCONF_TIME:
        return qd_value_time(text, v->conf.key, &v->i64, NULL) == 0;
    case QD_PCONF_ENUM:
        return parse_enum(v->conf.values ? v->conf.values : "", text, &v->i64);
    default:
        return true;
    }
}

static bool bounded(uint32_t type)
{
    return type == QD_PCONF_INT || type == QD_PCONF_BYTES || type == QD_PCONF_TIME;
}

/* Elements behind one another, each with its NUL. */
static bool parse_list(qd_arena *arena, qd_plugin_value *v, const qd_str *texts, size_t n)
{
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++) bytes += texts[i].n + 1;
    char *p = qd_arena_bytes(arena, bytes);
    if (!p) return false;
    v->text = (qd_str){p, 0};
    for (size_t i = 0; i < n; i++) {
        if (texts[i].n) memcpy(p, texts[i].p, texts[i].n);
        p[texts[i].n] = 0;
        p += texts[i].n + 1;
    }
    *p = 0;
    v->text.n = bytes - 1;
    v->nitems = (uint32_t)n;
    return true;
}

int qdi_setting_parse(qd_arena *arena, const char *plugin, qd_plugin_value *v, const qd_str *texts,
                      size_t n, qd_err *err)
{
    const qd_plugin_conf *c = &v->conf;
    bool secret = c->type == QD_PCONF_SECRET;
    if (c->type == QD_PCONF_END || c->type > QD_PCONF_SECRET)
        return qd_err_set(err, QD_E_ABI, "plugin.%s.%s: unknown type of setting %u", plugin, c->key,
                          c->type);
    if (c->type == QD_PCONF_LIST) {
        if (!parse_list(arena, v, texts, n)) return qd_err_nomem(err, "a setting");
        v->set = true;
        return 0;
    }
    if (n != 1)
        return qd_err_set(err, QD_E_CONFIG, "plugin.%s.%s: wanted %s, found a list", plugin, c->key,
                          type_texts[c->type]);
    qd_str text = qd_arena_str(arena, texts[0]);
    if (!text.p && texts[0].n) return qd_err_nomem(err, "a setting");
    v->text = text.p ? text : QD_STR("");
    if (!parse_scalar(v, v->text))
        return qd_err_set(err, QD_E_CONFIG, "plugin.%s.%s: wanted %s%s%s%s, found [%.*s]", plugin,
                          c->key, type_texts[c->type], c->type == QD_PCONF_ENUM ? " [" : "",
                          c->type == QD_PCONF_ENUM && c->values ? c->values : "",
                          c->type == QD_PCONF_ENUM ? "]" : "",
                          QD_STR_ARG(secret ? QD_STR("***") : v->text));
    if (bounded(c->type) && (c->min || c->max) && (v->i64 < c->min || v->i64 > c->max))
        return qd_err_set(err, QD_E_CONFIG, "plugin.%s.%s: wanted %lld to %lld%s, found [%.*s]",
                          plugin, c->key, (long long)c->min, (long long)c->max,
                          c->type == QD_PCONF_BYTES  ? " bytes"
                          : c->type == QD_PCONF_TIME ? " nanoseconds"
                                                     : "",
                          QD_STR_ARG(v->text));
    v->set = true;
    return 0;
}

qd_plugin_value *qdi_setting_now(qd_plugin_value *v)
{
    return v->now ? v->now : v;
}

qd_plugin_value *qdi_setting_find(qd_self *self, const char *key)
{
    for (uint32_t i = 0; i < self->nvalues; i++)
        if (strcmp(self->values[i].conf.key, key) == 0) return &self->values[i];
    return NULL;
}

qd_str qdi_setting_key(const qd_self *self, qd_str key)
{
    size_t n = strlen(self->name);
    qd_str rest = qd_str_sub(key, 7, key.n);
    if (!qd_str_starts(key, QD_STR("plugin.")) || rest.n < n + 2) return (qd_str){NULL, 0};
    if (memcmp(rest.p, self->name, n) != 0 || rest.p[n] != '.') return (qd_str){NULL, 0};
    return qd_str_sub(rest, n + 1, rest.n);
}

int qdi_setting_unknown(qd_self *self, qd_str key, qd_err *err)
{
    const char *best = NULL;
    size_t distance = 4; /* further away it is no misspelling */
    for (uint32_t i = 0; i < self->nvalues; i++) {
        size_t d = qd_str_distance(key, qd_str_c(self->values[i].conf.key));
        if (d < distance) distance = d, best = self->values[i].conf.key;
    }
    if (best)
        return qd_err_set(err, QD_E_CONFIG,
                          "unknown setting [plugin.%s.%.*s], did you mean "
                          "[plugin.%s.%s]?",
                          self->name, QD_STR_ARG(key), self->name, best);
    return qd_err_set(err, QD_E_CONFIG,
                      "unknown setting [plugin.%s.%.*s]: see `qd plugin settings %s`", self->name,
                      QD_STR_ARG(key), self->name);
}

static int load_one(qd_self *self, qd_plugin_value *v, qd_err *err)
{
    const qd_plugin_host_config *config = &self->host->config;
    qd_str texts[QD_PLUGIN_ITEMS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < config->nsettings; i++) {
        qd_str key = qdi_setting_key(self, config->settings[i].key);
        if (!key.p || !qd_str_is(key, v->conf.key)) continue;
        if (n == QD_COUNT_OF(texts))
            return qd_err_set(err, QD_E_LIMIT, "plugin.%s.%s: more than %zu elements", self->name,
                              v->conf.key, QD_COUNT_OF(texts));
        texts[n++] = config->settings[i].value;
    }
    if (n && (v->conf.flags & QD_PCONF_DEPRECATED))
        qd_log_warn(self->component, "setting [plugin.%s.%s] is deprecated%s%s", self->name,
                    v->conf.key, v->conf.replaced_by ? "; use " : "",
                    v->conf.replaced_by ? v->conf.replaced_by : "");
    if (n == 0 && (v->conf.flags & QD_PCONF_REQUIRED))
        return qd_err_set(err, QD_E_CONFIG, "setting [plugin.%s.%s] is required: %s", self->name,
                          v->conf.key, v->conf.help ? v->conf.help : "");
    if (n == 0 && v->conf.value) texts[n++] = qd_str_c(v->conf.value);
    if (n == 0) return 0;
    return qdi_setting_parse(&self->host->arena, self->name, v, texts, n, err);
}

int qdi_settings_load(qd_self *self, qd_err *err)
{
    const qd_plugin_host_config *config = &self->host->config;
    char name[256];
    for (size_t i = 0; i < config->nsettings; i++) {
        qd_str key = qdi_setting_key(self, config->settings[i].key);
        if (!key.p) continue;
        if (key.n >= sizeof name) return qdi_setting_unknown(self, key, err);
        memcpy(name, key.p, key.n);
        name[key.n] = 0;
        if (!qdi_setting_find(self, name)) return qdi_setting_unknown(self, key, err);
    }
    for (uint32_t i = 0; i < self->nvalues; i++) {
        int rc = load_one(self, &self->values[i], err);
        if (rc) return rc;
    }
    return 0;
}

/* The value that a setting has now; NULL: no such setting. give() follows: it may be freed then,
 * unless its text is lent. */
static qd_plugin_value *take(qd_self *self, const char *key)
{
    qd_plugin_value *v = qdi_setting_find(self, key);
    if (!v || !(v->conf.flags & QD_PCONF_DYNAMIC)) return v;
    qd_mutex_lock(&self->host->values);
    return qdi_setting_now(v);
}

static void give(qd_self *self, const qd_plugin_value *v)
{
    if (v && (v->conf.flags & QD_PCONF_DYNAMIC)) qd_mutex_unlock(&self->host->values);
}

static void lend(qd_plugin_value *v)
{
    if (v->conf.flags & QD_PCONF_DYNAMIC) v->lent = true;
}

static int32_t conf_i64(qd_self *self, const char *key, int64_t *out)
{
    const qd_plugin_value *v = take(self, key);
    int32_t rc = 0;
    if (!v || !v->set)
        rc = QD_E_NOTFOUND;
    else if (!bounded(v->conf.type) && v->conf.type != QD_PCONF_BOOL &&
             v->conf.type != QD_PCONF_ENUM)
        rc = QD_E_ARG;
    else
        *out = v->i64;
    give(self, v);
    return rc;
}

static int32_t conf_f64(qd_self *self, const char *key, double *out)
{
    const qd_plugin_value *v = take(self, key);
    int32_t rc = 0;
    if (!v || !v->set)
        rc = QD_E_NOTFOUND;
    else if (v->conf.type != QD_PCONF_FLOAT && v->conf.type != QD_PCONF_INT)
        rc = QD_E_ARG;
    else
        *out = v->conf.type == QD_PCONF_INT ? (double)v->i64 : v->f64;
    give(self, v);
    return rc;
}

static int32_t conf_str(qd_self *self, const char *key, qd_str *out)
{
    qd_plugin_value *v = take(self, key);
    int32_t rc = !v || !v->set ? QD_E_NOTFOUND : v->conf.type == QD_PCONF_LIST ? QD_E_ARG : 0;
    if (!rc) {
        lend(v);
        *out = v->text;
    }
    give(self, v);
    return rc;
}

static int32_t conf_list(qd_self *self, const char *key, uint32_t i, qd_str *out)
{
    qd_plugin_value *v = take(self, key);
    bool has = v && v->set && v->conf.type == QD_PCONF_LIST && i < v->nitems;
    if (has) {
        const char *p = v->text.p;
        while (i--) p += strlen(p) + 1;
        lend(v);
        *out = qd_str_c(p);
    }
    give(self, v);
    return has ? 0 : QD_E_NOTFOUND;
}

static int32_t conf_watch(qd_self *self,
                          int32_t (*check)(void *arg, const char *key, qd_str value, qd_err *),
                          void (*apply)(void *arg, const char *key, qd_str value), void *arg)
{
    if (self->conf_check || !check || !apply) return QD_E_STATE;
    self->conf_check = check;
    self->conf_apply = apply;
    self->conf_arg = arg;
    return 0;
}

const qd_svc_conf qdi_svc_conf = {
    {sizeof(qd_svc_conf), QD_ABI_MAJOR, QD_ABI_MINOR, 0},
    conf_i64,
    conf_f64,
    conf_str,
    conf_list,
    conf_watch,
};
