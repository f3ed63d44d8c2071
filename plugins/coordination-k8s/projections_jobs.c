/*
 * projections_jobs.c: what is being done for one object: see projections.h. A job ends once, by
 * itself; of what it was for it knows the name alone, since the object may have gone meanwhile.
 */
#include "projections.h"

#define BACK_NS 1000000000ll /* after a failure, doubling */
#define BACK_MAX_NS 60000000000ll
#define MAKE_BACK_NS 5000000000ll
#define REST_MAX_NS 60000000000ll
#define SAY_GAP_NS 10000000000ll /* between lines about failures */

enum { DO_MAKE = 100, DO_EVENT };

struct ck_job {
    ck_job *next, *previous;
    ck_projections *p;
    uint32_t epoch;
    int kind, what;
    char name[CK_NAME];
    char index[300];
    json_t *body, *steps;
    size_t at;       /* step */
    json_t *refused; /* texts; NULL: nothing was */
    int applied;     /* a step was done */
    int apart;       /* each by itself: a refusal is not the end */
    char reason[64]; /* of the last refusal */
    int sent;        /* a request to the API is out */
    kube_request request;
    char path[KUBE_PATH_MAX];
    char uid[64]; /* of the object that it is for; empty: of none yet */
};

static ck_job *job_make(ck_projections *p, int kind, int what, const char *name)
{
    ck_job *j = cr_must(p->heap, sizeof *j);
    memset(j, 0, sizeof *j);
    j->p = p;
    j->epoch = p->epoch;
    j->kind = kind;
    j->what = what;
    snprintf(j->name, sizeof j->name, "%s", name);
    j->next = p->first;
    if (p->first) p->first->previous = j;
    p->first = j;
    p->jobs++;
    return j;
}

static void job_free(ck_job *j)
{
    ck_projections *p = j->p;
    if (j->previous)
        j->previous->next = j->next;
    else
        p->first = j->next;
    if (j->next) j->next->previous = j->previous;
    p->jobs--;
    json_decref(j->body);
    json_decref(j->steps);
    json_decref(j->refused);
    cr_free(p->heap, j);
}

/* NULL when it is gone, also when there is another one of its name. */
static ck_object *object_of(const ck_job *j)
{
    ck_object *o = ck_object_find(j->p, j->kind, j->name);
    return o && j->uid[0] && strcmp(kube_object_uid(o->json), j->uid) != 0 ? NULL : o;
}

/* The job's end; again: not as it should be, look at the object later. */
static void job_end(ck_job *j, int again)
{
    ck_projections *p = j->p;
    if (j->epoch == p->epoch) {
        ck_object *o = j->what == DO_EVENT ? NULL : object_of(j);
        if (j->what == DO_MAKE) {
            p->making = 0;
            if (again) p->make_again_ns = ck_projections_now(p) + MAKE_BACK_NS;
        }
        if (o && j->what != DO_MAKE) {
            o->busy = 0;
            o->failures = again ? o->failures + 1 : 0;
            o->again_ns = 0;
            if (again)
                o->again_ns = ck_projections_now(p) +
                              kube_backoff_ns(&p->env.env, o->failures, BACK_NS, BACK_MAX_NS);
        }
        if (o) ck_look_at(p, o);
    }
    job_free(j);
    ck_arm(p);
}

/* --- to the API --- */

static void ask(ck_job *j, const char *method, json_t *body, void (*done)(kube_request *))
{
    j->request =
        (kube_request){.method = method, .path = j->path, .object = body, .done = done, .user = j};
    j->sent = 1;
    if (kube_send(j->p->client, &j->request)) {
        j->sent = 0;
        job_end(j, 1);
    }
}

static void event_sent(kube_request *r)
{
    job_end(r->user, 0); /* one that is lost is lost */
}

/* An Event about an object. */
static void tell(ck_projections *p, const json_t *object, const char *reason, const char *message)
{
    char now[40], name[CK_NAME + 24];
    const char *of = kube_object_name(object);
    ck_job *j = job_make(p, CK_OF_INDEX, DO_EVENT, of);
    ck_projections_time(p, now);
    snprintf(name, sizeof name, "%.230s.%016llx", of,
             (unsigned long long)p->env.random(p->env.arg));
    const char *space = p->store->home.space;
    json_t *about =
        json_pack("{s:s,s:s,s:s,s:s,s:s}", "apiVersion", CK_API_VERSION, "kind", "QuidditchIndex",
                  "name", of, "namespace", space, "uid", kube_object_uid(object));
    j->body = json_pack("{s:s,s:s,s:{s:s,s:s},s:o,s:s,s:s,s:s,s:{s:s},s:s,s:s,s:i}", "apiVersion",
                        "v1", "kind", "Event", "metadata", "name", name, "namespace", space,
                        "involvedObject", about, "reason", reason, "message", message, "type",
                        "Normal", "source", "component", "quidditch", "firstTimestamp", now,
                        "lastTimestamp", now, "count", 1);
    (void)kube_path(j->path, "", "v1", space, "events", NULL, NULL, NULL);
    ask(j, "POST", j->body, event_sent);
}

