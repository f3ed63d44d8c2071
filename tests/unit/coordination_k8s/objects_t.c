/*
 * objects_t.c: custom resources of indices: what is judged for an object, step by step, as an API
 * server and a cluster would answer; and that no order of events deletes data that nobody asked to
 * delete.
 */
#include "format.h"
#include <coordination-k8s/objects/objects.h>

static const char state_text[] =
    "{'version':17,'master_node':'id1','nodes':{'id1':{'name':'n1','transport_address':'a:1',"
    "'roles':['data']},'id0':{'name':'n0','transport_address':'a:0','roles':['data']}},"
    "'metadata':{'indices':{'books':{'state':'open','settings':{'index.uuid':'U1',"
    "'index.number_of_shards':'1','index.number_of_replicas':'1','index.refresh_interval':'1s'},"
    "'mappings':{},'aliases':['z','a']},'.secret':{'state':'open','settings':{'index.uuid':'U2',"
    "'index.number_of_shards':'1','index.number_of_replicas':'0'},'aliases':[]}}},"
    "'routing_table':{'indices':{'books':{'shards':{'0':["
    "{'state':'STARTED','primary':true,'node':'id0','shard':0,'allocation_id':{'id':'A'}},"
    "{'state':'UNASSIGNED','primary':false,'node':null,'shard':0,'unassigned_info':{'reason':"
    "'INDEX_CREATED'}}]}},'.secret':{'shards':{'0':[{'state':'STARTED','primary':true,'node':"
    "'id0','shard':0}]}}}}}";

/* JSON with ' for ". */
static json_t *json(const char *text)
{
    static char copy[1 << 16];
    json_error_t error;
    size_t n = strlen(text);
    assert_true(n < sizeof copy);
    for (size_t i = 0; i <= n; i++) copy[i] = text[i] == '\'' ? '"' : text[i];
    json_t *out = json_loads(copy, JSON_DECODE_ANY, &error);
    if (!out) fail_msg("%s: %s", error.text, text);
    return out;
}

typedef struct world {
    json_t *state, *object;
    ck_truth truth;
    ck_case about;
    ck_judgement j;
    ck_verdict verdict;
} world;

static void begin(world *w, const char *state, const char *object)
{
    memset(w, 0, sizeof *w);
    w->state = json(state);
    w->object = json(object);
    assert_int_equal(ck_truth_read(unit_heap(), w->state, "quidditch", &w->truth), 0);
    w->about = (ck_case){.object = w->object,
                         .truth = &w->truth,
                         .verdict = &w->verdict,
                         .now = "2026-01-02T03:04:05Z"};
}

static void end(world *w)
{
    ck_judgement_clear(&w->j);
    json_decref(w->object);
    json_decref(w->state);
}

static void judge(world *w)
{
    ck_judgement_clear(&w->j);
    ck_judge_index(&w->about, &w->j);
    if (w->j.decided) w->verdict = w->j.verdict;
}

/* What an API server makes of the PUT that was judged. */
static void put(world *w)
{
    json_t *body = json_incref(w->j.body);
    if (w->j.what == CK_DO_STATUS) {
        (void)json_object_set(w->object, "status", json_object_get(body, "status"));
    } else {
        json_t *meta = json_object_get(body, "metadata");
        json_int_t generation = json_integer_value(json_object_get(meta, "generation"));
        if (!json_equal(json_object_get(body, "spec"), json_object_get(w->object, "spec")))
            (void)json_object_set_new(meta, "generation", json_integer(generation + 1));
        (void)json_object_update(w->object, body);
    }
    json_decref(body);
}

static const char *said(const world *w, const char *type, const char *field)
{
    json_t *c;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(w->object, "status"), "conditions"), i, c)
    {
        if (strcmp(json_string_value(json_object_get(c, "type")), type) == 0)
            return json_string_value(json_object_get(c, field));
    }
    return "";
}

static const char *status_of(const world *w, const char *field)
{
    const char *v = json_string_value(json_object_get(json_object_get(w->object, "status"), field));
    return v ? v : "";
}

