/*
 * projections_look.c: which object is judged when: see projections.h. Objects that changed are
 * looked at in turn, all of them when the state did; what is to be done is begun at most 20 times a
 * second.
 */
#include "k8s.h"
#include "projections.h"

#define GONE_NS 1500000000ll /* a state that lacks an index may be an old one */
#define LEAD_NS 3000000000ll /* so may that of a new leader */

/* --- who has which index --- */

static int is_before(const ck_object *a, const ck_object *b)
{
    const json_t *x = json_object_get(a->json, "metadata"),
                 *y = json_object_get(b->json, "metadata");
    const char *s = json_string_value(json_object_get(x, "creationTimestamp"));
    const char *t = json_string_value(json_object_get(y, "creationTimestamp"));
    int order = strcmp(s ? s : "", t ? t : "");
    return order ? order < 0 : strcmp(a->name, b->name) < 0;
}

static ck_object *holder_of(ck_projections *p, const json_t *held, const char *index)
{
    const char *name = json_string_value(json_object_get(held, index));
    return name ? ck_object_find(p, CK_OF_INDEX, name) : NULL;
}

/* The name of a shard's object that is to be made; 0: it is there. */
static int shard_name(ck_projections *p, const char *index, int64_t shard, char out[CK_SHARD_NAME])
{
    for (int taken = 0; taken < 2; taken++) {
        ck_shard_object_name(p->cluster, index, shard, taken, out);
        const ck_object *o = ck_object_find(p, CK_OF_SHARD, out);
        if (!o) return 1;
        if (o->ours && strcmp(ck_object_index(o->json), index) == 0 &&
            ck_object_shard(o->json) == shard)
            return 0;
    }
    return 0; /* both names are others' */
}

/* Shards without object, of an index whose copies have no room in its own. */
static void miss_shards(ck_projections *p, const char *index, const json_t *meta)
{
    char name[CK_SHARD_NAME];
    int64_t n = ck_index_shards(meta);
    for (int64_t k = n - 1; k >= 0; k--) { /* the first one is made first */
        if (shard_name(p, index, k, name))
            (void)json_array_append_new(
                p->missing,
                json_pack("{s:s,s:I,s:s}", "index", index, "shard", (json_int_t)k, "name", name));
    }
}

/* Of several objects for one index the oldest has it; indices that none has get one. */
static void hold(ck_projections *p)
{
    json_t *held = json_object(), *meta;
    const char *index;
    p->holders_old = 0;
    for (uint32_t b = 0; b < CK_BUCKETS; b++) {
        for (ck_object *o = p->buckets[b]; o; o = o->chain) {
            if (!o->ours || o->kind != CK_OF_INDEX || !ck_object_has_index(o->json)) continue;
            index = ck_object_index(o->json);
            const ck_object *other = holder_of(p, held, index);
            if (!other || is_before(o, other))
                (void)json_object_set_new(held, index, json_string(o->name));
            if (!ck_object_ends(o->json)) (void)json_object_del(p->returning, o->name);
        }
    }
    for (uint32_t b = 0; b < CK_BUCKETS; b++) {
        for (ck_object *o = p->buckets[b]; o; o = o->chain) {
            const ck_object *has = NULL;
            if (o->ours && o->kind == CK_OF_INDEX)
                has = holder_of(p, held, ck_object_index(o->json));
            if (has == o) has = NULL;
            if (!has != !o->holder) o->looked = 0;
            o->holder = has ? has->name : NULL;
        }
    }
    json_array_clear(p->missing);
    json_object_foreach((json_t *)(uintptr_t)p->truth.indices, index, meta)
    {
        if (ck_is_shown(index) && ck_is_large(meta)) miss_shards(p, index, meta);
    }
    json_object_foreach((json_t *)(uintptr_t)p->truth.indices, index, meta)
    {
        if (ck_is_shown(index) && !json_object_get(held, index))
            (void)json_array_append_new(p->missing, json_string(index));
    }
    json_decref(held);
}

