/* print.c: the tables of settings as YAML, Markdown and a list. See print.h. */
#include "config/print.h"
#include "config/value.h"
#include <inttypes.h>

typedef struct row {
    const char *title; /* of a section, or NULL */
    uint32_t id;
} row;

#define QD_SECTION(title) {title, 0},
#define QD_SETTING(sym, ...) {NULL, QD_SET_##sym},
static const row node_rows[] = {
#include "config/node_settings.def"
};
#undef QD_SETTING
#define QD_SETTING(sym, ...) {NULL, QD_IX_##sym},
static const row index_rows[] = {
#include "config/index_settings.def"
};
#undef QD_SETTING
#undef QD_SECTION

static const row *rows_of(const qd_schema *schema, size_t *n)
{
    bool node = schema == &qd_schema_node;
    *n = node ? QD_COUNT_OF(node_rows) : QD_COUNT_OF(index_rows);
    return node ? node_rows : index_rows;
}

static void put_words(qd_buf *out, const char *values, const char *between)
{
    qd_str rest = qd_str_c(values);
    for (bool first = true; rest.p; first = false) {
        if (!first) qd_buf_c(out, between);
        qd_buf_str(out, qd_str_split(&rest, '|'));
    }
}

static void put_amount(qd_buf *out, qd_setting_type type, int64_t v)
{
    char text[32];
    if (type == QD_ST_BYTES || type == QD_ST_MEMORY)
        qd_buf_c(out, qd_bytes_exact(v, text));
    else if (type == QD_ST_TIME)
        qd_buf_c(out, qd_time_text(v, text));
    else
        qd_buf_printf(out, "%" PRId64, v);
}

/* "1 to 1024", "at least 64mb", "at most 5"; nothing when there are no bounds worth telling. */
static void put_bounds(qd_buf *out, const qd_setting_def *d)
{
    bool low = d->min != INT64_MIN, high = d->max != INT64_MAX && d->max != INT32_MAX;
    if (d->type == QD_ST_LIST || d->type == QD_ST_ENUM || (!low && !high)) return;
    qd_buf_c(out, ", ");
    if (low && high) {
        put_amount(out, d->type, d->min);
        qd_buf_c(out, " to ");
        put_amount(out, d->type, d->max);
    } else {
        qd_buf_c(out, low ? "at least " : "at most ");
        put_amount(out, d->type, low ? d->min : d->max);
    }
}

static const char *how(const qd_setting_def *d)
{
    if (d->flags & QD_SF_PRIVATE) return "set by the node";
    if (d->flags & QD_SF_DYNAMIC) return "dynamic";
    if (d->flags & QD_SF_RELOAD) return "reloaded on SIGHUP";
    if (d->flags & QD_SF_FINAL) return "fixed at creation";
    return "static";
}

/* Of what is taken without an effect that too. */
static const char *also(const qd_setting_def *d)
{
    return d->flags & QD_SF_LATER     ? ", without effect in this version"
           : d->flags & QD_SF_IGNORED ? ", without effect"
                                      : "";
}

static void put_type(qd_buf *out, const qd_setting_def *d, const char *between)
{
    if (d->type == QD_ST_ENUM)
        put_words(out, d->values, between);
    else
        qd_buf_c(out, qd_setting_type_name(d->type));
    put_bounds(out, d);
}

/* Would YAML read the plain text as something else, or not at all? */
static bool needs_quotes(const char *value)
{
    return *value == 0 || strpbrk(value, "*&!%@`#{}[],|>'\"") || value[0] == '-' ||
           strchr(value, ':');
}

static void put_yaml_value(qd_buf *out, const qd_setting_def *d)
{
    if (d->type == QD_ST_LIST) {
        qd_buf_char(out, '[');
        qd_str rest = qd_str_c(d->value);
        for (bool first = true; rest.p && rest.n; first = false) {
            qd_str item = qd_str_split(&rest, ',');
            bool quote = qd_str_is(item, "*");
            qd_buf_printf(out, quote ? "%s\"%.*s\"" : "%s%.*s", first ? "" : ", ",
                          QD_STR_ARG(item));
        }
        qd_buf_char(out, ']');
    } else {
        bool text = d->type == QD_ST_STRING || d->type == QD_ST_SPACE || d->type == QD_ST_MEMORY;
        qd_buf_printf(out, text && needs_quotes(d->value) ? "\"%s\"" : "%s", d->value);
    }
}