/* What GET /books tells: the state's settings and aliases, and these mappings. */
static json_t *told(const world *w, const char *mappings)
{
    const json_t *meta = ck_truth_index(&w->truth, "books");
    json_t *out =
        json("{'settings':{'index':{'uuid':'U1','creation_date':'5','version':{'created':"
             "'1'},'provided_name':'books','refresh_interval':'1s','routing':{'allocation'"
             ":{'initial_recovery':{'_id':'x'},'include':{'zone':'a'}}}}},"
             "'aliases':{'a':{'filter':{'term':{'x':1}}},'z':{}}}");
    json_t *settings = json_object_get(json_object_get(out, "settings"), "index");
    static const char *const numbers[] = {"number_of_shards", "number_of_replicas"};
    for (size_t i = 0; i < 2; i++) {
        char key[40];
        (void)snprintf(key, sizeof key, "index.%s", numbers[i]);
        (void)json_object_set_new(settings, numbers[i], json_string(ck_setting(meta, key)));
    }
    if (mappings) (void)json_object_set_new(out, "mappings", json(mappings));
    return out;
}

/* What index_read (projections_jobs.c) makes of it. */
static void follow(world *w, json_t *is)
{
    char shown[CK_SHOWN_MAX];
    json_t *spec =
        ck_shown_spec(&w->truth, "books", "books", is, json_object_get(w->j.body, "spec"), shown);
    ck_spec_put(unit_heap(), w->j.body, spec, shown);
    json_decref(is);
    put(w);
}

/* Judges and writes until nothing is to be done, at most so often. */
static void settle(world *w)
{
    for (int i = 0; i < 10; i++) {
        judge(w);
        if (w->j.what == CK_DO_NOTHING) return;
        if (w->j.what == CK_DO_FOLLOW) {
            assert_string_equal(
                json_string_value(json_object_get(json_array_get(w->j.steps, 0), "action")),
                "indices.get");
            follow(w, told(w, "{'properties':{'n':{'type':'long','null_value':7}}}"));
            continue;
        }
        assert_true(w->j.what == CK_DO_STATUS || w->j.what == CK_DO_PUT);
        put(w);
    }
    fail_msg("it never settles");
}

static const char *step_of(const world *w, size_t i)
{
    const char *v = json_string_value(json_object_get(json_array_get(w->j.steps, i), "action"));
    return v ? v : "";
}

/* --- */

static void an_index_is_shown(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text, "{}");
    json_t *s = ck_index_status(&w.truth, "books");
    json_t *is =
        json("{'indexName':'books','cluster':'quidditch','uuid':'U1','state':'ACTIVE',"
             "'health':'yellow','shards':1,'replicas':1,'aliases':['a','z'],"
             "'shardAllocations':[{'shardId':0,'primary':true,'state':'STARTED','nodeId':"
             "'n0','allocationId':'A'},{'shardId':0,'primary':false,'state':'UNASSIGNED'}],"
             "'observedRevision':'17'}");
    assert_true(json_equal(s, is));
    json_decref(s);
    json_decref(is);
    assert_false(ck_is_shown(".secret"));
    json_t *c = ck_cluster_status(&w.truth);
    is = json("{'phase':'Running','health':'yellow','leader':'n1','observedRevision':'17','nodes':"
              "[{'name':'n0','address':'a:0','roles':['data']},{'name':'n1','address':'a:1',"
              "'roles':['data']}]}");
    assert_true(json_equal(c, is));
    json_decref(c);
    json_decref(is);
    end(&w);
    memory_check();
}

static void copies_are_limited(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text, "{}");
    json_t *table = json_object_get(json_object_get(w.state, "routing_table"), "indices");
    json_t *shards = json_object_get(json_object_get(table, "books"), "shards");
    for (int i = 1; i < 600; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        (void)json_object_set(shards, number, json_object_get(shards, "0"));
    }
    json_t *s = ck_index_status(&w.truth, "books");
    assert_int_equal(json_array_size(json_object_get(s, "shardAllocations")), 1000);
    assert_true(json_is_true(json_object_get(s, "truncated")));
    json_decref(s);
    end(&w);
    memory_check();
}

