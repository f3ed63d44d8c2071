/* root.c: the root in memory, and as JSON; see root.h. follows.c compares two. */
#include "fields.h"
#include "root_int.h"
#include <quidditch/coordination.h>
#include <stdio.h>

_Static_assert(CK_TAIL_ENTRIES <= CK_IDS, "each entry of the tail has its id in the root");

/* By number; part of the format. */
static const char *const states[] = {"empty", "active", "sealed", "mirror", "void", "retired"};
enum { STATES = sizeof states / sizeof *states };
_Static_assert(STATES == QD_COORD_RETIRED + 1, "each state has a name");

static const char *const known[] = {"format",     "minor", "cluster",    "storeId",  "historyId",
                                    "recoveries", "state", "epoch",      "revision", "shown",
                                    "leader",     "index", "checkpoint", "ids",      "pages",
                                    "tail",       "claim", "writes",     "speakers", NULL};
/* Objects first, then arrays; the first and the last one are written in their own way. */
static const char *const kept_meta[] = {"labels", "annotations", "ownerReferences", "finalizers",
                                        NULL};

/* --- in memory --- */

ck_root *ck_root_make(const cr_heap *heap)
{
    ck_root *r = cr_must(heap, sizeof *r);
    memset(r, 0, sizeof *r);
    r->heap = heap;
    r->minor = CK_MINOR;
    return r;
}

ck_root *ck_root_clone(const ck_root *r)
{
    ck_root *c = cr_must(r->heap, sizeof *c);
    *c = *r;
    c->meta = json_incref(r->meta);
    c->claim = json_incref(r->claim);
    c->extra = json_incref(r->extra);
    c->tail_cap = r->ntail;
    c->tail = r->ntail ? cr_must(r->heap, r->ntail * sizeof(ck_entry *)) : NULL;
    for (uint32_t i = 0; i < r->ntail; i++) c->tail[i] = ck_entry_ref(r->tail[i]);
    return c;
}

void ck_root_free(ck_root *r)
{
    if (!r) return;
    for (uint32_t i = 0; i < r->ntail; i++) ck_entry_drop(r->tail[i]);
    cr_free(r->heap, r->tail);
    json_decref(r->meta);
    json_decref(r->claim);
    json_decref(r->extra);
    cr_free(r->heap, r);
}

/* At the end of the tail. */
static void tail_add(ck_root *r, ck_entry *e)
{
    if (r->ntail == r->tail_cap) {
        r->tail_cap = r->tail_cap ? r->tail_cap * 2 : 8;
        r->tail = cr_must_grow(r->heap, r->tail, r->tail_cap * sizeof(ck_entry *));
    }
    r->tail[r->ntail++] = e;
}

void ck_root_push(ck_root *r, ck_entry *e)
{
    tail_add(r, e);
    r->index = e->index;
    r->ids[e->index % CK_IDS] = e->id;
}

ck_entry *ck_root_entry(const ck_root *r, uint64_t index)
{
    return index > r->checkpoint && index <= r->index ? r->tail[index - r->checkpoint - 1] : NULL;
}

void ck_root_entry_set(ck_root *r, ck_entry *e)
{
    if (!ck_root_entry(r, e->index)) {
        ck_entry_drop(e);
        return;
    }
    ck_entry **at = &r->tail[e->index - r->checkpoint - 1];
    ck_entry_drop(*at);
    *at = e;
}

int ck_root_has(const ck_root *r, uint64_t index, uint64_t id)
{
    if (index == 0 || index > r->index) return 0;
    if (r->index - index >= CK_IDS) return -1;
    return r->ids[index % CK_IDS] == id;
}

uint64_t ck_root_find(const ck_root *r, uint64_t id)
{
    for (uint64_t i = r->index; i > 0 && r->index - i < CK_IDS; i--)
        if (r->ids[i % CK_IDS] == id) return i;
    return 0;
}

