/*
 * quidditchd_identity.c: who this node is: path.data/node.json keeps its id, 22 characters, made at
 * the first start.
 */
#include "main/node.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdio.h>
#include <string.h>

static int write_node_file(qd_node *node, const char *path, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    uint8_t id[16];
    qd_env_random(node->env, id, sizeof id);
    qd_uuid_text(id, node->id);
    qd_buf_init(&b, NULL, 4096);
    qd_json_writer_init(&w, &b, true);
    qd_json_object(&w);
    qd_json_field_c(&w, "node_id", node->id);
    qd_json_field_int(&w, "format", 1);
    qd_json_object_end(&w);
    int rc = qd_file_write_atomic(path, qd_buf_view(&b), 0600, err);
    qd_buf_fini(&b);
    return rc;
}

static int identity_start(qd_node *node, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    qd_buf b;
    qd_arena a;
    qd_json_node *root;
    snprintf(path, sizeof path, "%s/node.json", node->data);
    if (!qd_file_exists(path)) return write_node_file(node, path, err);
    qd_buf_init(&b, NULL, 65536);
    qd_arena_init(&a, NULL, 1 << 20);
    int rc = qd_file_read(path, &b, err);
    if (!rc) rc = qd_json_parse(&a, qd_buf_view(&b), 8, &root, err);
    if (!rc) {
        const qd_json_node *id = qd_json_get(root, "node_id");
        if (!id || id->type != QD_JSON_T_STRING || id->text.n != QD_UUID_TEXT - 1) {
            rc = qd_err_set(err, QD_E_CORRUPT, "[%s] holds no node id of %d characters", path,
                            QD_UUID_TEXT - 1);
        } else {
            memcpy(node->id, id->text.p, id->text.n);
        }
    }
    qd_arena_fini(&a);
    qd_buf_fini(&b);
    return rc;
}

const qd_step qd_step_identity = {"identity", NULL, identity_start, NULL, NULL};
