/* handover_plan.c: what is read from the stores: states, the plan, whose they are. */
#include "base/str.h"
#include "cluster/authority/handover_int.h"
#include "cluster/mutants.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdio.h>

#define PLAN_MAX 4096u

int qdi_handover_said(qd_handover *h, const qd_coord_store *s, int rc, qd_err *err)
{
    if ((rc != QD_E_TIMEOUT && rc != QD_E_NO_COORDINATION) || !err) return rc;
    char why[256];
    snprintf(why, sizeof why, "%s", qd_err_reason(err));
    return qd_err_wrap(err, rc, "the store [%s] does not answer: %s",
                       h->config.name[s == h->config.store[1]], why);
}

int qdi_handover_export(qd_handover *h, qd_coord_store *s, qd_coord_export *x, qd_err *err)
{
    return qdi_handover_said(h, s, qd_coord_export_all(s, x, h->config.timeout_ms, err), err);
}

static uint64_t number(const qd_json_node *root, const char *key)
{
    uint64_t v = 0;
    const qd_json_node *n = qd_json_get(root, key);
    return n && n->type == QD_JSON_T_NUMBER && qd_str_u64(n->text, &v) ? v : 0;
}

void qdi_handover_peer(const qd_coord_identity *id, char out[33])
{
    uint8_t any = 0;
    for (int i = 0; i < 16; i++) any |= id->store_id[i];
    out[0] = 0;
    for (int i = 0; i < 16 && any; i++) snprintf(out + 2 * i, 3, "%02x", id->store_id[i]);
}

static int parse(qd_str text, handover_plan *out, qd_err *err)
{
    qd_arena a;
    qd_json_node *root;
    qd_arena_init(&a, NULL, 1 << 20);
    int rc = qd_json_parse(&a, text, 4, &root, err);
    const qd_json_node *to = rc ? NULL : qd_json_get(root, "to");
    const qd_json_node *abort = rc ? NULL : qd_json_get(root, "abort");
    const qd_json_node *keep = rc ? NULL : qd_json_get(root, "keep");
    const qd_json_node *peer = rc ? NULL : qd_json_get(root, "peer");
    if (to && to->type == QD_JSON_T_STRING && to->text.n && to->text.n < sizeof out->to) {
        snprintf(out->to, sizeof out->to, "%.*s", QD_STR_ARG(to->text));
        out->there = true;
        out->abort = abort && abort->truth;
        out->keep = keep && keep->truth;
        out->target = number(root, "epoch");
        if (peer && peer->type == QD_JSON_T_STRING && peer->text.n < sizeof out->peer)
            snprintf(out->peer, sizeof out->peer, "%.*s", QD_STR_ARG(peer->text));
        out->since_ms = (int64_t)number(root, "since");
    } else if (!rc) {
        rc = qd_err_set(err, QD_E_CORRUPT,
                        "the plan of a migration (" QD_HANDOVER_PLAN ") is damaged");
    }
    qd_arena_fini(&a);
    return rc;
}

int qdi_handover_plan_read(qd_handover *h, qd_coord_store *s, handover_plan *out, qd_err *err)
{
    qd_arena a;
    qd_coord_list list;
    *out = (handover_plan){0};
    qd_arena_init(&a, NULL, 1 << 20);
    int rc =
        qd_coord_read(s, QD_STR(QD_HANDOVER_PLAN), false, h->config.timeout_ms, &a, &list, err);
    if (!rc && list.n) {
        rc = parse((qd_str){(const char *)list.at[0].value, list.at[0].value_len}, out, err);
        out->mod_revision = list.at[0].mod_revision;
    }
    qd_arena_fini(&a);
    return qdi_handover_said(h, s, rc, err);
}

