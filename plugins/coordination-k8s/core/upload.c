/* upload.c: objects being written: created; one that is there already is looked at and written
 * again, so that it has another version and a collector that paused cannot delete it; one that went
 * in between is created once more.
 *
 * Nothing else makes sure that the server which takes them has the root that is going to name them:
 * while an older copy of its store is in place of it (a backup is tried out, say), it takes objects
 * that are gone when the newest is back. A version there counts all writes; so an object that was
 * written after the root, and has a lower version than it, is in another store. */
#include "core_int.h"
#include <stdio.h>

uint32_t ck_upload_begin(ck_core *c, const ck_content *of, ck_entry *entry, ck_flight *f)
{
    uint32_t n = ck_blob_slices(of->n);
    for (uint32_t i = 0; i < n; i++) {
        ck_upload *u = cr_must(c->heap, sizeof *u);
        memset(u, 0, sizeof *u);
        u->of = *of;
        u->slice = i;
        u->entry = entry ? ck_entry_ref(entry) : NULL;
        u->flight = f;
        u->next = c->uploads;
        c->uploads = u;
    }
    c->again = 1;
    return n;
}

void ck_upload_free(ck_core *c, ck_upload *u)
{
    ck_entry_drop(u->entry);
    cr_free(c->heap, u);
}

void ck_upload_drop(ck_core *c, const ck_flight *f)
{
    for (ck_upload *u = c->uploads; u; u = u->next)
        if (u->flight == f && (f || !u->entry)) {
            u->dead = 1;
            u->flight = NULL;
        }
}

int ck_uploading_checkpoint(const ck_core *c)
{
    for (const ck_upload *u = c->uploads; u; u = u->next)
        if (!u->entry) return 1;
    return 0;
}

/* Versions are opaque: one that is no number tells nothing. */
static uint64_t version_of(const char *text)
{
    uint64_t v = 0;
    for (const char *p = text ? text : ""; *p; p++) {
        if (*p < '0' || *p > '9' || v > UINT64_MAX / 10 - 9) return 0;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    return v;
}

/* 1 when the server that took it is behind the root: then nothing is known of what it took before.
 */
static int in_another_store(ck_core *c, const ck_upload *u, const ck_answer *a)
{
    uint64_t v = version_of(a->version);
    char why[CK_WHY];
    if (v == 0 || v >= u->floor) return 0;
    snprintf(why, sizeof why,
             "an object of the cluster's state was written as version %llu, the root object had "
             "%llu before: the API server's store was exchanged for an older one",
             (unsigned long long)v, (unsigned long long)u->floor);
    ck_fail(c, why);
    return 1;
}

static void send(ck_core *c, ck_upload *u)
{
    static const uint32_t types[] = {CK_BLOB_CREATE, CK_BLOB_GET, CK_BLOB_TOUCH};
    ck_ask *a = ck_ask_new(c, types[u->step]);
    a->blob = (ck_blob){u->of.kind, u->of.hash, u->slice};
    a->bytes = u->of.bytes;
    a->nbytes = u->of.n;
    a->index = 1; /* of a BLOB_GET: an upload's */
    a->own = u;
    memcpy(a->uid, u->uid, sizeof u->uid);
    memcpy(a->version, u->version, sizeof u->version);
    u->ask = a;
    u->floor = c->root ? version_of(c->root->version) : 0;
    c->nuploads_out++;
}

void ck_upload_turn(ck_core *c)
{
    for (ck_upload **p = &c->uploads; *p;) {
        ck_upload *u = *p;
        if (u->dead && !u->ask) {
            *p = u->next;
            ck_upload_free(c, u);
            c->again = 1;
            continue;
        }
        if (!u->ask && c->nuploads_out < CK_PUTS_AT_ONCE && ck_due(c, u->at)) send(c, u);
        p = &u->next;
    }
}

/* It is there, or never will be. */
static void ended(ck_core *c, ck_upload *u, int32_t rc)
{
    ck_flight *f = u->flight;
    int checkpoint = !u->entry;
    u->dead = 1;
    u->flight = NULL;
    c->again = 1;
    if (checkpoint) {
        ck_checkpoint_uploaded(c, rc);
        return;
    }
    if (!f) return;
    if (rc)
        ck_flight_end(c, f, rc); /* it was never sent: its objects come first */
    else
        f->left--;
}

/* What is there under its name: the version, to write it again. */
static void looked(ck_core *c, ck_upload *u, const ck_answer *a)
{
    char why[CK_WHY];
    ck_slice s;
    if (ck_slice_read(c->heap, a->object, &s, why)) {
        json_t *meta = json_object_get(a->object, "metadata");
        const char *uid = json_string_value(json_object_get(meta, "uid"));
        const char *version = json_string_value(json_object_get(meta, "resourceVersion"));
        snprintf(u->uid, sizeof u->uid, "%s", uid ? uid : "");
        snprintf(u->version, sizeof u->version, "%s", version ? version : "");
        ck_warn(c, "an object of the cluster's state was damaged, it is written again");
    } else {
        memcpy(u->uid, s.uid, sizeof u->uid);
        memcpy(u->version, s.version, sizeof u->version);
        cr_bytes_free(&s.bytes);
    }
    u->step = CK_UP_TOUCH; /* with its bytes: what is there may be anything */
    c->counts.touched++;
}

static void again(ck_core *c, ck_upload *u, const ck_answer *a)
{
    u->at = ck_back_off(c, &u->wait, 50 * CK_MS, CK_RETRY_NS);
    if (u->at < c->now + a->retry_ns) u->at = c->now + a->retry_ns;
}

static void missing(ck_core *c, ck_upload *u)
{
    if (QD_MUTANT(k8s, NO_CREATE_AGAIN)) {
        ended(c, u, 0);
        return;
    }
    u->step = CK_UP_CREATE;
    c->counts.recreated++;
}

void ck_upload_answered(ck_core *c, ck_ask *ask, const ck_answer *a)
{
    ck_upload *u = ask->own;
    u->ask = NULL;
    c->nuploads_out--;
    c->again = 1;
    if (u->dead) return;
    switch (a->outcome) {
    case CK_OK:
        if (u->step == CK_UP_READ)
            looked(c, u, a);
        else if (!in_another_store(c, u, a))
            ended(c, u, 0);
        break;
    case CK_EXISTS:
        if (QD_MUTANT(k8s, NO_TOUCH))
            ended(c, u, 0);
        else
            u->step = CK_UP_READ;
        break;
    case CK_CONFLICT:
        u->step = CK_UP_READ;
        break;
    case CK_MISSING:
        missing(c, u);
        break;
    case CK_REFUSED:
        snprintf(c->refused, sizeof c->refused, "%s", a->why ? a->why : "no reason given");
        ended(c, u, a->rc ? a->rc : QD_E_NO_COORDINATION);
        break;
    default:
        again(c, u, a);
        break;
    }
}
