/* kcore_store.c: the server's objects: what a request does when it arrives. */
#include "kcore_int.h"

content *library_find(sim *s, int kind, const ck_hash *h)
{
    for (content *c = s->library[h->b[0]]; c; c = c->next)
        if (c->kind == kind && ck_hash_same(&c->hash, h)) return c;
    return NULL;
}

content *library_add(sim *s, int kind, const uint8_t *p, size_t n)
{
    ck_hash h = ck_hash_of(p, n);
    content *c = library_find(s, kind, &h);
    if (c) return c;
    c = malloc(sizeof *c + n);
    if (!c) abort();
    *c = (content){.next = s->library[h.b[0]], .hash = h, .kind = kind, .n = n};
    memcpy(c->p, p, n);
    s->library[h.b[0]] = c;
    return c;
}

void store_free(sim *s)
{
    ck_root_free(s->root);
    for (uint32_t i = 0; i < OLD; i++) ck_root_free(s->old[i]);
    for (uint32_t i = 0; i < 256; i++)
        while (s->library[i]) {
            content *c = s->library[i];
            s->library[i] = c->next;
            free(c);
        }
}

ck_root *root_read(const ck_root *r)
{
    ck_root *c = ck_root_clone(r);
    for (uint32_t i = 0; i < c->ntail; i++) {
        const ck_entry *e = c->tail[i];
        if (!e->large) continue;
        ck_entry *bare = cr_must(sim_heap(), sizeof *bare);
        *bare = (ck_entry){.heap = sim_heap(),
                           .refs = 1,
                           .index = e->index,
                           .term = e->term,
                           .id = e->id,
                           .n = e->n,
                           .large = 1,
                           .hash = e->hash};
        ck_root_entry_set(c, bare);
    }
    return c;
}

static void text(char out[64], uint64_t n)
{
    snprintf(out, 64, "%llu", (unsigned long long)n);
}

static void root_set(sim *s, const ck_root *next)
{
    ck_root *before = s->root, *r = root_read(next);
    text(r->version, ++s->version);
    if (!before) text(r->uid, ++s->uids);
    if (before) memcpy(r->uid, before->uid, sizeof r->uid);
    s->root = r;
    say(s, "root %s: term %llu leader %llx index %llu checkpoint %llu", r->version,
        (unsigned long long)r->leader.term, (unsigned long long)(r->leader.id & 0xffff),
        (unsigned long long)r->index, (unsigned long long)r->checkpoint);
    check_root(s, before, r);
    ck_root_free(s->old[s->nold % OLD]);
    s->old[s->nold++ % OLD] = before;
    trace(s, r->index, r->leader.term);
}

static void root_put(sim *s, request *r)
{
    int any = r->root->version[0] == 0; /* a broken variant's */
    if (!s->root)
        r->outcome = CK_MISSING;
    else if (!any && (strcmp(r->root->version, s->root->version) != 0 ||
                      strcmp(r->root->uid, s->root->uid) != 0))
        r->outcome = CK_CONFLICT;
    else {
        root_set(s, r->root);
        r->landed = 1;
        memcpy(r->uid, s->root->uid, sizeof r->uid);
        memcpy(r->version, s->root->version, sizeof r->version);
    }
}

static void root_create(sim *s, request *r)
{
    if (s->root) {
        r->outcome = CK_EXISTS;
        return;
    }
    root_set(s, r->root);
    r->landed = 1;
    memcpy(r->uid, s->root->uid, sizeof r->uid);
    memcpy(r->version, s->root->version, sizeof r->version);
}

static object *find(sim *s, const ck_blob *b)
{
    for (uint32_t i = 0; i < s->nobjects; i++) {
        object *o = &s->objects[i];
        if (o->there && o->blob.kind == b->kind && o->blob.slice == b->slice &&
            memcmp(o->blob.hash.b, b->hash.b, 20) == 0)
            return o;
    }
    return NULL;
}

static void blob_create(sim *s, request *r)
{
    if (find(s, &r->blob)) {
        r->outcome = CK_EXISTS;
        return;
    }
    uint32_t i = 0;
    while (i < s->nobjects && s->objects[i].there) i++;
    if (i == OBJECTS) abort();
    if (i == s->nobjects) s->nobjects++;
    s->objects[i] = (object){r->blob, 1, ++s->uids, ++s->version, s->date};
    text(r->version, s->version);
    r->landed = 1;
}

static int version_is(const object *o, const request *r)
{
    char uid[64], version[64];
    text(uid, o->uid);
    text(version, o->version);
    return strcmp(uid, r->uid) == 0 && (!r->version[0] || strcmp(version, r->version) == 0);
}