void ck_root_checkpoint(ck_root *r, uint64_t index, const ck_hash pages[CK_PAGES])
{
    uint32_t gone = (uint32_t)(index - r->checkpoint);
    for (uint32_t i = 0; i < gone; i++) ck_entry_drop(r->tail[i]);
    r->ntail -= gone;
    if (gone) memmove(r->tail, r->tail + gone, r->ntail * sizeof(ck_entry *));
    r->checkpoint = index;
    memcpy(r->pages, pages, sizeof r->pages);
}

/* --- sizes --- */

static size_t text_size(const char *p, size_t n)
{
    size_t size = 2;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)p[i];
        size += c < 32 || c == 127 ? 6 : c == '"' || c == '\\' ? 2 : 1;
    }
    return size;
}

static int count(const char *p, size_t n, void *arg)
{
    (void)p;
    *(size_t *)arg += n;
    return 0;
}

static size_t json_size(const json_t *j)
{
    size_t size = 0;
    if (j) (void)json_dump_callback(j, count, &size, JSON_COMPACT);
    return size;
}

static uint32_t ids_there(const ck_root *r)
{
    return r->index < CK_IDS ? (uint32_t)r->index : CK_IDS;
}

static size_t tail_size(const ck_root *r)
{
    size_t size = 0;
    for (uint32_t i = 0; i < r->ntail; i++) size += ck_entry_size(r->tail[i]);
    return size;
}

/* All names and punctuation, and numbers and ids at their longest. */
enum { FIXED = 680 };

static size_t speakers_size(const ck_root *r)
{
    enum { EACH = 64 }; /* names and punctuation, the id at its longest */
    size_t size = r->nspeakers ? 16 : 0;
    for (uint32_t i = 0; i < r->nspeakers; i++)
        size += EACH + text_size(r->speakers[i].name, strlen(r->speakers[i].name)) +
                text_size(r->speakers[i].address, strlen(r->speakers[i].address));
    return size;
}

size_t ck_root_size(const ck_root *r, const ck_site *site)
{
    return FIXED + speakers_size(r) + text_size(site->cluster.p, site->cluster.n) +
           text_size(r->leader.name, strlen(r->leader.name)) +
           text_size(r->leader.address, strlen(r->leader.address)) +
           ck_base64_length(ids_there(r) * 8) + ck_base64_length(sizeof r->pages) + tail_size(r) +
           json_size(r->claim) + json_size(r->extra);
}

int ck_root_room(const ck_root *r, const ck_site *site, const ck_entry *e)
{
    enum { ID = 12 }; /* one more, and how base64 rounds */
    return r->ntail < CK_TAIL_ENTRIES &&
           ck_root_size(r, site) + ck_entry_size(e) + ID <= CK_ROOT_MAX;
}

int ck_root_full(const ck_root *r)
{
    return r->ntail >= CK_TAIL_ENTRIES * 3 / 4 || tail_size(r) >= CK_TAIL_MAX;
}

/* --- writing --- */

static int leader_write(json_t *spec, const ck_root *r)
{
    json_t *o = json_object();
    int good = ck_set_number(o, "id", r->leader.id) && ck_set_number(o, "term", r->leader.term) &&
               ck_set(o, "name", json_string(r->leader.name)) &&
               ck_set(o, "address", json_string(r->leader.address));
    return ck_set(spec, "leader", o) && good;
}

static int ids_write(json_t *spec, const ck_root *r)
{
    uint8_t bytes[CK_IDS * 8];
    uint32_t n = ids_there(r);
    for (uint32_t i = 0; i < n; i++)
        cr_store64(bytes + 8 * i, r->ids[(r->index - n + 1 + i) % CK_IDS]);
    return ck_set_bytes(spec, "ids", r->heap, bytes, 8 * n);
}

static int tail_write(json_t *spec, const ck_root *r)
{
    json_t *tail = json_array();
    int good = tail != NULL;
    for (uint32_t i = 0; i < r->ntail && good; i++)
        good = json_array_append_new(tail, ck_entry_write(r->tail[i])) == 0;
    return ck_set(spec, "tail", tail) && good;
}

