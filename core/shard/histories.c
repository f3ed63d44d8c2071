/*
 * histories.c: shards in whose folders numbers were given twice, found once, at the first start of
 * a version that looks for them. The object "histories" says that this was done, and what it found;
 * a version that does not know it leaves it alone.
 */
#include "base/log.h"
#include "engine/look_back.h"
#include "shard/shards_int.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdio.h>

#define NAME QD_STR(SHARD_HISTORIES)
#define VERSION 1u
#define BYTES_MAX ((size_t)8 << 20)
#define FOUND_MAX 10000u
#define FOLDERS_MAX ((size_t)256 << 20)

typedef struct folders {
    qd_arena arena;
    QD_VEC(qd_str) at;
} folders;

static int collect(void *arg, qd_str name, uint64_t bytes)
{
    folders *f = arg;
    (void)bytes;
    if (!qd_str_ends(name, QD_STR("/commit"))) return 0;
    qd_str folder = qd_arena_str(&f->arena, qd_str_sub(name, 0, name.n - strlen("/commit")));
    return !folder.p || qd_vec_push(&f->at, NULL, folder) ? QD_E_NOMEM : 0;
}

static void add(qd_shards *all, qd_str folder, qd_str what)
{
    shard_history h;
    snprintf(h.folder, sizeof h.folder, "%.*s", QD_STR_ARG(folder));
    snprintf(h.what, sizeof h.what, "%.*s", QD_STR_ARG(what));
    if (all->histories.n < FOUND_MAX && qd_vec_push(&all->histories, NULL, h))
        qd_log_warn(SHARD_LOG, "[%.*s] cannot be listed: not enough memory", QD_STR_ARG(folder));
}

static void look_at(qd_shards *all, qd_str folder)
{
    char what[SHARD_HISTORY_TEXT];
    qd_err err;
    qd_err_init(&err);
    if (qd_engine_look_back(all->tiers[0].store, all->tiers[0].store, folder, all->account, what,
                            sizeof what, &err)) {
        /* its opening tells, too */
        qd_log_warn(SHARD_LOG, "[%.*s] was not looked at for numbers that were given twice: %s",
                    QD_STR_ARG(folder), qd_err_reason(&err));
    } else if (what[0]) {
        qd_log_error(SHARD_LOG,
                     "[%.*s] has the trace of a history that lost acknowledged operations: %s. The "
                     "other copies of this shard may have them",
                     QD_STR_ARG(folder), what);
        add(all, folder, qd_str_c(what));
    }
    qd_err_fini(&err);
}

static int count(void *arg, qd_str name, uint64_t bytes)
{
    (void)name;
    (void)bytes;
    ++*(size_t *)arg;
    return 0;
}

/* What was found then, of folders that are there still. */
static int read_found(qd_shards *all, qd_str text, qd_err *err)
{
    qd_arena arena;
    qd_json_node *root;
    qd_arena_init(&arena, NULL, BYTES_MAX * 8);
    int rc = qd_json_parse(&arena, text, 0, &root, err);
    const qd_json_node *list = rc ? NULL : qd_json_get(root, "found");
    for (const qd_json_node *n = list ? list->first : NULL; n; n = n->next) {
        const qd_json_node *folder = qd_json_get(n, "folder"), *what = qd_json_get(n, "what");
        bool good = folder && what && folder->type == QD_JSON_T_STRING &&
                    what->type == QD_JSON_T_STRING && folder->text.n < SHARD_FOLDER_MAX;
        char name[SHARD_FOLDER_MAX + 16];
        if (!good) continue;
        int len = snprintf(name, sizeof name, "%.*s/commit", QD_STR_ARG(folder->text));
        size_t there = 0;
        rc = qd_store_list(all->tiers[0].store, (qd_str){name, (size_t)len}, count, &there, err);
        if (rc) break;
        if (!there) continue;
        qd_log_warn(SHARD_LOG,
                    "[%.*s] had, when it was looked at, the trace of a history that "
                    "lost acknowledged operations: %.*s",
                    QD_STR_ARG(folder->text), QD_STR_ARG(what->text));
        add(all, folder->text, what->text);
    }
    qd_arena_fini(&arena);
    return rc;
}

static int write_found(qd_shards *all, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, BYTES_MAX);
    qd_json_writer_init(&w, &b, true);
    qd_json_object(&w);
    qd_json_key_c(&w, "found");
    qd_json_array(&w);
    for (size_t i = 0; i < all->histories.n; i++) {
        qd_json_object(&w);
        qd_json_field_c(&w, "folder", all->histories.at[i].folder);
        qd_json_field_c(&w, "what", all->histories.at[i].what);
        qd_json_object_end(&w);
    }
    qd_json_array_end(&w);
    qd_json_object_end(&w);
    int rc = qd_buf_status(&b);
    if (!rc) rc = qd_store_publish(all->tiers[0].store, NAME, NAME, VERSION, qd_buf_view(&b), err);
    qd_buf_fini(&b);
    return rc;
}

static int look(qd_shards *all, qd_err *err)
{
    folders f = {.at = {0}};
    qd_arena_init(&f.arena, NULL, FOLDERS_MAX);
    int rc = qd_store_list(all->tiers[0].store, QD_STR("indices/"), collect, &f, err);
    if (!rc && f.at.n) {
        qd_log_info(SHARD_LOG, "%zu shard folders are looked at, once, for numbers given twice",
                    f.at.n);
    }
    for (size_t i = 0; i < f.at.n && !rc; i++) look_at(all, f.at.at[i]);
    qd_vec_fini(&f.at);
    qd_arena_fini(&f.arena);
    return rc ? rc : write_found(all, err);
}

void qd_shards_look_back(qd_shards *all)
{
    char *text = NULL;
    size_t n = 0;
    qd_err err;
    qd_err_init(&err);
    int rc = qd_store_fetch(all->tiers[0].store, NAME, NAME, VERSION, NULL, &text, &n, NULL, &err);
    if (!rc) rc = read_found(all, (qd_str){text, n}, &err);
    qd_free(text);
    if (rc) {
        if (rc != QD_E_NOTFOUND)
            qd_log_warn(SHARD_LOG, "%s cannot be read, the shard folders are looked at again: %s",
                        SHARD_HISTORIES, qd_err_reason(&err));
        qd_err_fini(&err);
        qd_err_init(&err);
        rc = look(all, &err);
    }
    if (rc) {
        qd_log_warn(SHARD_LOG, "shard folders are looked at again at the next start: %s",
                    qd_err_reason(&err));
    }
    qd_err_fini(&err);
}

void qd_shards_histories(qd_shards *all, void (*each)(void *arg, qd_str folder, qd_str what),
                         void *arg)
{
    for (size_t i = 0; i < all->histories.n; i++) {
        each(arg, qd_str_c(all->histories.at[i].folder), qd_str_c(all->histories.at[i].what));
    }
}
