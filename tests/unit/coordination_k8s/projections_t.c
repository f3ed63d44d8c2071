/*
 * projections_t.c: custom resources as the plugin's own thread shows and follows them, over a model
 * of an API server and a cluster that a table of indices stands for: conflicts, a history that is
 * gone, an API server that has too much to do or refuses, objects that go while they are written,
 * and objects that nobody could mean.
 */
#include "base/str.h"
#include "rig_api.h"
#include "unit/lib/coord_rig.h"
#include "unit/unit.h"
#include <pthread.h>
#include <quidditch/frontend.h>

#define SPACE "/apis/quidditch.io/v1/namespaces/default"
#define INDICES SPACE "/quidditchindices"
#define WAIT_S 60

/* --- the cluster: what the action service answers --- */

typedef struct table_index {
    char name[256];
    uint32_t uuid, shards, replicas, version;
} table_index;

static struct {
    pthread_mutex_t lock;
    table_index at[32];
    uint32_t n, made, created, deleted, changed;
    bool hold; /* creations wait, but for the first `go_on` */
    uint32_t held, go_on;
    pthread_cond_t go;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .go = PTHREAD_COND_INITIALIZER};

static table_index *find(const char *name)
{
    for (uint32_t i = 0; i < table.n; i++)
        if (strcmp(table.at[i].name, name) == 0) return &table.at[i];
    return NULL;
}

static json_t *settings_of(const table_index *x, bool flat)
{
    const char *p = flat ? "index." : "";
    json_t *s = json_object();
    char key[64];
    (void)snprintf(key, sizeof key, "%suuid", p);
    (void)json_object_set_new(s, key, json_sprintf("U%u", x->uuid));
    (void)snprintf(key, sizeof key, "%snumber_of_shards", p);
    (void)json_object_set_new(s, key, json_sprintf("%u", x->shards));
    (void)snprintf(key, sizeof key, "%snumber_of_replicas", p);
    (void)json_object_set_new(s, key, json_sprintf("%u", x->replicas));
    return s;
}

static json_t *state(void)
{
    json_t *indices = json_object(), *tables = json_object();
    for (uint32_t i = 0; i < table.n; i++) {
        const table_index *x = &table.at[i];
        (void)json_object_set_new(indices, x->name,
                                  json_pack("{s:s,s:o,s:{},s:[],s:i,s:i,s:i}", "state", "open",
                                            "settings", settings_of(x, true), "mappings", "aliases",
                                            "settings_version", (int)x->version, "mapping_version",
                                            1, "aliases_version", 1));
        (void)json_object_set_new(tables, x->name,
                                  json_pack("{s:{s:[{s:s,s:b,s:s,s:i}]}}", "shards", "0", "state",
                                            "STARTED", "primary", 1, "node", "id1", "shard", 0));
    }
    return json_pack("{s:i,s:s,s:{s:{s:s,s:s}},s:{s:o},s:{s:o}}", "version",
                     (int)(table.created + table.deleted + table.changed), "master_node", "id1",
                     "nodes", "id1", "name", "m1", "transport_address", "m1:1", "metadata",
                     "indices", indices, "routing_table", "indices", tables);
}

static json_t *refusal(const char *type, const char *reason)
{
    return json_pack("{s:{s:s,s:s},s:i}", "error", "type", type, "reason", reason, "status", 400);
}

static uint32_t number(const json_t *body, const char *key, uint32_t otherwise)
{
    const json_t *s = json_object_get(body, "settings"), *v;
    char flat[64];
    (void)snprintf(flat, sizeof flat, "index.%s", key);
    v = json_object_get(s, flat);
    if (!v) v = json_object_get(s, key);
    if (!v) v = json_object_get(json_object_get(s, "index"), key);
    if (!v) v = json_object_get(body, flat);
    if (json_is_string(v)) return (uint32_t)strtoul(json_string_value(v), NULL, 10);
    return json_is_integer(v) ? (uint32_t)json_integer_value(v) : otherwise;
}

