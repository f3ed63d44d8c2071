/* forced.c: reports of `qd mode force`. See forced.h. */
#include "main/qd/forced.h"
#include "base/arena.h"
#include "runtime/file.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdio.h>
#include <string.h>

#define REPORT_BYTES_MAX (1u << 16)
#define BEGINS "forced-"

static qd_store_kind other(qd_store_kind k)
{
    return k == QD_STORE_MASTERS ? QD_STORE_KUBERNETES : QD_STORE_MASTERS;
}

int qd_forced_write(qd_forced *f, const char *data, qd_env *env, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, REPORT_BYTES_MAX);
    qd_json_writer_init(&w, &b, true);
    qd_json_object(&w);
    qd_json_field_c(&w, "cluster_uuid", f->uuid);
    qd_json_field_c(&w, "lost_store", qd_store_kind_name(other(f->to)));
    qd_json_field_int(&w, "lost_epoch", (int64_t)f->lost_epoch);
    qd_json_field_c(&w, "store", qd_store_kind_name(f->to));
    qd_json_field_int(&w, "epoch", (int64_t)f->epoch);
    qd_json_field_c(&w, "base", f->base);
    qd_json_field_int(&w, "base_revision", (int64_t)f->revision);
    if (f->acted_on) qd_json_field_int(&w, "acted_on_revision", (int64_t)f->acted_on);
    qd_json_field_c(&w, "may_be_lost", f->lost);
    qd_json_field_int(&w, "time_in_millis", qd_env_wall_ms(env));
    qd_json_object_end(&w);
    snprintf(f->path, sizeof f->path, "%s/" BEGINS "%llu.json", data, (unsigned long long)f->epoch);
    int rc = qd_buf_status(&b);
    if (!rc) rc = qd_file_write_atomic(f->path, qd_buf_view(&b), 0600, err);
    qd_buf_fini(&b);
    return rc;
}

static uint64_t number(const qd_json_node *root, const char *key)
{
    uint64_t v = 0;
    const qd_json_node *n = qd_json_get(root, key);
    return n && n->type == QD_JSON_T_NUMBER && qd_str_u64(n->text, &v) ? v : 0;
}

static qd_str text(const qd_json_node *root, const char *key)
{
    const qd_json_node *n = qd_json_get(root, key);
    return n && n->type == QD_JSON_T_STRING ? n->text : QD_STR("");
}

typedef struct finding {
    qd_forced *f;
    const char *data;
    bool found;
    qd_err *err;
} finding;

/* Of another forcing: nothing. */
static void take(finding *x, const char *path, const qd_json_node *root)
{
    qd_forced *f = x->f;
    uint64_t epoch = number(root, "epoch");
    bool same = qd_store_kind_parse(text(root, "store")) == f->to &&
                number(root, "lost_epoch") == f->lost_epoch;
    if (!same || (x->found && epoch <= f->epoch)) return;
    x->found = true;
    f->epoch = epoch;
    f->revision = number(root, "base_revision");
    f->acted_on = number(root, "acted_on_revision");
    snprintf(f->path, sizeof f->path, "%s", path);
    snprintf(f->uuid, sizeof f->uuid, "%.*s", QD_STR_ARG(text(root, "cluster_uuid")));
    snprintf(f->base, sizeof f->base, "%.*s", QD_STR_ARG(text(root, "base")));
    snprintf(f->lost, sizeof f->lost, "%.*s", QD_STR_ARG(text(root, "may_be_lost")));
}

static int each(void *arg, const char *name)
{
    finding *x = arg;
    char path[QD_PATH_MAX + 64];
    qd_buf b;
    qd_arena arena;
    qd_json_node *root;
    size_t n = strlen(name);
    if (strncmp(name, BEGINS, sizeof BEGINS - 1) != 0 || n < 5 || strcmp(name + n - 5, ".json"))
        return 0;
    snprintf(path, sizeof path, "%s/%.60s", x->data, name);
    qd_buf_init(&b, NULL, REPORT_BYTES_MAX);
    qd_arena_init(&arena, NULL, 1 << 20);
    int rc = qd_file_read(path, &b, x->err);
    if (!rc && !qd_json_parse(&arena, qd_buf_view(&b), 4, &root, NULL)) take(x, path, root);
    qd_arena_fini(&arena);
    qd_buf_fini(&b);
    return rc;
}

int qd_forced_find(qd_forced *f, const char *data, qd_err *err)
{
    finding x = {.f = f, .data = data, .err = err};
    int rc = qd_file_exists(data) ? qd_dir_list(data, each, &x, err) : 0;
    return rc ? rc : x.found ? 0 : QD_E_NOTFOUND;
}