/* The object goes, and comes back with its index as it was. */
static void retained(ck_job *j)
{
    ck_projections *p = j->p;
    const json_t *meta = json_object_get(j->body, "metadata");
    json_t *spec = json_object_get(j->body, "spec");
    json_t *keep = json_pack("{s:s,s:O,s:b}", "index", j->index, "spec", spec ? spec : json_null(),
                             "settled", ck_object_settled(j->body));
    json_t *labels = json_object_get(meta, "labels");
    json_t *notes = json_copy(json_object_get(meta, "annotations"));
    if (labels) (void)json_object_set(keep, "labels", labels);
    /* what kubectl applied last is not applied any more, it was deleted */
    (void)json_object_del(notes, "kubectl.kubernetes.io/last-applied-configuration");
    if (notes) (void)json_object_set_new(keep, "annotations", notes);
    (void)json_object_set_new(p->returning, j->name, keep);
    tell(p, j->body, "Retained",
         "the index and its data stay, and so its object comes back: deletionPolicy is not Delete, "
         "or the index is another one than this object was of");
}

/* One of many, when many fail. */
static void say(ck_projections *p, const kube_request *r)
{
    int64_t now = ck_projections_now(p);
    p->unsaid++;
    if (p->said_ns && now - p->said_ns < SAY_GAP_NS) return;
    kube_log(&p->env.env, QD_LEVEL_WARN, "%s %s: %d %s (%u such failures since the last line)",
             r->method, r->path, (int)r->result.code, r->result.message, (unsigned)p->unsaid);
    p->said_ns = now;
    p->unsaid = 0;
}

/* The API server does not take what was written. */
static int is_refused(int32_t code)
{
    return code == 400 || code == 413 || code == 422;
}

/* The API server has too much to do: nothing is begun for as long as it says. */
static void rest(ck_projections *p, const kube_result *x)
{
    int64_t wait = x->retry_after_ns > REST_MAX_NS ? REST_MAX_NS : x->retry_after_ns;
    int64_t at = ck_projections_now(p) + (wait > 0 ? wait : BACK_NS) +
                 kube_backoff_ns(&p->env.env, 0, BACK_NS, BACK_NS);
    if (at > p->next_ns) p->next_ns = at;
}

static void api_done(kube_request *r)
{
    ck_job *j = r->user;
    ck_projections *p = j->p;
    const kube_result *x = &r->result;
    j->sent = 0;
    int done = x->outcome == KUBE_DONE;
    if (!done && x->code != 409 && x->code != 404) say(p, r);
    if (x->code == 403) ck_rights_refused(p);
    if (x->code == 429) rest(p, x);
    /* its last event may have come before this answer: what is gone does not come back by it */
    if (done && (j->what == DO_MAKE || (j->what != CK_DO_DROP && object_of(j))))
        ck_object_take(p, j->kind, x->object, 0);
    if (done && j->what == CK_DO_RETAIN) retained(j);
    if (j->what == CK_DO_FOLLOW && is_refused(x->code)) {
        ck_object *o = object_of(j);
        if (o) o->partly = 1; /* less of it, then */
    }
    if (done && j->what == DO_MAKE && j->kind == CK_OF_INDEX)
        (void)json_object_del(p->returning, j->name);
    job_end(j, !done);
}

static void drop(ck_job *j)
{
    const ck_object *o = object_of(j);
    j->body = json_pack("{s:s,s:s,s:{s:s,s:s}}", "apiVersion", "v1", "kind", "DeleteOptions",
                        "preconditions", "uid", kube_object_uid(o->json), "resourceVersion",
                        kube_object_version(o->json));
    ck_object_path(j->p, j->kind, j->name, NULL, j->path);
    ask(j, "DELETE", j->body, api_done);
}

/* --- to the cluster --- */

static void step(ck_job *j);
static void index_read(ck_call *x);