/* A name that this cluster takes. */
static bool may_be(const char *name)
{
    return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

static json_t *create(const char *index, const json_t *body, int32_t *status)
{
    *status = 400;
    if (find(index)) return refusal("resource_already_exists_exception", "it is there");
    if (!may_be(index) || table.n == 32)
        return refusal("invalid_index_name_exception", "Invalid index name");
    table_index *x = &table.at[table.n++];
    *x = (table_index){.uuid = ++table.made,
                       .shards = number(body, "number_of_shards", 1),
                       .replicas = number(body, "number_of_replicas", 1),
                       .version = 1};
    (void)snprintf(x->name, sizeof x->name, "%s", index);
    table.created++;
    *status = 200;
    return json_pack("{s:b}", "acknowledged", 1);
}

static json_t *answer(const char *action, const char *index, const json_t *body, int32_t *status)
{
    table_index *x = find(index);
    *status = 200;
    if (strcmp(action, "cluster.state") == 0) return state();
    if (strcmp(action, "indices.create") == 0) return create(index, body, status);
    if (!x) {
        *status = 404;
        return refusal("index_not_found_exception", "no such index");
    }
    if (strcmp(action, "indices.get") == 0)
        return json_pack("{s:{s:{s:o},s:{},s:{}}}", index, "settings", "index",
                         settings_of(x, false), "mappings", "aliases");
    if (strcmp(action, "indices.delete") == 0) {
        *x = table.at[--table.n];
        table.deleted++;
    } else {
        x->replicas = number(body, "number_of_replicas", x->replicas);
        x->version++;
        table.changed++;
    }
    return json_pack("{s:b}", "acknowledged", 1);
}

static void serve(qd_action_call *call)
{
    char action[64], index[256] = "";
    int32_t status;
    (void)snprintf(action, sizeof action, "%.*s", QD_STR_ARG(call->action));
    for (uint32_t i = 0; i < call->nparams; i++)
        if (qd_str_is(call->params[i].key, "index"))
            (void)snprintf(index, sizeof index, "%.*s", QD_STR_ARG(call->params[i].value));
    json_t *body = json_loadb((const char *)call->body.data, call->body.len, 0, NULL);
    pthread_mutex_lock(&table.lock);
    json_t *out = answer(action, index, body, &status);
    pthread_mutex_unlock(&table.lock);
    char *text = json_dumps(out, JSON_COMPACT);
    qd_slice piece = {.data = (const uint8_t *)text, .len = strlen(text)};
    (void)call->answer(call, status, QD_FORMAT_JSON, &piece);
    free(text);
    json_decref(out);
    json_decref(body);
    call->op.done(&call->op, 0);
}

/* A creation that takes its time. */
static void *serve_late(void *call)
{
    pthread_mutex_lock(&table.lock);
    uint32_t turn = ++table.held;
    while (table.hold && turn > table.go_on) pthread_cond_wait(&table.go, &table.lock);
    pthread_mutex_unlock(&table.lock);
    serve(call);
    return NULL;
}

static int32_t submit(qd_self *self, qd_action_call *call, qd_err *err)
{
    pthread_t late;
    (void)self;
    (void)err;
    pthread_mutex_lock(&table.lock);
    bool hold = table.hold && qd_str_is(call->action, "indices.create");
    pthread_mutex_unlock(&table.lock);
    if (!hold) {
        serve(call);
    } else if (!pthread_create(&late, NULL, serve_late, call)) {
        (void)pthread_detach(late);
    } else {
        return QD_E_NOMEM;
    }
    return 0;
}

static const qd_svc_action service = {.submit = submit};

/* --- the world --- */

typedef struct world {
    kube_model *m;
    rig *r;
} world;

static world begin(const char *user)
{
    static const qd_pair options[] = {{QD_STR("k8s.projections"), QD_STR("true")}};
    world w = {.m = rig_api_make(11)};
    table.n = table.made = table.created = table.deleted = table.changed = table.held = 0;
    if (user) {
        kube_model_allow(w.m, user, "*", "*", "*", "*", NULL);
        rig_api_user(user);
    }
    w.r = rig_make(1);
    rig_options(options, 1);
    rig_actions(&service);
    assert_int_equal(
        rig_start_with(w.r, 0, "m1", "quidditch", NULL, NULL, NULL, QD_COORD_OPEN_BOOTSTRAP), 0);
    assert_true(rig_settled(w.r));
    return w;
}

static void end(world *w)
{
    rig_free(w->r);
    rig_options(NULL, 0);
    rig_actions(NULL);
    rig_api_free();
}

/* JSON with ' for ". */
static int api(world *w, const char *method, const char *target, const char *body)
{
    char copy[8192];
    json_t *out = NULL;
    size_t n = body ? strlen(body) : 0;
    assert_true(n < sizeof copy);
    for (size_t i = 0; i < n; i++) copy[i] = body[i] == '\'' ? '"' : body[i];
    copy[n] = 0;
    int status = kube_model_do(w->m, method, target, body ? copy : NULL, &out);
    json_decref(out);
    return status;
}

static int make(world *w, const char *name, const char *spec)
{
    char body[8192];
    (void)snprintf(body, sizeof body,
                   "{'apiVersion':'quidditch.io/v1','kind':'QuidditchIndex','metadata':{'name':"
                   "'%s','namespace':'default'},'spec':%s}",
                   name, spec);
    return api(w, "POST", INDICES, body);
}

static int set_spec(world *w, const char *name, const char *field, int value)
{
    char target[300];
    (void)snprintf(target, sizeof target, INDICES "/%s", name);
    json_t *o = kube_model_get(w->m, "quidditchindices", "default", name);
    json_t *copy = json_deep_copy(o), *out = NULL;
    json_decref(o);
    (void)json_object_set_new(json_object_get(copy, "spec"), field, json_integer(value));
    char *text = json_dumps(copy, 0);
    int status = kube_model_do(w->m, "PUT", target, text, &out);
    free(text);
    json_decref(copy);
    json_decref(out);
    return status;
}

/* The status of a condition, "" for none; of the present generation alone. */
static bool says(world *w, const char *name, const char *type, const char *is)
{
    json_t *o = kube_model_get(w->m, "quidditchindices", "default", name), *c;
    const json_t *status = json_object_get(o, "status");
    size_t i;
    bool found = false;
    bool now = json_integer_value(json_object_get(status, "observedGeneration")) ==
               json_integer_value(json_object_get(json_object_get(o, "metadata"), "generation"));
    json_array_foreach(json_object_get(status, "conditions"), i, c)
    {
        const char *t = json_string_value(json_object_get(c, "type"));
        const char *s = json_string_value(json_object_get(c, "status"));
        found |= now && t && s && strcmp(t, type) == 0 && strcmp(s, is) == 0;
    }
    json_decref(o);
    return found;
}

static bool has_replicas(const char *name, uint32_t replicas)
{
    pthread_mutex_lock(&table.lock);
    const table_index *x = find(name);
    bool is = x && x->replicas == replicas;
    pthread_mutex_unlock(&table.lock);
    return is;
}

/* What is waited for comes about on threads of the node, in the model or in the node's log. Nothing
 * tells of all that, so it is looked at every 2 ms, for a minute at most. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint64_t end_ns = kube_model_now(w.m) + WAIT_S * UINT64_C(1000000000);                     \
        while (!(condition) && kube_model_now(w.m) < end_ns) rig_pause(2);                         \
        assert_true(condition);                                                                    \
    } while (0)

/* Writes of custom resources that were answered so. */
static uint32_t answered(world *w, const char *verb, const char *plural, int32_t status)
{
    kube_model_entry e;
    uint32_t n = 0;
    for (uint64_t i = 0; kube_model_log(w->m, i, &e); i++)
        n += strcmp(e.client, "objects") == 0 && strcmp(e.verb, verb) == 0 &&
             strcmp(e.plural, plural) == 0 && e.status == status;
    return n;
}

/* An index that was made by a wish, and shown. */
static void make_books(world *in)
{
    world w = *in;
    assert_int_equal(make(&w, "books", "{'shards':2,'replicas':0}"), 201);
    UNTIL(says(&w, "books", "Accepted", "True") && says(&w, "books", "Ready", "True"));
    assert_true(has_replicas("books", 0));
}

/* --- tests --- */

static void a_wish_that_changed_while_its_status_was_written_is_followed(void **state)
{
    (void)state;
    world w = begin(NULL);
    make_books(&w);
    kube_model_lag(rig_api_objects(), UINT64_C(600000000)); /* what it knows is old */
    for (int i = 1; i <= 6; i++) {
        assert_int_equal(set_spec(&w, "books", "replicas", i), 200);
        UNTIL(has_replicas("books", (uint32_t)i));
        /* the next wish comes before this one's status is written, which is of an old version then
         */
    }
    UNTIL(answered(&w, "update", "quidditchindices", 409) > 0);
    UNTIL(says(&w, "books", "Accepted", "True") && has_replicas("books", 6));
    end(&w);
}

static void a_history_that_is_gone_loses_no_wish(void **state)
{
    static const kube_model_fault_kind kinds[] = {KUBE_FAULT_WATCH_GONE, KUBE_FAULT_WATCH_REFUSED};
    (void)state;
    world w = begin(NULL);
    make_books(&w);
    for (int i = 0; i < 2; i++) {
        char name[16];
        uint64_t lists = kube_model_count(w.m, "list", "quidditchindices", "objects");
        kube_model_fault gone = {
            .kind = kinds[i], .client = rig_api_objects(), .plural = "quidditchindices"};
        kube_model_fault ended = gone;
        ended.kind = KUBE_FAULT_WATCH_ENDED;
        if (i) kube_model_fault_add(w.m, &ended);
        kube_model_fault_add(w.m, &gone);
        kube_model_restart(w.m, 0); /* watches begin anew, behind nothing that is remembered */
        kube_model_compact(w.m);
        (void)snprintf(name, sizeof name, "gone-%d", i);
        UNTIL(make(&w, name, "{'shards':1}") != 503);
        UNTIL(says(&w, name, "Accepted", "True"));
        assert_true(kube_model_count(w.m, "list", "quidditchindices", "objects") > lists);
        kube_model_calm(w.m);
    }
    assert_int_equal(set_spec(&w, "books", "replicas", 3), 200);
    UNTIL(has_replicas("books", 3) && says(&w, "books", "Accepted", "True"));
    end(&w);
}

static void a_busy_server_is_left_alone_for_as_long_as_it_says(void **state)
{
    const uint64_t retry_ns = UINT64_C(2000000000);
    kube_model_entry e;
    uint64_t refused_ns = 0, next_ns = 0;
    (void)state;
    world w = begin(NULL);
    make_books(&w);
    kube_model_fault busy = {.kind = KUBE_FAULT_429,
                             .client = rig_api_objects(),
                             .verb = "update",
                             .plural = "quidditchindices",
                             .delay_ns = retry_ns};
    kube_model_fault_add(w.m, &busy);
    assert_int_equal(set_spec(&w, "books", "replicas", 5), 200);
    UNTIL(kube_model_faults_left(w.m) == 0);
    for (int i = 0; i < 3; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "busy-%d", i);
        assert_int_equal(make(&w, name, "{'shards':1}"), 201);
    }
    UNTIL(says(&w, "busy-2", "Accepted", "True") && says(&w, "books", "Accepted", "True"));
    for (uint64_t i = 0; kube_model_log(w.m, i, &e); i++) {
        bool write = strcmp(e.client, "objects") == 0 &&
                     (strcmp(e.verb, "update") == 0 || strcmp(e.verb, "create") == 0) &&
                     strcmp(e.plural, "selfsubjectrulesreviews") != 0;
        if (e.fault == KUBE_FAULT_429) {
            refused_ns = e.at_ns;
        } else if (write && refused_ns && !next_ns) {
            next_ns = e.at_ns;
        }
    }
    assert_true(refused_ns && next_ns);
    assert_true(next_ns - refused_ns >= retry_ns);
    end(&w);
}