/* --- looking at all of them --- */

static void wait_until(ck_projections *p, int64_t at)
{
    if (!p->earliest_ns || at < p->earliest_ns) p->earliest_ns = at;
}

/* Whether another thing may begin now. */
static int may_begin(ck_projections *p, int64_t now)
{
    if (p->jobs >= CK_JOBS_MAX) return 0; /* its end looks again */
    return now >= p->next_ns;             /* the timer goes on where this stopped */
}

/* Whether its index is gone for certain. */
static int is_gone(ck_projections *p, ck_object *o, int64_t now)
{
    if (o->kind == CK_OF_CLUSTER || ck_truth_index(&p->truth, ck_object_index(o->json))) {
        o->missing_ns = 0;
        return 0;
    }
    if (!o->missing_ns) {
        o->missing_ns = now;
        o->missing_read = p->truth_read;
    }
    if (now - o->missing_ns >= GONE_NS && p->truth_read > o->missing_read &&
        now - p->lead_ns >= LEAD_NS)
        return 1;
    if (!p->read_ns && !p->reading && *ck_object_index(o->json) &&
        (o->kind == CK_OF_SHARD || json_object_get(json_object_get(o->json, "status"), "uuid")))
        ck_read_soon(p, GONE_NS);
    return 0;
}

void ck_look_again(ck_projections *p)
{
    p->look++;
    p->left = CK_BUCKETS;
    p->holders_old = 1;
}

/* 0: there is something to do, but not now. */
static int consider(ck_projections *p, ck_object *o, int64_t now)
{
    static void (*const judges[CK_KINDS])(const ck_case *, ck_judgement *) = {
        ck_judge_index, ck_judge_cluster, ck_judge_shard};
    static const ck_verdict none;
    ck_judgement j;
    char time[40];
    if (!o->ours || o->busy || p->truth_read < o->after_read) return 1; /* each ends by a look */
    if (o->again_ns > now) {
        wait_until(p, o->again_ns);
        return 1;
    }
    ck_projections_time(p, time);
    ck_case about = {.object = o->json,
                     .truth = &p->truth,
                     .holder = o->holder,
                     .gone = is_gone(p, o, now),
                     .namespace_ends = o->namespace_ends,
                     .verdict = o->verdict ? o->verdict : &none,
                     .now = time};
    judges[o->kind](&about, &j);
    if (j.decided) {
        if (!o->verdict) o->verdict = cr_must(p->heap, sizeof *o->verdict);
        *o->verdict = j.verdict;
    }
    int begin = j.what != CK_DO_NOTHING && may_begin(p, now);
    int done = j.what == CK_DO_NOTHING || begin;
    if (done && !o->missing_ns) o->looked = p->look;
    if (begin) {
        p->next_ns = now + CK_WRITE_GAP_NS;
        ck_job_start(p, o, &j);
    }
    ck_judgement_clear(&j);
    return done;
}

void ck_look(ck_projections *p)
{
    int64_t now = ck_projections_now(p);
    if (!p->leads || !p->allowed || !p->state) return;
    for (int k = 0; k < CK_KINDS; k++)
        if (!p->sources[k].listed) return;
    if (p->holders_old) hold(p);
    if (p->left == CK_BUCKETS) p->earliest_ns = 0;
    for (; p->left; p->left--, p->cursor = (p->cursor + 1) % CK_BUCKETS) {
        for (ck_object *o = p->buckets[p->cursor], *next; o; o = next) {
            next = o->chain;
            if (o->looked != p->look && !consider(p, o, now)) return;
        }
    }
    size_t n = json_array_size(p->missing);
    if (n == 0 || p->making) return;
    if (p->make_again_ns > now || !may_begin(p, now)) return;
    p->next_ns = now + CK_WRITE_GAP_NS;
    json_t *what = json_incref(json_array_get(p->missing, n - 1));
    (void)json_array_remove(p->missing, n - 1);
    ck_job_make(p, what);
    json_decref(what);
}