static void names_do_not_meet(void **unused)
{
    (void)unused;
    char plain[CK_LABEL], other[CK_LABEL], third[CK_LABEL];
    ck_index_object_name("a", "books", 0, plain);
    assert_string_equal(plain, "books");
    ck_index_object_name("a", "books", 1, other);
    ck_index_object_name("b", "books", 1, third);
    assert_string_not_equal(other, plain);
    assert_string_not_equal(other, third);
    assert_true(ck_is_label((qd_str){other, strlen(other)}));
}

static void a_wish_becomes_an_index(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text,
          "{'metadata':{'name':'new','generation':1},'spec':{'shards':3,'replicas':2,'settings':"
          "{'index':{'codec':'best'},'refresh_interval':'5s'},'mappings':{'properties':{}},"
          "'aliases':{'n':{}}}}");
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_WISH);
    assert_int_equal(json_array_size(w.j.steps), 1);
    assert_string_equal(step_of(&w, 0), "indices.create");
    json_t *body = json_object_get(json_array_get(w.j.steps, 0), "body");
    json_t *is = json("{'settings':{'index.codec':'best','index.refresh_interval':'5s',"
                      "'index.number_of_shards':3,'index.number_of_replicas':2},'mappings':"
                      "{'properties':{}},'aliases':{'n':{}}}");
    assert_true(json_equal(body, is));
    json_decref(is);
    /* refused: told, and not tried again until the spec changes */
    w.verdict = (ck_verdict){.generation = 1, .accepted = 0};
    memcpy(w.verdict.reason, "No", 3);
    memcpy(w.verdict.message, "why", 4);
    settle(&w);
    assert_string_equal(said(&w, "Accepted", "status"), "False");
    assert_string_equal(said(&w, "Accepted", "message"), "why");
    w.verdict.generation = 0; /* another leader, who knows what the object says */
    settle(&w);
    assert_string_equal(said(&w, "Accepted", "message"), "why");
    (void)json_object_set_new(json_object_get(w.object, "metadata"), "generation", json_integer(2));
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_WISH);
    end(&w);
    memory_check();
}

static void a_changed_wish_changes_the_index(void **unused)
{
    (void)unused;
    world w;
    begin(
        &w, state_text,
        "{'metadata':{'name':'books','generation':4,'finalizers':['quidditch.io/data']},'spec':"
        "{'replicas':3,'settings':{'index.refresh_interval':'1s'},'mappings':{'properties':{'a':"
        "{}}},'aliases':{'a':{},'b':{'is_write_index':true}}},'status':{'observedGeneration':3}}");
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_WISH);
    json_t *is = json(
        "[{'action':'indices.put_settings','params':{'timeout':'5s','master_timeout':'10s',"
        "'index':'books','if_uuid':'U1'},'body':{'index.number_of_replicas':3}},{'action':"
        "'indices.put_mapping','params':{'timeout':'5s','master_timeout':'10s','index':"
        "'books','if_uuid':'U1'},'body':{'properties':{'a':{}}}},{'action':'indices.update_aliases'"
        ",'params':"
        "{'timeout':'5s','master_timeout':'10s','if_uuid':'U1'},'body':{'actions':[{'add':{'index':"
        "'books',"
        "'alias':'a'}},{'add':{'index':'books','alias':'b','is_write_index':true}},{'remove':{"
        "'index':'books','alias':'z'}}]}}]");
    assert_true(json_equal(w.j.steps, is));
    json_decref(is);
    end(&w);
    memory_check();
}

static void who_it_is_of_does_not_change(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text,
          "{'metadata':{'name':'mine','generation':2,'finalizers':['quidditch.io/data']},'spec':"
          "{'indexName':'books','deletionPolicy':'Delete'},'status':{'indexName':'other','uuid':"
          "'U9','observedGeneration':1}}");
    w.about.gone = 1;
    settle(&w);
    assert_string_equal(said(&w, "Accepted", "reason"), "Immutable");
    /* and its deletion is none of books */
    (void)json_object_set_new(json_object_get(w.object, "metadata"), "deletionTimestamp",
                              json_string("2026-01-02T03:04:05Z"));
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_PUT);
    end(&w);
    memory_check();
}