static void rights_that_are_taken_away_are_told_and_waited_for(void **state)
{
    (void)state;
    world w = begin("pod");
    make_books(&w);
    kube_model_revoke(w.m, "pod");
    kube_model_allow(w.m, "pod", "*", "quidditch.io", "quidditchstates", "default", NULL);
    kube_model_allow(w.m, "pod", "*", "coordination.k8s.io", "leases", "default", NULL);
    kube_model_allow(w.m, "pod", "list,watch", "quidditch.io", "*", "default", NULL);
    assert_int_equal(set_spec(&w, "books", "replicas", 2), 200);
    UNTIL(has_replicas("books", 2)); /* wishes are heard, what became of them cannot be written */
    UNTIL(rig_logged(w.r, 0, "rights are missing"));
    assert_true(answered(&w, "update", "quidditchindices", 403) > 0);
    assert_int_equal(rig_put(w.r, 0, "any", "x", 1, 0, RIG_WAIT, NULL), 0); /* of no matter to it */
    kube_model_allow(w.m, "pod", "*", "*", "*", "*", NULL);
    UNTIL(says(&w, "books", "Accepted", "True"));
    assert_true(rig_logged(w.r, 0, "the rights are there now"));
    end(&w);
}

static void an_object_that_goes_while_its_status_is_written_comes_back_with_the_index(void **state)
{
    static const char none[] = "{'metadata':{'finalizers':null}}";
    (void)state;
    world w = begin(NULL);
    make_books(&w);
    kube_model_lag(rig_api_objects(), UINT64_C(800000000));
    assert_int_equal(set_spec(&w, "books", "replicas", 4), 200);
    UNTIL(has_replicas("books", 4)); /* its status comes next */
    assert_int_equal(api(&w, "PATCH", INDICES "/books", none), 200);
    assert_int_equal(api(&w, "DELETE", INDICES "/books", NULL), 200);
    UNTIL(answered(&w, "update", "quidditchindices", 404) +
              answered(&w, "update", "quidditchindices", 409) >
          0);
    UNTIL(says(&w, "books", "Ready", "True")); /* made by the cluster, as any index has one */
    assert_int_equal(table.deleted, 0);
    assert_true(has_replicas("books", 4));
    end(&w);
}