static void decided(ck_job *j, int accepted, const char *reason, const char *message)
{
    ck_projections *p = j->p;
    ck_object *o = object_of(j);
    if (!o || j->what != CK_DO_WISH) return;
    if (!o->verdict) o->verdict = cr_must(p->heap, sizeof *o->verdict);
    ck_verdict_set(o->verdict, json_integer_value(json_object_get(j->body, "generation")), accepted,
                   reason, message);
}

/* The state has changed by this: what was read before does not count. */
static void acted(ck_job *j)
{
    ck_projections *p = j->p;
    ck_object *o = object_of(j);
    if (o) o->after_read = p->reads + 1;
    ck_read_soon(p, 0);
}

/* All steps are done, but for those that were refused. */
static void steps_done(ck_job *j)
{
    char why[CK_MESSAGE];
    ck_refusals(j->refused, why);
    if (*why)
        decided(j, 0, j->applied ? "PartlyApplied" : j->reason, why);
    else
        decided(j, 1, "Applied", "the spec is applied");
    job_end(j, 0);
}

static void next_step(ck_job *j)
{
    if (++j->at < json_array_size(j->steps))
        step(j);
    else
        steps_done(j);
}

/* The cluster refuses a step: what was to be done at once is done in parts, or all ends. */
static void step_refused(ck_job *j, const char *type, const char *reason)
{
    json_t *apart = json_object_get(json_array_get(j->steps, j->at), "apart");
    ck_reason_of(type ? type : "", j->reason);
    if (json_array_size(apart) > 1) {
        json_incref(apart);
        json_decref(j->steps);
        j->steps = apart;
        j->at = 0;
        j->apart = 1;
        step(j);
        return;
    }
    if (!j->refused) j->refused = json_array();
    (void)json_array_append_new(j->refused,
                                json_string(reason ? reason : "the cluster refuses it"));
    if (j->apart)
        next_step(j);
    else
        steps_done(j);
}

static void step_done(ck_call *x)
{
    ck_job *j = x->user;
    if (j->epoch != j->p->epoch) {
        job_free(j);
        return;
    }
    json_t *answer = json_loadb((const char *)x->answer.p, x->answer.n, 0, NULL);
    const json_t *error = json_object_get(answer, "error");
    const char *type = json_string_value(json_object_get(error, "type"));
    const char *reason = json_string_value(json_object_get(error, "reason"));
    int refused = x->status >= 400 && x->status < 500 && x->status != 408 && x->status != 429;
    /* of a deletion: it is gone already; of a creation: the state is about to show it */
    int there = type && strcmp(type, "resource_already_exists_exception") == 0;
    int gone = type && strcmp(type, "index_not_found_exception") == 0;
    /* if_uuid: another index has its name since */
    int other = type && strcmp(type, "version_conflict_engine_exception") == 0;
    acted(j);
    if (x->status >= 200 && x->status < 300) {
        j->applied = 1;
        next_step(j);
    } else if (j->what == CK_DO_ERASE) {
        job_end(j, !gone);
    } else if (refused && !there && !gone && !other) {
        step_refused(j, type, reason);
    } else {
        job_end(j, 1);
    }
    json_decref(answer);
}

static void step(ck_job *j)
{
    const json_t *s = json_array_get(j->steps, j->at);
    const char *action = json_string_value(json_object_get(s, "action"));
    int reads = j->what == DO_MAKE || j->what == CK_DO_FOLLOW;
    ck_call_start(j->p->calls, action ? action : "", json_object_get(s, "params"),
                  json_object_get(s, "body"), reads ? index_read : step_done, j);
}

/* --- showing an index --- */

/* What the cluster tells of an index goes into an object: a new one, or that of the job. */
static void index_read(ck_call *x)
{
    ck_job *j = x->user;
    ck_projections *p = j->p;
    char shown[CK_SHOWN_MAX];
    if (j->epoch != p->epoch) {
        job_free(j);
        return;
    }
    const ck_object *o = object_of(j);
    if (x->status != 200 || !ck_truth_index(&p->truth, j->index)) {
        job_end(j, 1);
        return;
    }
    json_t *answer = NULL; /* one that cannot be read, as for a number, is not shown */
    if (!o || !o->partly)
        answer = json_loadb((const char *)x->answer.p, x->answer.n, JSON_ALLOW_NUL, NULL);
    const json_t *is = json_object_get(answer, j->index);
    if (j->what == DO_MAKE) {
        j->body = ck_index_object(&p->truth, p->store->home.space, j->index, j->name, is, NULL);
        ask(j, "POST", j->body, api_done);
    } else {
        json_t *spec = ck_shown_spec(&p->truth, j->index, j->name, is,
                                     json_object_get(j->body, "spec"), shown);
        ck_spec_put(p->heap, j->body, spec, shown);
        ck_object_path(p, j->kind, j->name, NULL, j->path);
        ask(j, "PUT", j->body, api_done);
    }
    json_decref(answer);
}

