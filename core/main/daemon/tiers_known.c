/*
 * tiers_known.c: path.data/tiers.json, the folders of the tiers on which this node has held shards.
 *
 * A node that forgot a tier would have its copies filled anew on another one. Later, with the tier
 * back and the other one forgotten, the older files would be taken for the copy that is in sync. So
 * a folder with shards that the settings do not name stops the start.
 */
#include "base/hash.h"
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

/* A tier that was used; a path inside path.data is kept relative to it, so that the folder may be
 * copied as a whole. */
typedef struct known_tier {
    qd_str name, path;
} known_tier;

static int check_one(const qd_node *node, const known_tier *t, qd_err *err)
{
    char folder[2 * QD_PATH_MAX];
    bool inside = !qd_str_starts(t->path, QD_STR("/"));
    snprintf(folder, sizeof folder, "%s%s%.*s", inside ? node->data : "", inside ? "/" : "",
             QD_STR_ARG(t->path));
    qd_buf real;
    qd_buf_init(&real, NULL, QD_PATH_MAX + 1);
    int rc = 0;
    if (real_of(folder, &real) == 0 && !is_open(node, qd_buf_view(&real)) && has_shards(folder))
        rc =
            qd_err_set(err, QD_E_CONFIG,
                       "storage tier [%.*s]: the folder [%s] holds shards of this node, and no "
                       "tier of the settings has it (storage.tiers.%.*s.path): name it again, or "
                       "move the folder away if its shards are to be filled anew from other copies",
                       QD_STR_ARG(t->name), folder, QD_STR_ARG(t->name));
    qd_buf_fini(&real);
    return rc;
}

/* The file's text, to the byte. */
static void write_text(const known_tier *t, uint32_t n, qd_buf *b)
{
    qd_json_writer w;
    qd_xxh3_stream sum;
    char hex[17];
    qd_xxh3_begin(&sum);
    qd_json_writer_init(&w, b, true);
    qd_json_object(&w);
    qd_json_field_int(&w, "format", FORMAT);
    qd_json_key_c(&w, "tiers");
    qd_json_array(&w);
    for (uint32_t i = 0; i < n; i++) {
        qd_json_object(&w);
        qd_json_field_str(&w, "name", t[i].name);
        qd_json_field_str(&w, "path", t[i].path);
        qd_json_object_end(&w);
        qd_xxh3_update(&sum, t[i].name.p, t[i].name.n);
        qd_xxh3_update(&sum, "", 1);
        qd_xxh3_update(&sum, t[i].path.p, t[i].path.n);
        qd_xxh3_update(&sum, "", 1);
    }
    qd_json_array_end(&w);
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)qd_xxh3_digest(&sum));
    qd_json_field_c(&w, "checksum", hex);
    qd_json_object_end(&w);
}

static int damaged(const char *path, size_t offset, qd_err *err)
{
    return qd_err_set(
        err, QD_E_CORRUPT,
        "[%s] is damaged at offset %zu: it names the storage tiers on which this node "
        "has shards; see that the settings name all of them, and remove the file",
        path, offset);
}

/* Reads the tiers out of the file's text, whose bytes they are in. */
static int read_text(const char *path, qd_str text, qd_arena *a, known_tier *t, uint32_t *n,
                     qd_err *err)
{
    qd_json_node *root = NULL;
    uint64_t format = 0;
    if (qd_json_parse(a, text, 8, &root, NULL)) return damaged(path, 0, err);
    const qd_json_node *version = qd_json_get(root, "format"), *list = qd_json_get(root, "tiers");
    if (version && qd_str_u64(qd_str_trim(version->raw), &format) && format > FORMAT)
        return qd_err_set(err, QD_E_UNSUPPORTED,
                          "[%s] is of format %llu, this version reads %d: a newer version wrote it",
                          path, (unsigned long long)format, FORMAT);
    *n = 0;
    if (!list || list->type != QD_JSON_T_ARRAY) return damaged(path, 0, err);
    for (const qd_json_node *e = list->first; e; e = e->next) {
        const qd_json_node *name = qd_json_get(e, "name"), *folder = qd_json_get(e, "path");
        if (!name || name->type != QD_JSON_T_STRING || !folder ||
            folder->type != QD_JSON_T_STRING || *n == QD_TIERS_MAX)
            return damaged(path, 0, err);
        t[(*n)++] = (known_tier){name->text, folder->text};
    }
    return 0;
}

/* Was each tier of the file either opened or left without shards? */
static int check_all(const qd_node *node, const char *path, qd_str text, qd_err *err)
{
    known_tier t[QD_TIERS_MAX];
    uint32_t n = 0;
    size_t at = 0;
    qd_arena a;
    qd_buf b;
    qd_arena_init(&a, NULL, 1 << 20);
    qd_buf_init(&b, NULL, FILE_MAX_BYTES);
    int rc = read_text(path, text, &a, t, &n, err);
    if (!rc) {
        write_text(t, n, &b);
        qd_str want = qd_buf_view(&b);
        while (at < text.n && at < want.n && text.p[at] == want.p[at]) at++;
        if (at < text.n || at < want.n) rc = damaged(path, at, err);
    }
    for (uint32_t i = 0; i < n && !rc; i++) rc = check_one(node, &t[i], err);
    qd_buf_fini(&b);
    qd_arena_fini(&a);
    return rc;
}

/* The tiers that are open. */
static int write_tiers(const qd_node *node, qd_buf *out, qd_err *err)
{
    known_tier t[QD_TIERS_MAX];
    uint32_t n = 0;
    int rc = 0;
    qd_arena a;
    qd_buf data, real;
    qd_arena_init(&a, NULL, 1 << 20);
    qd_buf_init(&data, NULL, QD_PATH_MAX + 1);
    qd_buf_init(&real, NULL, QD_PATH_MAX + 1);
    (void)real_of(node->data, &data);
    for (uint32_t k = 0; k <= node->nothers; k++) {
        if (real_of(node->tier_path[k], &real)) continue;
        qd_str path = qd_buf_view(&real);
        bool inside =
            path.n > data.n && qd_str_starts(path, qd_buf_view(&data)) && path.p[data.n] == '/';
        path = qd_arena_str(&a, inside ? qd_str_sub(path, data.n + 1, path.n) : path);
        if (!path.p) rc = qd_err_nomem(err, "storage tiers");
        t[n++] = (known_tier){qd_str_c(node->tier_name[k]), path};
    }
    if (!rc) write_text(t, n, out);
    if (!rc && qd_buf_status(out)) rc = qd_err_nomem(err, "storage tiers");
    qd_buf_fini(&real);
    qd_buf_fini(&data);
    qd_arena_fini(&a);
    return rc;
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
    if (!rc) rc = write_tiers(node, &now, err);
    if (!rc && !qd_str_eq(qd_buf_view(&had), qd_buf_view(&now)))
        rc = qd_file_write_atomic(path, qd_buf_view(&now), 0600, err);
    qd_buf_fini(&now);
    qd_buf_fini(&had);
    return rc;
}