static void hold(bool on, uint32_t go_on)
{
    pthread_mutex_lock(&table.lock);
    table.hold = on;
    table.go_on = go_on;
    pthread_cond_broadcast(&table.go);
    pthread_mutex_unlock(&table.lock);
}

static uint32_t held(void)
{
    pthread_mutex_lock(&table.lock);
    uint32_t n = table.held;
    pthread_mutex_unlock(&table.lock);
    return n;
}

/* As by kubectl replace --force: its generation is that of the one before, its spec is not. */
static void an_object_that_is_replaced_while_it_is_served_is_served_anew(void **state)
{
    (void)state;
    world w = begin(NULL);
    hold(true, 0);
    assert_int_equal(make(&w, "books", "{'shards':1,'replicas':0}"), 201);
    UNTIL(held() == 1);
    assert_int_equal(api(&w, "DELETE", INDICES "/books", NULL), 200);
    assert_int_equal(make(&w, "books", "{'shards':1,'replicas':3}"), 201);
    UNTIL(held() == 2); /* the new one's wish, too */
    hold(true, 1);
    UNTIL(has_replicas("books", 0)); /* as the one of before said */
    hold(false, 0);
    UNTIL(has_replicas("books", 3) && says(&w, "books", "Accepted", "True"));
    assert_int_equal(table.created, 1);
    end(&w);
}