static void an_own_spec_is_no_wish(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text, "{}");
    json_decref(w.object);
    json_t *is = told(&w, "{'properties':{'n':{'type':'long','null_value':7.0}}}");
    w.about.object = w.object = ck_index_object(&w.truth, "space", "books", "books", is, NULL);
    json_decref(is);
    (void)json_object_set_new(json_object_get(w.object, "metadata"), "generation", json_integer(1));
    is =
        json("{'shards':1,'replicas':1,'settings':{'refresh_interval':'1s','routing':{'allocation':"
             "{'include':{'zone':'a'}}}},'mappings':{'properties':{'n':{'type':'long',"
             "'null_value':7.0}}},'aliases':{'a':{'filter':{'term':{'x':1}}},'z':{}}}");
    assert_true(json_equal(json_object_get(w.object, "spec"), is));
    json_decref(is);
    /* an API server writes numbers in its own way: that is no wish */
    json_t *field = json_object_get(json_object_get(w.object, "spec"), "mappings");
    field = json_object_get(json_object_get(field, "properties"), "n");
    (void)json_object_set_new(field, "null_value", json_integer(7));
    settle(&w);
    assert_string_equal(said(&w, "Accepted", "status"), "True");
    assert_string_equal(said(&w, "Accepted", "reason"), "Shown");
    assert_string_equal(status_of(&w, "health"), "yellow");
    assert_int_equal(ck_object_generation(w.object), 1);
    /* a change by REST is followed by the spec, and that is no wish either */
    json_t *meta = json_object_get(json_object_get(w.state, "metadata"), "indices");
    meta = json_object_get(meta, "books");
    json_t *settings = json_object_get(meta, "settings");
    (void)json_object_set_new(settings, "index.number_of_replicas", json_string("4"));
    (void)json_object_set_new(meta, "settings_version", json_integer(2));
    settle(&w);
    json_t *spec = json_object_get(w.object, "spec");
    assert_int_equal(json_integer_value(json_object_get(spec, "replicas")), 4);
    assert_int_equal(ck_object_generation(w.object), 2);
    /* a leader that dies between spec and status, and REST again: nothing is taken back */
    (void)json_object_set_new(json_object_get(w.object, "status"), "observedGeneration",
                              json_integer(1));
    (void)json_object_set_new(settings, "index.number_of_replicas", json_string("5"));
    (void)json_object_set_new(meta, "settings_version", json_integer(3));
    settle(&w);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(w.object, "spec"), "replicas")), 5);
    /* a user's change is one */
    (void)json_object_set_new(json_object_get(w.object, "spec"), "replicas", json_integer(0));
    (void)json_object_set_new(json_object_get(w.object, "metadata"), "generation", json_integer(9));
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_WISH);
    assert_string_equal(step_of(&w, 0), "indices.put_settings");
    /* what is refused stays to be read, whatever changes meanwhile */
    w.verdict = (ck_verdict){.generation = 9, .reason = "Why", .message = "why"};
    (void)json_object_set_new(meta, "settings_version", json_integer(4));
    settle(&w);
    assert_string_equal(said(&w, "Accepted", "message"), "why");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(w.object, "spec"), "replicas")), 0);
    assert_int_equal(ck_object_generation(w.object), 9);
    end(&w);
    memory_check();
}

static void what_has_no_room_is_left_out(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text, "{}");
    json_decref(w.object);
    json_t *is = told(&w, NULL), *large = json_object();
    char name[32];
    for (int i = 0; i < 40000; i++) {
        (void)snprintf(name, sizeof name, "field%d", i);
        (void)json_object_set_new(large, name, json_string("keyword"));
    }
    (void)json_object_set_new(is, "mappings", large);
    w.about.object = w.object = ck_index_object(&w.truth, "space", "books", "books", is, NULL);
    json_decref(is);
    (void)json_object_set_new(json_object_get(w.object, "metadata"), "generation", json_integer(1));
    settle(&w);
    is = json("{'shards':1,'replicas':1}");
    assert_true(json_equal(json_object_get(w.object, "spec"), is));
    json_decref(is);
    assert_non_null(strstr(said(&w, "Accepted", "message"), "too large"));
    end(&w);
    memory_check();
}

