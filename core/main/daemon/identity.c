/*
 * identity.c: who this node is: path.data/node.json keeps its id, 22 characters, made at
 * the first start. The file is what node_text makes of the id, to the byte; anything else is
 * damage.
 */
#include "base/hash.h"
#include "main/daemon/node.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdio.h>
#include <string.h>

#define FORMAT 1

static void node_text(const char *id, qd_buf *b)
{
    qd_json_writer w;
    char sum[17];
    snprintf(sum, sizeof sum, "%016llx", (unsigned long long)qd_xxh3(id, strlen(id)));
    qd_json_writer_init(&w, b, true);
    qd_json_object(&w);
    qd_json_field_c(&w, "node_id", id);
    qd_json_field_int(&w, "format", FORMAT);
    qd_json_field_c(&w, "checksum", sum);
    qd_json_object_end(&w);
}

/* Is the text the one that its id gives? Else the place of the first difference. */
static int check_text(const char *path, qd_str text, const char *id, qd_err *err)
{
    qd_buf b;
    size_t at = 0;
    qd_buf_init(&b, NULL, 4096);
    node_text(id, &b);
    qd_str want = qd_buf_view(&b);
    while (at < text.n && at < want.n && text.p[at] == want.p[at]) at++;
    int rc = at == text.n && at == want.n
                 ? 0
                 : qd_err_set(err, QD_E_CORRUPT, "[%s] is damaged at offset %zu", path, at);
    qd_buf_fini(&b);
    return rc;
}

static int write_node_file(qd_node *node, const char *path, qd_err *err)
{
    qd_buf b;
    uint8_t id[16];
    qd_env_random(node->env, id, sizeof id);
    qd_uuid_text(id, node->id);
    qd_buf_init(&b, NULL, 4096);
    node_text(node->id, &b);
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
    if (!rc) {
        rc = qd_json_parse(&a, qd_buf_view(&b), 8, &root, err);
        if (rc) rc = qd_err_wrap(err, QD_E_CORRUPT, "[%s] at offset 0 is damaged", path);
    }
    if (!rc) {
        const qd_json_node *id = qd_json_get(root, "node_id");
        const qd_json_node *format = qd_json_get(root, "format");
        uint64_t number = 0;
        bool known = format && qd_str_u64(qd_str_trim(format->raw), &number);
        if (known && number != FORMAT) {
            rc = qd_err_set(err, QD_E_UNSUPPORTED,
                            "[%s] is of format %llu, this version reads %d: the data folder was "
                            "written by a newer version; start that one, or give another path.data",
                            path, (unsigned long long)number, FORMAT);
        } else if (!id || id->type != QD_JSON_T_STRING || id->text.n != QD_UUID_TEXT - 1) {
            rc = qd_err_set(err, QD_E_CORRUPT,
                            "[%s] is damaged at offset 0: no node id of %d characters", path,
                            QD_UUID_TEXT - 1);
        } else {
            memcpy(node->id, id->text.p, id->text.n);
            rc = check_text(path, qd_buf_view(&b), node->id, err);
        }
    }
    qd_arena_fini(&a);
    qd_buf_fini(&b);
    return rc;
}

const qd_step qd_step_identity = {"identity", NULL, identity_start, NULL, NULL};