static void objects_that_nobody_could_mean_hold_nothing_up(void **state)
{
    static const char *const specs[] = {
        "{}",
        "{'shards':1,'indexName':'../../etc'}",
        "{'shards':1,'indexName':'UPPER'}",
        "{'shards':1,'indexName':''}",
        "{'shards':1,'settings':{'a':{'b':{'c':[[[[{'d':null}]]]]}}}}",
        "{'shards':1,'settings':{'number_of_shards':'many','index':{'index':{'index':1}}}}",
        "{'shards':1,'mappings':{'properties':{'':{'type':''}},'dynamic':17}}",
        "{'shards':1,'aliases':{'':{},'books':{},'*':{'filter':[]}}}",
        "{'shards':1,'clusterRef':{'name':'elsewhere'}}",
        "{'shards':1,'unknown':{'field':true},'deletionPolicy':'Delete'}",
        "{'shards':1,'settings':{'n':123456789012345678901234567890}}",
    };
    enum { SPECS = sizeof specs / sizeof *specs };
    char name[32];
    int status[SPECS];
    (void)state;
    world w = begin(NULL);
    for (uint32_t i = 0; i < SPECS; i++) {
        (void)snprintf(name, sizeof name, "absurd-%u", i);
        status[i] = make(&w, name, specs[i]);
        assert_true(status[i] == 201 || (status[i] >= 400 && status[i] < 500));
    }
    for (uint32_t i = 0; i < SPECS; i++) {
        (void)snprintf(name, sizeof name, "absurd-%u", i);
        if (status[i] != 201 || strstr(specs[i], "elsewhere")) continue;
        UNTIL(says(&w, name, "Accepted", "True") || says(&w, name, "Accepted", "False"));
    }
    make_books(&w);
    json_t *other = kube_model_get(w.m, "quidditchindices", "default", "absurd-8");
    assert_null(json_object_get(other, "status")); /* another cluster's */
    json_decref(other);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wish_that_changed_while_its_status_was_written_is_followed),
        cmocka_unit_test(a_history_that_is_gone_loses_no_wish),
        cmocka_unit_test(a_busy_server_is_left_alone_for_as_long_as_it_says),
        cmocka_unit_test(rights_that_are_taken_away_are_told_and_waited_for),
        cmocka_unit_test(an_object_that_goes_while_its_status_is_written_comes_back_with_the_index),
        cmocka_unit_test(an_object_that_is_replaced_while_it_is_served_is_served_anew),
        cmocka_unit_test(objects_that_nobody_could_mean_hold_nothing_up),
    };
    return unit_run(tests);
}