/* Comment text folded at 100 columns. */
static void put_comment(qd_buf *out, qd_str text)
{
    size_t column = 0;
    for (qd_str rest = text; rest.p;) {
        qd_str word = qd_str_split(&rest, ' ');
        if (column == 0 || column + 1 + word.n > 98) {
            qd_buf_c(out, column ? "\n# " : "# ");
            column = 2;
        } else {
            qd_buf_char(out, ' ');
            column++;
        }
        qd_buf_str(out, word);
        column += word.n;
    }
    qd_buf_char(out, '\n');
}

static void yaml_row(qd_buf *out, qd_buf *line, const qd_setting_def *d)
{
    qd_buf_reset(line);
    qd_buf_printf(line, "%s (", d->help);
    put_type(line, d, ", ");
    qd_buf_printf(line, "; %s%s)", how(d), also(d));
    put_comment(out, qd_buf_view(line));
    if (d->type == QD_ST_GROUP) {
        qd_buf_printf(out, "#%sNAME:\n\n", d->key);
    } else if (!d->value) {
        qd_buf_printf(out, "#%s:\n\n", d->key);
    } else {
        qd_buf_printf(out, "#%s: ", d->key);
        put_yaml_value(out, d);
        qd_buf_c(out, "\n\n");
    }
}

int qd_schema_print_yaml(const qd_schema *schema, qd_buf *out)
{
    size_t n;
    const row *rows = rows_of(schema, &n);
    qd_buf line;
    qd_buf_init(&line, NULL, 8192);
    qd_buf_c(
        out,
        "# Quidditch: every setting with its default, unit and meaning. Printed by\n"
        "# `qd config list --yaml`; remove the # before a setting to change it.\n"
        "#\n"
        "# Sizes: 512b, 4kb, 100mb, 2gb. Times: 500ms, 30s, 5m, 1h, 1d. ${VAR} and ${VAR:default}\n"
        "# take a value from the environment. Keys may be dotted or nested. A flag -E key=value "
        "and\n"
        "# the environment (NODE_ID, BIND_ADDR, REST_PORT, ...) come before this file, and\n"
        "# _cluster/settings before both for dynamic settings.\n\n");
    for (size_t i = 0; i < n; i++) {
        if (rows[i].title)
            qd_buf_printf(out, "# ---- %s ----\n\n", rows[i].title);
        else
            yaml_row(out, &line, &schema->defs[rows[i].id]);
    }
    if (out->n > 1 && out->p[out->n - 2] == '\n') out->p[--out->n] = 0; /* one newline at the end */
    qd_buf_fini(&line);
    return qd_buf_status(out);
}

static void markdown_table(const qd_schema *schema, qd_buf *out)
{
    size_t n;
    const row *rows = rows_of(schema, &n);
    for (size_t i = 0; i < n; i++) {
        const qd_setting_def *d = &schema->defs[rows[i].id];
        if (rows[i].title) {
            qd_buf_printf(out, "%s### %s\n\n", i ? "\n" : "", rows[i].title);
            qd_buf_c(out,
                     "| setting | type | default | change | meaning |\n|---|---|---|---|---|\n");
            continue;
        }
        qd_buf_printf(out, "| `%s%s` | ", d->key, d->type == QD_ST_GROUP ? "*" : "");
        put_type(out, d, ", ");
        if (d->value && *d->value)
            qd_buf_printf(out, " | `%s` | ", d->value);
        else
            qd_buf_c(out, " | | ");
        qd_buf_printf(out, "%s%s | %s |\n", how(d), also(d), d->help);
    }
}