static void write_text(const handover_plan *p, qd_buf *b)
{
    qd_json_writer w;
    qd_json_writer_init(&w, b, false);
    qd_json_object(&w);
    qd_json_field_c(&w, "to", p->to);
    qd_json_field_bool(&w, "abort", p->abort);
    qd_json_field_int(&w, "epoch", (int64_t)p->target);
    if (p->keep) qd_json_field_bool(&w, "keep", true);
    if (p->peer[0]) qd_json_field_c(&w, "peer", p->peer);
    qd_json_field_int(&w, "since", p->since_ms);
    qd_json_object_end(&w);
}

int qdi_handover_plan_write(qd_handover *h, qd_coord_store *s, handover_plan *p, qd_err *err)
{
    qd_buf b;
    qd_str key = QD_STR(QD_HANDOVER_PLAN);
    qd_coord_compare was = {.key = key,
                            .type = p->mod_revision ? QD_COORD_CMP_MOD : QD_COORD_CMP_EXISTS,
                            .number = p->mod_revision};
    qd_buf_init(&b, NULL, PLAN_MAX);
    if (p->to[0]) write_text(p, &b);
    qd_coord_change change = {
        .type = p->to[0] ? QD_COORD_PUT : QD_COORD_DELETE, .key = key, .value = qd_buf_view(&b)};
    int rc = qd_buf_status(&b);
    if (!rc) rc = qd_coord_commit(s, &was, 1, &change, 1, h->config.timeout_ms, NULL, NULL, err);
    qd_buf_fini(&b);
    return rc;
}

static int read_uuid(qd_handover *h, qd_coord_store *s, char out[64], qd_err *err)
{
    qd_arena a;
    qd_coord_list list;
    out[0] = 0;
    qd_arena_init(&a, NULL, 1 << 20);
    int rc = qd_coord_read(s, QD_STR("cluster/uuid"), false, h->config.timeout_ms, &a, &list, err);
    if (!rc && list.n) {
        size_t n = list.at[0].value_len < 63 ? list.at[0].value_len : 63;
        snprintf(out, 64, "%.*s", (int)n, (const char *)list.at[0].value);
    }
    qd_arena_fini(&a);
    return qdi_handover_said(h, s, rc, err);
}

int qdi_handover_same_cluster(qd_handover *h, const handover_look *l, qd_err *err)
{
    char from[64], to[64];
    int rc = read_uuid(h, h->config.store[l->from], from, err);
    if (!rc) rc = read_uuid(h, h->config.store[l->to], to, err);
    if (rc || !to[0] || strcmp(from, to) == 0) return rc;
    return qd_err_set(
        err, QD_E_STATE,
        "the store [%s] holds the cluster with uuid [%s], the one in charge [%s] that "
        "with [%s]: it is left alone",
        h->config.name[l->to], to, h->config.name[l->from], from);
}

int qdi_handover_look(qd_handover *h, handover_look *l, qd_err *err)
{
    *l = (handover_look){.from = -1};
    for (int i = 0; i < 2; i++) qd_coord_identity_get(h->config.store[i], &l->id[i]);
    static const uint32_t wanted[] = {QD_COORD_ACTIVE, QD_COORD_SEALED};
    for (size_t k = 0; k < 2 && l->from < 0; k++) {
        for (int n = 0; n < 2; n++) {
            int i = n ^ h->config.own;
            bool higher = l->from < 0 || l->id[i].epoch > l->id[l->from].epoch;
            if (l->id[i].state == wanted[k] && higher) l->from = i;
        }
    }
    if (l->from < 0) return 0;
    l->to = !l->from;
    return qdi_handover_plan_read(h, h->config.store[l->from], &l->plan, err);
}

int qdi_handover_step(qd_handover *h, qd_coord_store *s, uint32_t action, uint64_t epoch,
                      uint64_t new_epoch, uint64_t *revision, qd_err *err)
{
    qd_coord_authority a = {.action = action,
                            .epoch = epoch,
                            .new_epoch = new_epoch,
                            .revision = revision ? *revision : 0};
    int rc = qd_coord_authority_step(s, &a, h->config.timeout_ms, err);
    if (revision && !rc) *revision = a.revision;
    return qdi_handover_said(h, s, rc, err);
}