static void blob_touch(sim *s, request *r)
{
    object *o = find(s, &r->blob);
    if (!o)
        r->outcome = CK_MISSING;
    else if (!version_is(o, r))
        r->outcome = CK_CONFLICT;
    else {
        o->version = ++s->version;
        o->written = s->date;
        text(r->version, o->version);
        r->landed = 1;
    }
}

static void blob_delete(sim *s, request *r)
{
    object *o = find(s, &r->blob);
    if (!o)
        r->outcome = CK_MISSING;
    else if (!version_is(o, r)) {
        r->outcome = CK_CONFLICT;
        s->report->deletes_refused++;
    } else {
        o->there = 0;
        r->landed = 1;
        s->report->collected++;
        say(s, "deleted a blob %c %02x%02x", o->blob.kind, o->blob.hash.b[0], o->blob.hash.b[1]);
        check_objects(s, "after a delete");
    }
}

static void blob_get(sim *s, request *r)
{
    object *o = find(s, &r->blob);
    if (!o) {
        r->outcome = CK_MISSING;
        return;
    }
    content *c = library_find(s, r->blob.kind, &r->blob.hash);
    char uid[64], version[64];
    text(uid, o->uid);
    text(version, o->version);
    r->object = ck_blob_write(sim_heap(), &sim_site, c->kind, &c->hash, c->p, c->n, r->blob.slice);
    json_t *meta = json_object_get(r->object, "metadata");
    json_object_set_new(meta, "uid", json_string(uid));
    json_object_set_new(meta, "resourceVersion", json_string(version));
}

static void blob_list(sim *s, request *r)
{
    uint32_t from = (uint32_t)strtoul(r->next_page, NULL, 10), i = from;
    r->nlisted = 0;
    if (!s->healing && chance(s, 100)) s->date += 2400;
    r->date = s->date;
    for (; i < s->nobjects && r->nlisted < PAGE_OF_LIST; i++) {
        const object *o = &s->objects[i];
        if (!o->there) continue;
        ck_listed *l = &r->listed[r->nlisted++];
        *l = (ck_listed){.blob = o->blob, .written = o->written};
        memset(l->blob.hash.b + 20, 0, 12);
        text(l->uid, o->uid);
        text(l->version, o->version);
    }
    r->next_page[0] = 0;
    if (i < s->nobjects) text(r->next_page, i);
}

static void lease_write(sim *s, request *r)
{
    int there = s->lease.version[0] != 0;
    if (r->type == CK_LEASE_CREATE && there)
        r->outcome = CK_EXISTS;
    else if (r->type == CK_LEASE_PUT && !there)
        r->outcome = CK_MISSING;
    else if (r->type == CK_LEASE_PUT && strcmp(s->lease.version, r->lease.version) != 0)
        r->outcome = CK_CONFLICT;
    else {
        s->old_lease = s->lease;
        s->lease = r->lease;
        text(s->lease.version, ++s->version);
        text(s->lease.uid, 1);
        r->landed = 1;
    }
    r->answer_lease = s->lease;
}

void store_take(sim *s, request *r)
{
    r->outcome = CK_OK;
    switch (r->type) {
    case CK_GET_ROOT:
        if (s->root)
            r->answer_root = root_read(s->root);
        else
            r->outcome = CK_MISSING;
        break;
    case CK_CREATE_ROOT:
        root_create(s, r);
        break;
    case CK_PUT_ROOT:
        root_put(s, r);
        break;
    case CK_BLOB_CREATE:
        blob_create(s, r);
        break;
    case CK_BLOB_TOUCH:
        blob_touch(s, r);
        break;
    case CK_BLOB_GET:
        blob_get(s, r);
        break;
    case CK_BLOB_LIST:
        blob_list(s, r);
        break;
    case CK_BLOB_DELETE:
        blob_delete(s, r);
        break;
    case CK_LEASE_GET:
        r->answer_lease = s->lease;
        if (!s->lease.version[0]) r->outcome = CK_MISSING;
        break;
    default:
        lease_write(s, r);
        break;
    }
    if (r->type >= CK_LEASE_GET || r->type == CK_PUT_ROOT)
        say(s, "node %d: ask %u sent %.3f: outcome %u, lease now %s holder %llx", r->node, r->type,
            (double)r->sent / 1e6, r->outcome, s->lease.version,
            (unsigned long long)(s->lease.holder & 0xffff));
    trace(s, r->type, r->outcome);
}
