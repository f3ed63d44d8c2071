/*
 * yaml.c: settings from YAML, event by event with libyaml, so that each key keeps its line.
 *
 * Anchors and aliases are refused: a few lines of them can stand for gigabytes.
 */
#include "base/arena.h"
#include "base/vec.h"
#include "config/settings.h"
#include <yaml.h>

#define DEPTH_MAX 32
#define YAML_MAX (4u << 20)

typedef struct yaml_in {
    qd_settings *s;
    yaml_parser_t parser;
    const char *file;
    qd_buf key;
    size_t ends[DEPTH_MAX];
    uint32_t depth;
    QD_VEC(qd_str) items;
    qd_err *err;
} yaml_in;

static uint32_t line_of(const yaml_mark_t *mark)
{
    return (uint32_t)mark->line + 1;
}

static int syntax_error(yaml_in *in)
{
    const yaml_parser_t *p = &in->parser;
    if (p->error == YAML_MEMORY_ERROR) return qd_err_nomem(in->err, in->file);
    return qd_err_set(in->err, QD_E_CONFIG, "%s, line %u, column %u: %s%s%s", in->file,
                      line_of(&p->problem_mark), (unsigned)p->problem_mark.column + 1,
                      p->problem ? p->problem : "unreadable", p->context ? " " : "",
                      p->context ? p->context : "");
}

static int bad_event(yaml_in *in, const yaml_event_t *e, const char *what)
{
    return qd_err_set(in->err, QD_E_CONFIG, "%s, line %u: %s", in->file, line_of(&e->start_mark),
                      what);
}

/* The next event, aliases and anchors refused; on 0 the caller deletes it. */
static int next_event(yaml_in *in, yaml_event_t *e)
{
    if (!yaml_parser_parse(&in->parser, e)) return syntax_error(in);
    const yaml_char_t *anchor = e->type == YAML_SCALAR_EVENT ? e->data.scalar.anchor
                                : e->type == YAML_SEQUENCE_START_EVENT
                                    ? e->data.sequence_start.anchor
                                : e->type == YAML_MAPPING_START_EVENT ? e->data.mapping_start.anchor
                                                                      : NULL;
    if (e->type != YAML_ALIAS_EVENT && !anchor) return 0;
    int rc = bad_event(in, e, "anchors and aliases are not supported");
    yaml_event_delete(e);
    return rc;
}

static qd_str scalar(const yaml_event_t *e)
{
    return (qd_str){(const char *)e->data.scalar.value, e->data.scalar.length};
}

static bool is_null(const yaml_event_t *e)
{
    qd_str t = scalar(e);
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (t.n == 0 || qd_str_is(t, "~") || qd_str_is(t, "null"));
}

static int check_new(yaml_in *in, const yaml_event_t *e)
{
    qd_str key = qd_buf_view(&in->key);
    const qd_setting_value *v = qd_settings_get(in->s, key);
    if (!v) return 0;
    return qd_err_set(in->err, QD_E_CONFIG, "%s, line %u: setting [%.*s] stands in line %u already",
                      in->file, line_of(&e->start_mark), QD_STR_ARG(key), v->line);
}

static int put_sequence(yaml_in *in)
{
    int rc = 0;
    bool more = true;
    in->items.n = 0;
    qd_arena arena; /* the events' texts go with the events */
    qd_arena_init(&arena, NULL, YAML_MAX * 2);
    while (rc == 0 && more) {
        yaml_event_t e;
        rc = next_event(in, &e);
        if (rc != 0) break;
        if (e.type == YAML_SEQUENCE_END_EVENT) {
            more = false;
        } else if (e.type != YAML_SCALAR_EVENT) {
            rc = bad_event(in, &e, "only scalars may stand in a list of settings");
        } else {
            qd_str copy = qd_arena_str(&arena, scalar(&e));
            if (!copy.p || qd_vec_push(&in->items, NULL, copy) != 0)
                rc = qd_err_nomem(in->err, in->file);
        }
        yaml_event_delete(&e);
    }
    if (rc == 0)
        rc = qd_settings_put_list(in->s, qd_buf_view(&in->key), in->items.at, (uint32_t)in->items.n,
                                  in->err);
    qd_arena_fini(&arena);
    return rc;
}

