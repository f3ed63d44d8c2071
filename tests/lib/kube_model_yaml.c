/*
 * kube_model_yaml.c: definitions as they are deployed (deploy/crds), applied to the model.
 */
#include "base/assert.h"
#include "lib/kube_model_int.h"
#include <glob.h>
#include <unistd.h>
#include <yaml.h>

static json_t *scalar(const yaml_node_t *n)
{
    const char *s = (const char *)n->data.scalar.value;
    char *end;
    if (n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return json_string(s);
    if (!strcmp(s, "true") || !strcmp(s, "false")) return json_boolean(*s == 't');
    if (!*s || !strcmp(s, "null") || !strcmp(s, "~")) return json_null();
    long long i = strtoll(s, &end, 10);
    if (!*end) return json_integer(i);
    return json_string(s);
}

static json_t *tree(yaml_document_t *d, const yaml_node_t *n)
{
    json_t *v;
    if (n->type == YAML_SCALAR_NODE) return scalar(n);
    if (n->type == YAML_SEQUENCE_NODE) {
        v = json_array();
        for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top;
             i++)
            json_array_append_new(v, tree(d, yaml_document_get_node(d, *i)));
        return v;
    }
    v = json_object();
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++)
        json_object_set_new(v, (const char *)yaml_document_get_node(d, p->key)->data.scalar.value,
                            tree(d, yaml_document_get_node(d, p->value)));
    return v;
}

static bool apply_file(kube_model *m, const char *path)
{
    static const char target[] = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    yaml_parser_t parser;
    yaml_document_t d;
    FILE *f = fopen(path, "r");
    bool fine = f != NULL, more = fine;
    if (!f || !yaml_parser_initialize(&parser)) return false;
    yaml_parser_set_input_file(&parser, f);
    while (more && fine) {
        fine = yaml_parser_load(&parser, &d);
        yaml_node_t *root = fine ? yaml_document_get_root_node(&d) : NULL;
        more = root != NULL;
        if (root) {
            json_t *o = tree(&d, root);
            char *text = json_dumps(o, JSON_COMPACT);
            fine = kube_model_do(m, "POST", target, text, NULL) == 201;
            free(text);
            json_decref(o);
        }
        if (fine || root) yaml_document_delete(&d);
    }
    yaml_parser_delete(&parser);
    fclose(f);
    return fine;
}

bool kube_model_deployed(kube_model *m)
{
    static const char folder[] = "/deploy/crds/*.yaml";
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof folder);
    for (path[n > 0 ? n : 0] = 0;;) { /* the tree that this program was built in */
        char *slash = strrchr(path, '/');
        if (!slash) return false;
        memcpy(slash, folder, sizeof folder);
        if (kube_model_apply(m, path)) return true;
        *slash = 0;
    }
}

bool kube_model_apply(kube_model *m, const char *pattern)
{
    glob_t files;
    if (glob(pattern, 0, NULL, &files) != 0) return false;
    bool fine = true;
    for (size_t i = 0; i < files.gl_pathc; i++) fine &= apply_file(m, files.gl_pathv[i]);
    globfree(&files);
    return fine;
}
