/*
 * judge.c: what an object asks for, and what is to be done next for it. See objects.h.
 *
 * One thing at a time: after it the object, or the state, is another one and is judged again. So
 * every step may be lost, repeated, or be carried out by another leader.
 */
#include "objects.h"
#include "settings.h"

/* --- looking at an object --- */

static const json_t *at(const json_t *object, const char *a, const char *b)
{
    return json_object_get(json_object_get(object, a), b);
}

static const char *text_at(const json_t *object, const char *a, const char *b)
{
    const char *v = json_string_value(at(object, a, b));
    return v ? v : "";
}

static const char *wanted_index(const json_t *object)
{
    const char *name = text_at(object, "spec", "indexName");
    return *name ? name : text_at(object, "metadata", "name");
}

static const char *wanted_cluster(const json_t *object)
{
    const char *name = json_string_value(json_object_get(at(object, "spec", "clusterRef"), "name"));
    return name && *name ? name : CK_DEFAULT_CLUSTER;
}

const char *ck_object_index(const json_t *object)
{
    const char *seen = text_at(object, "status", "indexName");
    return *seen ? seen : wanted_index(object);
}

const char *ck_object_cluster(const json_t *object)
{
    const char *seen = text_at(object, "status", "cluster");
    return *seen ? seen : wanted_cluster(object);
}

static int is_unreadable(const json_t *object)
{
    return json_is_true(json_object_get(object, CK_UNREADABLE));
}

int ck_object_has_index(const json_t *object)
{
    return !is_unreadable(object) || *text_at(object, "status", "indexName");
}

int64_t ck_object_generation(const json_t *object)
{
    return json_integer_value(at(object, "metadata", "generation"));
}

int64_t ck_object_shard(const json_t *object)
{
    return json_integer_value(at(object, "spec", "shardId"));
}

int ck_object_ends(const json_t *object)
{
    return *text_at(object, "metadata", "deletionTimestamp") != 0;
}

static size_t finalizer_at(const json_t *object)
{
    const json_t *list = at(object, "metadata", "finalizers");
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        const char *v = json_string_value(json_array_get(list, i));
        if (v && strcmp(v, CK_FINALIZER) == 0) return i;
    }
    return (size_t)-1;
}

static int has_finalizer(const json_t *object)
{
    return finalizer_at(object) != (size_t)-1;
}

int ck_object_is_clusters(const json_t *object)
{
    const json_t *labels = at(object, "metadata", "labels");
    const char *origin = json_string_value(json_object_get(labels, CK_LABEL_ORIGIN));
    return origin && strcmp(origin, "cluster") == 0;
}

/* The spec is what the cluster itself wrote last. */
static int is_own_spec(const ck_case *in)
{
    const json_t *notes = at(in->object, "metadata", "annotations");
    const char *said = json_string_value(json_object_get(notes, CK_OWN_SPEC));
    char hash[65];
    if (!said) return 0;
    ck_spec_hash(in->truth->heap, text_at(in->object, "metadata", "name"),
                 json_object_get(in->object, "spec"), hash);
    return strcmp(hash, said) == 0;
}

static int64_t observed(const json_t *object)
{
    return json_integer_value(at(object, "status", "observedGeneration"));
}

/* A wish that nobody has judged yet. */
static int is_wish(const ck_case *in)
{
    int64_t generation = ck_object_generation(in->object);
    return generation != observed(in->object) && !is_own_spec(in) &&
           (!in->verdict || in->verdict->generation != generation);
}

/* --- objects as they are to be --- */

static json_t *without_noise(const json_t *object)
{
    json_t *out = json_deep_copy(object);
    (void)json_object_del(json_object_get(out, "metadata"), "managedFields");
    (void)json_object_del(out, CK_UNREADABLE);
    return out;
}

static json_t *with_finalizer(const json_t *object)
{
    json_t *out = without_noise(object), *meta = json_object_get(out, "metadata");
    if (!json_is_array(json_object_get(meta, "finalizers")))
        (void)json_object_set_new(meta, "finalizers", json_array());
    (void)json_array_append_new(json_object_get(meta, "finalizers"), json_string(CK_FINALIZER));
    return out;
}

static json_t *without_finalizer(const json_t *object)
{
    json_t *out = without_noise(object);
    json_t *list = json_object_get(json_object_get(out, "metadata"), "finalizers");
    (void)json_array_remove(list, finalizer_at(object));
    return out;
}