static int history_write(json_t *spec, const ck_root *r)
{
    return ck_set_hex(spec, "storeId", r->store_id, 16) &&
           ck_set_hex(spec, "historyId", r->history_id, 16) &&
           ck_set_number(spec, "recoveries", r->recoveries) &&
           ck_set_number(spec, "writes", r->writes) &&
           ck_set(spec, "state", json_string(states[r->state < STATES ? r->state : 0])) &&
           ck_set_number(spec, "epoch", r->epoch) && ck_set_number(spec, "revision", r->revision) &&
           ck_set_number(spec, "shown", r->shown);
}

/* A set that shares what it takes. */
static int set_shared(json_t *object, const char *name, json_t *value)
{
    return !value || ck_set(object, name, json_incref(value));
}

json_t *ck_root_write(const ck_root *r, const ck_site *site)
{
    json_t *spec = json_object(), *value;
    const char *name;
    int good = ck_set(spec, "format", json_integer(CK_FORMAT)) &&
               ck_set(spec, "minor", json_integer(r->minor > CK_MINOR ? r->minor : CK_MINOR)) &&
               ck_set_text(spec, "cluster", site->cluster) && history_write(spec, r) &&
               leader_write(spec, r) && ck_speakers_write(spec, r) &&
               ck_set_number(spec, "index", r->index) &&
               ck_set_number(spec, "checkpoint", r->checkpoint) && ids_write(spec, r) &&
               ck_set_bytes(spec, "pages", r->heap, r->pages[0].b, sizeof r->pages) &&
               tail_write(spec, r) && set_shared(spec, "claim", r->claim);
    if (good && r->extra)
        json_object_foreach(r->extra, name, value) good = set_shared(spec, name, value) && good;
    if (good) return spec;
    json_decref(spec);
    return NULL;
}

/* Those of others, and ours; none is added to what is being deleted, as the server refuses that. */
static json_t *finalizers_of(const ck_root *r)
{
    const json_t *kept = json_object_get(r->meta, "finalizers"), *v;
    json_t *all = kept ? json_copy((json_t *)kept) : json_array();
    size_t i;
    if (r->deleting) return all;
    json_array_foreach(kept, i, v)
    {
        const char *name = json_string_value(v);
        if (name && strcmp(name, CK_FINALIZER) == 0) return all;
    }
    if (json_array_append_new(all, json_string(CK_FINALIZER)) == 0) return all;
    json_decref(all);
    return NULL;
}

json_t *ck_root_object(const ck_root *r, const ck_site *site)
{
    json_t *spec = ck_root_write(r, site);
    json_t *object =
        spec ? ck_object(site, site->root, CK_PART_ROOT, json_object_get(r->meta, "labels"), spec)
             : NULL;
    if (!object) return NULL;
    json_t *meta = json_object_get(object, "metadata");
    int good = (!r->uid[0] || ck_set(meta, "uid", json_string(r->uid))) &&
               (!r->version[0] || ck_set(meta, "resourceVersion", json_string(r->version))) &&
               ck_set(meta, "finalizers", finalizers_of(r));
    for (int k = 1; k < 3 && good; k++)
        good = set_shared(meta, kept_meta[k], json_object_get(r->meta, kept_meta[k]));
    if (good) return object;
    json_decref(object);
    return NULL;
}

/* --- reading --- */

static void meta_read(ck_fields *f, const json_t *object, ck_root *r)
{
    const json_t *meta = json_object_get(object, "metadata");
    if (f->rc) return;
    f->rc = ck_object_version(object, r->uid, r->version, f->why);
    r->deleting = json_is_string(json_object_get(meta, "deletionTimestamp"));
    for (const char *const *k = kept_meta; *k && f->rc == 0; k++) {
        const json_t *v = json_object_get(meta, *k);
        if (!v || json_is_null(v)) continue;
        int right = k < kept_meta + 2 ? json_is_object(v) : json_is_array(v);
        if (!right) {
            f->rc = ck_wrong(f->why, QD_E_CORRUPT, "metadata.%s has the wrong type", *k);
            return;
        }
        if (!r->meta) r->meta = json_object();
        if (!ck_set(r->meta, *k, json_deep_copy(v)))
            f->rc = ck_wrong(f->why, QD_E_NOMEM, "there is no memory for metadata");
    }
}

