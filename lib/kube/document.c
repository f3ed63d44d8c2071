/* document.c: configuration files as JSON values: see config_int.h. */
#include "config_int.h"
#include <string.h>
#include <yaml.h>

enum { NODES_MAX = 200000, DEPTH_MAX = 64 };

typedef struct reading {
    yaml_document_t *doc;
    const char *path;
    kube_error *err;
    uint32_t nodes; /* aliases make more of them than were written */
} reading;

static json_t *fail(const reading *r, const yaml_node_t *node, const char *what)
{
    (void)kube_fail(r->err, QD_E_PARSE, "%s: line %zu: %s", r->path,
                    node ? node->start_mark.line + 1 : 0, what);
    return NULL;
}

static json_t *scalar(const reading *r, const yaml_node_t *node)
{
    const char *p = (const char *)node->data.scalar.value;
    size_t n = node->data.scalar.length;
    if (memchr(p, 0, n)) return fail(r, node, "a text with a NUL in it");
    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        if (n == 0 || strcmp(p, "~") == 0 || strcmp(p, "null") == 0) return json_null();
        if (strcmp(p, "true") == 0) return json_true();
        if (strcmp(p, "false") == 0) return json_false();
    }
    json_t *text = json_stringn(p, n);
    return text ? text : fail(r, node, "a text that is no UTF-8");
}

static json_t *value(reading *r, int id, uint32_t depth);

static json_t *sequence(reading *r, const yaml_node_t *node, uint32_t depth)
{
    json_t *array = json_array();
    for (yaml_node_item_t *i = node->data.sequence.items.start;
         array && i < node->data.sequence.items.top; i++) {
        json_t *v = value(r, *i, depth);
        if (!v || json_array_append_new(array, v)) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *mapping(reading *r, const yaml_node_t *node, uint32_t depth)
{
    json_t *object = json_object();
    for (yaml_node_pair_t *i = node->data.mapping.pairs.start;
         object && i < node->data.mapping.pairs.top; i++) {
        const yaml_node_t *key = yaml_document_get_node(r->doc, i->key);
        json_t *v = NULL;
        const char *name = key ? (const char *)key->data.scalar.value : NULL;
        if (!key || key->type != YAML_SCALAR_NODE || strlen(name) != key->data.scalar.length)
            (void)fail(r, key ? key : node, "a key that is no text");
        else if (json_object_get(object, name))
            (void)fail(r, key, "a key stands twice");
        else
            v = value(r, i->value, depth);
        if (!v || json_object_set_new(object, name, v)) {
            if (v) (void)fail(r, key, "a key that is no UTF-8");
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *value(reading *r, int id, uint32_t depth)
{
    const yaml_node_t *node = yaml_document_get_node(r->doc, id);
    if (!node) return fail(r, node, "a value is missing");
    if (depth > DEPTH_MAX) return fail(r, node, "nested too deeply");
    if (++r->nodes > NODES_MAX) return fail(r, node, "too many values");
    switch (node->type) {
    case YAML_SCALAR_NODE:
        return scalar(r, node);
    case YAML_SEQUENCE_NODE:
        return sequence(r, node, depth + 1);
    case YAML_MAPPING_NODE:
        return mapping(r, node, depth + 1);
    default:
        return fail(r, node, "a value is missing");
    }
}

static json_t *from_yaml(const char *text, size_t n, const char *path, kube_error *err)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    json_t *out = NULL;
    if (!yaml_parser_initialize(&parser)) {
        (void)kube_fail(err, QD_E_NOMEM, "%s: no memory", path);
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (!yaml_parser_load(&parser, &doc)) {
        (void)kube_fail(err, QD_E_PARSE, "%s: line %zu, column %zu: %s", path,
                        parser.problem_mark.line + 1, parser.problem_mark.column + 1,
                        parser.problem ? parser.problem : "this is no YAML");
        yaml_parser_delete(&parser);
        return NULL;
    }
    reading r = {.doc = &doc, .path = path, .err = err};
    if (yaml_document_get_root_node(&doc))
        out = value(&r, 1, 0);
    else
        (void)kube_fail(err, QD_E_PARSE, "%s: the file is empty", path);
    yaml_document_delete(&doc);
    yaml_parser_delete(&parser);
    return out;
}

json_t *kube_document(const char *text, size_t n, const char *path, kube_error *err)
{
    size_t i = 0;
    json_t *out;
    kube_fail(err, QD_E_PARSE, "%s: cannot be read", path);
    while (i < n && strchr(" \t\r\n", text[i])) i++;
    if (i < n && text[i] == '{') {
        json_error_t error;
        out = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
        /* YAML too may begin with a brace */
        if (!out) out = from_yaml(text, n, path, err);
    } else {
        out = from_yaml(text, n, path, err);
    }
    if (out && !json_is_object(out)) {
        (void)kube_fail(err, QD_E_PARSE, "%s: this is no kubeconfig", path);
        json_decref(out);
        return NULL;
    }
    return out;
}