/* --- conditions --- */

static json_t *old_condition(const json_t *object, const char *type)
{
    json_t *c;
    size_t i;
    json_array_foreach(at(object, "status", "conditions"), i, c)
    {
        const char *v = json_string_value(json_object_get(c, "type"));
        if (v && strcmp(v, type) == 0) return c;
    }
    return NULL;
}

int ck_object_settled(const json_t *object)
{
    const char *is =
        json_string_value(json_object_get(old_condition(object, "Accepted"), "status"));
    return observed(object) == ck_object_generation(object) && is && strcmp(is, "True") == 0;
}

static json_t *condition(const ck_case *in, const char *type, const char *status,
                         const char *reason, const char *message, int64_t generation)
{
    const json_t *old = old_condition(in->object, type);
    const char *was = json_string_value(json_object_get(old, "status"));
    const char *since = json_string_value(json_object_get(old, "lastTransitionTime"));
    if (!since || !was || strcmp(was, status) != 0) since = in->now;
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:I}", "type", type, "status", status, "reason", reason,
                     "message", message, "lastTransitionTime", since, "observedGeneration",
                     (json_int_t)generation);
}

/* Its spec leaves things out that it has no room for. */
static int is_partly(const json_t *object)
{
    const char *shown =
        json_string_value(json_object_get(at(object, "metadata", "annotations"), CK_SHOWN));
    size_t n = shown ? strlen(shown) : 0, k = strlen(CK_SHOWN_PARTLY);
    return n > k && strcmp(shown + n - k, CK_SHOWN_PARTLY) == 0;
}

/* Accepted, as the newest verdict says, else as it is; NULL: nothing is known yet. */
static json_t *accepted(const ck_case *in, const ck_verdict *v, int64_t generation)
{
    if (v->generation == generation && generation)
        return condition(in, "Accepted", v->accepted ? "True" : "False", v->reason, v->message,
                         generation);
    json_t *old = old_condition(in->object, "Accepted");
    if (old && observed(in->object) == generation) return json_incref(old);
    if (is_own_spec(in))
        return condition(in, "Accepted", "True", "Shown",
                         is_partly(in->object)
                             ? "as the cluster's state is; settings, mappings and "
                               "aliases are too large for an object"
                             : "as the cluster's state is",
                         generation);
    return old ? json_incref(old) : NULL;
}

/* Finishes a status: conditions, the generation that they speak of. */
static void conclude(const ck_case *in, const ck_verdict *v, json_t *status, const char *ready,
                     const char *reason, const char *message)
{
    int64_t generation = ck_object_generation(in->object);
    int known =
        v->generation == generation || observed(in->object) == generation || is_own_spec(in);
    json_t *list = json_array(), *first = accepted(in, v, generation);
    if (first) (void)json_array_append_new(list, first);
    (void)json_array_append_new(list, condition(in, "Ready", ready, reason, message, generation));
    (void)json_object_set_new(status, "conditions", list);
    int64_t seen = known ? generation : observed(in->object);
    if (seen) (void)json_object_set_new(status, "observedGeneration", json_integer(seen));
}