static void what_comes_back_was_applied_or_not(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text, "{}");
    json_decref(w.object);
    for (int settled = 0; settled < 2; settled++) {
        json_t *before = json("{'spec':{'replicas':3}}");
        (void)json_object_set_new(before, "settled", json_boolean(settled));
        w.about.object = w.object =
            ck_index_object(&w.truth, "space", "books", "books", NULL, before);
        json_decref(before);
        (void)json_object_set_new(json_object_get(w.object, "metadata"), "generation",
                                  json_integer(1));
        judge(&w);
        assert_int_equal(w.j.what, settled ? CK_DO_STATUS : CK_DO_WISH);
        if (!settled) json_decref(w.object);
    }
    end(&w);
    memory_check();
}

#define ENDING(policy, uuid)                                                                       \
    "{'metadata':{'name':'books','generation':1,'deletionTimestamp':'x','finalizers':['f',"        \
    "'quidditch.io/data']},'spec':{'deletionPolicy':'" policy                                      \
    "'},'status':{'indexName':'books','uuid':'" uuid "','state':'ACTIVE'}}"

static void what_cannot_be_read_is_not_written_back(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text, "{'metadata':{'name':'books','generation':2},'unreadable':true}");
    assert_false(ck_object_has_index(w.object));
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_STATUS);
    assert_null(json_object_get(w.j.body, "unreadable"));
    put(&w);
    assert_string_equal(said(&w, "Accepted", "reason"), "Unreadable");
    assert_string_equal(status_of(&w, "indexName"), ""); /* it may be meant for another one */
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_NOTHING);
    end(&w);
    memory_check();
}

static void data_go_only_when_asked(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text, ENDING("Retain", "U1"));
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_RETAIN);
    json_t *list = json_object_get(json_object_get(w.j.body, "metadata"), "finalizers");
    assert_int_equal(json_array_size(list), 1); /* the other one's stays */
    end(&w);
    begin(&w, state_text, ENDING("Delete", "U1"));
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_STATUS);
    put(&w);
    assert_string_equal(status_of(&w, "state"), "DELETING");
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_ERASE);
    assert_string_equal(step_of(&w, 0), "indices.delete");
    const json_t *params = json_object_get(json_array_get(w.j.steps, 0), "params");
    assert_string_equal(json_string_value(json_object_get(params, "if_uuid")), "U1");
    w.about.namespace_ends = 1; /* the namespace is what was deleted */
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_PUT);
    w.about.namespace_ends = 0;
    w.about.holder = "older"; /* a duplicate */
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_PUT);
    end(&w);
    begin(&w, state_text, ENDING("Delete", "U0")); /* made anew by somebody since */
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_RETAIN);
    end(&w);
    memory_check();
}

static void an_index_that_is_gone(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text,
          "{'metadata':{'name':'old','generation':1,'labels':{'quidditch.io/origin':'cluster'},"
          "'finalizers':['quidditch.io/data']},'spec':{'shards':1},'status':{'indexName':'old',"
          "'cluster':'quidditch','uuid':'U8','observedGeneration':1,'state':'ACTIVE'}}");
    judge(&w); /* not certain: the state may be an old one */
    assert_int_equal(w.j.what, CK_DO_NOTHING);
    w.about.gone = 1;
    judge(&w); /* the finalizer first: a deletion with it could be taken for a user's */
    assert_int_equal(w.j.what, CK_DO_PUT);
    put(&w);
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_DROP);
    /* a user's own stays and says so */
    (void)json_object_del(json_object_get(w.object, "metadata"), "labels");
    settle(&w);
    assert_string_equal(said(&w, "Ready", "reason"), "NotFound");
    assert_string_equal(said(&w, "Drifted", "status"), ""); /* nobody has accepted its spec */
    assert_string_equal(status_of(&w, "uuid"), "");
    end(&w);
    memory_check();
}

#define APPLIED(spec)                                                                              \
    "{'metadata':{'name':'books','generation':1,'finalizers':['quidditch.io/data']},'spec':{" spec \
    "},'status':{'indexName':'books','cluster':'quidditch','uuid':'U1','observedGeneration':1,"    \
    "'conditions':[{'type':'Accepted','status':'True','reason':'Applied','message':'m'}]}}"