int qd_schema_print_markdown(qd_buf *out)
{
    qd_buf_c(
        out,
        "# Settings\n\nPrinted from core/config/node_settings.def and index_settings.def by "
        "`qd config list --markdown`.\n\nOrder of precedence: `_cluster/settings` transient, "
        "persistent (dynamic settings only), `-E key=value`,\nenvironment, "
        "`quidditch.yml`, default. An unknown name or a bad value stops the start.\n\n"
        "A setting *without effect* is taken because clients and old files set it; its meaning "
        "says why nothing follows.\nOne *without effect in this version* keeps its name for a "
        "version that has what it is about: a request that sets\nit is answered with a header "
        "`Warning`. The log of a start and `qd config check` name both kinds.\n\n"
        "Each setting of `_cluster/settings` is applied for itself: a node leaves out what is "
        "stored there and that\nit cannot use (a name or a value of another version), and its "
        "log names setting, value and reason. A node that\nno longer works under one of them is "
        "started with `-E cluster.settings.ignore=NAME`, or with `*` for all of\nthem: they have "
        "no force on it then, wherever the cluster's state is kept, and\n"
        "`PUT /_cluster/settings {\"persistent\": {\"NAME\": null}}` takes them away for "
        "good.\n\n"
        "## Environment\n\n| variable | setting |\n|---|---|\n");
#define QD_ENVIRONMENT(variable, key) qd_buf_c(out, "| `" variable "` | `" key "` |\n");
#include "config/environment.def"
#undef QD_ENVIRONMENT
    qd_buf_c(out,
             "\n`USE_K8S_COORDINATION=true` means `coordination.mode: k8s-native`, `false` means "
             "`master`. `BIND_ADDR` counts as\n`security.enabled: false` written out.\n\n"
             "A variable that is called as a setting is, in small letters with a dot "
             "(`env cluster.name=x quidditchd`),\nsets it; an unknown one stops the start.\n\n"
             "`QUIDDITCH_CONFIG` names the file where `--config` does not, `QUIDDITCH_ROLE` the "
             "role where "
             "`--role` does not.\nA data node by `--role data` whose `STORAGE_TIER` is `hot`, "
             "`warm` or `cold` has the roles of that tier\n(`data_hot,data_content`, `data_warm`, "
             "`data_cold`) unless `node.roles` says otherwise.\nWith `QUIDDITCH_CONTAINER`, which "
             "images set, `logger.format` is "
             "`json` and "
             "`logger.stream` `stdout`\nunless something sets them.\n\n"
             "## Node settings\n\n");
    markdown_table(&qd_schema_node, out);
    qd_buf_c(out, "\n## Index settings\n\n");
    markdown_table(&qd_schema_index, out);
    return qd_buf_status(out);
}

int qd_schema_print_list(const qd_schema *schema, qd_str filter, unsigned width, qd_buf *out)
{
    size_t n;
    const row *rows = rows_of(schema, &n);
    for (size_t i = 0; i < n; i++) {
        const qd_setting_def *d = &schema->defs[rows[i].id];
        if (rows[i].title) {
            if (filter.n == 0) qd_buf_printf(out, "%s%s\n", i ? "\n" : "", rows[i].title);
            continue;
        }
        if (filter.n && qd_str_find_str(qd_str_c(d->key), filter) < 0) continue;
        qd_buf_printf(out, "  %s%s", d->key, d->type == QD_ST_GROUP ? "*" : "");
        if (d->value && *d->value) qd_buf_printf(out, " = %s", d->value);
        qd_buf_c(out, "  [");
        put_type(out, d, "|");
        qd_buf_printf(out, "; %s%s]\n", how(d), also(d));
        size_t room = width > 20 ? width - 6 : 74, column = 0;
        for (qd_str rest = qd_str_c(d->help); rest.p;) {
            qd_str word = qd_str_split(&rest, ' ');
            if (column == 0 || column + 1 + word.n > room) {
                qd_buf_printf(out, "%s      %.*s", column ? "\n" : "", QD_STR_ARG(word));
                column = word.n;
            } else {
                qd_buf_printf(out, " %.*s", QD_STR_ARG(word));
                column += word.n + 1;
            }
        }
        qd_buf_char(out, '\n');
    }
    return qd_buf_status(out);
}