static uint32_t state_read(ck_fields *f)
{
    qd_str s = ck_field_text(f, "state", 16, 0);
    for (uint32_t i = 0; i < STATES; i++)
        if (cr_compare(s, (qd_str){states[i], strlen(states[i])}) == 0) return i;
    if (f->rc == 0)
        f->rc = ck_wrong(f->why, QD_E_CORRUPT, "spec.state is %.*s, not a state", (int)s.n, s.p);
    return 0;
}

static void leader_read(ck_fields *spec, ck_root *r)
{
    const json_t *o = ck_field_object(spec, "leader");
    ck_fields f = {o, "spec.leader", spec->why, spec->rc};
    r->leader.id = ck_field_number(&f, "id");
    r->leader.term = ck_field_number(&f, "term");
    ck_field_copy(&f, "name", r->leader.name, CK_TEXT, 1);
    ck_field_copy(&f, "address", r->leader.address, CK_TEXT, 1);
    if (f.rc == 0 && r->leader.id && r->leader.term == 0)
        f.rc = ck_wrong(f.why, QD_E_CORRUPT, "spec.leader.term is 0, but somebody leads");
    spec->rc = f.rc;
}

static void ids_read(ck_fields *f, ck_root *r)
{
    cr_bytes b = {.heap = r->heap};
    uint32_t n = ids_there(r);
    ck_field_bytes(f, "ids", sizeof r->ids, &b);
    if (f->rc == 0 && b.n != 8 * (size_t)n)
        f->rc = ck_wrong(f->why, QD_E_CORRUPT, "spec.ids has %zu bytes, not the %u of %u entries",
                         b.n, 8 * n, n);
    for (uint32_t i = 0; i < n && f->rc == 0; i++) {
        uint64_t id = cr_load64(b.p + 8 * i), index = r->index - n + 1 + i;
        if (id == 0)
            f->rc = ck_wrong(f->why, QD_E_CORRUPT, "spec.ids has none of entry %llu",
                             (unsigned long long)index);
        r->ids[index % CK_IDS] = id;
    }
    cr_bytes_free(&b);
}

static void pages_read(ck_fields *f, ck_root *r)
{
    cr_bytes b = {.heap = r->heap};
    ck_field_bytes(f, "pages", sizeof r->pages, &b);
    if (f->rc == 0 && b.n != sizeof r->pages)
        f->rc = ck_wrong(f->why, QD_E_CORRUPT, "spec.pages has %zu bytes, not the %zu of %d hashes",
                         b.n, sizeof r->pages, CK_PAGES);
    if (f->rc == 0) memcpy(r->pages, b.p, sizeof r->pages);
    cr_bytes_free(&b);
}

/* Entries of the tail; terms never fall and none is above the leader's. */
static void tail_read(ck_fields *f, ck_root *r, const ck_root *before)
{
    const json_t *tail = f->rc ? NULL : json_object_get(f->object, "tail");
    uint64_t term = 0, n = r->index - r->checkpoint;
    if (f->rc == 0 && (!json_is_array(tail) || json_array_size(tail) != n || n > CK_TAIL_ENTRIES))
        f->rc =
            ck_wrong(f->why, QD_E_CORRUPT,
                     "spec.tail is not a list of the %llu entries between checkpoint and index, "
                     "at most %d",
                     (unsigned long long)n, CK_TAIL_ENTRIES);
    for (uint64_t i = 0; i < n && f->rc == 0; i++) {
        uint64_t index = r->checkpoint + 1 + i;
        ck_entry *e = NULL;
        f->rc =
            ck_entry_read(r->heap, json_array_get(tail, (size_t)i), index, r->ids[index % CK_IDS],
                          before ? ck_root_entry(before, index) : NULL, &e, f->why);
        if (f->rc) return;
        tail_add(r, e);
        if (e->term < term || e->term > r->leader.term)
            f->rc = ck_wrong(f->why, QD_E_CORRUPT,
                             "spec.tail: entry %llu has the term %llu, not %llu to %llu",
                             (unsigned long long)index, (unsigned long long)e->term,
                             (unsigned long long)term, (unsigned long long)r->leader.term);
        term = e->term;
    }
}