/* What others have changed since a spec was applied is told, with both values. */
static void what_drifts_is_told(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text,
          APPLIED("'shards':1,'replicas':0,'settings':{'refresh_interval':'7s'},"
                  "'aliases':{'a':{},'b':{}}"));
    settle(&w);
    assert_string_equal(said(&w, "Accepted", "status"), "True");
    assert_string_equal(said(&w, "Drifted", "status"), "True");
    assert_string_equal(said(&w, "Drifted", "reason"), "Changed");
    const char *text = said(&w, "Drifted", "message");
    assert_non_null(strstr(text, "number_of_replicas: spec 0, actual 1"));
    assert_non_null(strstr(text, "refresh_interval: spec 7s, actual 1s"));
    assert_non_null(strstr(text, "alias [b]: spec there, actual none"));
    assert_non_null(strstr(text, "alias [z]: spec none, actual there"));
    assert_null(strstr(text, "shards"));
    assert_null(strstr(text, "alias [a]"));
    json_t *meta = json_object_get(json_object_get(w.state, "metadata"), "indices");
    json_t *settings = json_object_get(json_object_get(meta, "books"), "settings");
    (void)json_object_set_new(settings, "index.number_of_replicas", json_string("0"));
    (void)json_object_set_new(settings, "index.refresh_interval", json_string("7s"));
    (void)json_object_set_new(json_object_get(meta, "books"), "aliases", json("['b','a']"));
    settle(&w);
    assert_string_equal(said(&w, "Drifted", "status"), "False");
    (void)json_object_set_new(settings, "index.number_of_replicas", json_string("1"));
    (void)json_object_set_new(settings, "index.auto_expand_replicas", json_string("0-1"));
    settle(&w); /* the cluster counts them itself */
    assert_string_equal(said(&w, "Drifted", "status"), "False");
    (void)json_object_del(meta, "books");
    w.about.gone = 1;
    settle(&w);
    assert_string_equal(said(&w, "Ready", "reason"), "NotFound");
    assert_string_equal(said(&w, "Drifted", "status"), "True");
    assert_string_equal(said(&w, "Drifted", "reason"), "Deleted");
    end(&w);
    begin(&w, state_text, APPLIED("'shards':1,'replicas':1"));
    settle(&w); /* as it is: nothing is said */
    assert_string_equal(said(&w, "Drifted", "status"), "");
    end(&w);
    memory_check();
}

#define SHARD(index, number, version)                                                              \
    "{'metadata':{'name':'s','labels':{'quidditch.io/"                                             \
    "origin':'cluster'}},'spec':{'indexName':'" index "','shardId':" number                        \
    "},'status':{'observedRevision':'" version "'}}"

static void shards_of_large_indices(void **unused)
{
    (void)unused;
    world w;
    char name[CK_SHARD_NAME];
    begin(&w, state_text, SHARD("books", "0", "3"));
    ck_judge_shard(&w.about, &w.j); /* it has room in the index's own */
    assert_int_equal(w.j.what, CK_DO_DROP);
    json_t *meta = json_object_get(json_object_get(w.state, "metadata"), "indices");
    meta = json_object_get(meta, "books");
    (void)json_object_set_new(json_object_get(meta, "settings"), "index.number_of_replicas",
                              json_string("1000"));
    (void)json_object_set_new(meta, "primary_terms", json("{'0':7}"));
    ck_judge_shard(&w.about, &w.j);
    assert_int_equal(w.j.what, CK_DO_STATUS);
    put(&w);
    assert_string_equal(status_of(&w, "health"), "yellow");
    assert_string_equal(status_of(&w, "primaryTerm"), "7");
    assert_string_equal(status_of(&w, "observedRevision"), "17");
    ck_judgement_clear(&w.j);
    ck_judge_shard(&w.about, &w.j);
    assert_int_equal(w.j.what, CK_DO_NOTHING);
    end(&w);
    begin(&w, state_text, SHARD("gone", "0", "3"));
    ck_judge_shard(&w.about, &w.j);
    assert_int_equal(w.j.what, CK_DO_NOTHING); /* the state may be an old one */
    w.about.gone = 1;
    ck_judge_shard(&w.about, &w.j);
    assert_int_equal(w.j.what, CK_DO_DROP);
    end(&w);
    ck_shard_object_name("quidditch", "books", 1023, 0, name);
    assert_string_equal(name, "books-1023");
    ck_shard_object_name("quidditch", "b_\xc3\xa4", 2, 0, name);
    assert_true(ck_is_label((qd_str){name, strlen(name)}));
    memory_check();
}