static int same_but_revision(const json_t *a, const json_t *b)
{
    json_t *x = json_copy((json_t *)(uintptr_t)a), *y = json_copy((json_t *)(uintptr_t)b);
    (void)json_object_del(x, "observedRevision");
    (void)json_object_del(y, "observedRevision");
    int same = x && y && json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

static uint64_t revision_of(const json_t *status)
{
    const char *p = json_string_value(json_object_get(status, "observedRevision"));
    uint64_t v = 0;
    for (; p && *p >= '0' && *p <= '9'; p++) v = v * 10 + (uint64_t)(*p - '0');
    return v;
}

/* Proposes the status unless it is there already, or a later one is. Takes it over. */
static void show(const ck_case *in, json_t *status, ck_judgement *out)
{
    const json_t *had = json_object_get(in->object, "status");
    if (!status || same_but_revision(had, status) || revision_of(had) > in->truth->revision) {
        json_decref(status);
        return;
    }
    json_t *body = without_noise(in->object);
    (void)json_object_set_new(body, "status", status);
    out->what = CK_DO_STATUS;
    out->body = body;
}

/* --- verdicts --- */

void ck_reason_of(const char *type, char out[64])
{
    size_t n = 0;
    int up = 1;
    for (; *type && n < 63; type++) {
        char ch = *type;
        int letter =
            (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9' && n);
        if (letter) out[n++] = up && ch >= 'a' && ch <= 'z' ? (char)(ch - 32) : ch;
        up = !letter;
    }
    out[n] = 0;
    if (n == 0) memcpy(out, "Refused", 8);
}

/* Length of the UTF-8 character at p; 0: there is none. */
static size_t character(const unsigned char *p)
{
    size_t n = *p < 0x80 ? 1 : *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : *p >= 0xc2 ? 2 : 0;
    if (*p > 0xf4) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return n;
}

void ck_verdict_set(ck_verdict *v, int64_t generation, int accepted, const char *reason,
                    const char *message)
{
    *v = (ck_verdict){.generation = generation, .accepted = accepted};
    snprintf(v->reason, sizeof v->reason, "%s", reason);
    snprintf(v->message, sizeof v->message, "%s", message);
    /* a name that was cut in the middle of a character would be no text for JSON */
    for (unsigned char *p = (unsigned char *)v->message; *p;) {
        size_t n = character(p);
        if (!n) *p = '?';
        p += n ? n : 1;
    }
}

void ck_refusals(const json_t *texts, char out[CK_MESSAGE])
{
    json_t *text;
    size_t i, n = 0;
    out[0] = 0;
    json_array_foreach(texts, i, text)
    {
        const char *t = json_string_value(text);
        int k = snprintf(out + n, CK_MESSAGE - n, "%s%s", n ? "; " : "", t ? t : "?");
        n += k > 0 ? (size_t)k : 0;
        if (n >= CK_MESSAGE) return;
    }
}

static void decide(const ck_case *in, ck_judgement *out, int yes, const char *reason,
                   const char *message)
{
    out->decided = 1;
    ck_verdict_set(&out->verdict, ck_object_generation(in->object), yes, reason, message);
}

/* 1 when the wish is refused without asking the cluster. */
static int refused_here(const ck_case *in, ck_judgement *out)
{
    char why[CK_MESSAGE];
    const char *index = ck_object_index(in->object), *cluster = ck_object_cluster(in->object);
    if (is_unreadable(in->object)) {
        decide(
            in, out, 0, "Unreadable",
            "something in this object has a NUL in its name, or stands deeper than 2,000 levels");
    } else if (strcmp(index, wanted_index(in->object)) != 0) {
        snprintf(why, sizeof why,
                 "spec.indexName cannot be changed: this object is of index [%.255s]", index);
        decide(in, out, 0, "Immutable", why);
    } else if (strcmp(cluster, wanted_cluster(in->object)) != 0) {
        snprintf(why, sizeof why,
                 "spec.clusterRef cannot be changed: this object is of cluster [%.255s]", cluster);
        decide(in, out, 0, "Immutable", why);
    } else if (in->holder) {
        snprintf(why, sizeof why, "index [%.255s] belongs to the older object [%.253s]", index,
                 in->holder);
        decide(in, out, 0, "Duplicate", why);
    } else if (*index == '<') {
        decide(in, out, 0, "InvalidIndexNameException",
               "an index name with a date in it is another one each day: write the name itself");
    }
    return out->decided;
}

/* --- a QuidditchIndex --- */

static void judge_end(const ck_case *in, const json_t *index, ck_judgement *out)
{
    const json_t *object = in->object;
    if (!has_finalizer(object)) return; /* others' finalizers are waited for */
    /* data go only by the word of the object whose index this is: one that was made anew under the
     * name since is another */
    int erase = index && !in->holder && !in->namespace_ends &&
                strcmp(text_at(object, "spec", "deletionPolicy"), "Delete") == 0 &&
                strcmp(text_at(object, "status", "uuid"), ck_setting(index, "index.uuid")) == 0;
    if (!erase) {
        out->what = index && !in->holder && !in->namespace_ends ? CK_DO_RETAIN : CK_DO_PUT;
        out->body = without_finalizer(object);
        return;
    }
    if (strcmp(text_at(object, "status", "state"), "DELETING") != 0) {
        json_t *status = json_deep_copy(json_object_get(object, "status"));
        (void)json_object_set_new(status, "state", json_string("DELETING"));
        show(in, status, out);
        if (out->what) return;
    }
    out->what = CK_DO_ERASE;
    /* by its UUID: a leader that was paused here must not get at an index that was made since */
    out->steps =
        json_pack("[{s:s,s:{s:s,s:s,s:s,s:s}}]", "action", "indices.delete", "params", "index",
                  ck_object_index(object), "if_uuid", ck_setting(index, "index.uuid"), "timeout",
                  "5s", "master_timeout", "10s");
}

/* Adds whether an index is still as a user's spec, which was applied, says: others may change it by
 * other ways. Said since it first was not; the object of an index that the cluster shows follows
 * it. */
static void add_drift(const ck_case *in, const json_t *index, const ck_verdict *v, json_t *status)
{
    int64_t generation = ck_object_generation(in->object);
    int applied =
        v->generation == generation && generation ? v->accepted : ck_object_settled(in->object);
    char text[CK_MESSAGE];
    const char *reason = index ? "Changed" : "Deleted";
    json_t *list = json_object_get(status, "conditions");
    if (!applied || in->holder || ck_object_is_clusters(in->object)) return;
    if (index)
        ck_wish_drift(in->object, index, text, sizeof text);
    else
        snprintf(text, sizeof text, "the index: spec there, actual none");
    if (*text)
        (void)json_array_append_new(list,
                                    condition(in, "Drifted", "True", reason, text, generation));
    else if (old_condition(in->object, "Drifted"))
        (void)json_array_append_new(list, condition(in, "Drifted", "False", "AsSpecified",
                                                    "the index is as spec says", generation));
}

static void show_index(const ck_case *in, const json_t *index, const ck_verdict *v,
                       ck_judgement *out)
{
    const char *ready = "False", *reason, *message;
    json_t *status;
    if (index && !in->holder) {
        status = ck_index_status(in->truth, ck_object_index(in->object));
        const char *state = json_string_value(json_object_get(status, "state"));
        const char *health = json_string_value(json_object_get(status, "health"));
        reason = "Creating", message = "its first copies are being made";
        if (state && strcmp(state, "CLOSED") == 0)
            reason = "Closed", message = "the index is closed";
        else if (health && strcmp(health, "red") != 0)
            ready = "True", reason = "Serving", message = "all its shards have a primary";
        else if (state && strcmp(state, "ACTIVE") == 0)
            reason = "Red", message = "a shard has no primary";
        conclude(in, v, status, ready, reason, message);
        add_drift(in, index, v, status);
        show(in, status, out);
        return;
    }
    status = json_object();
    /* whose it was: an index of the name that comes later is another */
    const char *was = text_at(in->object, "status", "indexName");
    if (*was && !in->holder) {
        if (!in->gone && v->generation != ck_object_generation(in->object)) {
            json_decref(status);
            return;
        }
        (void)json_object_set_new(status, "indexName", json_string(was));
        (void)json_object_set_new(status, "cluster", json_string(ck_object_cluster(in->object)));
    }
    (void)json_object_set_new(status, "observedRevision",
                              json_sprintf("%llu", (unsigned long long)in->truth->revision));
    conclude(in, v, status, "False", "NotFound",
             *was ? "the index was deleted; a changed spec has it made anew"
                  : "there is no index for this object");
    if (*was) add_drift(in, NULL, v, status);
    show(in, status, out);
}

/* The spec of an object that the cluster made follows what is. A wish that was refused stays to be
 * read, and put right. */
static void follow(const ck_case *in, const ck_verdict *v, const json_t *index, ck_judgement *out)
{
    const json_t *notes = at(in->object, "metadata", "annotations");
    const char *said = json_string_value(json_object_get(notes, CK_SHOWN));
    char shown[CK_SHOWN_MAX];
    size_t n;
    int64_t generation = ck_object_generation(in->object);
    int refused = v->generation == generation ? !v->accepted : !ck_object_settled(in->object);
    ck_index_shown(index, shown);
    n = strlen(shown);
    if (said && strncmp(said, shown, n) == 0 &&
        (said[n] == 0 || strcmp(said + n, CK_SHOWN_PARTLY) == 0))
        return;
    if (refused && !is_own_spec(in)) return;
    out->what = CK_DO_FOLLOW;
    out->body = without_noise(in->object);
    out->steps = json_pack("[{s:s,s:{s:s}}]", "action", "indices.get", "params", "index",
                           ck_object_index(in->object));
}

/* The object of an index that is gone. */
static void drop(const ck_case *in, ck_judgement *out)
{
    out->what = has_finalizer(in->object) ? CK_DO_PUT : CK_DO_DROP;
    if (out->what == CK_DO_PUT) out->body = without_finalizer(in->object);
}

void ck_judge_index(const ck_case *in, ck_judgement *out)
{
    const json_t *index = ck_truth_index(in->truth, ck_object_index(in->object));
    ck_verdict verdict = {0};
    *out = (ck_judgement){0};
    if (ck_object_ends(in->object)) {
        judge_end(in, index, out);
        return;
    }
    if (in->verdict) verdict = *in->verdict;
    int wish = is_wish(in);
    if (is_unreadable(in->object)) { /* its status alone can be written without loss */
        if (wish && refused_here(in, out)) verdict = out->verdict;
        show_index(in, ck_object_has_index(in->object) ? index : NULL, &verdict, out);
        return;
    }
    if (!index && !wish && in->gone && !in->holder && ck_object_is_clusters(in->object)) {
        drop(in, out);
        return;
    }
    if (index && !in->holder && !has_finalizer(in->object)) {
        out->what = CK_DO_PUT;
        out->body = with_finalizer(in->object);
        return;
    }
    if (wish && !refused_here(in, out)) {
        out->steps = index ? ck_wish_change(in->object, index) : ck_wish_create(in->object);
        if (json_array_size(out->steps)) {
            out->what = CK_DO_WISH;
            return;
        }
        json_decref(out->steps);
        out->steps = NULL;
        decide(in, out, 1, "Applied", "the index is as spec says");
    }
    if (out->decided) verdict = out->verdict;
    show_index(in, index, &verdict, out);
    if (!out->what && index && !in->holder && ck_object_is_clusters(in->object))
        follow(in, &verdict, index, out);
}

/* --- a QuidditchShard --- */

void ck_judge_shard(const ck_case *in, ck_judgement *out)
{
    const char *index = ck_object_index(in->object);
    const json_t *meta = ck_truth_index(in->truth, index);
    int64_t shard = ck_object_shard(in->object);
    *out = (ck_judgement){0};
    if (ck_object_ends(in->object) || (!meta && !in->gone)) return;
    if (!meta || !ck_is_large(meta) || shard >= ck_index_shards(meta)) {
        out->what = CK_DO_DROP;
        return;
    }
    show(in, ck_shard_status(in->truth, index, shard), out);
}

/* --- the QuidditchCluster --- */

/* The wish of a QuidditchCluster: 1 when there is something to ask for. */
static int wish_settings(const ck_case *in, ck_judgement *out)
{
    json_t *refused = json_array();
    char why[CK_MESSAGE];
    out->steps = ck_wish_settings(in->object, in->truth->cluster, refused);
    if (json_array_size(out->steps)) {
        (void)json_object_set_new(json_array_get(out->steps, 0), "refused", refused);
        out->what = CK_DO_WISH;
        return 1;
    }
    json_decref(out->steps);
    out->steps = NULL;
    ck_refusals(refused, why);
    if (*why)
        decide(in, out, 0, "Immutable", why);
    else
        decide(in, out, 1, "Applied", "there is nothing to set");
    json_decref(refused);
    return 0;
}

void ck_judge_cluster(const ck_case *in, ck_judgement *out)
{
    ck_verdict verdict = {0};
    *out = (ck_judgement){0};
    if (ck_object_ends(in->object)) return;
    if (in->verdict) verdict = *in->verdict;
    if (is_wish(in)) {
        if (wish_settings(in, out)) return;
        verdict = out->verdict;
    }
    json_t *status = ck_cluster_status(in->truth);
    /* what others keep in the status is theirs */
    json_t *all = json_copy(json_object_get(in->object, "status"));
    if (!all) all = json_object();
    (void)json_object_update(all, status);
    json_decref(status);
    const char *health = json_string_value(json_object_get(all, "health"));
    int red = health && strcmp(health, "red") == 0;
    conclude(in, &verdict, all, red ? "False" : "True", red ? "Red" : "Serving",
             red ? "an index has a shard without primary" : "all shards have a primary");
    show(in, all, out);
}

void ck_judgement_clear(ck_judgement *j)
{
    json_decref(j->body);
    json_decref(j->steps);
    j->body = j->steps = NULL;
}