static void claim_read(ck_fields *f, ck_root *r)
{
    const json_t *claim = f->rc ? NULL : json_object_get(f->object, "claim");
    if (!claim || json_is_null(claim)) return;
    if (!json_is_object(claim) || json_size(claim) > CK_EXTRA_MAX)
        f->rc = ck_wrong(f->why, QD_E_CORRUPT, "spec.claim is not an object of at most %d bytes",
                         CK_EXTRA_MAX);
    else if (!(r->claim = json_deep_copy(claim)))
        f->rc = ck_wrong(f->why, QD_E_NOMEM, "there is no memory for spec.claim");
}

static int is_known(const char *name)
{
    for (const char *const *k = known; *k; k++)
        if (strcmp(*k, name) == 0) return 1;
    return 0;
}

static void extra_read(ck_fields *f, ck_root *r)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)f->object, name, value)
    {
        if (f->rc || is_known(name)) continue;
        if (!r->extra) r->extra = json_object();
        if (!ck_set(r->extra, name, json_deep_copy(value)))
            f->rc = ck_wrong(f->why, QD_E_NOMEM, "there is no memory for spec.%.64s", name);
    }
    if (f->rc == 0 && json_size(r->extra) > CK_EXTRA_MAX)
        f->rc = ck_wrong(f->why, QD_E_CORRUPT, "spec has more than %d bytes of unknown fields",
                         CK_EXTRA_MAX);
}

static void numbers_read(ck_fields *f, ck_root *r)
{
    ck_field_hex(f, "storeId", r->store_id, 16);
    ck_field_hex(f, "historyId", r->history_id, 16);
    r->recoveries = ck_field_number(f, "recoveries");
    r->writes = ck_field_number(f, "writes");
    r->state = state_read(f);
    r->epoch = ck_field_number(f, "epoch");
    r->revision = ck_field_number(f, "revision");
    r->shown = ck_field_number(f, "shown");
    r->index = ck_field_number(f, "index");
    r->checkpoint = ck_field_number(f, "checkpoint");
    if (f->rc) return;
    if (r->shown > r->index || r->checkpoint > r->index)
        f->rc =
            ck_wrong(f->why, QD_E_CORRUPT,
                     "spec.shown %llu and spec.checkpoint %llu are not both up to spec.index %llu",
                     (unsigned long long)r->shown, (unsigned long long)r->checkpoint,
                     (unsigned long long)r->index);
}

int32_t ck_root_read(const cr_heap *heap, const json_t *object, ck_root **out, char *why)
{
    return ck_root_read_after(heap, object, NULL, out, why);
}

int32_t ck_root_read_after(const cr_heap *heap, const json_t *object, const ck_root *before,
                           ck_root **out, char *why)
{
    ck_root *r = ck_root_make(heap);
    ck_fields f = {.path = "spec", .why = why};
    f.object = ck_object_spec(object, why, &f.rc);
    meta_read(&f, object, r);
    r->minor = ck_field_format(&f);
    ck_field_copy(&f, "cluster", r->cluster, CK_TEXT, 0);
    numbers_read(&f, r);
    leader_read(&f, r);
    ck_speakers_read(&f, r);
    ids_read(&f, r);
    pages_read(&f, r);
    tail_read(&f, r, before);
    claim_read(&f, r);
    extra_read(&f, r);
    if (f.rc == 0)
        *out = r;
    else
        ck_root_free(r);
    return f.rc;
}