static int put_pair(yaml_in *in, const yaml_event_t *key, const yaml_event_t *value)
{
    size_t end = in->ends[in->depth - 1];
    in->key.n = end;
    if (end > 0) qd_buf_char(&in->key, '.');
    qd_buf_str(&in->key, scalar(key));
    if (qd_buf_status(&in->key) == QD_E_NOMEM) return qd_err_nomem(in->err, in->file);
    if (qd_buf_status(&in->key) || scalar(key).n == 0)
        return bad_event(in, key, "the name of a setting is empty or too long");
    uint32_t line = line_of(&key->start_mark);
    int rc = 0;
    if (value->type == YAML_MAPPING_START_EVENT) {
        if (in->depth == DEPTH_MAX) return bad_event(in, value, "settings are nested too deeply");
        in->ends[in->depth++] = in->key.n;
        return 0;
    }
    if ((rc = check_new(in, key)) != 0) return rc;
    if (value->type == YAML_SEQUENCE_START_EVENT)
        rc = put_sequence(in);
    else if (is_null(value))
        return 0; /* "key:" with nothing behind it: not set */
    else
        rc = qd_settings_put(in->s, qd_buf_view(&in->key), scalar(value), in->err);
    if (rc == 0) qd_settings_origin(in->s, qd_buf_view(&in->key), in->file, line);
    return rc;
}

static int read_mapping(yaml_in *in)
{
    in->depth = 1;
    while (in->depth > 0) {
        yaml_event_t key, value;
        int rc = next_event(in, &key);
        if (rc != 0) return rc;
        if (key.type == YAML_MAPPING_END_EVENT) {
            in->depth--;
        } else if (key.type != YAML_SCALAR_EVENT) {
            rc = bad_event(in, &key, "the name of a setting must be a scalar");
        } else if ((rc = next_event(in, &value)) == 0) {
            rc = put_pair(in, &key, &value);
            yaml_event_delete(&value);
        }
        yaml_event_delete(&key);
        if (rc != 0) return rc;
    }
    return 0;
}

/* Stream start, document start, one mapping or nothing, document end, stream end. */
static int read_document(yaml_in *in)
{
    bool seen = false;
    for (;;) {
        yaml_event_t e;
        int rc = next_event(in, &e);
        if (rc != 0) return rc;
        yaml_event_type_t type = e.type;
        if (type == YAML_MAPPING_START_EVENT) {
            if (seen) rc = bad_event(in, &e, "more than one document");
            seen = true;
        } else if (type == YAML_SEQUENCE_START_EVENT ||
                   (type == YAML_SCALAR_EVENT && scalar(&e).n > 0)) {
            rc = bad_event(in, &e, "the file must hold settings (key: value)");
        }
        yaml_event_delete(&e);
        if (rc == 0 && type == YAML_MAPPING_START_EVENT) rc = read_mapping(in);
        if (rc != 0 || type == YAML_STREAM_END_EVENT) return rc;
    }
}

int qd_settings_put_yaml(qd_settings *s, qd_str text, const char *file, qd_err *err)
{
    if (text.n > YAML_MAX)
        return qd_err_set(err, QD_E_LIMIT, "%s is longer than %u bytes", file, YAML_MAX);
    yaml_in in = {.s = s, .file = file, .err = err};
    if (!yaml_parser_initialize(&in.parser)) return qd_err_nomem(err, file);
    yaml_parser_set_encoding(&in.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&in.parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    qd_buf_init(&in.key, NULL, QD_SETTINGS_KEY_MAX);
    int rc = read_document(&in);
    qd_vec_fini(&in.items);
    qd_buf_fini(&in.key);
    yaml_parser_delete(&in.parser);
    return rc;
}