static void an_older_state_is_not_shown(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text,
          "{'metadata':{'name':'books','generation':1,'finalizers':['quidditch.io/data']},'spec':"
          "{},'status':{'observedRevision':'18','observedGeneration':1}}");
    judge(&w);
    assert_int_equal(w.j.what, CK_DO_NOTHING);
    end(&w);
    memory_check();
}

static void settings_of_the_cluster(void **unused)
{
    (void)unused;
    world w;
    begin(&w, state_text,
          "{'metadata':{'name':'quidditch','generation':1},'spec':{'settings':{'index':{'codec':"
          "'x'},'translog':{'durability':'async'},'cluster':{'name':'quidditch','routing':"
          "{'allocation':{'disk':{'low_watermark':'85%','flood_stage':'95%'}}}}}},"
          "'status':{'others':'field'}}");
    ck_judge_cluster(&w.about, &w.j);
    assert_int_equal(w.j.what, CK_DO_WISH);
    json_t *all = json_array_get(w.j.steps, 0);
    json_t *is = json("{'persistent':{'cluster.default.index.codec':'x',"
                      "'cluster.default.index.translog.durability':'async',"
                      "'cluster.routing.allocation.disk.watermark.low':'85%',"
                      "'cluster.routing.allocation.disk.watermark.flood_stage':'95%'}}");
    assert_true(json_equal(json_object_get(all, "body"), is));
    json_decref(is);
    assert_int_equal(json_array_size(json_object_get(all, "apart")), 3); /* watermarks in one */
    assert_int_equal(json_array_size(json_object_get(all, "refused")), 0);
    ck_judgement_clear(&w.j);
    w.verdict = (ck_verdict){.generation = 1, .accepted = 1};
    ck_judge_cluster(&w.about, &w.j);
    assert_int_equal(w.j.what, CK_DO_STATUS);
    put(&w);
    assert_string_equal(status_of(&w, "others"), "field");
    assert_string_equal(status_of(&w, "leader"), "n1");
    ck_judgement_clear(&w.j);
    ck_judge_cluster(&w.about, &w.j);
    assert_int_equal(w.j.what, CK_DO_NOTHING);
    end(&w);
    begin(&w, state_text,
          "{'metadata':{'name':'quidditch','generation':1},'spec':{'settings':{'cluster.name':"
          "'other'}}}");
    ck_judge_cluster(&w.about, &w.j);
    assert_true(w.j.decided && !w.j.verdict.accepted);
    assert_non_null(strstr(w.j.verdict.message, "it is [quidditch]"));
    end(&w);
    memory_check();
}

static void texts_are_cut_between_characters(void **unused)
{
    (void)unused;
    char text[2 * CK_MESSAGE], refused[CK_MESSAGE];
    ck_verdict v;
    for (size_t shift = 0; shift < 4; shift++) {
        size_t n = shift;
        memset(text, 'x', n);
        while (n + 4 < sizeof text) {
            memcpy(text + n, "\xf0\x9f\x90\x98", 4);
            n += 4;
        }
        text[n] = 0;
        ck_verdict_set(&v, 1, 0, "Why", text);
        json_t *s = json_string(v.message); /* NULL when it is no UTF-8 */
        assert_non_null(s);
        json_decref(s);
    }
    json_t *many = json_array();
    for (int i = 0; i < 1000; i++) (void)json_array_append_new(many, json_string("[a.b] is wrong"));
    ck_refusals(many, refused);
    assert_int_equal(strlen(refused), CK_MESSAGE - 1);
    json_decref(many);
    memory_check();
}

