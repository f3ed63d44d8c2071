/* proof.c: see proof.h. */
#include "cluster/authority/proof.h"
#include "base/arena.h"
#include "cluster/authority/handover.h"
#include "json/tree.h"
#include <stdio.h>

#define KEYS_MAX ((size_t)1 << 30) /* as of all keys of the state */

typedef struct reading {
    qd_coord_store *s;
    int64_t timeout_ms;
    qd_arena arena;
    qd_coord_list found;
} reading;

static int read_keys(reading *r, const char *key, bool prefix, qd_err *err)
{
    qd_arena_fini(&r->arena);
    qd_arena_init(&r->arena, NULL, KEYS_MAX);
    r->found.n = 0;
    return qd_coord_read(r->s, qd_str_c(key), prefix, r->timeout_ms, &r->arena, &r->found, err);
}

/* The plan names the mirror's store once that has been made one. */
static bool has_mirror(reading *r)
{
    qd_json_node *root;
    const qd_coord_kv *kv = r->found.at;
    if (!r->found.n) return false;
    qd_str text = {(const char *)kv->value, kv->value_len};
    if (qd_json_parse(&r->arena, text, 4, &root, NULL)) return false;
    const qd_json_node *peer = qd_json_get(root, "peer");
    return peer && peer->type == QD_JSON_T_STRING && peer->text.n;
}

int qd_proof_read(qd_coord_store *s, int64_t timeout_ms, qd_proof *out, qd_err *err)
{
    qd_coord_identity id;
    reading r = {.s = s, .timeout_ms = timeout_ms};
    *out = (qd_proof){.active = false};
    qd_arena_init(&r.arena, NULL, KEYS_MAX);
    int rc = read_keys(&r, "cluster/uuid", false, err);
    if (!rc && r.found.n && r.found.at[0].value_len < sizeof out->uuid)
        snprintf(out->uuid, sizeof out->uuid, "%.*s", (int)r.found.at[0].value_len,
                 (const char *)r.found.at[0].value);
    if (!rc) rc = read_keys(&r, "name/", true, err);
    out->indices = !rc && r.found.n > 0;
    if (!rc) rc = read_keys(&r, QD_HANDOVER_PLAN, false, err);
    out->mirror = !rc && has_mirror(&r);
    qd_arena_fini(&r.arena);
    if (rc) return rc;
    qd_coord_identity_get(s, &id); /* behind the reads: a store that was sealed meanwhile says so */
    out->active = id.state == QD_COORD_ACTIVE;
    out->epoch = id.epoch;
    return 0;
}

bool qd_proof_holds(const qd_proof *p)
{
    return p->active && p->uuid[0] && (p->indices || p->mirror);
}
