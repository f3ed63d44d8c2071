/*
 * index_import.c: `qd index import-dangling`: lists indices whose files a node holds though the
 * cluster does not know them, and brings them back.
 */
#include "main/qd/client.h"
#include "main/qd/index.h"
#include "json/tree.h"
#include <stdio.h>
#include <string.h>

static qd_str member(const qd_json_node *n, const char *key)
{
    const qd_json_node *m = qd_json_get(n, key);
    return m ? m->text : QD_STR("?");
}

/* The reason of an error answer. */
static qd_str reason_of(const qd_json_node *root)
{
    const qd_json_node *e = root ? qd_json_get(root, "error") : NULL;
    return e ? member(e, "reason") : QD_STR("no reason given");
}

static int import_one(qd_client *c, const qd_json_node *index, qd_buf *answer, qd_err *err)
{
    char path[200];
    int status = 0;
    qd_str uuid = member(index, "index_uuid"), name = member(index, "index_name");
    snprintf(path, sizeof path, "/_dangling/%.*s?accept_data_loss=true", QD_STR_ARG(uuid));
    int rc = qd_client_call(c, "POST", path, QD_STR(""), false, &status, answer, err);
    if (rc) return rc;
    if (status < 300) {
        printf("%.*s  %.*s  imported\n", QD_STR_ARG(uuid), QD_STR_ARG(name));
        return 0;
    }
    qd_arena a;
    qd_json_node *root = NULL;
    qd_arena_init(&a, NULL, 0);
    if (qd_json_parse(&a, qd_buf_view(answer), 0, &root, NULL)) root = NULL;
    rc = qd_err_set(err, QD_E_STATE, "[%.*s/%.*s]: %.*s", QD_STR_ARG(name), QD_STR_ARG(uuid),
                    QD_STR_ARG(reason_of(root)));
    qd_arena_fini(&a);
    return rc;
}

int qd_index_import(qd_client *c, const char *const *uuids, uint32_t n, bool all, qd_err *err)
{
    qd_buf answer, list;
    qd_arena a;
    qd_json_node *root = NULL;
    int status = 0;
    uint32_t done = 0;
    qd_buf_init(&answer, NULL, (size_t)64 << 20);
    qd_buf_init(&list, NULL, (size_t)64 << 20);
    qd_arena_init(&a, NULL, 0);
    int rc = qd_client_call(c, "GET", "/_dangling", QD_STR(""), false, &status, &list, err);
    if (!rc) rc = qd_json_parse(&a, qd_buf_view(&list), 0, &root, err);
    const qd_json_node *found = rc ? NULL : qd_json_get(root, "dangling_indices");
    if (!rc && !found) {
        rc = qd_err_set(err, QD_E_STATE, "HTTP %d: %.*s", status, QD_STR_ARG(reason_of(root)));
    }
    for (const qd_json_node *i = found ? found->first : NULL; i && !rc; i = i->next) {
        bool wanted = all;
        for (uint32_t k = 0; k < n; k++) wanted |= qd_str_is(member(i, "index_uuid"), uuids[k]);
        if (wanted) {
            rc = import_one(c, i, &answer, err);
            done++;
        } else if (!n) {
            printf("%.*s  %.*s\n", QD_STR_ARG(member(i, "index_uuid")),
                   QD_STR_ARG(member(i, "index_name")));
        }
    }
    if (!rc && done < n) rc = qd_err_set(err, QD_E_NOTFOUND, "not every one of these is dangling");
    if (!rc && !n && !all && found && found->n) {
        printf("bring one back: qd index import-dangling UUID (all: --all)\n");
    } else if (!rc && found && !found->n) {
        printf("no index is dangling\n");
    }
    qd_arena_fini(&a);
    qd_buf_fini(&list);
    qd_buf_fini(&answer);
    return rc;
}