static void numbers_are_as_an_api_server_writes_them(void **unused)
{
    (void)unused;
    static const char *const texts[][2] = {{"0.1", "0.1"},
                                           {"1.0", "1"},
                                           {"-0.5", "-0.5"},
                                           {"123.25", "123.25"},
                                           {"1e21", "1e+21"},
                                           {"1e20", "100000000000000000000"},
                                           {"1.5e-10", "1.5e-10"},
                                           {"0.000001", "0.000001"},
                                           {"0.00000123", "0.00000123"},
                                           {"0.0000001", "1e-7"},
                                           {"0.0", "0"},
                                           {"1.7976931348623157e308", "1.7976931348623157e+308"},
                                           {"5e-324", "5e-324"},
                                           {"0.30000000000000004", "0.30000000000000004"},
                                           {"9223372036854775807", "9223372036854775807"},
                                           {"1234567.890625", "1234567.890625"}};
    cr_bytes out = {.heap = unit_heap()};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *v = json(texts[i][0]);
        out.n = 0;
        ck_json_put(&out, v);
        assert_int_equal(out.n, strlen(texts[i][1]));
        assert_memory_equal(out.p, texts[i][1], out.n);
        json_decref(v);
    }
    json_t *v = json("{'a\\u0001':[1,2.5,{'b':null,'c':true},'x\\\\'],'d':{},'e':[]}");
    out.n = 0;
    ck_json_put(&out, v);
    json_t *again = json_loadb((const char *)out.p, out.n, 0, NULL);
    assert_true(json_equal(v, again));
    json_decref(v);
    json_decref(again);
    cr_bytes_free(&out);
    memory_check();
}

static void reasons_are_words(void **unused)
{
    (void)unused;
    char out[64];
    ck_reason_of("illegal_argument_exception", out);
    assert_string_equal(out, "IllegalArgumentException");
    ck_reason_of("", out);
    assert_string_equal(out, "Refused");
}

/* Whatever stands in an object, judging it ends, in something that can be done. */
static void any_object_can_be_judged(void **unused)
{
    (void)unused;
    static const char *const parts[] = {
        "{}",
        "[]",
        "null",
        "'x'",
        "7",
        "{'name':5}",
        "{'finalizers':'x'}",
        "{'conditions':{}}",
        "{'name':'books','deletionTimestamp':'x','finalizers':['quidditch.io/data']}",
        "{'name':'books','generation':1}",
        "{'settings':[],'aliases':[],'mappings':7,'shards':'y'}",
        "{'settings':{'a':{'b':{}}},'aliases':{'q':3},'indexName':{}}",
        "{'clusterRef':{'name':3}}",
        "{'uuid':'U1','observedGeneration':'x','conditions':[1,{},{'type':'Ready','status':4}]}"};
    size_t n = sizeof parts / sizeof *parts;
    for (size_t i = 0; i < n * n * n; i++) {
        world w;
        begin(&w, state_text, "{}");
        (void)json_object_set_new(w.object, "metadata", json(parts[i % n]));
        (void)json_object_set_new(w.object, "spec", json(parts[i / n % n]));
        (void)json_object_set_new(w.object, "status", json(parts[i / n / n]));
        for (int gone = 0; gone < 2; gone++) {
            w.about.gone = gone;
            judge(&w);
            w.verdict.generation = 0;
        }
        ck_judgement_clear(&w.j);
        ck_judge_cluster(&w.about, &w.j);
        end(&w);
    }
    memory_check();
}

int main(void)
{
    json_count();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_index_is_shown),
        cmocka_unit_test(copies_are_limited),
        cmocka_unit_test(names_do_not_meet),
        cmocka_unit_test(a_wish_becomes_an_index),
        cmocka_unit_test(a_changed_wish_changes_the_index),
        cmocka_unit_test(who_it_is_of_does_not_change),
        cmocka_unit_test(an_own_spec_is_no_wish),
        cmocka_unit_test(what_has_no_room_is_left_out),
        cmocka_unit_test(what_comes_back_was_applied_or_not),
        cmocka_unit_test(what_cannot_be_read_is_not_written_back),
        cmocka_unit_test(data_go_only_when_asked),
        cmocka_unit_test(an_index_that_is_gone),
        cmocka_unit_test(what_drifts_is_told),
        cmocka_unit_test(shards_of_large_indices),
        cmocka_unit_test(an_older_state_is_not_shown),
        cmocka_unit_test(settings_of_the_cluster),
        cmocka_unit_test(texts_are_cut_between_characters),
        cmocka_unit_test(numbers_are_as_an_api_server_writes_them),
        cmocka_unit_test(reasons_are_words),
        cmocka_unit_test(any_object_can_be_judged),
    };
    return unit_run(tests);
}
