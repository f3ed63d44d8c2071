/*
 * tiers_known.c: path.data/tiers.json, the folders of the tiers on which this node has held shards.
 *
 * A node that forgot a tier would have its copies filled anew on another one. Later, with the tier
 * back and the other one forgotten, the older files would be taken for the copy that is in sync. So
 * a folder with shards that the settings do not name stops the start.
 */
#include "base/log.h"
#include "main/daemon/node.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdio.h>
#include <string.h>

#define FORMAT 1
#define FILE_MAX_BYTES 65536

static int real_of(const char *path, qd_buf *out)
{
    qd_buf_reset(out);
    return qd_path_real(path, out, NULL);
}

/* Is it the folder of a tier that is open? */
static bool is_open(const qd_node *node, qd_str real)
{
    bool yes = false;
    qd_buf other;
    qd_buf_init(&other, NULL, QD_PATH_MAX + 1);
    for (uint32_t k = 0; k <= node->nothers && !yes; k++)
        yes = real_of(node->tier_path[k], &other) == 0 && qd_str_eq(qd_buf_view(&other), real);
    qd_buf_fini(&other);
    return yes;
}

static int any_name(void *arg, const char *name)
{
    *(bool *)arg |= name[0] != '.';
    return 0;
}

static bool has_shards(const char *path)
{
    bool any = false;
    char indices[2 * QD_PATH_MAX + 32];
    snprintf(indices, sizeof indices, "%s/indices", path);
    return qd_dir_list(indices, any_name, &any, NULL) == 0 && any;
}

/* One tier that was used; a path inside path.data is kept relative to it, so that the folder may be
 * copied as a whole. */
static int check_one(const qd_node *node, const qd_json_node *entry, qd_err *err)
{
    const qd_json_node *name = qd_json_get(entry, "name"), *path = qd_json_get(entry, "path");
    if (!name || name->type != QD_JSON_T_STRING || !path || path->type != QD_JSON_T_STRING)
        return QD_E_CORRUPT;
    char folder[2 * QD_PATH_MAX];
    bool inside = !qd_str_starts(path->text, QD_STR("/"));
    snprintf(folder, sizeof folder, "%s%s%.*s", inside ? node->data : "", inside ? "/" : "",
             QD_STR_ARG(path->text));
    qd_buf real;
    qd_buf_init(&real, NULL, QD_PATH_MAX + 1);
    int rc = 0;
    if (real_of(folder, &real) == 0 && !is_open(node, qd_buf_view(&real)) && has_shards(folder))
        rc =
            qd_err_set(err, QD_E_CONFIG,
                       "storage tier [%.*s]: the folder [%s] holds shards of this node, and no "
                       "tier of the settings has it (storage.tiers.%.*s.path): name it again, or "
                       "move the folder away if its shards are to be filled anew from other copies",
                       QD_STR_ARG(name->text), folder, QD_STR_ARG(name->text));
    qd_buf_fini(&real);
    return rc;
}

static int check_all(const qd_node *node, const char *path, qd_str text, qd_err *err)
{
    qd_arena a;
    qd_json_node *root = NULL;
    qd_arena_init(&a, NULL, 1 << 20);
    int rc = qd_json_parse(&a, text, 8, &root, NULL) ? QD_E_CORRUPT : 0;
    const qd_json_node *list = rc ? NULL : qd_json_get(root, "tiers");
    if (!list || list->type != QD_JSON_T_ARRAY) rc = QD_E_CORRUPT;
    for (const qd_json_node *e = rc ? NULL : list->first; e && !rc; e = e->next)
        rc = check_one(node, e, err);
    qd_arena_fini(&a);
    if (rc != QD_E_CORRUPT) return rc;
    return qd_err_set(err, rc,
                      "[%s] is damaged: it names the storage tiers on which this node has shards; "
                      "see that the settings name all of them, and remove the file",
                      path);
}

static void write_tiers(const qd_node *node, qd_buf *b)
{
    qd_json_writer w;
    qd_buf data, real;
    qd_buf_init(&data, NULL, QD_PATH_MAX + 1);
    qd_buf_init(&real, NULL, QD_PATH_MAX + 1);
    (void)real_of(node->data, &data);
    qd_json_writer_init(&w, b, true);
    qd_json_object(&w);
    qd_json_field_int(&w, "format", FORMAT);
    qd_json_key_c(&w, "tiers");
    qd_json_array(&w);
    for (uint32_t k = 0; k <= node->nothers; k++) {
        if (real_of(node->tier_path[k], &real)) continue;
        qd_str path = qd_buf_view(&real);
        bool inside =
            path.n > data.n && qd_str_starts(path, qd_buf_view(&data)) && path.p[data.n] == '/';
        qd_json_object(&w);
        qd_json_field_c(&w, "name", node->tier_name[k]);
        qd_json_field_str(&w, "path", inside ? qd_str_sub(path, data.n + 1, path.n) : path);
        qd_json_object_end(&w);
    }
    qd_json_array_end(&w);
    qd_json_object_end(&w);
    qd_buf_fini(&real);
    qd_buf_fini(&data);
}

int qd_node_tiers_known(const qd_node *node, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    qd_buf had, now;
    snprintf(path, sizeof path, "%s/tiers.json", node->data);
    qd_buf_init(&had, NULL, FILE_MAX_BYTES);
    qd_buf_init(&now, NULL, FILE_MAX_BYTES);
    int rc = qd_file_exists(path) ? qd_file_read(path, &had, err) : 0;
    if (!rc && had.n) rc = check_all(node, path, qd_buf_view(&had), err);
    if (!rc) write_tiers(node, &now);
    if (!rc) rc = qd_buf_status(&now) ? qd_err_nomem(err, "storage tiers") : 0;
    if (!rc && !qd_str_eq(qd_buf_view(&had), qd_buf_view(&now)))
        rc = qd_file_write_atomic(path, qd_buf_view(&now), 0600, err);
    qd_buf_fini(&now);
    qd_buf_fini(&had);
    return rc;
}