static void make_index(ck_projections *p, const char *index)
{
    char name[CK_NAME];
    const char *key;
    json_t *v, *before = NULL;
    ck_index_object_name(p->cluster, index, 0, name);
    json_object_foreach(p->returning, key, v)
    {
        const char *of = json_string_value(json_object_get(v, "index"));
        if (before || !of || strcmp(of, index) != 0) continue;
        before = v;
        snprintf(name, sizeof name, "%s", key);
    }
    if (ck_object_find(p, CK_OF_INDEX, name)) {
        before = NULL;
        ck_index_object_name(p->cluster, index, 1, name);
    }
    ck_job *j = job_make(p, CK_OF_INDEX, DO_MAKE, name);
    p->making = 1;
    snprintf(j->index, sizeof j->index, "%.255s", index);
    ck_object_path(p, CK_OF_INDEX, NULL, NULL, j->path);
    if (before) {
        j->body = ck_index_object(&p->truth, p->store->home.space, index, name, NULL, before);
        ask(j, "POST", j->body, api_done);
        return;
    }
    j->steps = json_pack("[{s:s,s:{s:s}}]", "action", "indices.get", "params", "index", index);
    step(j);
}

void ck_job_make(ck_projections *p, const json_t *what)
{
    const char *index = json_string_value(json_object_get(what, "index"));
    const char *name = json_string_value(json_object_get(what, "name"));
    if (json_is_string(what)) {
        make_index(p, json_string_value(what));
        return;
    }
    ck_job *j = job_make(p, CK_OF_SHARD, DO_MAKE, name);
    p->making = 1;
    j->body = ck_shard_object(&p->truth, p->store->home.space, index,
                              json_integer_value(json_object_get(what, "shard")), name);
    ck_object_path(p, CK_OF_SHARD, NULL, NULL, j->path);
    ask(j, "POST", j->body, api_done);
}

/* Data go only when their object was deleted, and not the namespace with all that is in it. */
static void namespace_read(kube_request *r)
{
    ck_job *j = r->user;
    const json_t *meta = json_object_get(r->result.object, "metadata");
    j->sent = 0;
    if (r->result.outcome != KUBE_DONE) {
        kube_log(&j->p->env.env, QD_LEVEL_WARN,
                 "index %s is not deleted: its namespace cannot be read: %s", j->index,
                 r->result.message);
        job_end(j, 1);
    } else if (json_object_get(meta, "deletionTimestamp")) {
        ck_object *o = object_of(j);
        if (o) o->namespace_ends = 1;
        job_end(j, 0);
    } else {
        step(j);
    }
}

void ck_job_start(ck_projections *p, ck_object *o, ck_judgement *judged)
{
    static const char *const status = "status";
    ck_job *j = job_make(p, o->kind, judged->what, o->name);
    snprintf(j->uid, sizeof j->uid, "%s", kube_object_uid(o->json));
    j->body = judged->body;
    j->steps = judged->steps;
    *judged = (ck_judgement){0};
    json_t *before = json_object_get(json_array_get(j->steps, 0), "refused");
    if (json_array_size(before)) j->refused = json_incref(before);
    snprintf(j->reason, sizeof j->reason, "Immutable");
    o->busy = 1;
    snprintf(j->index, sizeof j->index, "%.255s", ck_object_index(o->json));
    switch (j->what) {
    case CK_DO_WISH:
        j->body = json_pack("{s:I}", "generation", (json_int_t)ck_object_generation(o->json));
        step(j);
        return;
    case CK_DO_ERASE:
        snprintf(j->path, sizeof j->path, "/api/v1/namespaces/%s", p->store->home.space);
        ask(j, "GET", NULL, namespace_read);
        return;
    case CK_DO_FOLLOW:
        step(j);
        return;
    case CK_DO_DROP:
        drop(j);
        return;
    default:
        ck_object_path(p, j->kind, j->name, j->what == CK_DO_STATUS ? status : NULL, j->path);
        ask(j, "PUT", j->body, api_done);
    }
}

void ck_jobs_drop(ck_projections *p, int all)
{
    for (ck_job *j = p->first, *next; j; j = next) {
        next = j->next;
        if (!j->sent) { /* a call of the cluster's ends by itself */
            if (all) job_free(j);
            continue;
        }
        (void)kube_cancel(&j->request);
        job_free(j);
    }
}
